"""Music in recipes: names of expressions and moments of keyframes, from numbers that the recipe carries."""

from __future__ import annotations

import json
from typing import Any

import pytest

from remix.engine.parts import part_of
from remix.errors import RecipeError
from remix.plan import Keyframe, Recipe, plan
from remix.plan.music import LEVEL_RATE, MUSIC_NAMES, Music, plain_music
from remix.plan.values import expression_values
from remix.syntax import read_text

SONG: dict[str, Any] = {
    "file": "song.mp3",
    "length": 4.0,
    "tempo": 120.0,
    "beats": [0.25, 0.75, 1.25, 1.75, 2.25, 2.75],
    "onsets": [0.25, 1.0],
    "rms": "0 500 1000",
}


def recipe(*keyframes: Keyframe, **changes: Any) -> Recipe:
    given: dict[str, Any] = {"frames": 48, "fps": 12, "music": SONG, **changes}
    return Recipe(keyframes=keyframes or (Keyframe(prompt="a cat"),), **given)


def curve(expression: str, **changes: Any) -> list[float]:
    return [frame.cfg for frame in plan(recipe(Keyframe(cfg=expression), **changes))]


def test_a_pulse_is_one_on_the_nearest_frame_and_halves_in_a_tenth_of_a_second() -> None:
    beats = curve("10*beat", fps=20, frames=20)
    assert beats[:5] == [0] * 5  # before the first beat
    assert beats[5:10] == [10, 7.07107, 5, 3.53553, 2.5]
    assert [i for i, value in enumerate(beats) if value == 10] == [5, 15]
    assert curve("onset", fps=20, frames=24)[20:23] == [1, 0.707107, 0.5]
    assert curve("bar", fps=10, frames=30)[3:8] == [1, 0.840896, 0.707107, 0.594604, 0.5]  # a bar: 0.4 seconds


@pytest.mark.parametrize("fps", [12, 23.976, 24, 25, 60])
def test_every_beat_is_on_the_frame_of_its_keyframe_at_any_rate(fps: float) -> None:
    names = [f"beat {number}" for number in range(1, 7)]
    placed = recipe(*(Keyframe(at=at, seed=i) for i, at in enumerate(names)), fps=fps, frames="song")
    beats = curve("beat", fps=fps, frames="song")
    assert [i for i, value in enumerate(beats) if value == 1] == list(placed.positions())


def test_bars_begin_where_the_recipe_says() -> None:
    assert Music(**SONG).bars == (0.25, 2.25)
    assert Music(**SONG, beats_per_bar=3, first_bar=2).bars == (0.75, 2.25)
    assert recipe(Keyframe(at="bar 1"), Keyframe(at="bar 2"), Keyframe(at="onset 2")).positions() == (3, 27, 12)


def test_levels_are_interpolated_and_silent_after_the_end() -> None:
    music = Music(**SONG)
    assert LEVEL_RATE == 25
    assert music.columns([0, 0.5, 1, 1.5, 2, 2.5, 9], 25)["rms"] == [0, 0.25, 0.5, 0.75, 1, 0, 0]
    assert music.columns([3], 50)["rms"] == [0.75]
    assert music.columns([3], 50)["bass"] == [0]  # never measured


def test_a_film_has_the_length_of_its_song_if_asked() -> None:
    assert recipe(frames="song").frames == 48
    assert recipe(frames="song", fps=23.976).frames == 96
    assert recipe(frames="song").replace(fps=24, frames="song").frames == 96


def test_expressions_use_music_in_prompts_and_in_values_of_nodes() -> None:
    schedule = plan(recipe(Keyframe(prompt="a (cat:`beat`)"), frames=8))
    assert schedule[3].prompt.heaviest == "a (cat:1)"
    assert schedule[4].prompt.heaviest == "a (cat:0.5612)"
    assert expression_values(schedule, "2*beat")[3] == 2


def test_a_travel_ends_at_the_value_of_the_music_on_its_keyframe() -> None:
    schedule = plan(recipe(Keyframe(at=0, cfg=4), Keyframe(at="beat 2", cfg="1 + 2*beat"), frames=12))
    assert [schedule[i].cfg for i in (0, 9)] == [4, 3]
    assert schedule[3].cfg == pytest.approx(4 - 3 / 9, abs=1e-6)


@pytest.mark.parametrize("read", [Recipe.from_json, Recipe.from_toml])
def test_numbers_travel_with_the_recipe_as_text(read: Any) -> None:
    made = recipe(Keyframe(at="beat 2", cfg="5 + beat + rms"))
    again = read(made.to_json() if read == Recipe.from_json else made.to_toml())
    assert again == made
    assert plan(again).to_json() == plan(made).to_json()
    assert plain_music(made.music)["rms"] == "0 500 1000"  # type: ignore[arg-type]
    assert read_text(made.to_toml()).recipe == made


def test_a_part_for_a_server_has_the_numbers_and_no_song() -> None:
    schedule = plan(recipe(Keyframe(at="beat 1", prompt="a (cat:`beat`)", cfg="5 + beat")))
    part = part_of(schedule, range(3, 6))
    assert part.recipe.music is None
    assert [frame.cfg for frame in plan(Recipe.from_json(part.recipe.to_json()))] == [f.cfg for f in schedule[3:6]]


def test_music_is_not_part_of_pictures_that_it_does_not_reach() -> None:
    still, other = (plan(recipe(Keyframe(prompt="a cat"), music=music)) for music in (SONG, None))
    assert still.to_json() == other.to_json()
    loud, louder = (
        plan(recipe(Keyframe(cfg="5 + rms"), music={**SONG, "rms": f"0 0 {level} {level}"})) for level in (500, 600)
    )
    assert loud.frame_hash(1) != louder.frame_hash(1)
    assert loud.frame_hash(9) == louder.frame_hash(9)


@pytest.mark.parametrize(
    ("changes", "path", "problem"),
    [
        ({"keyframes": [{"cfg": "beat"}], "music": None}, "keyframes[0].cfg", '"beat" is a name of music'),
        ({"keyframes": [{"prompt": "a `bass`"}], "music": None}, "keyframes[0].prompt", '"bass" is a name of music'),
        ({"keyframes": [{"at": "beat 1"}], "music": None}, "keyframes[0].at", '"beat 1" is a moment of music'),
        ({"keyframes": [{"at": "beat 7"}]}, "keyframes[0].at", "which has 6; give 1 to 6"),
        ({"keyframes": [{"at": "beat 0"}]}, "keyframes[0].at", "give 1 to 6"),
        ({"keyframes": [{"at": "beat 6"}], "frames": 20}, "keyframes[0].at", '"beat 6" is frame 33, which is past'),
        ({"keyframes": [{"at": "beats 6"}]}, "keyframes[0].at", "is not a moment"),
        ({"frames": "song", "music": None}, "frames", "is the length of the music"),
        ({"music": {"length": 4}}, "music.file", "is missing"),
        ({"music": {"file": "song.mp3", "beats": [1]}}, "music.length", 'is missing, and "beats" is set'),
        ({"music": {"file": "song.mp3"}}, "music.file", "is relative to the file of a recipe"),
        ({"music": {**SONG, "file": "../song.mp3"}}, "music.file", "may lead out of the recipe's folder"),
        ({"music": {**SONG, "length": 4000}}, "music.length", "is outside"),
        ({"music": {**SONG, "beats": [1, 0.5]}}, "music.beats[1]", "is outside"),
        ({"music": {**SONG, "beats": [5]}}, "music.beats[0]", "is outside"),
        ({"music": {**SONG, "beats": "1"}}, "music.beats", "is not a list of times"),
        ({"music": {**SONG, "rms": "0 x"}}, "music.rms", "is not a text of thousandths"),
        ({"music": {**SONG, "rms": "0 1001"}}, "music.rms[1]", "is outside"),
        ({"music": {**SONG, "sha256": "ab"}}, "music.sha256", "is not a SHA-256"),
        ({"music": {**SONG, "beats_per_bar": 0}}, "music.beats_per_bar", "is outside"),
        ({"music": {**SONG, "fps": 3}}, "music.fps", "belongs to the whole recipe"),
        ({"beats_per_bar": 3}, "beats_per_bar", "below [music]"),
    ],
)
def test_what_is_no_music_is_refused_with_its_place(changes: dict[str, Any], path: str, problem: str) -> None:
    data = {"frames": 48, "music": SONG, "keyframes": [{"prompt": "a cat"}], **changes}
    with pytest.raises(RecipeError) as caught:
        Recipe.from_dict({name: value for name, value in data.items() if value is not None})
    assert caught.value.path == path
    assert problem in caught.value.problem


def test_an_error_in_a_file_has_its_line() -> None:
    text = json.dumps({"frames": 48, "music": {**SONG, "tempo": "fast"}, "keyframes": [{}]}, indent=1)
    with pytest.raises(RecipeError, match=r"^line 6:\d+: music\.tempo: .fast. is not a number"):
        Recipe.from_json(text)


def test_every_name_is_documented_and_within_bounds() -> None:
    columns = Music(**SONG).columns([step / 3 for step in range(144)], 12)
    assert tuple(columns) == MUSIC_NAMES
    assert all(0 <= value <= 1 for column in columns.values() for value in column)
