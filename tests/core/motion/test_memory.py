"""Memory does not grow with the length of a film: frames come, are written or read, and go."""

from __future__ import annotations

import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from remix.motion import FORMATS, probe, read_video, write_video
from remix.show import contact_sheet
from tests.core.motion.films import Picture, smooth

X = TypeVar("X")
SIDE = 160
FRAME_BYTES = 3 * SIDE * SIDE
SHORT, LONG = 8, 40


class Living:
    """Frames, and how many of them there were at most at the same time."""

    def __init__(self) -> None:
        self.now = self.most = 0

    def frames(self, count: int) -> Iterator[Picture]:
        for index in range(count):
            yield self._born(smooth(1, SIDE, SIDE)[0] + np.uint8(index))

    def _born(self, frame: Picture) -> Picture:
        self.now += 1
        self.most = max(self.most, self.now)
        weakref.finalize(frame, self._died)
        return frame

    def _died(self) -> None:
        self.now -= 1


def most_bytes(action: Callable[[X], object], given: X) -> int:
    """Returns how much memory `action` held at most."""
    tracemalloc.start()
    try:
        action(given)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", FORMATS)
def test_while_a_film_is_written_no_more_than_three_frames_live(tmp_path: Path, name: str) -> None:
    living = Living()
    write_video(living.frames(20), tmp_path / f"film{FORMATS[name].suffix}", 12, format=name)
    assert living.most <= 3
    assert living.now == 0


@pytest.mark.parametrize("name", FORMATS)
def test_a_long_film_takes_no_more_memory_than_a_short_one(tmp_path: Path, name: str) -> None:
    paths = {count: tmp_path / f"{count}{FORMATS[name].suffix}" for count in (1, SHORT, LONG)}

    def written(count: int) -> None:
        write_video(Living().frames(count), paths[count], 12, format=name)

    written(1)  # what is made once and kept
    assert most_bytes(written, LONG) - most_bytes(written, SHORT) < 3 * FRAME_BYTES
    short, long = paths[SHORT], paths[LONG]
    for read in (probe, frames_of, sheet_of):
        read(short)
        assert most_bytes(read, long) - most_bytes(read, short) < 3 * FRAME_BYTES, read


def frames_of(path: Path) -> int:
    return sum(1 for _ in read_video(path))


def sheet_of(path: Path) -> Picture:
    return contact_sheet(read_video(path), max_pictures=4, max_cell=8)
