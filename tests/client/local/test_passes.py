"""Predictions that are mixed instead of conditionings, AND, and prompt editing, with the bundled model."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest

from remix.client import Local
from remix.plan import Keyframe, Recipe, plan
from tests.client.local.films import TOLERANCE, largest_difference

A, B = "a red circle", "a blue square"
ENGINE = Local(device="cpu")
"""One for all tests, which loads the bundled model once."""


def pictures(recipe: Recipe, engine: Local = ENGINE) -> np.ndarray:
    schedule = plan(recipe)
    engine.check(schedule)
    return np.stack(list(engine.render(schedule, range(len(schedule)), {}, lambda event: None)))


@functools.cache
def film(*prompts: str, negatives: tuple[str, ...] = ("",), frames: int = 1, **changes: object) -> np.ndarray:
    """Returns pictures of a travel with one seed."""
    count = max(len(prompts), len(negatives))
    keyframes = [
        Keyframe(prompt=prompts[min(k, len(prompts) - 1)], negative=negatives[min(k, len(negatives) - 1)], seed=1)
        for k in range(count)
    ]
    settings = {"width": 64, "height": 64, "steps": 2, "cfg": 3.0, **changes}
    return pictures(Recipe(frames=frames, keyframes=keyframes, **settings))


def test_mixed_predictions_are_exact_at_keyframes_and_their_weighted_sum_between() -> None:
    mixed = film(A, B, frames=3, mix="output")
    embedded = film(A, B, frames=3)
    assert largest_difference(mixed[[0, 2]], embedded[[0, 2]]) <= TOLERANCE
    assert largest_difference(mixed[1], embedded[1]) > 20
    assert largest_difference(mixed[1], film(f"{A} :0.5 AND {B} :0.5")[0]) <= TOLERANCE


def test_weights_of_AND_need_not_sum_to_1_and_the_negative_prompt_takes_the_rest() -> None:
    assert largest_difference(film(f"{A} AND {B} :0"), film(A)) <= TOLERANCE
    assert largest_difference(film(f"{A} :0.5 AND {A} :1.5", cfg=2.0), film(A, cfg=4.0)) <= TOLERANCE
    without = film(f"{A} :0.7 AND {B} :0.3", cfg=1.0)
    assert largest_difference(without, film(f"{A} :0.7 AND {B} :0.3", negatives=("green",), cfg=1.0)) == 0
    assert largest_difference(film(f"{A} :0.5", cfg=1.0, emphasis="a1111"), film(f"{A} :0.5 AND  :0.5", cfg=1.0)) <= 1


def test_negative_prompts_are_mixed_by_their_predictions_too() -> None:
    mixed = film(A, negatives=(B, "a green hill"), frames=3, mix="output")
    assert largest_difference(mixed[[0, 2]], film(A, negatives=(B, "a green hill"), frames=3)[[0, 2]]) <= TOLERANCE
    assert largest_difference(mixed[1], film(A, negatives=(B, "a green hill"), frames=3)[1]) > 0


@pytest.mark.parametrize("mix", ["lerp", "output"])
def test_each_step_sees_its_own_text(mix: str) -> None:
    edited = film("a [red|red] circle", "a [blue:blue:1] square", frames=3, mix=mix)
    assert largest_difference(edited, film(A, B, frames=3, mix=mix)) <= TOLERANCE


def test_changes_are_counted_by_calls_of_the_model() -> None:
    assert largest_difference(film(f"[{A}:{B}:0]"), film(B)) <= TOLERANCE
    assert largest_difference(film(f"[{A}:{B}:1]"), film(A)) <= TOLERANCE  # calls 0 and 1 of 2
    assert largest_difference(film(f"[{A}:{B}:1]", steps=3), film(A, steps=3)) > 0
    heun = functools.partial(film, sampler="heun", steps=3)  # five calls in three steps
    assert largest_difference(heun(f"[{A}:{B}:2]"), heun(A)) > 100
    assert largest_difference(heun(f"[{A}:{B}:4]"), heun(A)) <= TOLERANCE


def test_a_frame_does_not_depend_on_the_passes_of_others() -> None:
    keyframes = [
        Keyframe(prompt=f"{A} AND {B} :0.5", seed=1),
        Keyframe(prompt=f"[{A}:{B}:0.5] BREAK {'the sea, ' * 40}", seed=2),
        Keyframe(prompt=B, seed=3),
    ]
    recipe = Recipe(frames=5, keyframes=keyframes, width=64, height=64, steps=2, chunks="a1111", mix="output")
    together = pictures(recipe)
    for index in range(5):
        part = plan(recipe)
        (frame,) = ENGINE.render(replace(part, frames=(part[index],), whole=None), [0], {}, lambda event: None)
        assert largest_difference(together[index], frame) <= TOLERANCE
