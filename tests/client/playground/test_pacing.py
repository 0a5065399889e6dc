"""Films of the bundled model at an even pace."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np

from remix.client import Local
from remix.engine import render
from remix.job import recipe_of
from remix.motion import load_picture
from remix.plan import Keyframe, Model, Recipe

ROOT = Path(__file__).parents[3]


def test_a_denoise_that_travels_through_48_frames_moves_evenly(tmp_path: Path) -> None:
    keyframes = (
        Keyframe(prompt="a yellow sun on a blue background", image="pictures/sun.png", denoise=0.2, seed=3),
        Keyframe(image="pictures/sun.png", denoise=0.9),
    )
    recipe = Recipe(
        frames=48,
        keyframes=keyframes,
        width=64,
        height=64,
        steps=8,
        cfg=3.0,
        sampler="dpmpp_2m",
        scheduler="sgm_uniform",
        pace="even",
        model=Model("playground"),
        folder=str(ROOT / "examples"),
    )
    render(recipe, Local(), tmp_path, film=None)
    pictures = [load_picture(path) for path in sorted((tmp_path / "frames").iterdir())]
    steps = [float(np.abs(a.astype(int) - b).mean()) for a, b in pairwise(pictures)]
    assert min(steps) > 0
    assert max(steps) <= 3 * np.median(steps)
    clock = recipe_of(tmp_path).clock
    assert clock is not None
    assert (clock[0], clock[-1]) == (0, 47)
