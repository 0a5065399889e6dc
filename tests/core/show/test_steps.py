"""The film, sheet and page of the steps of a picture."""

from __future__ import annotations

import re

import numpy as np
import pytest

from remix.motion import Picture
from remix.show.steps import LEAST, Step, StepsView, step_frames, steps_page, steps_sheet

HOSTILE = "a <script>alert(1)</script> cat"


def flat(value: int) -> Picture:
    return np.full((32, 32, 3), value, np.uint8)


def view(count: int = 3, *, guided: bool = True) -> StepsView:
    steps = [
        Step(k, 10.0 / (k + 1), flat(10 + k), flat(100 + k), flat(200 + k) if guided else None, 1.0, 0.5)
        for k in range(count)
    ]
    return StepsView("cat", steps, count, flat(250), HOSTILE, {"seed": "3"})


def test_a_frame_for_each_step_and_one_for_the_picture() -> None:
    frames = [*step_frames(view())]
    assert len(frames) == 4
    assert len({frame.shape for frame in frames}) == 1
    height, width = frames[0].shape[:2]
    assert height % 2 == width % 2 == 0
    assert width > 3 * LEAST
    for k, frame in enumerate(frames[:3]):
        assert {10 + k, 100 + k, 200 + k} <= {*frame[:, :, 0].ravel().tolist()}
    assert (frames[3] == 250).all(-1).sum() == LEAST**2


def test_a_sheet_has_a_column_for_each_of_at_most_twelve_steps() -> None:
    sheet = steps_sheet(view(30))
    values = {*np.unique(sheet[:, :, 1]).tolist()}
    assert len(values & {*range(10, 40)} - {30}) >= 11
    assert {100, 129, 200, 229, 250} <= values


@pytest.mark.parametrize("guided", [True, False])
def test_a_page_has_a_stop_for_each_step_and_runs_nothing(guided: bool) -> None:
    page = steps_page(view(guided=guided))
    assert len(re.findall(r'<input type="radio"', page)) == 3
    assert page.count("what guidance adds, step") == (3 if guided else 0)
    assert 'aria-label="step 2 of 3, noise level 5"' in page
    assert "<script" not in page
    assert page.count("<svg") == (3 if guided else 2)
