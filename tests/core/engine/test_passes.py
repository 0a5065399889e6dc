"""The passes of the model for a frame: AND, predictions that are mixed, and prompt editing."""

from __future__ import annotations

from typing import Any

import pytest

from remix.engine.passes import Pass, Passes, texts_of
from remix.plan import Keyframe, Mix, Recipe, Schedule, plan


def film(*prompts: str, frames: int = 3, negative: str = "", **changes: Any) -> Schedule:
    keyframes = [Keyframe(prompt=prompt) for prompt in prompts]
    keyframes[0] = Keyframe(prompt=prompts[0], negative=negative)
    return plan(Recipe(frames=frames, keyframes=keyframes, steps=4, **changes))


def middle(schedule: Schedule) -> Passes:
    return Passes.of(schedule[1], schedule.recipe)


def mixed(**shares: float) -> Mix[str]:
    return Mix(tuple(shares.items()))


@pytest.mark.parametrize(
    ("prompts", "mix", "found", "rest"),
    [
        (("a", "b"), "lerp", [Pass(mixed(a=0.5, b=0.5))], 0),
        (("a", "b"), "output", [Pass(mixed(a=1), 0.5), Pass(mixed(b=1), 0.5)], 0),
        (("a AND b", "a AND b"), "lerp", [Pass(mixed(a=1)), Pass(Mix.one(" b"))], -1),
        (("a :0.2 AND b :0.4", "c :0.6 AND b :0.8"), "lerp", [Pass(mixed(a=1, c=1), 0.4), Pass(Mix.one(" b"), 0.6)], 0),
        (("a AND b", "c"), "lerp", [Pass(mixed(a=1), 0.5), Pass(Mix.one(" b"), 0.5), Pass(mixed(c=1), 0.5)], -0.5),
        (("a", "a AND b"), "output", [Pass(mixed(a=1), 1.0), Pass(Mix.one(" b"), 0.5)], -0.5),
    ],
)
def test_what_each_pass_sees_and_how_much_it_counts(
    prompts: tuple[str, ...], mix: str, found: list[Pass], rest: float
) -> None:
    passes = middle(film(*prompts, mix=mix))
    assert list(passes.positive) == [Pass(each.prompt, pytest.approx(each.weight)) for each in found]
    assert passes.rest == pytest.approx(rest)
    assert passes.negative == (Pass(Mix.one("")),)


def test_AND_is_a_word_in_negative_prompts() -> None:
    passes = middle(film("a", negative="b AND c"))
    assert passes.negative == (Pass(Mix.one("b AND c")),)


def test_prompts_change_over_the_steps_within_a_mix() -> None:
    passes = middle(film("[a:b:0.5]", "[a|c]", negative="[x::1]"))
    assert passes.lasts() == (1, 2, 3, 4)
    assert [passes.at(call)[0][0] for call in range(5)] == [
        *(mixed(a=1), mixed(a=1), mixed(a=0.5, c=0.5)),
        *(mixed(b=0.5, a=0.5), mixed(b=0.5, c=0.5)),
    ]
    assert [passes.at(call)[1][0] for call in range(3)] == [Mix.one("x"), Mix.one("x"), Mix.one("")]


def test_samplers_with_two_calls_in_a_step_count_calls() -> None:
    assert middle(film("[a:b:0.5]", sampler="heun")).lasts() == (4, 8)
    assert middle(film("[a:b:3]", sampler="heun")).lasts() == (3, 8)


def test_every_part_at_every_step_is_encoded_once() -> None:
    assert set(texts_of(film("[a:b:0.5] AND c", "c", negative="d AND [e|f]"))) == {
        *("a", "b", " c", "c", "d AND e", "d AND f")
    }


def test_a_frame_is_another_with_a_rule_that_once_was_not_read() -> None:
    # The hashes of frames without it are those of earlier versions, so that their jobs go on.
    plain, composed = (film(prompt, frames=1).frame_hash(0) for prompt in ("a cat", "a AND cat"))
    assert plain == "f1fc9ac85586ad00ab83ff29e47ba01510c95d960ea54d4e2ada57644d8c22de"
    assert composed != plain
