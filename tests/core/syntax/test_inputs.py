"""The table [tracks]: inputs of a workflow from schedules of other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from remix import read_recipe
from remix.errors import RecipeError
from remix.plan import Mix, Recipe, plan
from remix.syntax import read_text
from remix.syntax.inputs import with_tracks

HEAD = 'frames = 8\n[workflow]\nfile = "mine.json"\n'


def track(text: str, name: str, hold: str = "") -> list[Any]:
    recipe = read_text(f"{hold}\n{HEAD}[tracks]\n{text}\n").recipe
    return [dict(frame.inputs)[name] for frame in plan(recipe)]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("0:(7), 7:(14)", [7, 8, 9, 10, 11, 12, 13, 14]),
        ("0:(-1024), 7:(-1024)", [-1024] * 8),
        ("0:(t*2)", [0, 2, 4, 6, 8, 10, 12, 14]),
        ("0:(1), 4:(10+t)", [1, 4.25, 7.5, 10.75, 14, 15, 16, 17]),
    ],
)
def test_numbers_of_deforum_and_fizznodes(schedule: str, expected: list[float]) -> None:
    assert track(f'"a.n" = "{schedule}"', "a.n") == expected


@pytest.mark.parametrize("schedule", ['"0": "spring", "7": "winter"', "0: spring\\n7: winter"], ids=str)
def test_prompts_in_any_syntax(schedule: str) -> None:
    quoted = schedule.replace('"', '\\"')
    texts = track(f'"a.text" = "{quoted}"', "a.text")
    assert (texts[0], texts[-1]) == (Mix.one("spring"), Mix.one("winter"))
    assert set(texts[3].values) == {"spring", "winter"}


def test_names_in_quotes_and_single_values() -> None:
    text = """"a.name" = '0:("euler"), 4:("heun")'\n"a.n" = 5\n"a.on" = true"""
    names = track(text, "a.name", 'hold = ["a.name"]')
    assert names == [Mix.one("euler")] * 4 + [Mix.one("heun")] * 4
    assert track(text, "a.n") == [5] * 8
    assert track(text, "a.on") == [True] * 8


def test_tracks_join_the_keyframes_of_the_recipe() -> None:
    keyframes = '[[keyframes]]\nat = 4\nease = "in"\ninputs = { "b.n" = 1 }\n'
    recipe = read_text(f'{HEAD}[tracks]\n"a.n" = "0:(1), 4:(2)"\n{keyframes}').recipe
    assert [keyframe.at for keyframe in recipe.keyframes] == [0, 4]
    assert recipe.keyframes[1].inputs == (("a.n", 2), ("b.n", 1))
    assert recipe.keyframes[1].ease == "in"
    assert Recipe.from_toml(recipe.to_toml()) == recipe


@pytest.mark.parametrize(
    ("tracks", "line", "fact"),
    [
        ('[tracks]\n"a.n" = "0:(7, 7:(14)"', 5, "tracks['a.n']: line 1:3: "),
        ('[tracks]\n"a.n" = "0:(7+tt)"', 5, "tt"),
        ('[tracks]\n"a.n" = []', 5, "tracks['a.n']"),
        ("tracks = 5", 1, "tracks"),
        ('hold = 5\ntracks = { "a.n" = 5 }', 1, "hold: 5 is not a list of names"),
    ],
)
def test_an_error_has_the_place_in_the_file_and_in_the_schedule(
    tmp_path: Path, tracks: str, line: int, fact: str
) -> None:
    path = tmp_path / "a.toml"
    path.write_text(f"{tracks}\n{HEAD}" if line == 1 else f"{HEAD}{tracks}\n", encoding="utf-8")
    with pytest.raises(RecipeError, match=rf"a\.toml:{line}:") as refused:
        read_recipe(path)
    assert fact in str(refused.value)


def test_python_has_the_same() -> None:
    recipe = Recipe.from_dict({"frames": 4, "workflow": "mine.json", "keyframes": [{}]})
    made = with_tracks(recipe, {"a.n": "0:(0), 3:(3)"})
    assert [dict(frame.inputs)["a.n"] for frame in plan(made)] == [0, 1, 2, 3]
