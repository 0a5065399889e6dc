"""The plan at any moment, and recipes whose frames show other moments than their own."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remix.errors import RecipeError
from remix.plan import Keyframe, Lora, Recipe, plan


def recipe(**fields: Any) -> Recipe:
    keyframes = (
        Keyframe(at=0, prompt="a cat", seed=1, cfg=2.0, loras=(Lora("ink", 0.0),)),
        Keyframe(at=4, prompt="a dog", seed=2, cfg=6.0, ease="in", loras=(Lora("ink", 1.0),)),
        Keyframe(at=8, prompt="a fox", seed=3, cfg=7.0),
    )
    return Recipe(**{"frames": 9, "keyframes": keyframes, **fields})


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("curve", ["linear", "cubic"])
def test_the_plan_at_whole_moments_is_that_of_the_frames(loop: bool, curve: str) -> None:
    whole = recipe(frames=12, loop=loop, curve=curve)
    assert plan(whole, range(12)).frames == plan(whole).frames
    assert [frame.cfg for frame in plan(whole, [0, 3, 7])] == [plan(whole)[i].cfg for i in (0, 3, 7)]


def test_between_frames_every_field_travels_at_its_ease() -> None:
    first, second, last = plan(recipe(), [1.5, 6.0, 8])
    assert first.prompt.items == (("a cat", 0.625), ("a dog", 0.375))
    assert first.seed.items == ((1, 0.625), (2, 0.375))
    assert (first.cfg, first.loras[0].strength) == (3.5, 0.375)
    assert second.prompt.items == (("a dog", 0.75), ("a fox", 0.25))  # ease "in" is t * t
    assert last.prompt.items == (("a fox", 1.0),)


def test_a_loop_is_asked_on_its_way_home() -> None:
    loop = Recipe(frames=8, loop=True, keyframes=(Keyframe(at=2, seed=1), Keyframe(at=4, seed=2)))
    assert [frame.seed.items for frame in plan(loop, [1.5, 7.75])] == [
        ((2, round(0.5 / 6, 9)), (1, round(5.5 / 6, 9))),
        ((2, 0.375), (1, 0.625)),
    ]


def test_a_clock_gives_frames_other_moments() -> None:
    clock = (0, 0.5, 1, 2, 4, 5, 6, 7.25, 8)
    paced = plan(recipe(clock=clock))
    assert [(f.prompt, f.seed, f.cfg) for f in paced] == [(f.prompt, f.seed, f.cfg) for f in plan(recipe(), clock)]
    assert [frame.index for frame in paced] == list(range(9))
    assert paced.frame_hash(4) == plan(recipe()).frame_hash(4)
    assert paced.frame_hash(3) == plan(recipe()).frame_hash(2)


def test_expressions_keep_their_frame_whatever_its_clock_says() -> None:
    keyframes = (Keyframe(at=0, prompt="`t` a", cfg="5+t"), Keyframe(at=4, prompt="`t` b"))
    paced = plan(Recipe(frames=5, keyframes=keyframes, clock=(0, 0.25, 0.5, 0.75, 4)))
    assert [frame.cfg for frame in paced] == [5, 6, 7, 8, 9]
    assert paced[3].prompt.items == (("3 a", 0.8125), ("3 b", 0.1875))


def test_expressions_are_worked_out_at_the_moment_asked_for() -> None:
    keyframes = (Keyframe(at=0, cfg="5+t"), Keyframe(at=4, cfg=1.0), Keyframe(at=8, cfg="t"))
    found = plan(Recipe(frames=9, keyframes=keyframes), [0.5, 6, 8])
    assert [frame.cfg for frame in found] == [5.5, 4.5, 8.0]


def test_a_clock_is_kept_in_files_and_absent_from_recipes_without() -> None:
    paced = recipe(pace="even", clock=[0, 0.1234564, 1, 2, 3, 4, 5, 6, 8])
    assert paced.clock == (0.0, 0.123456, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)
    assert Recipe.from_json(paced.to_json()) == paced == Recipe.from_toml(paced.to_toml())
    assert json.loads(plan(paced).to_json())["clock"] == list(paced.clock)
    assert "clock" not in json.loads(plan(recipe()).to_json())
    assert "pace" not in recipe().to_dict()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"clock": [0, 1]}, r"clock: has 2 moments for 9 frames"),
        ({"clock": 3}, r"clock: 3 is not a list of moments"),
        ({"clock": [0, 1, 2, 3, 2.5, 5, 6, 7, 8]}, r"clock\[4\]: 2.5 .*3"),
        ({"clock": [0, 1, 2, 3, 4, 5, 6, 7, 8.5]}, r"clock\[8\]: 8.5 .*8"),
        (
            {"clock": [0, 1, 2, 3, 4, 5, 6, 7, 9], "loop": True, "keyframes": (Keyframe(seed=1),)},
            r"clock\[8\]: 9 is outside",
        ),
        ({"clock": [0, 1, 2, 3, 4, 5, 6, 7, "x"]}, r"clock\[8\]: 'x'"),
        ({"pace": "evn"}, r"pace: 'evn'.*even"),
    ],
)
def test_what_is_no_clock_is_refused_with_its_place(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        recipe(**fields)


@pytest.mark.parametrize(
    ("at", "message"), [([0, 9], r"at\[1\]: 9"), ([2, 1], r"at\[1\]: 1"), ("12", "at: '12' is not a list")]
)
def test_moments_outside_the_film_are_refused(at: Any, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        plan(recipe(), at)


def test_a_loops_clock_may_turn_at_the_seam_between_two_keyframes() -> None:
    keyframes = (Keyframe(at=2, seed=1), Keyframe(at=6, seed=2))
    plain = Recipe(frames=8, loop=True, keyframes=keyframes)
    for moments, wrapped in (
        ([-0.5, 0.5, 2, 3, 4, 5, 6, 6.5], [0.5, 2, 3, 4, 5, 6, 6.5, 7.5]),
        ([1, 1.5, 2, 3, 4, 5, 6, 8.5], [0.5, 1, 1.5, 2, 3, 4, 5, 6]),
    ):
        turned = {frame.seed for frame in plan(plain.replace(clock=moments))}
        assert turned == {frame.seed for frame in plan(plain, wrapped)}
    for wrong, message in (
        ([-2.5, 1, 2, 3, 4, 5, 6, 7], r"clock\[0\]: -2.5 is outside -2"),
        ([1, 1, 2, 3, 4, 5, 6, 10], r"clock\[7\]: 10 is outside"),
        ([-1, 1, 2, 3, 4, 5, 6, 7.5], r"clock\[7\]: 7.5 is outside"),
    ):
        with pytest.raises(RecipeError, match=message):
            plain.replace(clock=wrong)


def test_the_extent_of_a_clock_counts_its_pictures() -> None:
    with pytest.raises(RecipeError, match="100000 frames"):
        plan(Recipe(frames=2, keyframes=(Keyframe(prompt="x" * 20_000),)), [0.0] * 100_000)


@given(st.lists(st.floats(0, 11.999), max_size=20).map(sorted), st.booleans())
def test_weights_sum_to_1_at_every_moment(moments: list[float], loop: bool) -> None:
    for frame in plan(recipe(frames=12, loop=loop), [m for m in moments if loop or m <= 11]):
        assert sum(round(weight * 1e9) for weight in frame.prompt.weights) == 10**9
