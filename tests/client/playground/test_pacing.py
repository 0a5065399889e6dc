"""Films of the bundled model at an even pace."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from remix.client import Local
from remix.engine import render
from remix.job import recipe_of
from remix.motion import load_picture
from remix.plan import Keyframe, Model, Recipe

ROOT = Path(__file__).parents[3]


def recipe(**changes: Any) -> Recipe:
    """A film whose denoise travels from 0.2 to 0.9 over one picture."""
    keyframes = (
        Keyframe(prompt="a yellow sun on a blue background", image="pictures/sun.png", denoise=0.2, seed=3),
        Keyframe(image="pictures/sun.png", denoise=0.9),
    )
    return Recipe(
        frames=48,
        keyframes=keyframes,
        width=64,
        height=64,
        steps=8,
        cfg=3.0,
        sampler="dpmpp_2m",
        scheduler="sgm_uniform",
        model=Model("playground"),
        folder=str(ROOT / "examples"),
        **changes,
    )


def steps_of(folder: Path) -> list[float]:
    pictures = [load_picture(path) for path in sorted((folder / "frames").iterdir())]
    return [float(np.abs(a.astype(int) - b).mean()) for a, b in pairwise(pictures)]


def test_a_denoise_that_travels_through_48_frames_moves_evenly_or_is_remarked_on(tmp_path: Path) -> None:
    engine, by_time, evenly = Local(), tmp_path / "linear", tmp_path / "even"
    remarks = render(recipe(), engine, by_time, film=None, report=False).remarks
    steps = steps_of(by_time)
    assert min(steps) > 0
    assert max(steps) > 3 * np.median(steps)  # this model redraws the sun at once, which no noise level can even out
    [jumps] = [remark for remark in remarks if remark.startswith("denoise: the picture jumps")]
    assert 'pace = "even"' in jumps

    remarks = render(recipe(pace="even"), engine, evenly, film=None, report=False, donors=[by_time]).remarks
    steps = steps_of(evenly)
    assert min(steps) > 0
    assert max(steps) <= 3 * np.median(steps)
    assert not any("jumps" in remark for remark in remarks)
    clock = recipe_of(evenly).clock
    assert clock is not None
    assert (clock[0], clock[-1]) == (0, 47)
