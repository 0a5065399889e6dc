"""Numbers that change over the film, ``0:(7), 24:(9*sin(t/8)), 47:(7)``, and the fields of a recipe they can set."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

from remix.catalog.samplers import sampler_of
from remix.errors import RecipeError
from remix.plan import fields as check
from remix.plan.expression import Expression, parse
from remix.plan.keyframe import MAX_CFG, MAX_SEED
from remix.plan.mix import Mix
from remix.plan.recipe_values import MAX_KEYFRAMES
from remix.syntax.text.pairs import Pair
from remix.syntax.text.parts import Options
from remix.syntax.text.prompts import is_one_bracket
from remix.syntax.text.source import Source, Span
from remix.syntax.text.tracks import Stop, clip, held_stops, number_stops, past_end

_NUMBER = re.compile(r"\(?\s*([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*\)?", re.ASCII)
_KEPT_NAMES = frozenset({"t", "max_f", "fps"})
"""What an expression may use to stay one in the recipe, where these mean the same."""

Ordered = Sequence[tuple[int, Pair]]


@dataclass(frozen=True)
class Target:
    """A field that a value schedule sets: the track, the range of its values, and how a value is converted."""

    track: str
    low: float
    high: float
    convert: Callable[[float], float] = float
    converted: str = "{}"
    """The conversion of an expression."""


TARGETS = {
    "cfg": Target("cfg", 0, MAX_CFG),
    "denoise": Target("denoise", 0, 1),
    "strength": Target("denoise", 0, 1, lambda value: 1.0 - value, "1 - ({})"),
    "seed": Target("seed", -1, MAX_SEED, lambda value: value),  # an integer stays one: 2^64 - 1 has no float
    "sampler": Target("sampler", 0, 0),
}
"""Targets by name. `strength` is Deforum's: how much of the picture is kept."""


def target_of(name: str) -> Target:
    """Returns the target called `name`. Raises RecipeError if there is none."""
    if name not in TARGETS:
        raise RecipeError(f"{check.show(name)} is not a field that values can set; use one of {', '.join(TARGETS)}")
    return TARGETS[name]


def random_seed(main: int, frame: int) -> int:
    """Returns a seed of 32 bits that looks random, the same on every machine for a main seed and a frame."""
    return int.from_bytes(hashlib.sha256(f"{main}/{frame}".encode()).digest()[:4], "big")


def is_text(pair: Pair) -> bool:
    """Returns whether a value is text in quotes, ``("Euler a")``; a number in quotes, ``"7"``, is not."""
    plain = _unbracketed(pair)
    return (pair.quoted or plain.text[:1] in ("'", '"')) and not _NUMBER.fullmatch(plain.text.strip("'\""))


def _unbracketed(pair: Pair) -> Span:
    """Returns the value without brackets around quotes."""
    value = pair.value.strip()
    if not pair.quoted and re.fullmatch(r"\(\s*(\"[^\"]*\"|'[^']*')\s*\)", value.text):
        return value[1:-1].strip()
    return value


def _unquoted(pair: Pair) -> Span:
    value = _unbracketed(pair)
    return value[1:-1].strip() if not pair.quoted and value.text[:1] in ("'", '"') else value


def number_track(source: Source, ordered: Ordered, options: Options, target: Target) -> list[Stop]:
    """Returns the stops of a number for values sorted by frame.

    A plain number is a key, from which the value travels straight to the next. Anything else is an expression, which
    holds until the next key: it stays one where a recipe can have it, else it is evaluated on every frame.
    """
    last = options.frames
    # In a recipe the last expression of a loop holds up to the first key.
    keeps = target.track != "seed" and not (options.loop and ordered[0][0] > 0)
    stops: list[Stop] = []
    for i, (frame, pair) in enumerate(ordered):
        if last is not None and frame >= last and stops and isinstance(stops[-1].value, str):
            source.note(past_end(frame, last))  # the expression holds to the end
            break
        value = _unquoted(pair)
        found = _NUMBER.fullmatch(value.text)
        if found and value.text.startswith("(") == value.text.endswith(")"):
            stops.append(Stop(frame, _checked(source, value, _exact(found[1]), target)))
            continue
        if last is None:
            raise source.error(value.start, "an expression needs the number of frames; give frames (--frames 48)")
        end = ordered[i + 1][0] if i + 1 < len(ordered) else last
        start = 0 if i == 0 else frame
        frames = range(start, max(min(end, last), start + 1))
        expression, values = _evaluated(source, value, frames, options, target)
        if keeps and frame < last and expression.names and expression.names <= _KEPT_NAMES:
            text = re.sub(r"^\((.*)\)$", r"\1", value.text) if is_one_bracket(value.text) else value.text
            stops.append(Stop(start, " ".join(target.converted.format(text).split())))
        else:
            stops += number_stops(start, values)
    if len(stops) > MAX_KEYFRAMES:
        raise source.error(
            ordered[0][1].key.start,
            f"this changes on {len(stops)} frames; a recipe has up to {MAX_KEYFRAMES} keyframes",
        )
    return clip(source, stops, last)


def _exact(digits: str) -> float:
    """Returns the number that `digits` spell, exactly if it is an integer."""
    return int(digits) if re.fullmatch(r"[+-]?[0-9]{1,40}", digits) else float(digits)


def _evaluated(
    source: Source, value: Span, frames: range, options: Options, target: Target
) -> tuple[Expression, list[float]]:
    """Returns an expression, and its converted value on each of the frames."""
    names = options.names()
    with source.errors_at(value):
        expression = parse(value.text, ("t", *names))
        now: dict[str, Any] = {
            name: names[name] if isinstance(names[name], (int, float)) else [names[name][f] for f in frames]  # type: ignore[index]
            for name in expression.names - {"t"}
        }
        numbers = expression.over(frames, **now)
    return expression, [
        _checked(source, value, number, target, frame) for frame, number in zip(frames, numbers, strict=True)
    ]


def _checked(source: Source, written: Span, value: float, target: Target, frame: int | None = None) -> float:
    """Returns the converted value. Raises RecipeError if it is out of range."""
    converted = target.convert(value)
    if not target.low <= converted <= target.high:
        when = "" if frame is None else f" at frame {frame}"
        raise source.error(
            written.start,
            f"{converted:g}{when} is not a {target.track} from {target.low:g} to {target.high:g}; change the value",
        )
    return converted


def seed_track(source: Source, ordered: Ordered, options: Options) -> list[Stop]:
    """Returns the stops of seeds: the value of every frame, truncated; a value below 0 means a random seed."""
    if options.frames is None:
        raise source.error(ordered[0][1].key.start, "seeds need the number of frames; give frames (--frames 48)")
    stops = number_track(source, ordered, options, TARGETS["seed"])
    seeds = [int(value) for value in _per_frame(stops, options.frames)]
    if min(seeds) < 0:
        source.note("seed -1 means a random seed; here it is derived from the main seed and the frame")
    seeds = [random_seed(options.seed or 0, frame) if seed < 0 else seed for frame, seed in enumerate(seeds)]
    return held_stops([Mix.one(seed) for seed in seeds])


def _per_frame(stops: Sequence[Stop], frames: int) -> list[float | Fraction]:
    """Returns the number of each frame on straight lines between the stops, exact between integers."""
    values = [stops[0].value] * frames
    for start, end in pairwise(stops):
        change, length = end.value - start.value, end.frame - start.frame
        exact = isinstance(change, int)
        for frame in range(start.frame, end.frame):
            part = change * (frame - start.frame)
            values[frame] = start.value + (Fraction(part, length) if exact else part / length)
    values[stops[-1].frame :] = [stops[-1].value] * (frames - stops[-1].frame)
    return values


def sampler_fields(source: Source, pairs: Sequence[Pair]) -> dict[str, Any]:
    """Returns the sampler, and perhaps the scheduler, of a text schedule. Raises RecipeError if there are several."""
    known: dict[str, Any] = {}
    for pair in pairs:
        label = _unbracketed(pair)
        text = label.text.strip("'\"")
        found = sampler_of(text)
        if found is None:
            raise source.error(label.start, f"{check.show(text)} is neither a number nor a sampler; correct it")
        fields = {"sampler": found[0], **({"scheduler": found[1]} if found[1] else {})}
        if known and fields != known:
            raise source.error(label.start, "a second sampler; a recipe has one for all frames, so keep one of them")
        known = fields
    return known


def tracks_of(source: Source, ordered: Ordered, options: Options) -> Mapping[str, list[Stop]]:
    """Returns the track that a value schedule sets, by the name of its field."""
    if options.field is None:
        raise source.error(
            ordered[0][1].key.start,
            "these numbers may set any field; write which one before them, such as cfg: or denoise: "
            "(cfg, denoise, strength, seed), or name it (--field). A recipe has no camera, so a zoom has no field",
        )
    target = target_of(options.field)
    if target.track == "seed":
        return {"seed": seed_track(source, ordered, options)}
    return {target.track: number_track(source, ordered, options, target)}
