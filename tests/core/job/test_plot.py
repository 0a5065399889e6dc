"""A schedule as pictures: its curves and its table."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remix.job.plot import FAINT, INK, PAPER, WIDTH, bands, draw, draw_table, ticks
from remix.motion.lettering import LINE
from remix.plan import Keyframe, Recipe, Schedule, plan


def schedule(frames: int, prompt: str = "a") -> Schedule:
    return plan(Recipe(frames=frames, keyframes=(Keyframe(prompt=prompt), Keyframe(prompt="b", cfg=3))))


def test_a_table_has_a_line_for_each_frame_and_keyframes_stand_on_grey() -> None:
    picture = draw_table(schedule(5))
    assert picture.shape[1:] == (WIDTH, 3)
    assert draw_table(schedule(6)).shape[0] - picture.shape[0] == LINE
    margin = [tuple(int(part) for part in line[WIDTH - 17]) for line in picture]
    assert margin.count(FAINT) == 2 * LINE
    assert set(margin) == {FAINT, PAPER}


@pytest.mark.parametrize("prompt", ["a long story " * 200, "猫 и собака"])
def test_whatever_a_prompt_says_it_stays_in_its_column(prompt: str) -> None:
    picture = draw_table(schedule(3, prompt))
    beyond = picture[:, WIDTH - 11 :]
    assert (beyond == np.asarray(PAPER)).all()


def test_a_long_film_has_a_short_table() -> None:
    assert draw_table(schedule(10_000)).shape[0] < 32 * LINE


@pytest.mark.parametrize(
    ("count", "fps", "told"),
    [
        (1, 12, [0]),
        (2, 12, [0, 1]),
        (5, 12, [0, 1, 2, 3, 4]),
        (24, 12, [0, 3, 6, 9, 12, 15, 18, 21]),
        (48, 12, [0, 6, 12, 18, 24, 30, 36, 42]),
        (100, 24, list(range(0, 100, 12))),
        (100, 23.976, list(range(0, 100, 10))),
        (30, 0.01, list(range(0, 30, 3))),
    ],
)
def test_the_frames_that_an_axis_tells_stand_at_even_times(count: int, fps: float, told: list[int]) -> None:
    assert list(ticks(count, fps)) == told


@given(count=st.integers(1, 10_000_000), fps=st.floats(0.001, 240))
def test_an_axis_tells_at_least_three_frames_and_at_most_ten(count: int, fps: float) -> None:
    assert min(count, 3) <= len(ticks(count, fps)) <= 10


@pytest.mark.parametrize("frames", [1, 2, 48])
def test_below_each_band_stand_the_numbers_of_frames(frames: int) -> None:
    """A stroke for each number; both ends of what is written stay within the margins."""
    keyframes = (Keyframe(prompt="a", seed=1), Keyframe(prompt="b", seed=2))[:frames]
    recipe = Recipe(frames=frames, keyframes=keyframes)
    picture = draw(plan(recipe))
    strokes = sum((line == np.asarray(INK)).all(-1).sum() == len(ticks(frames, 12)) for line in picture)
    assert strokes >= 4 * len(bands(plan(recipe)))
    assert (picture[:, :15] == np.asarray(PAPER)).all()
    assert (picture[:, WIDTH - 15 :] == np.asarray(PAPER)).all()
