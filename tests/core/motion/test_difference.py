"""How far two pictures are apart."""

from __future__ import annotations

import math

import numpy as np
import pytest

from remix.errors import PictureError
from remix.motion.pictures import Difference, difference

GREY = np.full((4, 6, 3), 100, np.uint8)


def changed(by: int, values: int) -> np.ndarray:
    """Gray with the first so many values changed."""
    picture = GREY.copy()
    picture.reshape(-1)[:values] = 100 + by
    return picture


@pytest.mark.parametrize(
    ("other", "psnr", "off", "told"),
    [
        (GREY, math.inf, 0, "same"),
        (changed(1, 72), 48.1308, 1, "48.1 dB, 1"),
        (changed(1, 1), 66.7041, 1, "66.7 dB, 1"),
        (changed(-3, 8), 48.1308, 3, "48.1 dB, 3"),
        (changed(-100, 72), 8.1308, 100, "8.1 dB, 100"),
    ],
)
def test_psnr_and_the_largest_step_of_a_colour(other: np.ndarray, psnr: float, off: int, told: str) -> None:
    for found in (difference(GREY, other), difference(other, GREY)):
        assert found.psnr == pytest.approx(psnr, abs=1e-3)
        assert (found.off, str(found)) == (off, told)


@pytest.mark.parametrize(
    ("psnr", "off", "agrees"), [(math.inf, 0, True), (55.0, 2, True), (54.9, 2, False), (60.0, 3, False)]
)
def test_pictures_agree_when_nobody_can_see_a_difference(psnr: float, off: int, agrees: bool) -> None:
    assert Difference(psnr, off).agrees() is agrees


def test_pictures_of_unlike_sizes_are_refused() -> None:
    with pytest.raises(PictureError, match=r"one is \[4, 6, 3\], the other \[4, 5, 3\]"):
        difference(GREY, GREY[:, :5])
