"""What denoise means in steps, which frames have one without a keyframe that sets it, and what is remarked on."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from remix.plan import Keyframe, Recipe, plan
from remix.plan.denoise import DENOISE_OF_PICTURES, LEAST_DENOISE, is_between, nearest_whole, schedule_length
from remix.plan.schedule import remarks_on


def film(*keyframes: Keyframe, frames: int = 5, **changes: Any) -> Recipe:
    return Recipe(frames, keyframes, **changes)


@pytest.mark.parametrize(
    ("steps", "denoise", "length"),
    [(20, 1.0, 20), (20, 0.99991, 20), (20, 0.5, 40), (8, 0.6, 8 / 0.6), (1, 0.3, 1 / 0.3), (20, 1e-9, 200_000)],
)
def test_a_schedule_has_steps_by_denoise_steps(steps: int, denoise: float, length: float) -> None:
    assert schedule_length(steps, denoise) == length


@given(st.integers(1, 1000), st.floats(LEAST_DENOISE, 1))
def test_a_schedule_is_never_shorter_than_the_walk(steps: int, denoise: float) -> None:
    assert schedule_length(steps, denoise) >= steps


@given(st.integers(1, 1000), st.floats(0, 1))
@example(7, 0.28)
@example(1000, LEAST_DENOISE / 2)
def test_the_nearest_whole_number_of_steps_is_one_that_hosts_find_too(steps: int, denoise: float) -> None:
    whole = nearest_whole(steps, denoise)
    if whole is None:
        length = schedule_length(steps, denoise)
        assert length - int(length) < 1e-3
    else:
        assert nearest_whole(steps, whole) is None
        assert abs(steps / whole - schedule_length(steps, denoise)) < 0.502


@pytest.mark.parametrize(("steps", "denoise"), [(20, 0.0), (20, 0.5), (8, 0.25), (20, 1.0), (7, 7 / 13)])
def test_whole_numbers_of_steps_are_known(steps: int, denoise: float) -> None:
    assert not is_between(steps, denoise)
    assert nearest_whole(steps, denoise) is None


def test_pictures_have_a_denoise_where_no_keyframe_sets_one() -> None:
    assert DENOISE_OF_PICTURES == 0.5
    later = plan(film(Keyframe(prompt="a"), Keyframe(image="a.png")))
    assert {frame.denoise for frame in later} == {DENOISE_OF_PICTURES}
    assert all(frame.image is not None for frame in later)
    assert {frame.denoise for frame in plan(film(Keyframe(prompt="a")))} == {1.0}


def test_a_denoise_that_a_keyframe_sets_holds_for_all_pictures() -> None:
    held = plan(film(Keyframe(image="a.png"), Keyframe(image="b.png", denoise=0.8), Keyframe(image="c.png")))
    assert {frame.denoise for frame in held} == {0.8}
    assert {frame.denoise for frame in plan(film(Keyframe(image="a.png", denoise=1)))} == {1.0}


def hash_of(steps: int, denoise: float, **changes: Any) -> str:
    return plan(film(Keyframe(prompt="a", image="a.png", denoise=denoise), steps=steps, **changes)).frame_hash(0)


def test_the_rule_between_whole_steps_makes_a_frame_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [(20, 0.6), (20, 0.5), (20, 0.0), (20, 1.0)]
    before = [hash_of(*each) for each in asked]
    monkeypatch.setattr("remix.plan.schedule.RULE", 2)
    after = [hash_of(*each) for each in asked]
    assert [one == other for one, other in zip(before, after, strict=True)] == [False, True, True, True]


@pytest.mark.parametrize(
    ("keyframes", "frames"),
    [
        ([Keyframe(image="a.png", denoise=1)], "frames 0 to 4 have"),
        ([Keyframe(image="a.png", denoise=0.2), Keyframe(denoise=1)], "frame 4 has"),
        ([Keyframe(image="a.png", denoise=1), Keyframe(denoise=0.5), Keyframe(denoise=1)], "frame 0 and 1 others have"),
    ],
)
def test_a_picture_that_meets_denoise_1_is_remarked_on(keyframes: list[Keyframe], frames: str) -> None:
    assert remarks_on(plan(film(*keyframes))) == [
        f"image: {frames} denoise 1, which leaves nothing of the picture; set denoise below 1, such as 0.5"
    ]


@pytest.mark.parametrize(
    "keyframes",
    [
        [Keyframe(prompt="a")],
        [Keyframe(image="a.png")],
        [Keyframe(image="a.png", denoise=0.99)],
        [Keyframe(image="a.png", denoise=1, mask="m.png")],
    ],
    ids=["no picture", "no denoise", "below 1", "a mask keeps a part"],
)
def test_other_films_are_not_remarked_on(keyframes: list[Keyframe]) -> None:
    assert remarks_on(plan(film(*keyframes))) == []


def test_a_scheduler_that_moves_in_stages_is_remarked_on() -> None:
    moving = Keyframe(image="a.png", denoise=0.3), Keyframe(denoise=0.7)
    assert (
        "moves in stages with scheduler 'ddim_uniform'" in remarks_on(plan(film(*moving, scheduler="ddim_uniform")))[0]
    )
    assert remarks_on(plan(film(*moving))) == []
    assert remarks_on(plan(film(moving[0], scheduler="ddim_uniform"))) == []
