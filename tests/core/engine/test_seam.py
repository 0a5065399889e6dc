"""The remark on a rendered loop whose picture jumps or rests at the seam."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix.engine import Picture, render
from remix.plan import Keyframe, Recipe, Schedule
from tests.fakes.renderer import Painter

FRAMES = 40


class Shade(Painter):
    """Paints each frame of a film gray: `shade` returns how bright, from 0 to 1, at a share of the loop."""

    def __init__(self, shade: Callable[[float], float]) -> None:
        super().__init__()
        self._shade = shade

    def _painted(self, schedule: Schedule, index: int, inputs: Any) -> Picture:
        recipe = schedule.recipe
        ramp = np.linspace(0, 20, recipe.width)[None, :, None]
        level = 20 + 200 * self._shade(index / len(schedule))
        return np.broadcast_to(level + ramp, (recipe.height, recipe.width, 3)).round().astype(np.uint8)


def triangle(share: float) -> float:
    return 1 - abs(2 * share - 1)


def remarks(folder: Path, shade: Callable[[float], float], **changes: Any) -> list[str]:
    keyframes = (Keyframe(seed=1), Keyframe(seed=2))
    recipe = Recipe(**{"frames": FRAMES, "loop": True, "keyframes": keyframes, "width": 64, "height": 16, **changes})
    return [remark for remark in render(recipe, Shade(shade), folder, film=None).remarks if remark.startswith("loop:")]


def test_a_loop_that_closes_has_no_remark(tmp_path: Path) -> None:
    assert remarks(tmp_path, triangle) == []


@pytest.mark.parametrize(("pace", "advice"), [("linear", 'pace = "even"'), ("even", "try another seed")])
def test_a_jump_at_the_seam_is_told_with_its_size(tmp_path: Path, pace: str, advice: str) -> None:
    [remark] = remarks(tmp_path / "job", lambda share: share, pace=pace, clock=list(range(FRAMES)))
    assert float(remark.split("changes by ")[1].split()[0]) > 5
    assert advice in remark
    assert remarks(tmp_path / "job", lambda share: share, pace=pace, clock=list(range(FRAMES))) == []  # nothing new


def test_a_rest_at_the_seam_is_told(tmp_path: Path) -> None:
    [remark] = remarks(tmp_path, lambda share: triangle(min(share * FRAMES / (FRAMES - 1), 1)))
    assert "changes by 0.0 typical steps" in remark


def test_a_film_that_does_not_loop_has_no_seam(tmp_path: Path) -> None:
    assert remarks(tmp_path, lambda share: share, loop=False) == []
