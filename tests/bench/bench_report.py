"""Reports: the time that one takes next to rendering its frames, and the memory for a film of 10,000 frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from remix.client import Local
from remix.engine import render
from remix.engine.report import job_report, write_report
from remix.motion import write_video
from remix.plan import Keyframe, Recipe
from tests.bench.peak import STATUS, Peak, peak
from tests.bench.race import Race

MOST_SHARE = 0.05
"""The share of a render that its report may take."""
LIMIT, GROWTH = 300, 20
"""MiB for Python, and how much more the figures of 9,000 further frames may take."""
LENGTHS = (1000, 10_000)
TABLE = "Reports"


def test_time(race: Race, tmp_path: Path) -> None:
    """With the bundled model, which renders far faster than any other, at its own size."""
    keyframes = [Keyframe(prompt="a red house on a green hill", seed=3), Keyframe(prompt="a yellow boat", seed=4)]
    recipe = Recipe(frames=48, keyframes=keyframes, width=128, height=128, steps=12)
    with Local(device="cpu") as engine:
        render(recipe.replace(frames=2), engine, tmp_path / "warm")

        def rendered(number: int) -> None:
            render(recipe, engine, tmp_path / str(number), report=False)

        def reported(number: int) -> None:
            folder = tmp_path / str(number)
            write_report(job_report(folder), folder / "report.html")

        found = race.run(reported, {"render": rendered}, range(3))["render"]
    share = 1 / found.cpu
    race.show(TABLE, "report of 48 frames of 128x128, share of rendering them", CPU=f"{share:.1%}")
    race.show(
        "Summary", "Report of a job, bundled model", baseline="rendering its frames", ours=f"{share:.1%} of their time"
    )
    assert share < MOST_SHARE


@pytest.mark.skipif(not STATUS.exists(), reason="reads the kernel's own figures")
def test_memory(race: Race, tmp_path: Path) -> None:
    found: dict[int, Peak] = {}

    def measure(length: int) -> None:
        film = tmp_path / f"{length}.mp4"
        pictures = [np.full((256, 256, 3), level, np.uint8) for level in range(0, 250, 5)]
        write_video((pictures[index % len(pictures)] for index in range(length)), film, 24)
        found[length] = peak(["report", film, "-o", tmp_path / f"{length}.html"], tmp_path)

    race.run(measure, {}, LENGTHS)
    for length, size in found.items():
        race.show(TABLE, f"`remix report`, {length:,} frames of 256x256, MiB", Python=f"{size.python:.0f}")
        assert size.python < LIMIT
    assert found[LENGTHS[1]].python - found[LENGTHS[0]].python < GROWTH
