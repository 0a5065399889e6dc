"""`remix video` with a named format, and with sound."""

from __future__ import annotations

import dataclasses
import shutil
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from remix.client.cli import main
from remix.engine import render
from remix.job import read_metadata, recipe_of
from remix.motion import probe, save_picture
from remix.plan import Keyframe, Recipe
from tests.fakes.renderer import Painter


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(3):
        save_picture(folder / f"{number}.png", np.full((16, 16, 3), number * 90, np.uint8))
    return folder


def run(*words: object) -> int:
    return main([str(word) for word in words])


def test_video_writes_the_format_that_is_named(pictures: Path, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    assert run("video", pictures, "-o", film, "--format", "hevc", "-q") == 0
    assert probe(film).codec == "hevc"


def test_video_takes_a_sound_and_says_how_long_it_is(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audio, film = tmp_path / "a.wav", tmp_path / "film.mkv"
    with wave.open(str(audio), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16000))
    assert run("video", pictures, "-o", film, "--fps", 6, "--audio", audio, "-q") == 0
    assert "3 frames 16x16 6 fps, flac 0.50 s" in capsys.readouterr().out
    sound = probe(film).sound
    assert sound is not None
    assert sound.duration == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("film.mp4", ("--format", "hvc"), "did you mean 'hevc'"),
        ("film.mp4", ("--format", "ffv1"), "ffv1 does not go into a file .mp4"),
        ("film.gif", ("--audio", "a.wav"), "gif holds no sound"),
        ("film.mp4", ("--audio", "missing.wav"), "missing.wav: no such file"),
    ],
)
def test_what_does_not_fit_is_one_sentence_and_exit_code_2(
    pictures: Path,
    tmp_path: Path,
    name: str,
    options: tuple[str, ...],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("video", pictures, "-o", tmp_path / name, *options, "-q") == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / name).exists()


def test_pictures_whose_comment_holds_a_nul_make_a_film(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x8769] = {0x9286: b"ASCII\0\0\0a cat\0Steps: 20, Sampler: Euler, Seed: 1"}
    folder, film = tmp_path / "pictures", tmp_path / "film.mp4"
    folder.mkdir()
    Image.new("RGB", (16, 16)).save(folder / "1.jpg", exif=exif.tobytes())
    assert run("video", folder, "-o", film, "-q") == 0
    assert probe(film).frames == 1


@pytest.fixture
def job(tmp_path: Path) -> Path:
    keyframes = (Keyframe(at=0, prompt="a", seed=1), Keyframe(at=5, prompt="b", image="in.png", denoise=0.5))
    save_picture(tmp_path / "in.png", np.zeros((16, 32, 3), np.uint8))
    recipe = Recipe(frames=6, keyframes=keyframes, width=32, height=16, folder=str(tmp_path))
    render(recipe, Painter(), tmp_path / "job", film=None)
    return tmp_path / "job"


def snapshot(job: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in job.rglob("*") if path.is_file()}


def spoil(job: Path) -> None:
    """Takes one frame away and puts another picture in the place of a second."""
    (job / "frames" / "000001.png").unlink()
    save_picture(job / "frames" / "000004.png", np.zeros((16, 32, 3), np.uint8))


def test_a_job_with_missing_or_foreign_frames_is_refused_by_their_numbers(
    job: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(job)
    before = snapshot(job)
    assert run("video", job, "-o", tmp_path / "film.mp4", "-q") == 2
    assert (
        "job: 2 of 6 frames are missing or damaged (1, 4); run the same remix render again" in capsys.readouterr().err
    )
    assert not (tmp_path / "film.mp4").exists()
    assert snapshot(job) == before


def test_an_unfinished_job_is_made_a_film_of_what_is_finished_when_that_is_said(
    job: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(job)
    assert run("video", job, "-o", tmp_path / "film.mp4", "-q", "--unfinished") == 0
    told = capsys.readouterr()
    assert "4 frames 32x16 12 fps" in told.out
    assert "note    2 of 6 frames are missing or damaged (1, 4)" in told.err
    shutil.rmtree(job / "frames")
    assert run("video", job, "-o", tmp_path / "none.mp4", "-q", "--unfinished") == 2
    assert "6 of 6 frames are missing or damaged (0-5); render it first" in capsys.readouterr().err


def test_of_a_job_its_own_frames_are_taken_and_nothing_is_written_there(job: Path, tmp_path: Path) -> None:
    save_picture(job / "frames" / "000006.png", np.zeros((16, 32, 3), np.uint8))
    save_picture(job / "frames" / "sketch.png", np.zeros((16, 32, 3), np.uint8))
    (job / "journal.jsonl").unlink()  # so that the frames' own metadata has to say it
    before = snapshot(job)
    assert run("video", job, "-o", tmp_path / "film.mp4", "-q") == 0
    assert probe(tmp_path / "film.mp4").frames == 6
    assert snapshot(job) == before


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("schedule.json", "{}", "its schedule.json is not that of its recipe.json"),
        ("job.json", '{"inputs": 3}', "job.json: says nothing of the picture 'in.png'"),
    ],
)
def test_a_job_whose_frames_cannot_be_told_is_one_sentence(
    file: str, text: str, sentence: str, job: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (job / file).write_text(text, encoding="utf-8")
    assert run("video", job, "-o", tmp_path / "film.mp4", "-q") == 2
    assert sentence in capsys.readouterr().err


def test_a_film_of_a_job_says_the_jobs_recipe_not_that_of_a_frame_that_it_kept(job: Path, tmp_path: Path) -> None:
    first = recipe_of(job)
    keyframes = (first.keyframes[0], dataclasses.replace(first.keyframes[1], prompt="c"))
    other = first.replace(keyframes=keyframes)
    assert render(other, Painter(), job, film=None, new=True).rendered == 5  # the first frame is kept
    assert run("video", job, "-o", tmp_path / "film.mp4", "-q") == 0
    made = read_metadata(tmp_path / "film.mp4").remix
    assert made is not None
    assert made["recipe"] == other.to_dict()
    assert made["engine"] == {"engine": "painter", "checkpoint": "paint"}


def test_unfinished_is_for_jobs(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("video", pictures, "-o", tmp_path / "film.mp4", "--unfinished") == 2
    assert "--unfinished: " in capsys.readouterr().err


def test_what_finder_lays_beside_pictures_is_no_picture(pictures: Path, tmp_path: Path) -> None:
    (pictures / "._1.png").write_bytes(b"Mac OS X")
    assert run("video", pictures, "-o", tmp_path / "film.mp4", "-q") == 0
    assert probe(tmp_path / "film.mp4").frames == 3


def test_a_picture_of_another_size_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, width in (("a.png", 16), ("b.png", 24), ("c.png", 16)):
        save_picture(tmp_path / name, np.zeros((16, width, 3), np.uint8))
    assert run("video", tmp_path, "-o", tmp_path / "film.mp4", "-q") == 2
    said = f"{tmp_path / 'b.png'}: 24x16, but a.png is 16x16; give all pictures one size"
    assert said in capsys.readouterr().err
