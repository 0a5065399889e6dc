"""Recipes with `restore = true`: frames between init pictures keep the pictures' contrast, and the ends are exact.

Encoding a picture loses detail, and half-way between two pictures a mix of both is dull. For every engine alike, after
a frame is rendered:

1. Its brightness and colors get the mean and the standard deviation that lie between those of its pictures, as adaptive
   instance normalization does with features (Huang and Belongie 2017).
2. What encoding lost of a picture is added, the more the closer the frame is to that picture, and nothing from
   `FADED` denoise on.

A frame that shows one picture at denoise 0 is that picture and is not rendered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from remix.errors import Interrupted
from remix.motion.pictures import Picture
from remix.plan import Frame, Keyframe, Mix, Schedule, plan

if TYPE_CHECKING:
    from remix.engine.protocol import Engine, Listener

Array = npt.NDArray[Any]

FADED = 0.3
"""The denoise from which on nothing of what encoding lost is added, since the model has drawn another picture."""

MOST_GAIN = 2.5
"""The largest factor by which contrast is raised or lowered."""

MOST_SHARED = 1.5
"""The largest factor by which all channels are raised together, if one of them has too little contrast."""

_TO_YCC = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
"""Brightness and two color differences of RGB (ITU-R BT.601, as in JPEG)."""

_TO_RGB = np.linalg.inv(_TO_YCC)


def is_exact(schedule: Schedule, index: int) -> bool:
    """Returns whether a frame is its init picture itself."""
    frame = schedule[index]
    return (
        schedule.recipe.restore
        and frame.image is not None
        and len(frame.image.items) == 1
        and frame.denoise == 0
        and frame.mask is None
    )


def restored(
    engine: Engine, schedule: Schedule, frames: Sequence[int], inputs: Mapping[str, Picture], listen: Listener
) -> Iterator[tuple[int, Picture]]:
    """Yields these frames and their pictures as the engine finishes them, restored if the recipe says so."""
    if not schedule.recipe.restore:
        yield from engine.render_unordered(schedule, frames, inputs, listen)
        return
    sampled = [index for index in frames if not is_exact(schedule, index)]
    known = _Pictures(inputs, _decoded(engine, schedule, sampled, inputs, listen))
    for index in frames:
        frame = schedule[index]
        if is_exact(schedule, index):
            assert frame.image is not None
            yield index, inputs[frame.image.values[0]]
    if sampled:
        for index, picture in engine.render_unordered(schedule, sampled, inputs, listen):
            yield index, known.restored(picture, schedule[index])


def _decoded(
    engine: Engine, schedule: Schedule, frames: Sequence[int], inputs: Mapping[str, Picture], listen: Listener
) -> dict[str, Picture]:
    """Returns each init picture of these frames, encoded and decoded by the engine."""
    names = dict.fromkeys(
        name for index in frames if (image := schedule[index].image) is not None for name in image.values
    )
    if not names:
        return {}
    keyframes = [Keyframe(at=place, image=Mix.one(name), denoise=0, ease="hold") for place, name in enumerate(names)]
    plain = schedule.recipe.replace(
        frames=len(keyframes), keyframes=keyframes, loop=False, pace="linear", clock=None, rendered=None, music=None
    )
    pictures = list(engine.render(plan(plain), range(len(keyframes)), inputs, listen))
    if len(pictures) < len(keyframes):
        raise Interrupted("stopped while the init pictures were encoded; run it again to continue")
    return dict(zip(names, pictures, strict=True))


class _Pictures:
    """The init pictures, their brightness and colors, and what encoding loses of them."""

    def __init__(self, inputs: Mapping[str, Picture], decoded: Mapping[str, Picture]) -> None:
        self._looks = {name: _look(_to_ycc(inputs[name])) for name in decoded}
        self._lost = {
            name: (inputs[name] - _to_rgb(_matched(_to_ycc(picture), *self._looks[name]))).astype(np.float32)
            for name, picture in decoded.items()
        }

    def restored(self, picture: Picture, frame: Frame) -> Picture:
        """Returns a rendered frame with the contrast of its init pictures and what encoding lost of them."""
        if frame.image is None or frame.mask is not None:  # outside of a mask, the engine kept the picture
            return picture
        mean, deviation = (
            sum((weight * self._looks[name][part] for name, weight in frame.image.items), np.zeros(3))
            for part in (0, 1)
        )
        result = _to_rgb(_matched(_to_ycc(picture), mean, deviation))
        near = max(0.0, 1 - frame.denoise / FADED) ** 2
        for name, weight in frame.image.items if near else ():
            result += near * weight * self._lost[name]
        rounded: Picture = np.rint(np.clip(result, 0, 255)).astype(np.uint8)
        return rounded


def _to_ycc(picture: Picture) -> Array:
    converted: Array = picture.astype(np.float64) @ _TO_YCC.T
    return converted


def _to_rgb(values: Array) -> Array:
    converted: Array = values @ _TO_RGB.T
    return converted


def _look(values: Array) -> tuple[Array, Array]:
    """Returns the mean and the standard deviation of each channel."""
    return values.mean((0, 1)), values.std((0, 1))


def _matched(values: Array, mean: Array, deviation: Array) -> Array:
    """Returns values with another mean and, within `MOST_GAIN`, another standard deviation of each channel.

    Where a channel has too little contrast for that, the others make up for it, up to `MOST_SHARED`.
    """
    own_mean, own = _look(values)
    gain = np.clip(deviation / np.maximum(own, 1e-6), 1 / MOST_GAIN, MOST_GAIN)
    lacking = np.linalg.norm(deviation) / max(float(np.linalg.norm(own * gain)), 1e-6)
    matched: Array = (values - own_mean) * (gain * np.clip(lacking, 1, MOST_SHARED)) + mean
    return matched
