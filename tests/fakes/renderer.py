"""An engine that paints the numbers of a frame: byte-exact pictures in microseconds."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from remix.engine import Capabilities, Engine, Event, Listener, Picture
from remix.engine.prompts import COMPOSED
from remix.plan import Recipe, Schedule

PAINTS = Capabilities(
    who="the painter",
    recipe="width height sampler scheduler steps cfg mix lengths restore invert",
    model="checkpoint vae loras clip_skip",
    keyframe="prompt negative seed cfg denoise image mask loras",
    prompts=COMPOSED,
)


class Painter(Engine):
    """Paints each frame from its hash, so that equal frames are equal pictures and others are not.

    `rendered` records every frame that was painted, in order, and the file `record` too, which outlives a process
    that is killed. `stop_after` cancels itself after so many frames, `fail_at` raises `failure` instead of painting
    that frame, `seconds` is how long a frame takes. `name` is that of the engine that it stands for, `off` how far its
    colors are from those of others.
    """

    def __init__(
        self,
        *,
        stop_after: int | None = None,
        fail_at: int | None = None,
        failure: BaseException | None = None,
        model: str = "paint",
        remarks: Sequence[str] = (),
        record: Path | None = None,
        seconds: float = 0,
        name: str = "painter",
        off: int = 0,
    ) -> None:
        self.name = name
        self.rendered: list[int] = []
        self.inputs: list[str] = []
        self._stop_after = stop_after
        self._fail_at = fail_at
        self._failure = failure
        self._model = model
        self._remarks = remarks
        self._record = record
        self._seconds = seconds
        self._off = off
        self._cancelled = False
        self.closed = 0

    def defaults(self, recipe: Recipe) -> Mapping[str, Any]:
        return {}

    def capabilities(self, schedule: Schedule) -> Capabilities:
        return PAINTS

    def _check(self, schedule: Schedule) -> list[str]:
        return list(self._remarks)

    def identity(self, schedule: Schedule) -> Mapping[str, str]:
        return {"engine": self.name, "checkpoint": self._model}

    def cancel(self) -> None:
        self._cancelled = True

    def close(self) -> None:
        self.closed += 1

    def render(
        self, schedule: Schedule, frames: Sequence[int], inputs: Mapping[str, Picture], listen: Listener
    ) -> Iterator[Picture]:
        self._cancelled = False
        for count, index in enumerate(frames):
            if self._cancelled or count == self._stop_after:
                return
            if index == self._fail_at and self._failure is not None:
                raise self._failure
            listen(Event("steps", 1, 1))
            self.rendered.append(index)
            if self._record is not None:
                with open(self._record, "a", encoding="ascii") as file:
                    file.write(f"{index}\n")
            if self._seconds:
                time.sleep(self._seconds)
            yield self._painted(schedule, index, inputs)

    def _painted(self, schedule: Schedule, index: int, inputs: Mapping[str, Picture]) -> Picture:
        recipe, images = schedule.recipe, schedule[index].image
        numbers = hashlib.sha256(schedule.frame_hash(index).encode()).digest()
        picture = np.zeros((recipe.height, recipe.width, 3), np.uint8)
        picture[:] = np.frombuffer(numbers[:3], np.uint8)
        picture[: recipe.height // 2, :, 0] = numbers[3]
        for name, weight in images.items if images else ():
            self.inputs.append(name)
            picture = (picture * (1 - weight) + inputs[name] * weight).round().astype(np.uint8)
        off = np.uint8(self._off)
        return np.where(picture > 127, picture - off, picture + off)
