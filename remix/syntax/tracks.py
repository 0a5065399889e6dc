"""From values at frames to keyframes: each field is a track of stops, and the tracks are laid over each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from remix.errors import RecipeError
from remix.plan.keyframe import Keyframe
from remix.plan.mix import STEPS, Mix, between
from remix.plan.recipe import MAX_KEYFRAMES
from remix.syntax.scan import Source

DECIMALS = 9
MAX_RUN = 256
"""The longest way between two numbers that was not written as one: it bounds the work of finding it."""


class Stop(NamedTuple):
    """What a field is at a frame, and how the way that starts there goes: "linear" or "hold"."""

    frame: int
    value: Any
    ease: str = "linear"


Track = Sequence[Stop]


def cut(source: Source, stops: Track, frames: int | None) -> list[Stop]:
    """The stops that lie in a film of `frames` frames, in order.

    A way that leads past the last frame is cut off there, as far as it has come; a note tells it.
    """
    if frames is None or not stops or stops[-1].frame < frames:
        return list(stops)
    last = frames - 1
    kept = [stop for stop in stops if stop.frame < frames]
    beyond = stops[len(kept)]
    source.note(f"frame {beyond.frame} is past the last frame ({last}); what leads there is cut off")
    if not kept:
        return [Stop(0, beyond.value, beyond.ease)]
    before = kept[-1]
    if before.frame < last and before.ease != "hold":
        kept.append(Stop(last, _part_way(before, beyond, last), beyond.ease))
    return kept


def _part_way(start: Stop, end: Stop, frame: int) -> Any:
    """What a straight way from `start` to `end` has come to at `frame`, as a schedule rounds it."""
    if start.value == end.value:
        return start.value
    step = round((frame - start.frame) / (end.frame - start.frame) * STEPS)
    if isinstance(start.value, Mix):
        return between(start.value, end.value, [step])[0]
    return round(start.value + (end.value - start.value) * (step / STEPS), DECIMALS)


def lay(source: Source, tracks: Mapping[str, Track]) -> tuple[tuple[Keyframe, ...], str]:
    """The keyframes that set each field as its track says, and the ease that holds for all of them.

    A keyframe has one ease for all that starts there. Where a track holds and another does not, the hold is
    written out: the same value once more, on the frame before the next.
    """
    eases = {stop.ease for stops in tracks.values() if len(stops) > 1 for stop in stops}
    if len(eases) > 1:
        tracks = {field: _held(stops) for field, stops in tracks.items()}
    rows: dict[int, dict[str, Any]] = {}
    for field, stops in tracks.items():
        for stop in stops:
            rows.setdefault(stop.frame, {})[field] = stop.value
    if len(rows) > MAX_KEYFRAMES:
        raise RecipeError(f"this changes at {len(rows)} frames; a recipe has up to {MAX_KEYFRAMES} keyframes")
    keyframes = tuple(Keyframe(at=frame, **rows[frame]) for frame in sorted(rows))
    return keyframes, min(eases) if len(eases) == 1 else "linear"


def _held(stops: Track) -> list[Stop]:
    """The stops of a track with each hold written out."""
    found: list[Stop] = []
    for i, stop in enumerate(stops):
        found.append(stop)
        if stop.ease == "hold" and i + 1 < len(stops) and stops[i + 1].frame > stop.frame + 1:
            found.append(Stop(stops[i + 1].frame - 1, stop.value))
    return found


def numbers(start: int, values: Sequence[float]) -> list[Stop]:
    """The stops of numbers on frame after frame from `start`: those on a straight way between others left out."""
    rounded = [round(value, DECIMALS) for value in values]
    stops = [Stop(start, rounded[0])] if rounded else []
    first = 0
    while first < len(rounded) - 1:
        last = _straight(rounded, first)
        stops.append(Stop(start + last, rounded[last]))
        first = last
    return stops


def _straight(values: Sequence[float], first: int) -> int:
    """The end of the straight way from `first`: a schedule travels it through exactly these values."""
    last = first + 1
    slope = values[last] - values[first]
    if slope == 0:
        return next((i - 1 for i in range(last, len(values)) if values[i] != values[first]), len(values) - 1)
    end = min(len(values), first + MAX_RUN)
    while last + 1 < end and abs(values[last + 1] - values[last] - slope) <= 2 * 10.0**-DECIMALS:
        last += 1
    a, b, span = values[first], values[last], last - first
    for j in range(1, span):
        step = round(j / span * STEPS) / STEPS
        if round(a + (b - a) * step, DECIMALS) != values[first + j]:
            return first + 1
    return last


def steps_of(values: Sequence[Any], start: int = 0) -> list[Stop]:
    """The stops of values on frame after frame, each of which holds until it changes."""
    return [Stop(start + i, value, "hold") for i, value in enumerate(values) if i == 0 or value != values[i - 1]]
