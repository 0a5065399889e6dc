"""How a film moves: its steps, jumps, flicker and loop, measured in one pass over its frames."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from PIL import Image

from remix.errors import PictureError
from remix.motion.perceptual import Look, distance, look
from remix.motion.pictures import Picture, checked
from remix.show.contact_sheet import thumbnails

JUMP = 3.0
"""A step of more than this many typical steps is a jump, as in `remix.motion.pacing`."""

REST = 0.1
"""A step of less than this share of a typical step is a rest."""

VISIBLE = 0.02
"""The smallest distance that counts as a jump. Below, nothing is seen to change."""

SHOWN_JUMPS = 8
"""The number of jumps, the largest ones, whose frames are kept as thumbnails."""

THUMBNAILS, CELL = 24, 192
"""The number of thumbnails, and their longest side in pixels."""


@dataclass(frozen=True)
class Motion:
    """The steps of a film: the perceptual distances of neighboring frames, see `remix.motion.perceptual`.

    Step i leads from frame i to frame i + 1. In a loop, the last step leads from the last frame to frame 0. `flicker`
    is the share of all change that the next frame takes back, from 0 to 1.
    """

    steps: tuple[float, ...]
    loop: bool
    flicker: float

    @cached_property
    def typical(self) -> float:
        """Returns the median step, or the median of the steps that move if most do not; 0 if none moves."""
        moving = [step for step in self.steps if step > 0]
        return float(np.median(self.steps) or np.median(moving)) if moving else 0.0

    @property
    def path_length(self) -> float:
        """Returns the sum of all steps."""
        return math.fsum(self.steps)

    @property
    def mean(self) -> float:
        """Returns the mean step."""
        return self.path_length / len(self.steps) if self.steps else 0.0

    @property
    def variance(self) -> float:
        """Returns the variance of the steps."""
        return float(np.var(self.steps)) if self.steps else 0.0

    @property
    def variation(self) -> float:
        """Returns the coefficient of variation: the standard deviation of the steps, divided by their mean."""
        return math.sqrt(self.variance) / self.mean if self.mean else 0.0

    @property
    def largest(self) -> float:
        """Returns the largest step, divided by the typical one."""
        return max(self.steps) / self.typical if self.typical else 0.0

    @property
    def rests(self) -> int:
        """Returns the number of steps in which almost nothing changes."""
        return sum(step < REST * self.typical for step in self.steps)

    @property
    def loop_error(self) -> float | None:
        """Returns how far the step over the seam is outside of the steps before and after it, in typical steps.

        0 is a seam that nobody sees. It is about 1 if a frame is shown twice or a step is twice as large. None without
        a loop, or if nothing moves.
        """
        if not self.loop or len(self.steps) < 3 or not self.typical:
            return None
        low, high = sorted((self.steps[-2], self.steps[0]))
        return max(low - self.steps[-1], self.steps[-1] - high, 0.0) / self.typical

    def part(self, begin: int, end: int) -> Motion:
        """Returns the motion from frame `begin` to frame `end`, with the flicker of the whole film."""
        return Motion(self.steps[begin:end], False, self.flicker)

    def jumps(self) -> list[int]:
        """Returns the steps that are jumps, in order."""
        least = max(JUMP * self.typical, VISIBLE)
        return [index for index, step in enumerate(self.steps) if step > least]


@dataclass(frozen=True)
class Measured:
    """A measured film: its motion, its size, and thumbnails of frames evenly picked and of the frames of jumps.

    `jumps` maps a step to its two thumbnails, for the largest jumps. `pictures` has the number and the thumbnail of
    each picked frame.
    """

    motion: Motion
    frames: int
    size: tuple[int, int]
    pictures: tuple[tuple[int, Image.Image], ...]
    jumps: dict[int, tuple[Image.Image, Image.Image]] = field(default_factory=dict)


def measure(pictures: Iterable[Picture], *, loop: bool = False) -> Measured:
    """Returns the measurements of a film, uint8 [height, width, 3] for each frame.

    `pictures` may be a stream of any length: only the last frames, the first one and thumbnails stay in memory. `loop`
    also measures the step from the last frame to the first. Raises PictureError if there are no frames, or if their
    sizes differ.
    """
    meter = _Meter()
    shown = thumbnails(meter.watch(pictures), THUMBNAILS, CELL)
    if not shown:
        raise PictureError("film: no frames; give at least one picture")
    motion = meter.motion(loop)
    jumps = motion.jumps()
    kept = {index: pair for _, index, pair in meter.largest if index in jumps}
    return Measured(motion, meter.frames, meter.size, tuple(shown), dict(sorted(kept.items())))


class _Meter:
    """Measures frames while they pass."""

    def __init__(self) -> None:
        self.frames, self.size = 0, (0, 0)
        self.steps: list[float] = []
        self.largest: list[tuple[float, int, tuple[Image.Image, Image.Image]]] = []
        self._undone = self._changed = 0.0
        self._first: tuple[Look, Picture] | None = None
        self._last: tuple[Look, Picture] | None = None
        self._change: np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None = None

    def watch(self, pictures: Iterable[Picture]) -> Iterator[Picture]:
        """Yields the pictures unchanged after it has measured each."""
        for picture in pictures:
            self._add(picture)
            yield picture

    def motion(self, loop: bool) -> Motion:
        """Returns the motion of the frames so far."""
        if loop and self.frames > 1 and self._first is not None:
            self._step(*self._first)
        undone = self._undone / self._changed if self._changed else 0.0
        return Motion(tuple(self.steps), loop, undone)

    def _add(self, picture: Picture) -> None:
        height, width = checked(picture, f"frame {self.frames}").shape[:2]
        if self.frames and (width, height) != self.size:
            raise PictureError(
                f"frame {self.frames}: {width}x{height}, but the film began with {self.size[0]}x{self.size[1]}; "
                "give all frames one size"
            )
        self.size = (width, height)
        seen = look(picture)
        self._step(seen, picture)
        self._first = self._first or (seen, picture)
        self._last = (seen, picture)
        self.frames += 1

    def _step(self, seen: Look, picture: Picture) -> None:
        if self._last is None:
            return
        before, shown = self._last
        size = distance(before, seen)
        self._watch_flicker(before, seen)
        entry = (size, len(self.steps))
        if len(self.largest) < SHOWN_JUMPS or entry > self.largest[0][:2]:
            pair = (_thumbnail(shown), _thumbnail(picture))
            heapq.heappush(self.largest, (*entry, pair))
            if len(self.largest) > SHOWN_JUMPS:
                heapq.heappop(self.largest)
        self.steps.append(size)

    def _watch_flicker(self, before: Look, seen: Look) -> None:
        """Adds the change of each pixel, and how much of the previous change it takes back."""
        change = seen.scales[0][0] - before.scales[0][0]
        if self._change is not None:
            back = np.where(self._change * change < 0, np.minimum(np.abs(self._change), np.abs(change)), 0)
            self._undone += float(back.mean())
            self._changed += float(np.abs(self._change).mean())
        self._change = change


def _thumbnail(picture: Picture) -> Image.Image:
    [(_, image)] = thumbnails([picture], 1, CELL)
    return image
