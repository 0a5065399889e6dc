"""Pictures as floats and as bytes."""

from __future__ import annotations

import numpy as np
import pytest

from remix.errors import PictureError
from remix.motion.pictures import to_bytes, to_floats


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
        np.zeros((2, 2, 4), dtype=np.float32),
        np.zeros((3, 3), dtype=np.float32),
        np.full((2, 2, 3), np.nan, dtype=np.float32),
    ],
)
def test_what_is_no_picture_of_floats_is_refused(picture: np.ndarray) -> None:
    with pytest.raises(PictureError, match="pictures: "):
        to_bytes(picture)
