"""A perceptual distance for neighboring frames that needs no downloaded weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

SIDE = 128
"""The maximum size of compared pictures, large enough for visible changes. One comparison takes a millisecond."""

SCALES, WINDOW = 3, 7
"""The number of sizes at which structure is compared, each half of the previous one, and the window in pixels."""

_LIGHT, _CONTRAST = 0.01**2, 0.03**2
"""The constants of SSIM that keep flat windows from dividing by 0, for values of 0 to 1."""


@dataclass(frozen=True, slots=True)
class Look:
    """A picture prepared for comparison.

    Each scale has its channels, their means in windows, and this picture's terms of the two sums by which SSIM divides:
    the squared means and the variances, each plus half of SSIM's constant.
    """

    scales: tuple[tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]], ...]


def look(picture: npt.NDArray[Any]) -> Look:
    """Returns a picture (uint8 [height, width, 3]) prepared for `distance`.

    Preparing each picture once halves the cost of comparing it with several others.
    """
    height, width = picture.shape[:2]
    share = min(1.0, SIDE / max(height, width))
    if share < 1:
        size = (max(1, round(width * share)), max(1, round(height * share)))
        picture = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))
    plane = picture.transpose(2, 0, 1).astype(np.float32) / 255
    scales = []
    for _ in range(SCALES):
        mean = _windows(plane)
        square = mean * mean
        variance = _windows(plane * plane) - square
        scales.append((plane, mean, square + _LIGHT / 2, variance + _CONTRAST / 2))
        if min(plane.shape[1:]) < 2 * WINDOW:
            break
        plane = _halved(plane)
    return Look(tuple(scales))


def distance(a: Look, b: Look) -> float:
    """Returns the distance of two pictures of one size: 0 for equal ones, about 1 for unrelated ones.

    It is the mean structural dissimilarity, 1 - SSIM (Wang et al. 2004, eq. 13), over three scales and the color
    channels, plus the mean absolute difference. Of the distances that need no trained network, it predicted best how
    evenly a film moves; `python -m tests.bench pacing` measures it.
    """
    structure = [_dissimilarity(x, y) for x, y in zip(a.scales, b.scales, strict=True)]
    return float(np.mean(structure) + np.abs(a.scales[0][0] - b.scales[0][0]).mean())


def _dissimilarity(a: tuple[npt.NDArray[Any], ...], b: tuple[npt.NDArray[Any], ...]) -> float:
    (x, mean_x, light_x, contrast_x), (y, mean_y, light_y, contrast_y) = a, b
    # In place: most of the time of arrays this small is that of their memory.
    light = mean_x * mean_y
    contrast = _windows(x * y)
    contrast -= light
    contrast += _CONTRAST / 2
    light += _LIGHT / 2
    light *= contrast
    below = light_x + light_y
    below *= contrast_x + contrast_y
    light /= below
    return 1 - 4 * float(light.mean())


def _windows(plane: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Returns the mean of each window in a plane [channels, height, width]."""
    side = min(WINDOW, *plane.shape[1:])
    for axis in (1, 2):
        rows = np.moveaxis(plane, axis, 0)
        count = len(rows) - side + 1
        total = rows[:count] + rows[1 : count + 1] if side > 1 else rows.copy()
        for start in range(2, side):
            total += rows[start : start + count]
        plane = np.moveaxis(total, 0, axis)
    plane *= np.float32(1 / side**2)
    return plane


def _halved(plane: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Returns a plane at half its size, each pixel the mean of four."""
    height, width = plane.shape[1] // 2 * 2, plane.shape[2] // 2 * 2
    rows = plane[:, :height:2, :width] + plane[:, 1:height:2, :width]
    halved: npt.NDArray[Any] = (rows[:, :, ::2] + rows[:, :, 1::2]) / 4
    return halved
