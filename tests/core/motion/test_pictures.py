"""Pictures in memory: as floats and bytes, and how far two of them are apart."""

from __future__ import annotations

import math

import numpy as np
import pytest

from remix.errors import PictureError
from remix.motion.pictures import Difference, difference, to_bytes, to_floats

GRAY = np.full((4, 6, 3), 100, np.uint8)


def changed(by: int, values: int) -> np.ndarray:
    """Gray with the first so many values changed."""
    picture = GRAY.copy()
    picture.reshape(-1)[:values] = 100 + by
    return picture


@pytest.mark.parametrize(
    ("other", "psnr", "off", "text"),
    [
        (GRAY, math.inf, 0, "same"),
        (changed(1, 72), 48.1308, 1, "48.1 dB, 1"),
        (changed(1, 1), 66.7041, 1, "66.7 dB, 1"),
        (changed(-3, 8), 48.1308, 3, "48.1 dB, 3"),
        (changed(-100, 72), 8.1308, 100, "8.1 dB, 100"),
    ],
)
def test_psnr_and_the_largest_step_of_a_color(other: np.ndarray, psnr: float, off: int, text: str) -> None:
    for found in (difference(GRAY, other), difference(other, GRAY)):
        assert found.psnr == pytest.approx(psnr, abs=1e-3)
        assert (found.off, str(found)) == (off, text)


@pytest.mark.parametrize(
    ("psnr", "off", "agrees"), [(math.inf, 0, True), (55.0, 2, True), (54.9, 2, False), (60.0, 3, False)]
)
def test_pictures_agree_when_nobody_can_see_a_difference(psnr: float, off: int, agrees: bool) -> None:
    assert Difference(psnr, off).agrees() is agrees


def test_pictures_of_different_sizes_are_refused() -> None:
    with pytest.raises(PictureError, match=r"one is \[4, 6, 3\], the other \[4, 5, 3\]"):
        difference(GRAY, GRAY[:, :5])


def test_every_byte_comes_back() -> None:
    every = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 256, 3)
    assert np.array_equal(to_bytes(to_floats(every)), every)


@pytest.mark.parametrize(
    ("value", "byte"), [(-1.0, 0), (0.0, 0), (0.999, 254), (1.0, 255), (2.0, 255), (np.inf, 255), (0.5, 127)]
)
def test_what_lies_between_is_cut_off_and_what_lies_beyond_clipped(value: float, byte: int) -> None:
    assert to_bytes(np.full((1, 2, 2, 3), value, dtype=np.float32)).ravel().tolist() == [byte] * 12


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((2, 2, 3), dtype=np.uint8),
        np.zeros((2, 2, 5), dtype=np.float32),
        np.zeros((3, 3), dtype=np.float32),
        np.full((2, 2, 3), np.nan, dtype=np.float32),
    ],
)
def test_what_is_no_picture_of_floats_is_refused(picture: np.ndarray) -> None:
    with pytest.raises(PictureError, match="pictures: "):
        to_bytes(picture)
