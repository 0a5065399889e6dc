"""How far two pictures are apart."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from remix.errors import PictureError
from remix.motion.images import Picture

LEAST_PSNR, MOST_OFF = 55.0, 2
"""Pictures count as the same with that many dB at least and no colour of a pixel off by more: nobody can see it."""


@dataclass(frozen=True)
class Difference:
    """PSNR in dB, infinite where two pictures are equal, and the most that a colour of a pixel is off, of 255."""

    psnr: float
    off: int

    def agrees(self, psnr: float = LEAST_PSNR, off: int = MOST_OFF) -> bool:
        """Returns whether such pictures count as the same."""
        return self.psnr >= psnr and self.off <= off

    def __str__(self) -> str:
        return "same" if self.off == 0 else f"{self.psnr:.1f} dB, {self.off}"


def difference(one: Picture, other: Picture) -> Difference:
    """Returns how far two pictures of one size, uint8 [height, width, 3], are apart.

    PSNR = 10 log10(255^2 / mean squared difference). PictureError for unlike sizes.

    >>> grey = np.full((8, 8, 3), 100, np.uint8)
    >>> print(difference(grey, grey), "|", difference(grey, grey + 1))
    same | 48.1 dB, 1
    """
    if one.shape != other.shape:
        raise PictureError(f"pictures: one is {list(one.shape)}, the other {list(other.shape)}; render them alike")
    apart = np.abs(one.astype(np.int16) - other.astype(np.int16))
    squares = float((apart.astype(np.float64) ** 2).mean())
    return Difference(math.inf if squares == 0 else 10 * math.log10(255**2 / squares), int(apart.max(initial=0)))
