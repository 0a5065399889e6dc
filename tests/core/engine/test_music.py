"""The song of a recipe: in the film, in the job, and at its places in a film of even pace."""

from __future__ import annotations

import shutil
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix.digest import sha256
from remix.engine import render
from remix.errors import RecipeError
from remix.job import recipe_of
from remix.motion import probe
from remix.plan import Keyframe, Recipe, plan
from tests.core.engine.runs import recipe
from tests.fakes.renderer import Painter

NUMBERS: dict[str, Any] = {"file": "sounds/song.wav", "length": 1.0, "beats": [0.1, 0.3]}


def song(folder: Path, level: int = 1000) -> Path:
    path = folder / "sounds" / "song.wav"
    path.parent.mkdir(exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(44100)
        file.writeframes((level * np.sin(np.arange(44100) / 20)).astype("<i2").tobytes())
    return path


def with_music(folder: Path, **changes: Any) -> Recipe:
    return recipe(folder=str(folder), music=NUMBERS, **changes)


def test_the_film_has_the_song_and_the_job_a_copy_of_it(tmp_path: Path) -> None:
    path = song(tmp_path)
    outcome = render(with_music(tmp_path), Painter(), tmp_path / "job")
    assert outcome.film is not None
    sound = probe(outcome.film).sound
    assert sound is not None
    assert sound.duration == pytest.approx(0.5, abs=0.03)
    assert outcome.remarks == ()
    assert (tmp_path / "job" / "inputs" / "sounds" / "song.wav").read_bytes() == path.read_bytes()


def test_a_job_that_moved_makes_the_same_film_again_without_the_song_elsewhere(tmp_path: Path) -> None:
    song(tmp_path)
    film = render(with_music(tmp_path), Painter(), tmp_path / "job").film
    assert film is not None
    before = film.read_bytes()
    film.unlink()
    shutil.move(tmp_path / "job", tmp_path / "moved")
    shutil.rmtree(tmp_path / "sounds")
    again = render(recipe_of(tmp_path / "moved"), Painter(), tmp_path / "moved")
    assert again.rendered == 0
    assert again.film is not None
    assert again.film.read_bytes() == before


def test_another_sound_replaces_the_song(tmp_path: Path) -> None:
    song(tmp_path)
    other = song(tmp_path / "sounds")
    first = render(with_music(tmp_path), Painter(), tmp_path / "job", audio=other).film
    second = render(recipe(), Painter(), tmp_path / "plain", audio=other).film
    assert probe(first).sound == probe(second).sound  # type: ignore[arg-type]


@pytest.mark.parametrize(("film", "problem"), [("film.gif", "cannot hold sound"), ("film.mp4", "does not exist")])
def test_a_film_without_its_song_is_told(tmp_path: Path, film: str, problem: str) -> None:
    if film.endswith("gif"):
        song(tmp_path)
    outcome = render(with_music(tmp_path), Painter(), tmp_path / "job", film=film)
    [remark] = outcome.remarks
    assert problem in remark
    assert outcome.film is not None
    assert probe(outcome.film).sound is None


def test_a_song_that_is_not_the_measured_one_is_refused(tmp_path: Path) -> None:
    path = song(tmp_path)
    measured = {**NUMBERS, "sha256": sha256(path.read_bytes())}
    render(recipe(folder=str(tmp_path), music=measured), Painter(), tmp_path / "job")
    song(tmp_path, level=500)
    with pytest.raises(RecipeError, match=r"music\.file: 'sounds/song\.wav' is not the song of these numbers"):
        render(recipe(folder=str(tmp_path), music=measured), Painter(), tmp_path / "job")


def test_at_an_even_pace_beats_and_keyframes_on_them_keep_their_frames(tmp_path: Path) -> None:
    music = {"file": "song.wav", "length": 3.0, "beats": [0.5, 1.0, 1.5]}
    keyframes = (
        Keyframe(at=0, prompt="a", seed=1, cfg="5 + beat"),
        Keyframe(at="beat 2", prompt="b", seed=2),
        Keyframe(at=23, prompt="b", seed=2),  # a hold
    )
    made = Recipe(frames=24, keyframes=keyframes, width=32, height=16, pace="even", music=music)
    outcome = render(made, Painter(), tmp_path / "job", film=None)
    assert outcome.schedule is not None
    clock = outcome.schedule.recipe.clock
    assert clock is not None
    assert clock != tuple(range(24))
    assert clock[12:] == tuple(range(12, 24))
    linear = plan(made.replace(pace="linear"))
    assert [frame.cfg for frame in outcome.schedule] == [frame.cfg for frame in linear]
    assert [outcome.schedule[i].cfg for i in (5, 6, 12, 18)] == [5, 6, 6, 6]
    assert outcome.schedule[12].prompt == linear[12].prompt
    assert plan(recipe_of(tmp_path / "job")).to_json() == outcome.schedule.to_json()
