"""How one field travels through the frames, from keyframe to keyframe that sets it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

from remix.plan.curves import ease, hermite, slopes
from remix.plan.mix import STEPS, Mix, between
from remix.plan.model import MAX_STRENGTH, Lora
from remix.plan.recipe import Recipe

T = TypeVar("T")

DECIMALS = 9

PART = 64
"""What a value of a mix takes beside its letters, in letters: its weight, in memory and as JSON."""


class Stop(NamedTuple):
    """A keyframe as one field sees it: the frame, the value, and the ease of the travel that starts there."""

    frame: int
    value: Any
    ease: str


class Travel:
    """The fields of a recipe's keyframes, each worked out for every frame."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._keyframes = sorted(zip(recipe.positions(), recipe.keyframes, strict=True), key=lambda pair: pair[0])
        self._shares = cache(_shares)  # fields that travel together are eased once

    def mixes(self, field: str, default: Mix[T] | None) -> list[Any]:
        """The mix of each frame; `default` in all of them where no keyframe sets the field."""
        stops = self._stops(field)
        if not stops:
            return [default] * self._recipe.frames

        def way(start: int, end: int, steps: Sequence[int]) -> list[Mix[Any]]:
            return between(stops[start].value, stops[end].value, steps)

        return self._fill(stops, way)

    def numbers(self, field: str, default: float, low: float, high: float) -> list[float]:
        """The number of each frame, within `low` to `high`, to nine decimals between keyframes."""
        stops = self._stops(field)
        return self._along(stops, low, high) if stops else [default] * self._recipe.frames

    def strengths(self) -> list[tuple[Lora, ...]]:
        """The LoRAs of each frame that keyframes name, in order of their names: each strength travels on its own."""
        names = sorted({lora.name for _, keyframe in self._keyframes for lora in keyframe.loras or ()})
        columns = [self._along(self._stops_of(name), -MAX_STRENGTH, MAX_STRENGTH) for name in names]
        rows = zip(*columns, strict=True) if columns else [()] * self._recipe.frames
        return [tuple(Lora(name, strength) for name, strength in zip(names, row, strict=True)) for row in rows]

    def extent(self) -> int:
        """At most how many letters the mixes and LoRAs of all frames have, taken together; a part is `PART` more."""
        frames, names = self._recipe.frames, {lora.name for _, key in self._keyframes for lora in key.loras or ()}
        total = frames * _letters(names)
        for stops in filter(None, map(self._stops, ("prompt", "negative", "seed", "image", "mask"))):
            first, last = stops[0], stops[-1]
            ways = [*pairwise(stops)]
            if self._recipe.loop and len(stops) > 1:
                ways.append((last, first))
            else:
                total += first.frame * _letters(first.value.values) + (frames - last.frame) * _letters(
                    last.value.values
                )
            for a, b in ways:
                total += (b.frame - a.frame) % frames * _letters({*a.value.values, *b.value.values})
        return total

    def _along(self, stops: Sequence[Stop], low: float, high: float) -> list[float]:
        bend = self._bends(stops) if self._recipe.curve == "cubic" else None

        def way(start: int, end: int, steps: Sequence[int]) -> list[float]:
            a, b = stops[start].value, stops[end].value
            shares = [step / STEPS for step in steps]
            if bend is None:
                found = [a + (b - a) * t for t in shares]
            else:
                span = self._span(stops, start, end)
                found = [hermite(a, b, bend[start] * span, bend[end] * span, min(max(t, 0.0), 1.0)) for t in shares]
            return [min(max(round(number, DECIMALS), low), high) for number in found]

        return self._fill(stops, way)

    def _stops(self, field: str) -> list[Stop]:
        return self._set([getattr(keyframe, field) for _, keyframe in self._keyframes])

    def _stops_of(self, lora: str) -> list[Stop]:
        tables = [{x.name: x.strength for x in keyframe.loras or ()} for _, keyframe in self._keyframes]
        return self._set([table.get(lora) for table in tables])

    def _set(self, values: Sequence[Any]) -> list[Stop]:
        """The stops of one value for each keyframe, None where it does not set any."""
        return [
            Stop(frame, value, keyframe.ease or self._recipe.ease)
            for (frame, keyframe), value in zip(self._keyframes, values, strict=True)
            if value is not None
        ]

    def _bends(self, stops: Sequence[Stop]) -> list[float]:
        period = float(self._recipe.frames) if self._recipe.loop else None
        return slopes([float(stop.frame) for stop in stops], [stop.value for stop in stops], period)

    def _span(self, stops: Sequence[Stop], start: int, end: int) -> int:
        """How many frames one stop lies after another, over the wrap where it has to."""
        return stops[end].frame - stops[start].frame + (self._recipe.frames if end <= start else 0)

    def _fill(self, stops: Sequence[Stop], way: Callable[[int, int, Sequence[int]], list[Any]]) -> list[Any]:
        """The value of each frame: `way` gives those between two stops, by their numbers in `stops`."""
        frames = self._recipe.frames
        last = len(stops) - 1
        values = [stops[0].value] * (stops[0].frame + 1)
        for start in range(last):
            steps = self._shares(stops[start].ease, self._span(stops, start, start + 1))
            values += way(start, start + 1, steps)
            values.append(stops[start + 1].value)
        if not self._recipe.loop or last == 0:
            return values + [stops[last].value] * (frames - len(values))
        home = way(last, 0, self._shares(stops[last].ease, self._span(stops, last, 0)))
        after = frames - len(values)
        return [*home[after:], *values[stops[0].frame :], *home[:after]]


def _letters(values: Iterable[Any]) -> int:
    return sum(len(str(value)) + PART for value in values)


def _shares(easing: str, span: int) -> tuple[int, ...]:
    """How far a travel of `span` frames is at each frame inside it, in STEPS.

    Rounded here, before anything is worked out from it: the last bit of a sine differs between machines.
    """
    return tuple([round(ease(easing, j / span) * STEPS) for j in range(1, span)])
