"""In-betweens: pictures between two pictures, along the motion from one to the other. No trained network is needed.

OpenCV's dense inverse search (Kroeger et al. 2016) measures the motion of every pixel in both directions. For each
moment between the pictures:

1. Both motions are carried to that moment at a quarter of the size, by splatting. Where several pixels arrive, those
   that match well count most (as in Niklaus and Liu 2020); gaps are filled from their surroundings.
2. Each place takes the motion, from the first picture or from the second, under which the two pictures match best.
3. Where motion hardly explains the change, as in a morph, it is reduced to zero; where the two motions disagree, it
   must explain more. Such a place dissolves from one
   picture to the other instead of tearing.
4. Both pictures are warped to the moment and mixed, the nearer one with more weight. A place that only one of them
   shows is taken from that one.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from remix.errors import BadInput, MissingPackage
from remix.motion.pictures import Picture, checked

Array = npt.NDArray[Any]

METHOD = 1
"""The version of the method. A film whose in-betweens another version made is written again."""

REDUCTION = 4
"""How much smaller the pictures are in which motions are chosen."""

WINDOW = 5
"""The side of the square over which two motions are compared, in reduced pixels."""

SHARPNESS = 4.0
"""The mismatch, in levels over all channels, that reduces the weight of an arriving pixel to 1/e."""

TRUSTED, REFUSED, NEGLIGIBLE = 0.5, 0.9, 20.0
"""Motion is used in full if it leaves at most half of the mismatch, and not at all if it leaves 0.9. `NEGLIGIBLE` is
added to the mismatch without motion, in levels over all channels, so that flat places need no explanation."""

DISAGREEMENT = (1.0, 3.0)
"""Motions of the two pictures that differ by more than half of the smaller one disagree. From the first number of
reduced pixels on they are doubted, and from the second on their mismatch counts twice. Chance matches of unrelated
pictures disagree."""

LEAST_SIDE = 16
"""In pictures with a shorter side, no motion is measured."""

HIDDEN = 80.0
"""A place without arriving pixels is taken from the other picture alone from this mismatch on, in levels."""


@dataclass(frozen=True)
class Quality:
    """The effort of measuring motion: OpenCV's preset, and the rounds of its two refinements; None keeps the preset."""

    preset: int
    descents: int | None = None
    refinements: int | None = None


QUALITIES = {"fine": Quality(preset=2, descents=16, refinements=3), "fast": Quality(preset=0)}
"""The settings of `between`. `fast` takes a third of the time of `fine`."""


def opencv() -> Any:
    """Returns the module cv2. Raises MissingPackage if OpenCV is not installed."""
    try:
        import cv2
    except ImportError as error:
        package = "opencv-python-headless"
        raise MissingPackage.of(
            "making in-betweens", "OpenCV", install=package, extra="between", error=error
        ) from error
    return cv2


def check_quality(quality: str) -> str:
    """Returns `quality` unchanged. Raises BadInput unless it is one of `QUALITIES`."""
    if quality not in QUALITIES:
        raise BadInput(f"quality: {quality!r}; choose from {', '.join(QUALITIES)}")
    return quality


def between(first: Picture, second: Picture, moments: Sequence[float], *, quality: str = "fine") -> list[Picture]:
    """Returns the pictures at `moments` between two pictures of one size; 0 is the first picture, 1 the second.

    Pictures with transparency keep it. Raises BadInput for pictures that differ in size or channels and for an unknown
    `quality`, and MissingPackage without OpenCV.

    >>> black, white = np.zeros((64, 64, 3), np.uint8), np.full((64, 64, 3), 255, np.uint8)
    >>> [int(picture.mean()) for picture in between(black, white, [0, 0.2, 1])]
    [0, 51, 255]
    """
    return Motion(Prepared.of(first), Prepared.of(second), quality).at(moments)


@dataclass(frozen=True)
class Prepared:
    """A picture prepared for `Motion`: as it is warped, as motion is measured in it, and reduced.

    Transparency is premultiplied for warping, so that invisible colors do not spread.
    """

    picture: Picture
    warped: Array
    measured: Array
    reduced: Array

    @classmethod
    def of(cls, picture: Picture) -> Prepared:
        """Returns a picture prepared."""
        cv = opencv()
        checked(picture, alpha=True)
        picture = np.ascontiguousarray(picture)
        height, width = picture.shape[:2]
        warped, measured = picture, cv.cvtColor(picture[..., :3], cv.COLOR_RGB2GRAY)
        if picture.shape[2] == 4:
            alpha = picture[..., 3:].astype(np.float32)
            warped = np.concatenate([picture[..., :3] * (alpha / 255), alpha], 2)
            # The outline of an object is visible in this, whatever its color.
            measured = np.rint((measured * (alpha[..., 0] / 255) + alpha[..., 0]) / 2).astype(np.uint8)
        size = (-(-width // REDUCTION), -(-height // REDUCTION))
        reduced = cv.resize(warped, size, interpolation=cv.INTER_AREA).astype(np.float32)
        return cls(picture, warped, measured, reduced)


class Motion:
    """The motion between two prepared pictures, measured once for all moments between them."""

    def __init__(self, first: Prepared, second: Prepared, quality: str = "fine") -> None:
        if first.picture.shape != second.picture.shape:
            sizes = " and ".join(f"{each.picture.shape[1]}x{each.picture.shape[0]}" for each in (first, second))
            raise BadInput(f"in-betweens: pictures of {sizes}; give all pictures one size, and alpha to all or none")
        self._first, self._second = first, second
        self._cv = opencv()
        height, width = first.picture.shape[:2]
        rows, columns = first.reduced.shape[:2]
        self._scale = np.array([width / columns, height / rows], np.float32)
        self._grid = _grid(rows, columns)
        flow = _measure(self._cv, check_quality(quality), width, height)
        self._ahead = self._reduced(flow(first.measured, second.measured))
        self._back = self._reduced(flow(second.measured, first.measured))
        one, two = first.reduced, second.reduced
        self._ahead_weight = np.exp(self._mismatch(one, self._warp(two, self._ahead)) * np.float32(-1 / SHARPNESS))
        self._back_weight = np.exp(self._mismatch(two, self._warp(one, self._back)) * np.float32(-1 / SHARPNESS))
        self._unmoved = self._smooth(self._mismatch(one, two), WINDOW) + np.float32(NEGLIGIBLE)

    def at(self, moments: Sequence[float]) -> list[Picture]:
        """Returns the pictures at `moments`, from 0 to 1."""
        return [self._picture(float(moment)) for moment in moments]

    def _picture(self, moment: float) -> Picture:
        if moment in (0.0, 1.0):
            return (self._second if moment else self._first).picture
        flow, share = self._chosen(moment)
        height, width = self._first.picture.shape[:2]
        flow = self._cv.resize(flow * self._scale, (width, height), interpolation=self._cv.INTER_LINEAR)
        grid = _grid(height, width)
        one, two = (
            self._cv.remap(
                source.warped,
                self._cv.scaleAdd(flow, part, grid),
                None,
                self._cv.INTER_CUBIC,
                borderMode=self._cv.BORDER_REPLICATE,
            )
            for source, part in ((self._first, -moment), (self._second, 1 - moment))
        )
        if share is None:
            mixed = self._cv.addWeighted(one, 1 - moment, two, moment, 0)
        else:
            share = self._cv.resize(share, (width, height), interpolation=self._cv.INTER_LINEAR)
            mixed = self._cv.blendLinear(one, two, 1 - share, share)
        return mixed if mixed.shape[2] == 3 else _straight(mixed)

    def _chosen(self, moment: float) -> tuple[Array, Array | None]:
        """Returns the motion of each reduced pixel at a moment, and the share of the second picture.

        The share is None if it is the same everywhere.
        """
        one, two = self._first.reduced, self._second.reduced
        ahead, no_ahead = self._splatted(self._ahead, moment, self._ahead_weight)
        back, no_back = self._splatted(self._back, 1 - moment, self._back_weight)
        back = -back
        errors = [
            self._smooth(self._mismatch(self._warp(one, -moment * flow), self._warp(two, (1 - moment) * flow)), WINDOW)
            for flow in (ahead, back)
        ]
        flow = np.where((errors[0] <= errors[1])[..., None], ahead, back)
        error = np.minimum(*errors)
        trust = np.clip((REFUSED - error * self._doubt(ahead, back) / self._unmoved) / (REFUSED - TRUSTED), 0, 1)
        flow = np.dstack([self._cv.medianBlur(np.ascontiguousarray(flow[..., axis]), 5) for axis in (0, 1)])
        flow = flow * self._smooth(trust, WINDOW)[..., None]
        hidden = (error > HIDDEN) & (no_ahead != no_back)
        if not hidden.any():
            return flow, None
        share = np.where(hidden, no_ahead, moment).astype(np.float32)
        return flow, self._smooth(share, 3)

    def _doubt(self, ahead: Array, back: Array) -> Array:
        """Returns the factor of the mismatch where the motions of the two pictures disagree: 1 to 2."""
        ahead_length, back_length = (np.abs(flow).sum(2) for flow in (ahead, back))
        apart = np.abs(ahead - back).sum(2) - np.minimum(ahead_length, back_length) / 2
        least, most = DISAGREEMENT
        return 1 + self._smooth(np.clip((apart - least) / (most - least), 0, 1).astype(np.float32), 3)

    def _splatted(self, flow: Array, part: float, weight: Array) -> tuple[Array, Array]:
        """Returns the flow of the pixels that are at each place after a part of their way, and where none are."""
        rows, columns = weight.shape
        place = np.rint(self._grid + np.float32(part) * flow).astype(np.int32)
        x, y = place[..., 0], place[..., 1]
        inside = (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
        index = (np.clip(y, 0, rows - 1) * columns + np.clip(x, 0, columns - 1)).ravel()
        mass = (weight * inside).ravel()
        total = np.dstack(
            [
                np.bincount(index, values, rows * columns).reshape(rows, columns).astype(np.float32)
                for values in (mass * flow[..., 0].ravel(), mass * flow[..., 1].ravel(), mass)
            ]
        )
        empty = total[..., 2] < 1e-9
        return self._filled(total, empty), empty

    def _filled(self, total: Array, empty: Array) -> Array:
        """Returns the mean of weighted sums, at empty places that of the smallest window with a sum."""
        found: Array = total[..., :2] / np.where(empty, 1, total[..., 2])[..., None]
        side = 3
        while empty.any() and side <= 2 * max(empty.shape):
            around = self._smooth(total, side)
            known = empty & (around[..., 2] > 1e-7)
            found[known] = around[known, :2] / around[known, 2:]
            empty, side = empty & ~known, 2 * side + 1
        return found

    def _reduced(self, flow: Array) -> Array:
        rows, columns = self._grid.shape[:2]
        reduced: Array = self._cv.resize(flow, (columns, rows), interpolation=self._cv.INTER_AREA)
        # Very thin pictures have flows that are not numbers.
        return np.nan_to_num(reduced / self._scale, posinf=0, neginf=0)

    def _warp(self, reduced: Array, flow: Array) -> Array:
        warped: Array = self._cv.remap(
            reduced, self._grid + flow, None, self._cv.INTER_LINEAR, borderMode=self._cv.BORDER_REPLICATE
        )
        return warped

    def _mismatch(self, one: Array, two: Array) -> Array:
        """Returns the sum over the channels of the absolute difference."""
        added: Array = self._cv.transform(self._cv.absdiff(one, two), np.ones((1, one.shape[2]), np.float32))
        return added

    def _smooth(self, values: Array, side: int) -> Array:
        smooth: Array = self._cv.blur(values, (side, side))
        return smooth


def _measure(cv: Any, quality: str, width: int, height: int) -> Any:
    """Returns a function that measures the motion from one gray picture to another, in pixels."""
    row = QUALITIES[quality]
    if min(width, height) < LEAST_SIDE:
        return lambda one, two: np.zeros((height, width, 2), np.float32)
    search = cv.DISOpticalFlow_create(row.preset)
    if row.descents is not None:
        search.setGradientDescentIterations(row.descents)
    if row.refinements is not None:
        search.setVariationalRefinementIterations(row.refinements)
    return lambda one, two: search.calc(one, two, None)


@functools.lru_cache(maxsize=4)
def _grid(rows: int, columns: int) -> Array:
    """Returns the position (x, y) of each pixel."""
    return np.dstack(np.meshgrid(np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32)))


def _straight(warped: Array) -> Picture:
    """Returns the picture of premultiplied floats [height, width, 4]."""
    alpha = np.clip(warped[..., 3:], 0, 255)
    color = warped[..., :3] * (255 / np.maximum(alpha, 1))
    straight: Picture = np.rint(np.clip(np.concatenate([color, alpha], 2), 0, 255)).astype(np.uint8)
    return straight
