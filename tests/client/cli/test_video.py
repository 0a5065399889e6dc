"""`remix video` with a named format, and with sound."""

from __future__ import annotations

import dataclasses
import re
import shutil
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from remix.client.cli import main
from remix.engine import render
from remix.job import read_metadata, recipe_of
from remix.motion import load_picture, probe, read_video, save_picture
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
    """Removes one frame and replaces a second one with another picture."""
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
    output = capsys.readouterr()
    assert "4 frames 32x16 12 fps" in output.out
    assert "note    2 of 6 frames are missing or damaged (1, 4)" in output.err
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
    reported = f"{tmp_path / 'b.png'}: 24x16, but a.png is 16x16; give all pictures one size"
    assert reported in capsys.readouterr().err


def film_of(folder: Path, *options: object, name: str = "film.mkv") -> Path:
    assert run("video", folder, "-o", folder.parent / name, "-q", *options) == 0
    return folder.parent / name


def test_pictures_of_several_formats_are_put_in_natural_order(tmp_path: Path) -> None:
    folder = tmp_path / "clip"
    folder.mkdir()
    for level, name in enumerate(("frame 1.bmp", "Frame 2.tif", "frame 3.webp", "Frame 11.png")):
        Image.new("RGB", (16, 16), (level * 60,) * 3).save(folder / name)
    frames = list(read_video(film_of(folder)))
    assert [round(int(frame.mean()) / 60) for frame in frames] == [0, 1, 2, 3]


def test_files_that_are_no_frames_are_named_and_an_earlier_film_is_one_of_them(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("film.webp", "film.apng", "film.mp4"):
        assert run("video", pictures, "-o", pictures / name, "-q") == 0
    (pictures / "readme.txt").write_text("x", encoding="ascii")
    (pictures / "sub").mkdir()
    (pictures / "gone.png").symlink_to("nowhere")
    capsys.readouterr()
    film = film_of(pictures)
    assert probe(film).frames == 3
    printed = capsys.readouterr().err
    for words in ("film.apng (a film)", "film.mp4 (a film)", "film.webp (a film)", "gone.png (a link to nothing)"):
        assert words in printed
    assert "readme.txt (not a picture that is read here) and 1 more" in printed


@pytest.mark.parametrize(
    ("options", "size"),
    [
        (("--for", "upright"), (1080, 1920)),
        (("--for", "square", "--pad"), (1080, 1080)),
        (("--size", "40x20"), (40, 20)),
        (("--scale", "2"), (32, 32)),
        (("--scale", "0.5"), (8, 8)),
    ],
)
def test_a_film_has_the_size_that_is_asked_for(pictures: Path, options: tuple[str, ...], size: tuple[int, int]) -> None:
    info = probe(film_of(pictures, *options))
    assert (info.width, info.height) == size


def test_pictures_of_different_sizes_meet_in_one_that_is_given(pictures: Path) -> None:
    save_picture(pictures / "9.png", np.zeros((50, 20, 3), np.uint8))
    assert probe(film_of(pictures, "--size", "24x24")).frames == 4


@pytest.mark.parametrize(("length", "frames"), [("2s", 24), ("0.25", 3), ("1.5 s", 18), ("0.1s", 1)])
def test_a_film_is_as_long_as_asked_for(pictures: Path, length: str, frames: int) -> None:
    assert probe(film_of(pictures, "--length", length)).frames == frames


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--size", "1x1", "--scale", "2"), "--size and --scale: both set the size"),
        (("--pad",), "--pad: needs a size"),
        (("--size", "0x5"), "--size: '0x5'; give a width and a height"),
        (("--size", "99999x99999"), "--size: '99999x99999'"),
        (("--length", "soon"), "--length: 'soon'; give seconds"),
        (("--length", "0"), "--length: '0'"),
        (("--length", "1s", "--repeat", "2"), "--length and --repeat"),
        (("--alpha", "--format", "hevc"), "frames with transparency; hevc cannot keep it"),
    ],
)
def test_options_that_do_not_fit_are_one_sentence(
    pictures: Path, options: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("video", pictures, "-o", pictures.parent / "film.mkv", "-q", *options) == 2
    assert sentence in capsys.readouterr().err


def test_transparency_is_mentioned_and_kept_when_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "clip"
    folder.mkdir()
    for number in range(2):
        Image.new("RGBA", (16, 16), (255, 0, 0, 100 * number)).save(folder / f"{number}.png")
    film_of(folder, name="white.apng")
    assert "keep them with --alpha" in capsys.readouterr().err
    with Image.open(film_of(folder, "--alpha", name="clear.apng")) as film:
        assert film.mode == "RGBA"
    assert "--alpha" not in capsys.readouterr().err


def test_a_sound_that_is_cut_off_is_one_sentence(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audio = tmp_path / "a.wav"
    with wave.open(str(audio), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16000))
    audio.write_bytes(audio.read_bytes()[:9001])
    assert run("video", pictures, "-o", tmp_path / "film.mp4", "--audio", audio, "-q") == 2
    printed = capsys.readouterr().err
    assert "a.wav: the sound is damaged or cut off" in printed
    assert len(printed.splitlines()) == 1


def test_a_film_of_a_job_has_its_song_while_the_frames_keep_their_times(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with wave.open(str(tmp_path / "song.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16000))
    keyframes = (Keyframe(at=0, prompt="a", seed=1), Keyframe(at=5, prompt="b"))
    music = {"file": "song.wav", "length": 1.0, "beats": [0.1, 0.3]}
    recipe = Recipe(frames=6, keyframes=keyframes, width=32, height=16, folder=str(tmp_path), music=music)
    job, films = tmp_path / "job", tmp_path / "films"
    render(recipe, Painter(), job, film=None)

    def sound(name: str, *options: object) -> float | None:
        assert run("video", job, "-o", films / name, "-q", *options) == 0
        found = probe(films / name).sound
        return None if found is None else round(found.duration, 1)

    films.mkdir()
    assert sound("plain.mkv") == 0.5
    assert sound("smooth.mkv", "--between", 1) == 0.5
    assert "song" not in capsys.readouterr().err
    for options in (("--fps", 24), ("--length", "1s"), ("--pace", "even")):
        assert sound(f"{options[0].strip('-')}.mkv", *options) is None
        assert "without the job's song: the frames are not shown at the times" in capsys.readouterr().err
    assert sound("film.webp") is None
    assert "this format holds no sound" in capsys.readouterr().err
    assert sound("added.mkv", "--fps", 24, "--audio", tmp_path / "song.wav") == 0.2
    (job / "frames" / "000001.png").unlink()
    assert sound("unfinished.mkv", "--unfinished") is None
    (job / "inputs" / "song.wav").unlink()
    capsys.readouterr()
    render(recipe_of(job), Painter(), job, film=None)
    assert sound("silent.mkv") is None
    assert "song.wav does not exist" in capsys.readouterr().err


def test_the_film_is_opened_when_it_is_finished(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("click.launch", opened.append)
    film = film_of(pictures, "--open")
    assert opened == [str(film.resolve())]


def frames_of(film: Path) -> list[int]:
    return [int(picture.mean()) for picture in read_video(film)]


@pytest.mark.parametrize(
    ("options", "levels", "fps"),
    [
        (("--between", 1), [0, 45, 90, 135, 180], 24),
        (("--to-fps", 24, "--quality", "fast"), [0, 45, 90, 135, 180], 24),
        (("--between", 1, "--fps", 6), [0, 45, 90, 135, 180], 12),
        (("--to-fps", 18), [0, 60, 120, 180], 18),
        (("--between", 1, "--loop"), [0, 45, 90, 135, 180, 90], 24),
        (("--between", 1, "--ping-pong"), [0, 45, 90, 135, 180, 135, 90, 45], 24),
        (("--between", 1, "--repeat", 2), [0, 45, 90, 135, 180, 0, 0, 45, 90, 135, 180], 24),
        (("--between", 1, "--length", "0.5s", "--ping-pong"), [0, 45, 90, 135, 180, 135, 90, 45, 0, 45, 90, 135], 24),
        (("--length", "0.5s"), [0, 90, 180, 0, 90, 180], 12),
    ],
)
def test_in_betweens_fill_the_film_and_keep_its_length(
    pictures: Path, tmp_path: Path, options: tuple[object, ...], levels: list[int], fps: int
) -> None:
    pytest.importorskip("cv2")
    film = tmp_path / "film.mkv"
    assert run("video", pictures, "-o", film, *options, "-q") == 0
    assert frames_of(film) == levels
    assert probe(film).fps == fps


def test_a_film_is_paced_after_the_fact_and_says_how_much_it_helped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("cv2")
    folder, film = tmp_path / "pictures", tmp_path / "film.mkv"
    folder.mkdir()
    for number, level in enumerate((100, 101, 102, 118, 134, 135, 136)):
        save_picture(folder / f"{number}.png", np.full((16, 16, 3), level, np.uint8))
    assert run("video", folder, "-o", film, "--pace", "even", "-q") == 0
    assert frames_of(film) == pytest.approx([100, 106, 112, 118, 124, 130, 136], abs=2)
    reported = re.search(r"pace    the steps vary by (\S+), without pacing by (\S+)\n", capsys.readouterr().out)
    assert reported is not None
    assert float(reported[1]) < 0.3 < 1.0 < float(reported[2])


def test_the_keyframes_of_a_job_keep_their_frames(job: Path, tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    film = tmp_path / "film.mkv"
    assert run("video", job, "-o", film, "--between", 2, "--pace", "even", "-q") == 0
    paths = sorted((job / "frames").iterdir())
    shown = list(read_video(film))
    assert len(shown) == 16
    assert np.array_equal(shown[0], load_picture(paths[0]))
    assert np.array_equal(shown[15], load_picture(paths[5]))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--between", 1, "--to-fps", 60), "--between and --to-fps: both set the number of in-betweens"),
        (("--between", 30), "372 frames per second; give more than 0, at most 240"),
        (("--to-fps", "often"), "'often' is not a number"),
    ],
)
def test_in_betweens_that_do_not_fit_are_refused(
    pictures: Path, tmp_path: Path, options: tuple[object, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("video", pictures, "-o", tmp_path / "film.mkv", *options, "-q") == 2
    assert sentence in capsys.readouterr().err
