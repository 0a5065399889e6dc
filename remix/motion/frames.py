"""The frames of a film: the order in which they are shown, and the checks before they are written."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator
from numbers import Integral
from typing import Any

import numpy as np

from remix.errors import BadInput, PictureError, VideoFormatError
from remix.motion.formats import FORMATS, Format
from remix.motion.pictures import MAX_PIXELS, Picture, checked, pad_to_even

log = logging.getLogger(__name__)

LONGEST = 10**6
"""The maximum number of ordered frames: eleven hours at 24 frames per second."""


def film_order(count: int, *, ping_pong: bool = False, repeat: int = 1) -> list[int]:
    """Returns the indices of the frames to show, in order: `repeat` complete cycles of `count` frames.

    A cycle is 0 to count-1. With `ping_pong` it then goes back to 1, so that neither end is shown twice in a row, not
    even between cycles. Raises BadInput for numbers that are not integers, and for more than `LONGEST` frames.

    >>> film_order(4, ping_pong=True)
    [0, 1, 2, 3, 2, 1]
    """
    count = _whole_number("count", count, "frames", least=0)
    repeat = _whole_number("repeat", repeat, "cycles", least=1)
    length = count + max(0, count - 2) if ping_pong else count
    if length * repeat > LONGEST:
        raise BadInput(f"film: {repeat} cycles of {length} frames; give at most {LONGEST} frames in all")
    cycle = list(range(count))
    if ping_pong:
        cycle += cycle[-2:0:-1]
    return cycle * repeat


def _whole_number(name: str, value: object, unit: str, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise BadInput(f"{name}: {value!r}; give a whole number of {unit}, {least} or more")
    if value < least:
        raise BadInput(f"{name}: {value} {unit}; give {least} or more")
    return int(value)


class Feed:
    """The frames of a film for a writer: checked, padded and counted."""

    def __init__(self, pictures: Iterable[Picture], row: Format, on_frame: Callable[[int], object] | None) -> None:
        rest = iter(pictures)
        try:
            first = next(rest)
        except StopIteration:
            raise VideoFormatError("film: no frames; give at least one picture") from None
        self._pictures = itertools.chain((first,), rest)
        self._row, self._on_frame = row, on_frame
        self.given, self.alpha = self._shape(first, 0), first.shape[2] == 4
        if self.alpha and not row.alpha:
            keep = ", ".join(name for name, each in FORMATS.items() if each.alpha)
            raise VideoFormatError(f"film: frames with transparency; {row.name} cannot keep it, choose from {keep}")
        height, width = (side + side % 2 if row.even else side for side in self.given)
        if max(width, height) > row.max_side or width * height > MAX_PIXELS:
            raise VideoFormatError(
                f"film: frames of {width}x{height}; {row.name} takes sides up to {row.max_side} "
                f"and {MAX_PIXELS // 10**6} million pixels, make them smaller"
            )
        if min(width, height) < row.min_side:
            raise VideoFormatError(
                f"film: frames of {width}x{height}; {row.name} takes sides of {row.min_side} and more, "
                "make them larger or choose another format"
            )
        self.width, self.height, self.count = width, height, 0
        if (height, width) != self.given:
            given = f"{self.given[1]}x{self.given[0]}"
            log.warning("%s needs even sides: %s is padded to %dx%d by its edge", row.name, given, width, height)

    def _shape(self, picture: Any, index: int) -> tuple[int, int]:
        try:
            shape = checked(picture, f"frame {index}", alpha=True).shape
        except PictureError as error:
            raise VideoFormatError(str(error)) from error
        return shape[0], shape[1]

    def __iter__(self) -> Iterator[Picture]:
        for picture in self._pictures:
            height, width = self._shape(picture, self.count)
            if (height, width) != self.given:
                raise VideoFormatError(
                    f"frame {self.count}: {width}x{height}, but the film began with "
                    f"{self.given[1]}x{self.given[0]}; give all frames one size"
                )
            if (picture.shape[2] == 4) != self.alpha:
                raise VideoFormatError(
                    f"frame {self.count}: {picture.shape[2]} channels, but the film began with {3 + self.alpha}; "
                    "give all frames transparency, or none"
                )
            yield np.ascontiguousarray(pad_to_even(picture) if self._row.even else picture)
            self.count += 1
            if self._on_frame is not None:
                self._on_frame(self.count)
