"""Travels that tests render with the local engine, and how their pictures compare."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

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


def check_mix_of_predictions(engine: Local, checkpoint: str, negatives: tuple[str, str] = ("", "")) -> None:
    """Asserts that `mix = "output"` gives a prompt's own frame at keyframes, and sums of predictions between."""
    prompts = ("a red circle", "a blue square at night")
    ends = [Keyframe(prompt=prompt, negative=negatives[k], seed=1, cfg=3) for k, prompt in enumerate(prompts)]
    settings = {"width": 64, "height": 64, "steps": 1, "scheduler": "simple", "model": Model(checkpoint)}
    film = plan(Recipe(frames=4, keyframes=ends, mix="output", **settings))
    engine.check(film)
    alone = [plan(Recipe(frames=1, keyframes=[end], **settings)) for end in ends]
    frames = [engine.watched(film, index, {})[:2] for index in (0, 1, 3)]
    first, last = (engine.watched(schedule, 0, {})[:2] for schedule in alone)
    assert largest_difference(frames[0][0], first[0]) <= TOLERANCE
    assert largest_difference(frames[2][0], last[0]) <= TOLERANCE
    d_first, d_last = (calls[0].estimate for _, calls in (first, last))
    assert float((d_first - d_last).abs().max()) > 1e-3
    torch.testing.assert_close(frames[1][1][0].estimate, (2 * d_first + d_last) / 3, atol=1e-4, rtol=1e-4)


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
