"""Expressions in a recipe: numbers and prompts that are evaluated for every frame."""

from __future__ import annotations

import math
from typing import Any

import pytest

from remix.errors import RecipeError
from remix.plan import Keyframe, Recipe, plan, prompts_of
from remix.syntax import read, write


def cfgs(frames: int, *keyframes: Keyframe, **fields: Any) -> list[float]:
    return [frame.cfg for frame in plan(Recipe(frames, keyframes, **fields))]


def test_an_expression_holds_on_every_frame_until_the_next_keyframe_that_sets_the_field() -> None:
    keyframes = (Keyframe(0, cfg="t + 1"), Keyframe(3, prompt="a"), Keyframe(5, cfg=2), Keyframe(7, cfg=4))
    assert cfgs(9, *keyframes) == [1, 2, 3, 4, 5, 2, 3, 4, 4]


def test_a_number_travels_to_what_the_expression_is_at_its_frame() -> None:
    assert cfgs(6, Keyframe(0, cfg=2), Keyframe(4, cfg="2*t")) == [2, 3.5, 5, 6.5, 8, 10]


def test_the_first_expression_holds_before_its_keyframe_too() -> None:
    assert cfgs(5, Keyframe(2, cfg="t"), Keyframe(4, cfg=9)) == [0, 1, 2, 3, 9]


def test_in_a_loop_the_last_expression_holds_until_the_first_keyframe() -> None:
    keyframes = (Keyframe(2, cfg=50), Keyframe(4, cfg="10*t"))
    assert cfgs(6, *keyframes, loop=True) == [0, 10, 50, 45, 40, 50]


@pytest.mark.parametrize("loop", [True, False])
def test_an_expression_alone_is_worked_out_on_every_frame(loop: bool) -> None:
    found = cfgs(8, Keyframe(3, cfg="3 + sin(2*pi*t/8)"), loop=loop)
    assert found == pytest.approx([3 + math.sin(2 * math.pi * t / 8) for t in range(8)], abs=1e-9)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max_f - t", [3, 2, 1, 0]),
        ("t / fps", [0, 0.04, 0.08, 0.12]),
        ("s", [6, 6, 9, 9]),  # of a half-way mix the first
        ("where(t % 2 == 0, 1, 0.5)", [1, 0.5, 1, 0.5]),
    ],
)
def test_the_names_that_an_expression_may_use(text: str, expected: list[float]) -> None:
    keyframes = (Keyframe(0, seed=6, cfg=text), Keyframe(2, seed=9))
    assert cfgs(4, *keyframes, fps=25) == pytest.approx(expected)


def test_numbers_in_a_prompt_are_worked_out_while_it_travels() -> None:
    recipe = Recipe(3, (Keyframe(prompt="(snow:`t/max_f`)"), Keyframe(prompt="`2*t` birds", negative="`s`", seed=5)))
    assert [frame.prompt.items for frame in plan(recipe)] == [
        (("(snow:0)", 1.0),),
        (("(snow:0.5)", 0.5), ("2 birds", 0.5)),
        (("4 birds", 1.0),),
    ]
    assert plan(recipe)[1].negative.items == (("5", 1.0),)
    assert prompts_of(recipe) == ["(snow:0)", "5", "(snow:0.5)", "2 birds", "4 birds"]


def test_prompts_that_become_equal_are_one() -> None:
    recipe = Recipe(3, (Keyframe(prompt="`t` cats"), Keyframe(prompt="`1 + 0*t` cats")))
    assert plan(recipe)[1].prompt.items == (("1 cats", 1.0),)


def test_a_recipe_with_expressions_is_the_same_after_writing_and_reading() -> None:
    keyframes = (Keyframe(prompt="`t` cats", cfg="7 + sin(t/8)", image="a.png", denoise="0.5 + t/100"),)
    recipe = Recipe(4, keyframes)
    assert recipe.to_dict()["keyframes"][0]["cfg"] == "7 + sin(t/8)"
    assert Recipe.from_toml(recipe.to_toml()) == recipe
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert [frame.denoise for frame in plan(recipe)] == [0.5, 0.51, 0.52, 0.53]


def test_two_backticks_are_one_that_is_meant() -> None:
    recipe = Recipe(2, (Keyframe(prompt="a ``quoted`` word, ```t``` and `t`"),))
    assert plan(recipe)[1].prompt.values == ("a `quoted` word, `1` and 1",)


@pytest.mark.parametrize("name", ["a1111", "prompt-travel", "fizznodes", "deforum-prompts"])
def test_backticks_of_other_tools_that_are_no_expressions_stay(name: str) -> None:
    texts = {"a1111": "a `b\nSteps: 3", "fizznodes": '"0": "a ``"', "deforum-prompts": '{"0": "a ``"}'}
    recipe = read(texts.get(name, "a `b\nTravel steps between stages: 2"), name, frames=2).recipe()
    assert "`" in plan(recipe)[0].prompt.values[0]
    assert "``" not in plan(recipe)[0].prompt.values[0]


@pytest.mark.parametrize(
    ("field", "text", "message"),
    [
        ("cfg", "7", "'7' is the same on every frame; write 7, without quotes"),
        ("cfg", "2*pi", "write 6.28318531, without quotes"),
        ("cfg", "7 + sni(t)", 'did you mean "sin"?'),
        ("cfg", "7 + x", "there is no number named 'x'; known: t, max_f, s, fps"),
        ("cfg", "", "there is no expression; write a number"),
        ("denoise", "t/max_f", "t/max_f keeps part of a picture, but no keyframe sets one"),
        ("prompt", "a `b` c", "there is no number named 'b'"),
        ("negative", "a `t", "this backtick is not closed"),
    ],
)
def test_what_cannot_be_read_is_refused_at_its_place(field: str, text: str, message: str) -> None:
    with pytest.raises(RecipeError) as raised:
        Recipe.from_toml(f'frames = 4\n[[keyframes]]\n{field} = "{text}"\n', source="r.toml")
    assert raised.value.path == f"keyframes[0].{field}"
    assert raised.value.line == 3
    assert message in str(raised.value)


def test_a_caret_shows_the_place_within_the_expression() -> None:
    with pytest.raises(RecipeError) as raised:
        Recipe.from_json('{"frames": 4, "keyframes": [{"cfg": "7 + x"}]}')
    assert str(raised.value).endswith("\n7 + x\n    ^")


@pytest.mark.parametrize(
    ("keyframe", "message"),
    [
        (Keyframe(cfg="60*t"), r"keyframes\[1\]\.cfg: 120 at frame 2 is outside 0 to 100"),
        (Keyframe(cfg="1/(t - 3)"), r"keyframes\[1\]\.cfg: .* at t = 3"),
        (Keyframe(prompt="`log(2 - t)`"), r"prompt: .* at t = 2"),
    ],
)
def test_what_has_no_fitting_value_on_a_frame_is_refused_by_name(keyframe: Keyframe, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        plan(Recipe(6, (Keyframe(4, negative="later"), Keyframe(0, cfg=keyframe.cfg, prompt=keyframe.prompt))))


def test_an_expression_for_the_whole_recipe_is_told_where_it_belongs() -> None:
    with pytest.raises(
        RecipeError, match=r"cfg: '7 \+ t' is text; write a number, or an expression below a \[\[keyframes\]\]"
    ):
        Recipe(4, (Keyframe(prompt="a"),), cfg="7 + t")  # type: ignore[arg-type]


def test_what_an_export_makes_of_numbers_in_prompts_is_said() -> None:
    exported = write(Recipe(4, (Keyframe(prompt="`t` cats"), Keyframe(prompt="a dog"))), "fizznodes")
    assert "the numbers in backticks at frame 0; the text has their values at that frame" in exported.lost
    assert "0 cats" in exported.text
