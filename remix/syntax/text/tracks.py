"""From values at frames to keyframes: each field is a track of stops, and tracks are merged into keyframes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from remix.errors import RecipeError
from remix.plan.keyframe import Keyframe
from remix.plan.mix import STEPS, Mix, between
from remix.plan.recipe_values import MAX_KEYFRAMES
from remix.syntax.text.parts import Options, Parts
from remix.syntax.text.source import Source

DECIMALS = 9
MAX_RUN = 256
"""Longest straight run that is searched for between numbers given frame by frame; bounds the work."""


class Stop(NamedTuple):
    """The value of a field at a frame, and the ease of what follows: "linear" or "hold"."""

    frame: int
    value: Any
    ease: str = "linear"


Track = Sequence[Stop]


def clip(source: Source, stops: Track, frames: int | None) -> list[Stop]:
    """Returns the stops of a film of `frames` frames.

    A travel that leads past the last frame is cut off there, part of the way; a note says so.
    """
    if frames is None or not stops or stops[-1].frame < frames:
        return list(stops)
    last = frames - 1
    kept = [stop for stop in stops if stop.frame < frames]
    beyond = stops[len(kept)]
    source.note(past_end(beyond.frame, frames))
    if not kept:
        return [Stop(0, beyond.value, beyond.ease)]
    before = kept[-1]
    if before.frame < last and before.ease != "hold":
        kept.append(Stop(last, _part_way(before, beyond, last), beyond.ease))
    return kept


def past_end(frame: int, frames: int) -> str:
    """Returns the note about a key past the end."""
    return f"frame {frame} is past the last frame ({frames - 1}); what leads there is cut off"


def _part_way(start: Stop, end: Stop, frame: int) -> Any:
    """Returns the value at `frame` of a straight travel from `start` to `end`, rounded as a schedule rounds it."""
    if start.value == end.value:
        return start.value
    step = round((frame - start.frame) / (end.frame - start.frame) * STEPS)
    if isinstance(start.value, Mix):
        return between(start.value, end.value, [step])[0]
    return round(start.value + (end.value - start.value) * (step / STEPS), DECIMALS)


def to_keyframes(source: Source, tracks: Mapping[str, Track]) -> tuple[tuple[Keyframe, ...], str]:
    """Returns keyframes that set each field as its track says, and the ease of all of them.

    A keyframe has one ease for all of its fields. Where one track holds and another travels, holds are written out as
    the same value once more, on the frame before the next stop.
    """
    eases = {stop.ease for stops in tracks.values() if len(stops) > 1 for stop in stops}
    if len(eases) > 1:
        tracks = {field: _with_holds_written_out(stops) for field, stops in tracks.items()}
    rows: dict[int, dict[str, Any]] = {}
    for field, stops in tracks.items():
        for stop in stops:
            rows.setdefault(stop.frame, {})[field] = stop.value
    if len(rows) > MAX_KEYFRAMES:
        raise RecipeError(f"this changes at {len(rows)} frames; a recipe has up to {MAX_KEYFRAMES} keyframes")
    keyframes = tuple(Keyframe(at=frame, **rows[frame]) for frame in sorted(rows))
    return keyframes, min(eases) if len(eases) == 1 else "linear"


def _with_holds_written_out(stops: Track) -> list[Stop]:
    """Returns the stops of a track, each hold written out."""
    found: list[Stop] = []
    for i, stop in enumerate(stops):
        found.append(stop)
        if stop.ease == "hold" and i + 1 < len(stops) and stops[i + 1].frame > stop.frame + 1:
            found.append(Stop(stops[i + 1].frame - 1, stop.value))
    return found


def number_stops(start: int, values: Sequence[float]) -> list[Stop]:
    """Returns stops for numbers given frame by frame from `start`, without those on a straight line between others."""
    rounded = [round(value, DECIMALS) for value in values]
    stops = [Stop(start, rounded[0])] if rounded else []
    first = 0
    while first < len(rounded) - 1:
        last = _straight(rounded, first)
        stops.append(Stop(start + last, rounded[last]))
        first = last
    return stops


def _straight(values: Sequence[float], first: int) -> int:
    """Returns the end of the straight line from `first` that a schedule travels through exactly these values."""
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


def held_stops(values: Sequence[Any], start: int = 0) -> list[Stop]:
    """Returns stops for values given frame by frame, each of which holds until it changes."""
    return [Stop(start + i, value, "hold") for i, value in enumerate(values) if i == 0 or value != values[i - 1]]


def from_stages(
    source: Source,
    tracks: Mapping[str, Sequence[Mix[Any]]],
    options: Options,
    steps: Sequence[int] | None,
    fields: Mapping[str, Any],
) -> Parts:
    """Returns the parts of stages, each of which sets a value of every track; a track of one value sets it once.

    `steps` holds the frames from each stage to the next, else `options.spacing` does; without both the stages are
    spread evenly over the film.
    """
    count = max(len(values) for values in tracks.values())
    if count > MAX_KEYFRAMES:
        raise source.error(0, f"{count} stages are too many; a recipe has up to {MAX_KEYFRAMES} keyframes")
    steps = steps if steps is not None else gaps_between(source, options.spacing, count)
    if options.frames is not None and steps is None and count > options.frames:
        raise source.error(0, f"{count} stages do not fit into {options.frames} frames; give more frames")
    if steps is None or count == 1:
        rows: list[dict[str, Any]] = [
            {name: values[i] for name, values in tracks.items() if i < len(values)} for i in range(count)
        ]
        keyframes = tuple(Keyframe(**row) for row in rows)
        return Parts(keyframes, frames=options.frames, loop=options.loop or None, **fields)
    at = [0, *accumulate(steps)]
    frames = options.frames or (
        at[-1] + steps[-1] if options.loop else at[-1] + 1
    )  # in a loop the last step leads back
    found = {
        name: clip(source, [Stop(*stop) for stop in zip(at, values, strict=False)], frames)
        for name, values in tracks.items()
    }
    laid, ease = to_keyframes(source, found)
    return Parts(laid, frames=frames, loop=options.loop or None, ease=ease, **fields)


def held_positions(values: Sequence[Any], frames: int) -> list[Stop]:
    """Returns stops that hold the values in turn, each for an equal part of the frames."""
    return [Stop(-(-i * frames // len(values)), value, "hold") for i, value in enumerate(values)]


def gaps_between(source: Source, spacing: Sequence[int], stages: int, at: int = 0) -> list[int] | None:
    """Returns the frames from each stage to the next: `spacing` has one number for all, or one for each.

    Raises RecipeError about the offset `at` if there are more or fewer numbers.
    """
    if not spacing:
        return None
    if len(spacing) == 1:
        return [spacing[0]] * (stages - 1)
    if len(spacing) != stages - 1:
        raise source.error(at, f"{len(spacing)} numbers for {stages - 1} gaps between stages; give one for each")
    return list(spacing)
