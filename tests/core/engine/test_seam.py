"""Remarks on rendered frames: on a loop that jumps or rests at the seam, and on jumps where denoise changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix.engine import Picture, render
from remix.motion import save_picture
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


def remarks(job: Path, shade: Callable[[float], float], about: str = "loop:", **changes: Any) -> list[str]:
    keyframes = (Keyframe(seed=1), Keyframe(seed=2))
    recipe = Recipe(**{"frames": FRAMES, "loop": True, "keyframes": keyframes, "width": 64, "height": 16, **changes})
    return [remark for remark in render(recipe, Shade(shade), job, film=None).remarks if remark.startswith(about)]


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


def redrawn(share: float) -> float:
    """Changes a little in each frame, and much in two in the middle."""
    return share / 4 + (0.3 if share > 0.49 else 0) + (0.2 if share > 0.52 else 0)


def denoise_remarks(folder: Path, shade: Callable[[float], float], *denoise: float | None, **changes: Any) -> list[str]:
    save_picture(folder / "a.png", np.zeros((16, 64, 3), np.uint8))
    keyframes = tuple(Keyframe(image="a.png", denoise=each) for each in denoise)
    film = {"loop": False, "keyframes": keyframes, "folder": str(folder), **changes}
    return remarks(folder / "job", shade, "denoise:", **film)


def test_jumps_where_denoise_changes_are_told_with_the_pace_that_evens_them_out(tmp_path: Path) -> None:
    [remark] = denoise_remarks(tmp_path, redrawn, 0.2, 0.9)
    assert "jumps 2 times" in remark
    assert "from frame 19 to 20" in remark
    assert float(remark.split(", by ")[1].split()[0]) > 10
    assert 'pace = "even"' in remark
    assert denoise_remarks(tmp_path, redrawn, 0.2, 0.9) == []  # nothing new


@pytest.mark.parametrize(
    ("shade", "denoise", "changes"),
    [
        (lambda share: share / 2, (0.2, 0.9), {}),
        (redrawn, (0.5, 0.5), {}),
        (redrawn, (0.2, 0.9), {"pace": "even", "clock": list(range(FRAMES))}),
    ],
    ids=["no jump", "denoise does not change", "an even pace"],
)
def test_other_films_have_no_remark_on_denoise(
    tmp_path: Path, shade: Callable[[float], float], denoise: tuple[float, ...], changes: dict[str, Any]
) -> None:
    assert denoise_remarks(tmp_path, shade, *denoise, **changes) == []
