"""Films with a budget of half a picture per frame, compared with the same films rendered in full.

The error of an in-between is its distance (`remix.motion.perceptual`) to the rendered frame. Reports name the gaps
whose in-betweens may be farther than `NEAR`; most others must be within it. Rendering every second frame is the peer.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix.client.local import Local
from remix.client.playground.advice import DEFAULTS
from remix.engine import render
from remix.engine.budget import NEAR, measured_inbetweens
from remix.job import frame_path, recipe_of
from remix.motion import Picture, load_picture
from remix.motion.inbetween import between
from remix.motion.perceptual import distance, look
from remix.motion.pictures import difference
from remix.plan import Keyframe, Model, Recipe, plan
from tests.bench.bench_pacing import TRAVELS

FRAMES, BUDGET = 33, 0.5
TABLE = "Budget of 0.5: six travels of the bundled model, in-betweens compared with rendered frames"
MOST_ERROR = {"linear": 0.03, "even": 0.03}
"""What the median error may be."""

LEAST_NEAR = 0.9
"""The share of the in-betweens that must be within `NEAR` where the report says so."""


@dataclass
class Found:
    """Errors, PSNR, and the errors where the report calls the in-betweens near, over all travels."""

    errors: list[float] = field(default_factory=list)
    psnr: list[float] = field(default_factory=list)
    trusted: list[float] = field(default_factory=list)
    steps: list[float] = field(default_factory=list)
    rendered: list[float] = field(default_factory=list)

    def add(self, shown: Picture, true: Picture, trusted: bool) -> None:
        self.errors.append(distance(look(shown), look(true)))
        self.psnr.append(difference(shown, true).psnr)
        if trusted:
            self.trusted.append(self.errors[-1])

    def cells(self, row: str) -> Iterator[list[str]]:
        yield [TABLE, row, "pictures per frame", f"{np.mean(self.rendered):.2f}"]
        yield [TABLE, row, "error, median", f"{np.median(self.errors):.3f}"]
        yield [TABLE, row, "error, 95 %", f"{np.percentile(self.errors, 95):.3f}"]
        yield [TABLE, row, "PSNR, median", f"{np.median(self.psnr):.1f} dB"]
        yield [TABLE, row, f"within {NEAR:g}", f"{np.mean(np.array(self.errors) <= NEAR):.0%}"]
        near = f"{np.mean(np.array(self.trusted) <= NEAR):.0%}" if self.trusted else "-"
        yield [TABLE, row, f"within {NEAR:g} where the report says so", near]
        yield [TABLE, row, "step of the film, mean", f"{np.mean(self.steps):.3f}"]


def recipe(travel: Sequence[Any], pace: str) -> Recipe:
    first, second, seed, other = travel
    return Recipe(
        frames=FRAMES,
        keyframes=(Keyframe(at=0, prompt=first, seed=seed), Keyframe(at=FRAMES - 1, prompt=second, seed=other)),
        **DEFAULTS,
        mix="slerp",
        model=Model("playground"),
        pace=pace,
        budget=BUDGET,
    )


def compare(engine: Local, asked: Recipe, folder: Path, found: Found, peer: Found) -> None:
    """Renders a film with its budget and in full."""
    done = render(asked, engine, folder / "spared", film=None, report=False)
    held = recipe_of(folder / "spared")
    full = held.replace(budget=None, rendered=None)
    render(full, engine, folder / "full", film=None, report=False, donors=[folder / "spared"])
    true = [load_picture(frame_path(folder / "full", index)) for index in range(FRAMES)]
    between_them = measured_inbetweens(folder / "spared", plan(held))
    far = () if between_them is None else between_them.far
    for index in sorted(set(range(FRAMES)) - set(held.rendered or ())):
        trusted = not any(begin < index < end for begin, end, _ in far)
        found.add(load_picture(frame_path(folder / "spared", index)), true[index], trusted)
    for index in range(1, FRAMES, 2):
        peer.add(between(true[index - 1], true[index + 1], [0.5])[0], true[index], trusted=False)
    steps = [distance(look(a), look(b)) for a, b in itertools.pairwise(true)]
    for each, count in ((found, done.rendered), (peer, (FRAMES + 1) // 2)):
        each.steps.extend(steps)
        each.rendered.append(count / FRAMES)


@pytest.mark.parametrize("pace", ["linear", "even"])
def test_in_betweens_are_near_rendered_frames(benchmark: Any, tmp_path: Path, pace: str) -> None:
    engine = Local(batch=8)
    found, peer = Found(), Found()
    for number, travel in enumerate(TRAVELS[10:16]):
        compare(engine, recipe(travel, pace), tmp_path / str(number), found, peer)
    benchmark.pedantic(lambda: None, rounds=1)
    benchmark.extra_info["cells"] = [
        *found.cells(f"{pace} pace"),
        *peer.cells(f"{pace} pace, every second frame rendered"),
    ]
    assert np.mean(found.rendered) <= BUDGET + 0.05
    assert np.median(found.errors) <= MOST_ERROR[pace]
    assert np.mean(np.array(found.trusted) <= NEAR) >= LEAST_NEAR
