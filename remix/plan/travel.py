"""How one field travels through the frames, between the keyframes that set it."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import pairwise, repeat
from typing import Any, NamedTuple, TypeVar

from remix.errors import RecipeError
from remix.plan.bounds import FRAME_BYTES, LORA_WORK, MUSIC_WORK, NUMBER_BYTES, PART_BYTES
from remix.plan.curves import ease, hermite, slopes
from remix.plan.expression import Expression, expressions_in, fill_prompt, prompt_work
from remix.plan.fields import joined, under
from remix.plan.inputs import LARGEST, Inputs, rounded
from remix.plan.mix import STEPS, Mix, between
from remix.plan.model import MAX_STRENGTH, Lora
from remix.plan.recipe import Recipe

T = TypeVar("T")

DECIMALS = 9


class Stop(NamedTuple):
    """A keyframe as seen by one field: the frame, the value, the ease of the travel that starts there, its number."""

    frame: int
    value: Any
    ease: str
    keyframe: int


class Travel:
    """The fields of a recipe's keyframes, evaluated for every frame or at any moments.

    `at` gives ascending moments in frames, which may be fractions. The default is the recipe's clock, or the frames
    themselves. Expressions are always evaluated for the number of a frame, even if the clock gives it another moment,
    so that a beat stays in place.
    """

    def __init__(self, recipe: Recipe, at: Sequence[float] | None = None) -> None:
        self._recipe = recipe
        self._moments = at if at is not None else recipe.clock or range(recipe.frames)
        self._times = at if at is not None else range(recipe.frames)
        placed = zip(recipe.positions(), recipe.keyframes, range(len(recipe.keyframes)), strict=True)
        self._keyframes = sorted(placed, key=lambda place: place[0])
        self._steps = cache(self._eased)  # fields that travel together are eased once
        self._known: dict[str, float | list[float]] | None = None

    def __len__(self) -> int:
        return len(self._moments)

    def mixes(self, field: str, default: Mix[T] | None) -> list[Any]:
        """Returns the mix of each frame, `default` for all of them if no keyframe sets the field."""
        stops = self._stops(field)
        return self._mixed(stops) if stops else [default] * len(self)

    def _mixed(self, stops: Sequence[Stop]) -> list[Any]:
        def way(start: int, end: int, steps: Sequence[int]) -> list[Mix[Any]]:
            return between(stops[start].value, stops[end].value, steps)

        return self._fill(stops, way)

    def numbers(self, field: str, default: float, low: float, high: float) -> list[float]:
        """Returns the number of each frame, between `low` and `high`, rounded to nine decimals between keyframes.

        An expression is evaluated on every frame until the next stop; the first one also on the frames before it.
        Travels to an expression end at its value on its own frame. Raises RecipeError if it leaves the range.
        """
        stops = self._stops(field)
        return self._evaluated(stops, field, low, high) if stops else [default] * len(self)

    def _evaluated(self, stops: list[Stop], field: str, low: float, high: float) -> list[float]:
        worked_out: dict[int, float] = {}
        for i, stop in enumerate(stops):
            if isinstance(stop.value, Expression):
                with under(f"keyframes[{stop.keyframe}].{field}"):
                    worked_out |= self._worked_out(stop.value, self._reign(stops, i), low, high)
                    stops[i] = stop._replace(value=self._at_its_stop(stop, worked_out, low, high))
        found = self._along(stops, low, high)
        return [worked_out.get(index, number) for index, number in enumerate(found)]

    def _reign(self, stops: Sequence[Stop], i: int) -> list[int]:
        """Returns the indices of the pictures from a stop to the next.

        The first and the last stop also cover the pictures outside of them: all of them, or in a loop those up to the
        wrap.
        """
        first, last = i == 0, i + 1 == len(stops)
        begins = 0 if first and (last or not self._recipe.loop) else self._index(stops[i])
        around = range(self._index(stops[0]) if last and not first and self._recipe.loop else 0)
        return [*around, *range(begins, len(self) if last else self._index(stops[i + 1]))]

    def _index(self, stop: Stop) -> int:
        """Returns the number of the first picture at or after a stop."""
        return bisect_left(self._moments, stop.frame)

    def _at_its_stop(self, stop: Stop, worked_out: dict[int, float], low: float, high: float) -> float:
        index = self._index(stop)
        if index < len(self) and self._times[index] == stop.frame:
            return worked_out[index]
        return Travel(self._recipe, [stop.frame])._worked_out(stop.value, [0], low, high)[0]

    def _worked_out(self, expression: Expression, indices: Sequence[int], low: float, high: float) -> dict[int, float]:
        names = {name: values for name, values in self._names().items() if name in expression.names}
        now = {name: [value[i] for i in indices] if isinstance(value, list) else value for name, value in names.items()}
        times = [self._times[i] for i in indices]
        values = [_rounded(value) for value in expression.over(times, **now)]
        for time, value in zip(times, values, strict=True):
            if not low <= value <= high:
                raise RecipeError(f"{value:g} at frame {time:g} is outside {low:g} to {high:g}; correct the expression")
        return dict(zip(indices, values, strict=True))

    def _names(self) -> dict[str, float | list[float]]:
        """Returns the variables that an expression may use in addition to the frame."""
        if self._known is None:
            seeds = [mix.heaviest for mix in self.mixes("seed", Mix.one(0))]
            self._known = {"max_f": self._recipe.frames - 1, "s": seeds, "fps": self._recipe.fps}
            if self._recipe.music is not None:
                self._known |= self._recipe.music.columns(self._times, self._recipe.fps)
        return self._known

    def prompts(self, field: str) -> list[Mix[str]]:
        """Returns the mix of prompts of each frame, with expressions evaluated; empty prompts if none is set."""
        return self._filled_in(self._stops(field), field, self.mixes(field, Mix.one("")))

    def _filled_in(self, stops: Sequence[Stop], field: str, mixes: list[Mix[str]]) -> list[Mix[str]]:
        if not any(changes(stop.value) for stop in stops):
            return mixes
        return [self._filled(field, index, mix) if changes(mix) else mix for index, mix in enumerate(mixes)]

    def _filled(self, field: str, index: int, mix: Mix[str]) -> Mix[str]:
        now = {name: value[index] if isinstance(value, list) else value for name, value in self._names().items()}
        with under(field):
            return Mix(tuple((fill_prompt(text, self._times[index], **now), weight) for text, weight in mix.items))

    def numbers_at_seam(self, field: str) -> Iterator[list[float]]:
        """Yields the values of each expression in the prompts of a loop's first frame, over all frames."""
        stops = self._stops(field)
        if not stops:
            return
        at_seam = {0} if self._moments[0] == stops[0].frame else {0, len(stops) - 1}
        for text in dict.fromkeys(text for i in sorted(at_seam) for text in stops[i].value.values):
            for part in expressions_in(text):
                yield part.over(
                    list(self._times), **{name: value for name, value in self._names().items() if name in part.names}
                )

    def strengths(self) -> list[tuple[Lora, ...]]:
        """Returns the LoRAs of each frame that keyframes name, sorted by name. Each strength travels separately."""
        tables = [{lora.name: lora for lora in keyframe.loras or ()} for _, keyframe, _ in self._keyframes]
        columns = [self._loras(name, [table.get(name) for table in tables]) for name in sorted(self._lora_names())]
        return list(zip(*columns, strict=True)) if columns else [()] * len(self)

    def _loras(self, name: str, loras: Sequence[Lora | None]) -> list[Lora]:
        """Returns a LoRA of each frame, from those of the keyframes."""

        def along(values: list[float | None]) -> list[float]:
            return self._along(self._set(values), -MAX_STRENGTH, MAX_STRENGTH)

        strengths = along([None if lora is None else lora.strength for lora in loras])
        if all(lora is None or lora.text is None for lora in loras):
            return [Lora(name, strength) for strength in strengths]
        in_text = along([None if lora is None else lora.in_text for lora in loras])
        return list(map(Lora, repeat(name), strengths, in_text))

    def inputs(self) -> list[Inputs]:
        """Returns the inputs of each frame, sorted by name. Each travels separately; switches and `hold` do not.

        Numbers without a fraction are integers.
        """
        tracks = self._tracks()
        columns = [self._input(name, stops) for name, stops in tracks.items()]
        rows = zip(*columns, strict=True) if columns else [()] * len(self)
        return [tuple(zip(tracks, row, strict=True)) for row in rows]

    def _tracks(self) -> dict[str, list[Stop]]:
        """Returns the stops of each input, in order of the names."""
        tables = [dict(keyframe.inputs or ()) for _, keyframe, _ in self._keyframes]
        names = sorted({name for table in tables for name in table})
        tracks = {name: self._set([table.get(name) for table in tables]) for name in names}
        held = {*self._recipe.hold, *(name for name in names if isinstance(tracks[name][0].value, bool))}
        return {
            name: [stop._replace(ease="hold") for stop in stops] if name in held else stops
            for name, stops in tracks.items()
        }

    def _input(self, name: str, stops: list[Stop]) -> list[Any]:
        value = stops[0].value
        if isinstance(value, bool):
            return self._fill(stops, lambda start, end, steps: [stops[start].value] * len(steps))
        if isinstance(value, Mix):
            return self._filled_in(stops, f"inputs{joined(name)}", self._mixed(stops))
        numbers = self._evaluated(stops, f"inputs{joined(name)}", -LARGEST, LARGEST)
        if name in self._recipe.whole:
            return [rounded(number, whole=True) for number in numbers]
        return [int(number) if number == int(number) else number for number in numbers]

    def extent(self) -> int:
        """Returns an upper bound for the size of the schedule as JSON, in bytes, without computing it."""
        of_loras = _bytes_of(self._lora_names()) + 2 * NUMBER_BYTES * len(self._lora_names())
        total = len(self) * (FRAME_BYTES + of_loras)
        for stops in filter(None, map(self._stops, ("prompt", "negative", "seed", "image", "mask"))):
            total += self._summed(stops, _bytes_of)
        tracks = self._tracks()
        total += len(self) * _bytes_of(tracks)
        for stops in tracks.values():
            total += self._summed(stops, _bytes_of) if isinstance(stops[0].value, Mix) else len(self) * NUMBER_BYTES
        return total

    def work(self) -> int:
        """Returns the cost of the expressions and LoRAs of all frames, in the units of `Bounds`."""
        total = len(self) * LORA_WORK * len(self._lora_names())
        if self._recipe.music is not None:
            total += len(self) * MUSIC_WORK
        tracks = self._tracks().values()
        texts = [stops for stops in tracks if isinstance(stops[0].value, Mix)]
        for stops in filter(None, [*map(self._stops, ("prompt", "negative")), *texts]):
            total += self._summed(stops, lambda texts: sum(map(prompt_work, texts)))
        total += len(self) * LORA_WORK * len(tracks)
        for stops in (*map(self._stops, ("cfg", "denoise")), *tracks):
            for i, stop in enumerate(stops):
                if isinstance(stop.value, Expression):
                    total += stop.value.work_over(len(self._reign(stops, i)))
        return total

    def _summed(self, stops: Sequence[Stop], measure: Callable[[set[Any]], int]) -> int:
        """Returns the sum over all frames of a measure of the values that a frame may mix."""
        indices = [self._index(stop) for stop in stops]
        before, after = indices[0], len(self) - indices[-1]
        first, last = set(stops[0].value.values), set(stops[-1].value.values)
        total = 0
        for (a, b), (i, j) in zip(pairwise(stops), pairwise(indices), strict=True):
            total += (j - i) * measure({*a.value.values, *b.value.values})
        if self._recipe.loop and len(stops) > 1:
            return total + (before + after) * measure(first | last)
        return total + before * measure(first) + after * measure(last)

    def _lora_names(self) -> set[str]:
        return {lora.name for _, keyframe, _ in self._keyframes for lora in keyframe.loras or ()}

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
            return [min(max(_rounded(number), low), high) for number in found]

        return self._fill(stops, way)

    def _stops(self, field: str) -> list[Stop]:
        return self._set([getattr(keyframe, field) for _, keyframe, _ in self._keyframes])

    def _set(self, values: Sequence[Any]) -> list[Stop]:
        """Returns the stops of a field, given one value for each keyframe; None if a keyframe does not set it."""
        return [
            Stop(frame, value, keyframe.ease or self._recipe.ease, number)
            for (frame, keyframe, number), value in zip(self._keyframes, values, strict=True)
            if value is not None
        ]

    def _bends(self, stops: Sequence[Stop]) -> list[float]:
        period = float(self._recipe.frames) if self._recipe.loop else None
        return slopes([float(stop.frame) for stop in stops], [stop.value for stop in stops], period)

    def _span(self, stops: Sequence[Stop], start: int, end: int) -> int:
        """Returns the number of frames from one stop to another, across the wrap of a loop if needed."""
        return stops[end].frame - stops[start].frame + (self._recipe.frames if end <= start else 0)

    def _fill(self, stops: Sequence[Stop], way: Callable[[int, int, Sequence[int]], list[Any]]) -> list[Any]:
        """Returns the value of each picture. `way` computes those between two stops, given by their indices."""
        last = len(stops) - 1
        before, after = self._index(stops[0]), len(self) - self._index(stops[last])
        values = [each for start in range(last) for each in self._leg(stops, start, start + 1, way)]
        if not self._recipe.loop or last == 0:
            return [*[stops[0].value] * before, *values, *[stops[last].value] * after]
        home = self._leg(stops, last, 0, way)
        return [*home[after:], *values, *home[:after]]

    def _leg(
        self, stops: Sequence[Stop], start: int, end: int, way: Callable[[int, int, Sequence[int]], list[Any]]
    ) -> list[Any]:
        """Returns the values from one stop, where the value is exact, to just before another."""
        begin = stops[start]
        moments = self._from(begin.frame, stops[end].frame)
        values = way(start, end, self._steps(begin.ease, begin.frame, stops[end].frame))
        if moments and moments[0] == begin.frame:
            values[0] = begin.value
        return values

    def _from(self, begin: int, end: int) -> list[float]:
        """Returns the moments from one frame to just before another, counting past the last frame across the wrap."""
        i, j = bisect_left(self._moments, begin), bisect_left(self._moments, end)
        if begin < end:
            return [*self._moments[i:j]]
        return [*self._moments[i:], *(moment + self._recipe.frames for moment in self._moments[:j])]

    def _eased(self, easing: str, begin: int, end: int) -> tuple[int, ...]:
        """Returns the progress of a travel between two frames at each of its moments, in STEPS.

        It is rounded here, before anything depends on it, because the last bit of a sine differs between machines.
        """
        span = (end - begin) + (self._recipe.frames if end <= begin else 0)
        return tuple([round(ease(easing, (moment - begin) / span) * STEPS) for moment in self._from(begin, end)])


def used_columns(recipe: Recipe, moments: Sequence[float]) -> dict[str, list[float]]:
    """Returns the names of music that the recipe's expressions use, with their value at each of the moments."""
    if recipe.music is None:
        return {}
    used = {name for keyframe in recipe.keyframes for _, names in keyframe.variables() for name in names}
    return {name: values for name, values in recipe.music.columns(moments, recipe.fps).items() if name in used}


def _rounded(number: float) -> float:
    """Returns a rounded number of a frame. -0.0 becomes 0.0, which has another text and another hash."""
    return round(number, DECIMALS) + 0.0


def _bytes_of(values: Iterable[Any]) -> int:
    # An expression has a backtick at either end.
    return sum(len(json.dumps(text)) + NUMBER_BYTES // 2 * text.count("`") + PART_BYTES for text in map(str, values))


def changes(mix: Mix[str]) -> bool:
    """Returns whether a mix of prompts contains expressions, and so may differ between frames."""
    return any("`" in text for text in mix.values)
