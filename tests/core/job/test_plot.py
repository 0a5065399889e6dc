"""The table of a schedule as a picture."""

from __future__ import annotations

import numpy as np
import pytest

from remix.job.plot import FAINT, PAPER, WIDTH, draw_table
from remix.plan import Keyframe, Recipe, Schedule, plan


def schedule(frames: int, prompt: str = "a") -> Schedule:
    return plan(Recipe(frames=frames, keyframes=(Keyframe(prompt=prompt), Keyframe(prompt="b", cfg=3))))


def test_a_table_has_a_line_for_each_frame_and_keyframes_stand_on_grey() -> None:
    picture = draw_table(schedule(5))
    assert picture.shape[1:] == (WIDTH, 3)
    assert draw_table(schedule(6)).shape[0] - picture.shape[0] == 16
    margin = [tuple(int(part) for part in line[WIDTH - 17]) for line in picture]
    assert margin.count(FAINT) == 2 * 16
    assert set(margin) == {FAINT, PAPER}


@pytest.mark.parametrize("prompt", ["a long story " * 200, "猫 и собака"])
def test_whatever_a_prompt_says_it_stays_in_its_column(prompt: str) -> None:
    picture = draw_table(schedule(3, prompt))
    beyond = picture[:, WIDTH - 11 :]
    assert (beyond == np.asarray(PAPER)).all()


def test_a_long_film_has_a_short_table() -> None:
    assert draw_table(schedule(10_000)).shape[0] < 600
