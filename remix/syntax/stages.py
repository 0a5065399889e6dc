"""Schedules of stages: what comes after what, and how many frames lie between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from remix.plan.keyframe import Keyframe
from remix.plan.mix import Mix
from remix.plan.recipe import MAX_KEYFRAMES
from remix.syntax.parts import Given, Parts
from remix.syntax.scan import Source
from remix.syntax.tracks import Stop, cut, lay


def staged(
    source: Source,
    tracks: Mapping[str, Sequence[Mix[Any]]],
    given: Given,
    ways: Sequence[int] | None,
    fields: Mapping[str, Any],
) -> Parts:
    """The parts of stages, each of which sets a value of every track; a track of one value sets it once.

    `ways` has the frames from each stage to the next. Without, `given.spacing` has; without that too the
    stages are spread evenly over the film.
    """
    count = max(len(values) for values in tracks.values())
    if count > MAX_KEYFRAMES:
        raise source.refuse(0, f"{count} stages are too many; a recipe has up to {MAX_KEYFRAMES} keyframes")
    ways = ways if ways is not None else spaced(source, given.spacing, count)
    if given.frames is not None and ways is None and count > given.frames:
        raise source.refuse(0, f"{count} stages do not fit into {given.frames} frames; give more frames")
    if ways is None or count == 1:
        rows: list[dict[str, Any]] = [
            {name: values[i] for name, values in tracks.items() if i < len(values)} for i in range(count)
        ]
        keyframes = tuple(Keyframe(**row) for row in rows)
        return Parts(keyframes, frames=given.frames, loop=given.loop or None, **fields)
    at = [0, *accumulate(ways)]
    frames = given.frames or (at[-1] + ways[-1] if given.loop else at[-1] + 1)  # in a loop the last way leads home
    found = {
        name: cut(source, [Stop(*stop) for stop in zip(at, values, strict=False)], frames)
        for name, values in tracks.items()
    }
    laid, ease = lay(source, found)
    return Parts(laid, frames=frames, loop=given.loop or None, ease=ease, **fields)


def spaced(source: Source, spacing: Sequence[int], stages: int, at: int = 0) -> list[int] | None:
    """The frames from each stage to the next that `spacing` says: one number for all, or one for each.

    RecipeError about the offset `at` when there are more or fewer.
    """
    if not spacing:
        return None
    if len(spacing) == 1:
        return [spacing[0]] * (stages - 1)
    if len(spacing) != stages - 1:
        raise source.refuse(at, f"{len(spacing)} numbers for {stages - 1} ways between stages; give one for each")
    return list(spacing)
