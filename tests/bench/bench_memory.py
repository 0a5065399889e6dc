"""How much memory a long film and a long job take: no more than short ones, and less than a limit."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from remix.motion import save_picture
from tests.bench.peak import STATUS, Peak, peak
from tests.bench.race import Race

LIMIT = 300
"""MiB, for Python as for ffmpeg."""
GROWTH = 20
"""MiB that the numbers and names of 4,500 more frames may take; their pictures would be 53 MiB at 64x64 already."""
LENGTHS = (500, 5000)
TABLE = f"Memory: peak in MiB, limit {LIMIT}"

pytestmark = pytest.mark.skipif(not STATUS.exists(), reason="reads the kernel's own figures")


def show(race: Race, what: str, found: dict[int, Peak]) -> None:
    """Puts what was measured into the tables; fails above the limit, or where memory grows with length."""
    for length, size in found.items():
        row = f"{what}, {length:,} frames"
        race.show(TABLE, row, Python=f"{size.python:.0f}", ffmpeg=f"{size.ffmpeg:.0f}")
        assert max(size.python, size.ffmpeg) < LIMIT
    long = found[LENGTHS[-1]]
    race.show(
        "Summary",
        f"Memory: {what}, {LENGTHS[-1]:,} frames",
        baseline=f"a limit of {LIMIT} MiB each",
        ours=f"{long.python:.0f} MiB and ffmpeg's {long.ffmpeg:.0f} MiB",
    )
    assert long.python - found[LENGTHS[0]].python < GROWTH


def pictures(folder: Path, count: int) -> Path:
    """Returns a folder of `count` pictures of 1280x720: eight that have many names, so that they take little room."""
    folder.mkdir()
    y, x = np.mgrid[:720, :1280]
    for index in range(count):
        path = folder / f"{index:05d}.png"
        if index < 8:
            save_picture(path, np.stack([(x + 9 * index) // 6, y // 4, (x + y) // 8 + index], axis=2).astype(np.uint8))
        else:
            os.link(folder / f"{index % 8:05d}.png", path)
    return folder


def test_video(race: Race, tmp_path: Path) -> None:
    found: dict[int, Peak] = {}

    def measure(length: int) -> None:
        frames = pictures(tmp_path / str(length), length)
        found[length] = peak(["video", frames, "-o", tmp_path / f"{length}.mp4", "-q"], tmp_path)

    race.run(measure, {}, LENGTHS)
    show(race, "`remix video`, mp4 of 1280x720", found)


RECIPE = """
frames = {frames}
size = [64, 64]
keyframes = [{{at = 0, prompt = "a cat", seed = 1}}, {{at = {last}, prompt = "a dog", seed = 2}}]
"""


def test_render(race: Race, tmp_path: Path) -> None:
    found: dict[int, Peak] = {}

    def measure(length: int) -> None:
        recipe = tmp_path / f"{length}.toml"
        recipe.write_text(RECIPE.format(frames=length, last=length - 1), encoding="utf-8")
        found[length] = peak(["render", recipe, "-o", tmp_path / str(length), "-q"], tmp_path)

    race.run(measure, {}, LENGTHS)
    show(race, "`remix render` with an engine that only fills pictures, 64x64", found)
