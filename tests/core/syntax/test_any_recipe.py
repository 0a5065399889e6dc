"""A recipe from a text field, and a schedule as a table of texts."""

from __future__ import annotations

import pytest

from remix.errors import RecipeError
from remix.plan import Keyframe, Recipe, plan
from remix.show.table import chosen_rows, letters_of, row_of, text_table
from remix.syntax import read_text
from tests.core.plan.recipes import recipe_of_text

TOML = 'frames = 8\nfps = 6\nsize = [64, 128]\n[[keyframes]]\nprompt = "a"\n'
JSON = '{"frames": 8, "fps": 6, "size": [64, 128], "keyframes": [{"prompt": "a"}]}'


@pytest.mark.parametrize("text", [TOML, JSON, "\ufeff\n " + JSON])
def test_toml_and_json_are_told_apart(text: str) -> None:
    assert recipe_of_text(text) == Recipe(frames=8, fps=6, width=64, height=128, keyframes=(Keyframe(prompt="a"),))


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"frames": 3}, {"frames": 3}),
        ({"fps": 24.0}, {"fps": 24.0}),
        ({"width": 256}, {"width": 256, "height": 128}),
        ({"height": 256}, {"width": 64, "height": 256}),
        ({"width": 8, "height": 16}, {"width": 8, "height": 16}),
    ],
)
def test_what_is_given_stands_in_place_of_what_the_text_says(given: dict, found: dict) -> None:
    assert recipe_of_text(TOML, **given) == recipe_of_text(TOML).replace(**found)


def test_a_text_may_leave_to_others_how_long_it_is() -> None:
    assert recipe_of_text('[[keyframes]]\nprompt = "a"', frames=5).frames == 5


def test_a_mistake_in_a_size_that_is_half_replaced_is_still_told() -> None:
    with pytest.raises(RecipeError, match=r"line 2:1: size: 'big' is not a size"):
        recipe_of_text('frames = 2\nsize = "big"\n[[keyframes]]\n', width=64)


@pytest.mark.parametrize("text", ["", " \n", "\ufeff"])
def test_an_empty_text_is_refused(text: str) -> None:
    with pytest.raises(RecipeError, match="recipe: is empty; write at least one keyframe"):
        recipe_of_text(text)


def test_schedules_of_other_tools_are_told_by_how_they_look() -> None:
    recipe, notes, syntax = read_text('{"0": "a cat", "4": "a dog"}', frames=8, fps=6, width=64)
    assert (recipe.frames, recipe.fps, recipe.width, recipe.height) == (8, 6, 64, 512)
    assert [key.prompt.values for key in recipe.keyframes if key.prompt] == [("a cat",), ("a dog",)]
    assert any("hold" in note for note in notes)
    assert syntax == "deforum-prompts"
    assert read_text('frames = 1\n[[keyframes]]\nprompt = "a"').syntax == "toml"
    with pytest.raises(RecipeError, match="does not say how many frames"):
        read_text('"0": "a cat", "4": "a dog"')


def test_a_table_shows_keyframes_and_what_travels() -> None:
    recipe = Recipe(frames=5, fps=2, keyframes=(Keyframe(prompt="a", cfg=3), Keyframe(prompt="b" * 80, cfg=5)))
    assert text_table(plan(recipe), [0, 1, 4], widest=12).splitlines() == [
        "  frame  time   prompt        seed  cfg",
        "* 0      0.00s  a             0     3",
        "  1      0.50s  0.750 a +...  0     3.5",
        "* 4      2.00s  bbbbbbbbb...  0     5",
    ]


def test_a_short_table_keeps_both_ends_and_the_keyframes() -> None:
    schedule = plan(Recipe(frames=100, keyframes=(Keyframe(at=0), Keyframe(at=37), Keyframe(at=99))))
    rows = chosen_rows(schedule, 10)
    assert {0, 37, 99} <= set(rows)
    assert len(rows) == 11


def test_letters_stand_for_texts_in_the_order_in_which_they_appear() -> None:
    keyframes = [Keyframe(prompt=f"prompt {k}", negative="a blur", image="a.png") for k in range(28)]
    schedule = plan(Recipe(frames=28, keyframes=tuple(keyframes)))
    letters = letters_of(schedule, range(28))
    assert [letters[text] for text in ("prompt 0", "prompt 25", "prompt 26", "prompt 27", "a blur", "a.png")] == [
        *("A", "Z", "AA", "AB", "AC", "AD"),
    ]
    assert letters_of(schedule, [3]) == {"prompt 3": "A", "a blur": "B", "a.png": "C"}
    assert row_of(schedule, 3, ["frame", "time", "prompt", "seed"], letters) == ["3", "0.25s", "D", "0"]
