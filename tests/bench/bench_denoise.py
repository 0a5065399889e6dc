"""How evenly pictures change while denoise travels, by time and at an even pace."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from remix.client import Local
from remix.engine import render
from remix.job import frame_path
from remix.motion import load_picture
from remix.plan import Keyframe, Model, Recipe

ROOT = Path(__file__).parents[2]
FRAMES = 48
SEEDS = (3, 4, 5, 6)
TABLE = "Denoise from 0.2 to 0.9 in 48 frames: the largest step of the picture, in median steps"
MOST = 3
"""The largest step of a film at an even pace, in median steps."""


def recipe(seed: int, pace: str) -> Recipe:
    picture = "pictures/sun.png"
    return Recipe(
        frames=FRAMES,
        keyframes=(
            Keyframe(prompt="a yellow sun on a blue background", image=picture, denoise=0.2, seed=seed),
            Keyframe(image=picture, denoise=0.9),
        ),
        width=64,
        height=64,
        steps=8,
        cfg=3.0,
        sampler="dpmpp_2m",
        scheduler="sgm_uniform",
        pace=pace,
        model=Model("playground"),
        folder=str(ROOT / "examples"),
    )


def largest_step(folder: Path) -> float:
    """Returns the largest mean difference of neighboring frames, divided by the median. None may be equal."""
    pictures = [load_picture(frame_path(folder, index)).astype(np.int16) for index in range(FRAMES)]
    steps = [float(np.abs(a - b).mean()) for a, b in pairwise(pictures)]
    assert min(steps) > 0
    return max(steps) / float(np.median(steps))


def test_an_even_pace_evens_out_what_a_model_redraws_at_once(benchmark: Any, tmp_path: Path) -> None:
    engine, cells = Local(), []
    for seed in SEEDS:
        linear, even = tmp_path / f"{seed}-linear", tmp_path / f"{seed}-even"
        render(recipe(seed, "linear"), engine, linear, film=None, report=False)
        render(recipe(seed, "even"), engine, even, film=None, report=False, donors=[linear])
        found = {"spaced by time": largest_step(linear), "at an even pace": largest_step(even)}
        cells += [[TABLE, f"seed {seed}", column, f"{figure:.1f}"] for column, figure in found.items()]
        assert found["at an even pace"] <= MOST
    benchmark.pedantic(lambda: None, rounds=1)
    benchmark.extra_info["cells"] = cells
