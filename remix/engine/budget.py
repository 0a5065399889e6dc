"""Films with a `budget` below 1: some frames are rendered, and in-betweens show the others.

With an even pace, `remix.engine.pacing` chooses the frames while it measures. With a linear pace, this module renders
some frames and compares each with the in-between of its neighbors: where the two differ most, more frames are rendered.
It ends when all in-betweens are expected to be within `NEAR` of the rendered frames, or when the budget is spent.
"""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from remix.job.job import Job, frame_path
from remix.motion.images import load_picture
from remix.motion.inbetween import between
from remix.motion.perceptual import Look, distance, look
from remix.motion.pictures import Picture
from remix.motion.retiming import Loaded, Retimed
from remix.plan import Recipe, Schedule
from remix.show.report import InBetweens

NEAR = 0.05
"""The perceptual distance to the rendered frame within which an in-between is meant to be."""

FIRST = 0.5
"""The share of the budget that is spent on evenly spaced frames, before any in-between is measured."""

ROUND = 8
"""The maximum number of frames in a round: a batch."""

SHRINKS = 0.5
"""How much smaller the error of an in-between becomes if the pictures around it are half as far apart, at least."""

KEPT = 8
"""The number of frames in memory that are prepared for comparison."""


def most_rendered(recipe: Recipe) -> int:
    """Returns the maximum number of pictures that a recipe's budget allows."""
    assert recipe.budget is not None
    return max(2, math.floor(recipe.budget * (recipe.frames - 1)) + 1)


def is_spared(recipe: Recipe) -> bool:
    """Returns whether a recipe's budget leaves frames to in-betweens, and which ones is still to be measured."""
    return recipe.budget is not None and recipe.budget < 1 and recipe.rendered is None


@dataclass
class Errors:
    """The errors of a film's in-betweens, as far as its rendered frames show them.

    `load` returns a rendered frame. In a `loop`, frame 0 follows the last.
    """

    frames: int
    loop: bool
    load: Callable[[int], Picture]
    _looks: dict[int, Look] = field(default_factory=dict)
    _known: dict[tuple[int, int, int], float] = field(default_factory=dict)

    def expected(self, rendered: Sequence[int]) -> dict[tuple[int, int], float]:
        """Returns the expected error of the in-betweens of each gap: their distance to rendered frames.

        It is derived from the errors at both ends of the gap, if they were not rendered. For a gap in which
        nothing is known, half of the distance of its ends is returned.
        """
        stops = [*rendered, self.frames] if self.loop else list(rendered)
        errors = {b: self._error(a, b, c) for a, b, c in zip(stops, stops[1:], stops[2:], strict=False)}
        if self.loop and len(rendered) > 1:
            errors[0] = errors[self.frames] = self._error(rendered[-1] - self.frames, 0, stops[1])
        found = {}
        for a, b in pairwise(stops):
            if b - a > 1:
                ends = [errors[end] for end in (a, b) if end in errors]
                found[a, b] = (max(ends) if ends else self._apart(a, b)) * SHRINKS
        return found

    def _error(self, before: int, index: int, after: int) -> float:
        """Returns the distance of a frame to the in-between that would be in its place."""
        key = before, index, after
        if key not in self._known:
            share = (index - before) / (after - before)
            first, last = self.load(before % self.frames), self.load(after % self.frames)
            (made,) = between(first, last, [share])
            self._known[key] = distance(look(made), self._look(index))
        return self._known[key]

    def _apart(self, a: int, b: int) -> float:
        return distance(self._look(a), self._look(b))

    def _look(self, index: int) -> Look:
        index %= self.frames
        if index not in self._looks:
            while len(self._looks) >= KEPT:
                del self._looks[next(iter(self._looks))]
            self._looks[index] = look(self.load(index))
        return self._looks[index]


def errors_of(folder: Path, recipe: Recipe) -> Errors:
    """Returns the errors of the film in a job folder."""
    return Errors(recipe.frames, recipe.loop, lambda index: load_picture(frame_path(folder, index)))


def chosen_frames(job: Job, render: Callable[[Sequence[int]], object]) -> tuple[int, ...]:
    """Returns the frames of a linear pace to render, after rendering them with `render`, round by round."""
    recipe = job.schedule.recipe
    most, errors = most_rendered(recipe), errors_of(job.folder, recipe)
    last = recipe.frames if recipe.loop else recipe.frames - 1
    stops = sorted({0, last, *recipe.positions()})
    even = np.rint(np.linspace(0, last, max(2, round(most * FIRST)))).astype(int)
    wanted = sorted({*stops, *map(int, even)} if len(stops) < most else stops)
    rendered: list[int] = []
    while wanted:
        wanted = [index for index in wanted if index < recipe.frames]
        render(wanted)
        for index in wanted:
            insort(rendered, index)
        expected = errors.expected(rendered)
        worst = sorted((gap for gap in expected if expected[gap] > NEAR), key=lambda gap: -expected[gap])
        wanted = (
            sorted((a + b) // 2 for a, b in worst[: min(ROUND, most - len(rendered))]) if most > len(rendered) else []
        )
    return tuple(rendered)


def inbetweens(job: Job, frames: Sequence[int]) -> Iterator[Picture]:
    """Yields the in-betweens of a job, whose rendered frames are finished."""
    recipe = job.schedule.recipe
    rendered = recipe.rendered
    assert rendered is not None
    stops = [*rendered, recipe.frames] if recipe.loop else list(rendered)
    moments = []
    for index in frames:
        place = bisect_right(stops, index) - 1
        moments.append(place + (index - stops[place]) / (stops[place + 1] - stops[place]))
    yield from Retimed(Loaded([job.frame_path(index) for index in rendered], load_picture), moments, loop=recipe.loop)


def measured_inbetweens(folder: Path, schedule: Schedule) -> InBetweens | None:
    """Returns how good the in-betweens of a finished job are, None if all of its frames are rendered."""
    recipe = schedule.recipe
    if recipe.rendered is None or len(recipe.rendered) == recipe.frames:
        return None
    gaps = errors_of(folder, recipe).expected(recipe.rendered)
    return InBetweens(recipe.frames - len(recipe.rendered), NEAR, tuple((*gap, gaps[gap]) for gap in sorted(gaps)))
