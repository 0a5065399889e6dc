"""`remix video` with a named format, and with sound."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from remix.client.cli import main
from remix.motion import probe, save_picture


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


def test_a_picture_of_another_size_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, width in (("a.png", 16), ("b.png", 24), ("c.png", 16)):
        save_picture(tmp_path / name, np.zeros((16, width, 3), np.uint8))
    assert run("video", tmp_path, "-o", tmp_path / "film.mp4", "-q") == 2
    said = f"{tmp_path / 'b.png'}: 24x16, but a.png is 16x16; give all pictures one size"
    assert said in capsys.readouterr().err
