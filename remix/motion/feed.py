"""The frames of a film on their way to a writer."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from remix.errors import PictureError, VideoFormatError
from remix.motion.formats import Format
from remix.motion.images import MAX_PIXELS, Picture, checked, pad_to_even

log = logging.getLogger(__name__)


class Feed:
    """The frames of a film on their way to a writer: checked, padded, counted."""

    def __init__(self, pictures: Iterable[Picture], row: Format, on_frame: Callable[[int], object] | None) -> None:
        rest = iter(pictures)
        try:
            first = next(rest)
        except StopIteration:
            raise VideoFormatError("film: no frames; give at least one picture") from None
        self._pictures = itertools.chain((first,), rest)
        self._row, self._on_frame = row, on_frame
        self.given = self._shape(first, 0)
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
            shape = checked(picture, f"frame {index}").shape
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
            yield np.ascontiguousarray(pad_to_even(picture) if self._row.even else picture)
            self.count += 1
            if self._on_frame is not None:
                self._on_frame(self.count)
