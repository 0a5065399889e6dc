"""What of a film a frame depends on besides itself."""

from __future__ import annotations

import pytest

from remix.job import prompts_that_meet
from remix.plan import Keyframe, Recipe, Schedule, plan


def film(*prompts: str, **settings: str) -> Schedule:
    return plan(Recipe(frames=len(prompts), keyframes=tuple(Keyframe(prompt=prompt) for prompt in prompts), **settings))  # type: ignore[arg-type]


@pytest.mark.parametrize("lengths", [None, "tile", "equal"])
def test_prompts_that_are_repeated_whole_leave_each_other_alone(lengths: str | None) -> None:
    settings = {} if lengths is None else {"lengths": lengths}
    assert prompts_that_meet(film("a", "b", **settings), plain_attention=True) == {}


def test_prompts_that_are_repeated_count_where_the_model_attends_to_each_of_them() -> None:
    assert prompts_that_meet(film("a", "b", lengths="tile"), plain_attention=False).keys() == {"prompts"}
    assert prompts_that_meet(film("a", "b", lengths="equal"), plain_attention=False) == {}


@pytest.mark.parametrize("lengths", [None, "empty", "zero", "trim"])
def test_prompts_that_are_padded_or_cut_count_all_in_any_order(lengths: str | None) -> None:
    settings = {} if lengths is None else {"lengths": lengths}

    def found(*prompts: str) -> dict[str, str]:
        return prompts_that_meet(film(*prompts, **settings), plain_attention=lengths is not None)

    assert found("a", "b") == found("b", "a", "b")
    assert found("a", "b") != found("a", "c")
    assert found("a", "b") != found("a")
