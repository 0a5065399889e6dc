"""Frames of several engines held against each other, and the sheet that shows it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from remix.client.compare import CELL, GAP, compare, sheet
from remix.motion import save_picture
from remix.show.lettering import LINE

SHAPE = (64, 128, 3)


def frames(folder: Path, count: int = 3, shape: tuple[int, ...] = SHAPE, **changes: int) -> list[Path]:
    """Writes pictures of chance; `frame1=5` adds 5 to one value of frame 1."""
    folder.mkdir()
    paths = []
    for index in range(count):
        picture = np.random.default_rng(index).integers(0, 200, shape).astype(np.uint8)
        picture[0, 0, 0] += changes.get(f"frame{index}", 0)
        paths.append(save_picture(folder / f"{index}.png", picture) or folder / f"{index}.png")
    return paths


def test_every_pair_is_compared_frame_by_frame(tmp_path: Path) -> None:
    found = {
        "one": frames(tmp_path / "one"),
        "two": frames(tmp_path / "two", frame1=5),
        "three": frames(tmp_path / "three"),
    }
    pairs = {pair.engines: pair for pair in compare(found)}
    assert list(pairs) == [("one", "two"), ("one", "three"), ("two", "three")]
    assert [one.off for one in pairs["one", "two"].frames] == [0, 5, 0]
    assert pairs["one", "two"].worst.psnr == pytest.approx(20 * math.log10(255 / 5) + 10 * math.log10(64 * 128 * 3))
    assert pairs["one", "three"].worst.psnr == math.inf
    assert not pairs["two", "three"].worst.agrees()
    assert pairs["two", "three"].worst.agrees(55, 5)


def test_the_sheet_has_a_row_for_each_engine_and_pair_and_shows_the_frame_that_differs_most(tmp_path: Path) -> None:
    found = {"one": frames(tmp_path / "one", 20), "two": frames(tmp_path / "two", 20, frame9=5)}
    shown = sheet(found, compare(found))
    row, column = LINE + CELL // 2 + GAP, CELL + GAP
    assert shown.shape[0] == LINE + GAP + 3 * row
    apart = shown[-row + LINE :]
    # Columns: 7 frames that are evenly picked, and the ninth, in which one value is off by 5, shown 51 times as large.
    lit = [bool(apart[: CELL // 2, GAP + k * column : GAP + k * column + CELL].max() == 255) for k in range(8)]
    assert sum(lit) == 1


def test_a_single_pixel_of_a_large_picture_is_not_lost(tmp_path: Path) -> None:
    shape = (300, 1000, 3)
    found = {"one": frames(tmp_path / "one", 1, shape), "two": frames(tmp_path / "two", 1, shape, frame0=4)}
    shown = sheet(found, compare(found))
    assert shown[-(CELL * 300 // 1000 + 2 * GAP) :, : CELL + GAP].max() > 60
