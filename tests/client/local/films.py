"""Travels that tests render with the local engine, and how their pictures compare."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from remix.client.local import Local
from remix.plan import Keyframe, Model, Recipe, plan

TOLERANCE = 1
"""8-bit levels by which a frame may differ between batch sizes: a matrix product rounds by its number of rows."""


def travel(checkpoint: str, **changes: Any) -> Recipe:
    keyframes = (
        Keyframe(at=0, prompt="a red circle", negative="blue", seed=1, cfg=5),
        Keyframe(at=5, prompt="a blue square at night", negative="red", seed=2, cfg=2),
    )
    settings: dict[str, Any] = {"frames": 6, "width": 64, "height": 64, "steps": 3, "keyframes": keyframes}
    return Recipe(**{**settings, "model": Model(checkpoint), **changes})


def pictures(recipe: Recipe, frames: Sequence[int] | None = None, inputs: Any = None, **options: Any) -> np.ndarray:
    schedule = plan(recipe)
    engine = Local(device="cpu", **options)
    engine.check(schedule)
    chosen = range(len(schedule)) if frames is None else frames
    return np.stack(list(engine.render(schedule, chosen, inputs or {}, lambda event: None)))


def largest_difference(a: np.ndarray, b: np.ndarray) -> int:
    return int(np.abs(a.astype(int) - b.astype(int)).max())


class Trap:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return (self.target.write_text, ("ran",))


SIDE, CELLS = 64, 8


LEFT = np.zeros((SIDE, SIDE, 3), np.uint8)
LEFT[:, : SIDE // 2] = 255


RAMP = np.broadcast_to(np.linspace(0, 255, SIDE).astype(np.uint8)[:, None, None], (SIDE, SIDE, 3)).copy()


INPUTS = {
    "in.png": RAMP.transpose(1, 0, 2).copy(),
    "left.png": LEFT,
    "right.png": 255 - LEFT,
    "white.png": np.full((SIDE, SIDE, 3), 255, np.uint8),
    "black.png": np.zeros((SIDE, SIDE, 3), np.uint8),
    "soft.png": RAMP,
}
