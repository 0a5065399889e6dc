"""A song is measured once: beats and onsets within 25 ms, levels by band, and one error for what is no song."""

from __future__ import annotations

import os
import sys
import tracemalloc
import wave
from pathlib import Path

import numpy as np
import pytest

from remix.errors import MissingPackage, PictureError, RecipeError
from remix.motion import song
from remix.motion.ffmpeg import Ffmpeg
from remix.motion.song import measured_song
from remix.plan import Recipe

RATE = 44100
PAGE = Path(__file__).parents[3] / "docs" / "reliability.md"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "cache"
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, str(place))
    return place


def write(path: Path, samples: np.ndarray, channels: int = 1) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32000).astype("<i2").repeat(channels).tobytes())
    return path


def clicks(times: np.ndarray, hertz: float, seconds: float, decay: float = 0.02, noise: float = 0.0) -> np.ndarray:
    """Returns a song of decaying tones at these times."""
    samples = noise * np.random.default_rng(0).standard_normal(round(seconds * RATE))
    for time in times:
        place = round(time * RATE)
        k = np.arange(min(RATE // 4, len(samples) - place)) / RATE
        samples[place : place + len(k)] += 0.6 * np.sin(2 * np.pi * hertz * k) * np.exp(-k / decay)
    return samples


@pytest.mark.parametrize(
    ("tempo", "start", "hertz", "decay", "noise"),
    [(75, 0.5, 1000, 0.01, 0), (128, 0.0, 60, 0.05, 0), (174, 0.3, 440, 0.05, 0.01), (100, 2.0, 262, 0.1, 0.01)],
)
def test_beats_and_onsets_are_those_of_the_clicks(
    tmp_path: Path, tempo: float, start: float, hertz: float, decay: float, noise: float
) -> None:
    pytest.importorskip("librosa")
    times = np.arange(start, 15.5, 60 / tempo)
    write(tmp_path / "song.wav", clicks(times, hertz, 16, decay, noise))
    found = measured_song(tmp_path, "song.wav")
    assert found["length"] == 16
    assert found["tempo"] == pytest.approx(tempo, abs=0.5)
    assert len(found["beats"]) == len(times)
    assert np.abs(np.array(found["beats"]) - times).max() <= 0.025
    assert max(np.abs(times - onset).min() for onset in found["onsets"] if onset > 0.05) <= 0.025
    assert max(np.abs(np.array(found["onsets"]) - time).min() for time in times) <= 0.025


def test_each_tone_is_in_its_band(tmp_path: Path) -> None:
    pytest.importorskip("librosa")
    seconds = np.arange(3 * RATE) / RATE
    second = seconds.astype(int)
    hertz, loud = np.array([100, 1000, 6000])[second], np.array([0.8, 0.4, 0.2])[second]
    write(tmp_path / "song.wav", loud * np.sin(2 * np.pi * hertz * seconds), channels=2)
    found = measured_song(tmp_path, "song.wav")
    middles = [slice(25 * k + 5, 25 * k + 20) for k in range(3)]
    assert all(len(found[name]) == 76 for name in ("rms", "bass", "mid", "high"))
    assert [np.mean(found["rms"][part]) for part in middles] == pytest.approx([1, 0.5, 0.25], abs=0.02)
    for k, name in enumerate(("bass", "mid", "high")):
        assert [np.mean(found[name][part]) for part in middles] == pytest.approx(np.eye(3)[k], abs=0.03)


def test_a_silent_song_has_no_beats_and_no_levels(tmp_path: Path) -> None:
    pytest.importorskip("librosa")
    write(tmp_path / "song.wav", np.zeros(2 * RATE))
    found = measured_song(tmp_path, "song.wav")
    assert (found["beats"], found["onsets"], found["tempo"]) == ([], [], 0)
    assert {*found["rms"], *found["bass"]} == {0}


@pytest.mark.parametrize("samples", [1, 500, RATE // 10])
def test_a_short_sound_is_measured_too(tmp_path: Path, samples: int) -> None:
    pytest.importorskip("librosa")
    write(tmp_path / "song.wav", clicks(np.array([0.0]), 1000, samples / RATE))
    assert measured_song(tmp_path, "song.wav")["length"] == pytest.approx(samples / RATE, abs=0.002)


def test_an_mp3_has_the_beats_of_what_it_was_made_of(tmp_path: Path) -> None:
    pytest.importorskip("librosa")
    times = np.arange(0.5, 7.5, 0.5)
    plain = write(tmp_path / "a.wav", clicks(times, 1000, 8))
    with Ffmpeg(["-i", str(plain), "-b:a", "96k", "-y", str(tmp_path / "song.mp3")]) as process:
        assert process.finish() == 0
    found = measured_song(tmp_path, "song.mp3")
    assert np.abs(np.array(found["beats"]) - times).max() <= 0.025


def test_a_song_is_measured_once_and_again_if_it_or_its_cache_changes(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Path] = []
    numbers = {"length": 1.0, "tempo": 0.0, "beats": [], "onsets": [], "rms": [], "bass": [], "mid": [], "high": []}
    monkeypatch.setattr(song, "_measured", lambda path: calls.append(path) or numbers)
    write(tmp_path / "song.wav", np.zeros(RATE))
    first = measured_song(tmp_path, "song.wav")
    (tmp_path / "other.wav").write_bytes((tmp_path / "song.wav").read_bytes())
    assert measured_song(tmp_path, "other.wav") == first
    assert len(calls) == 1
    [kept] = cache.rglob("*.json")
    kept.write_text('{"sha256": 1}')
    assert measured_song(tmp_path, "song.wav") == first
    write(tmp_path / "song.wav", np.ones(RATE))
    assert measured_song(tmp_path, "song.wav")["sha256"] != first["sha256"]
    assert len(calls) == 3


def test_a_recipe_is_read_with_its_song(tmp_path: Path) -> None:
    pytest.importorskip("librosa")
    write(tmp_path / "song.wav", clicks(np.arange(0.5, 5.5, 0.5), 1000, 6))
    path = tmp_path / "film.toml"
    path.write_text('frames = "song"\n[music]\nfile = "song.wav"\n[[keyframes]]\nat = "beat 2"\ncfg = "5 + beat"\n')
    recipe = Recipe.load(path)
    assert (recipe.frames, recipe.positions()) == (72, (12,))
    assert Recipe.from_json(recipe.to_json()) == recipe  # no file needed


def _text(path: Path) -> None:
    path.write_text("a song, they said\n" * 100)


def _nothing(path: Path) -> None:
    path.write_bytes(b"")


def _cut(path: Path) -> None:
    path.write_bytes(write(path.with_name("a.wav"), np.zeros(RATE)).read_bytes()[:30])


def _playlist(path: Path) -> None:
    path.write_text("#EXTM3U\nhttp://127.0.0.1:9/song.mp3\n")


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _absent(path: Path) -> None:
    """Makes nothing."""


@pytest.mark.parametrize("make", [_text, _nothing, _cut, _playlist, _pipe, _absent], ids=lambda make: make.__name__)
def test_what_is_no_song_is_one_error_at_its_place(tmp_path: Path, make: object) -> None:
    pytest.importorskip("librosa")
    make(tmp_path / "song.mp3")  # type: ignore[operator]
    with pytest.raises(RecipeError) as caught:
        Recipe.from_toml('frames = 9\n[music]\nfile = "song.mp3"\n[[keyframes]]\n', folder=str(tmp_path))
    assert (caught.value.path, caught.value.line) == ("music.file", 3)
    assert "song.mp3" in caught.value.problem


def test_long_and_huge_songs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("librosa")
    write(tmp_path / "song.wav", np.zeros(3 * RATE))
    monkeypatch.setattr(song, "LONGEST", 2)
    with pytest.raises(PictureError, match="is longer than"):
        measured_song(tmp_path, "song.wav")
    monkeypatch.setattr(song, "MAX_SONG", 1000)
    with pytest.raises(PictureError, match="at most 1000 are read"):
        measured_song(tmp_path, "song.wav")


def test_the_longest_song_takes_the_memory_that_the_page_states(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measured with two short songs and smaller blocks, since the rest of the memory grows with the length."""
    pytest.importorskip("librosa")
    monkeypatch.setattr(song, "_BLOCK", song._HOP * 256)
    monkeypatch.setattr(song, "_PIECE", 256)
    (row,) = (line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| A song |"))

    def peak(seconds: int) -> int:
        write(tmp_path / f"{seconds}.wav", clicks(np.arange(0.5, seconds, 0.5), 1000, seconds))
        tracemalloc.start()
        try:
            measured_song(tmp_path, f"{seconds}.wav")
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1)  # what is loaded once
    growth = (peak(60) - peak(20)) / 40
    assert 0 < growth * song.LONGEST / 2**20 < int(row.partition("About ")[2].split()[0])


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write(tmp_path / "secret.wav", np.zeros(RATE))
    (tmp_path / "in" / "song.wav").symlink_to(tmp_path / "secret.wav")
    with pytest.raises(PictureError, match="leads out of"):
        measured_song(tmp_path / "in", "song.wav")


def test_without_librosa_the_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "librosa", None)
    write(tmp_path / "song.wav", np.zeros(RATE))
    with pytest.raises(MissingPackage, match=r'pip install librosa, .*"\.\[music\]"'):
        measured_song(tmp_path, "song.wav")
