"""Numbers that change over the film, ``0:(7), 24:(9*sin(t/8)), 47:(7)``, and the fields of a recipe they can set."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

from remix.errors import RecipeError
from remix.plan import fields as check
from remix.plan.expression import parse
from remix.plan.keyframe import MAX_CFG, MAX_SEED
from remix.plan.mix import Mix
from remix.plan.names import sampler_of
from remix.plan.recipe import MAX_KEYFRAMES
from remix.syntax.pairs import Pair
from remix.syntax.parts import Given
from remix.syntax.scan import Source, Written
from remix.syntax.seeds import random_seed
from remix.syntax.tracks import Stop, cut, numbers, steps_of

_NUMBER = re.compile(r"\(?\s*([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*\)?", re.ASCII)

Ordered = Sequence[tuple[int, Pair]]


@dataclass(frozen=True)
class Target:
    """A field of a recipe that a value schedule sets: what the values become, and where they must lie."""

    track: str
    low: float
    high: float
    turned: Callable[[float], float] = float


TARGETS = {
    "cfg": Target("cfg", 0, MAX_CFG),
    "denoise": Target("denoise", 0, 1),
    "strength": Target("denoise", 0, 1, lambda value: 1.0 - value),
    "seed": Target("seed", -1, MAX_SEED, lambda value: value),  # an integer stays one: 2^64 - 1 has no float
    "sampler": Target("sampler", 0, 0),
}
"""By name, as it is given for a value schedule. `strength` is Deforum's: how much of the picture is kept."""


MOTION = frozenset(
    {"zoom", "angle", "fov", "near", "far", "noise", "contrast", "kernel", "sigma", "amount", "threshold", "cadence"}
)
"""What Deforum's other schedules are called; so are all that begin with `translation`, `rotation` or `transform`."""

_CALLED = {
    "scale": "cfg",
    "guidance": "cfg",
    "guidance_scale": "cfg",
    "cfg_scale": "cfg",
    "denoising_strength": "denoise",
}
_LABEL = re.compile(
    r"""\s*["']?(?P<name>[a-z][a-z0-9_ ]{1,40}?)["']?\s{0,9}[:=]\s{0,9}"""
    r"""(?=["']?\s{0,9}\{?["']?(?:[0-9]{1,12}|max_f[^:\n]{0,20})["']?\s{0,9}:\s{0,9}["'(\d+\-.])""",
    re.IGNORECASE | re.ASCII,
)


class Label(NamedTuple):
    """The field that a text names before its values, and where these begin and end."""

    field: str
    start: int
    end: int


def label_of(source: Source) -> Label | None:
    """The label of a text such as ``cfg: 0:(7), 24:(9)`` or ``"strength_schedule": "0:(0.65)"``, None without one.

    RecipeError for a schedule of Deforum's that moves the camera.
    """
    found = _LABEL.match(source.text)
    if not found:
        return None
    called = "_".join(found["name"].lower().split()).removesuffix("_schedule").removesuffix("_series")
    name = _CALLED.get(called, called.removesuffix("s"))
    if called in MOTION or called.startswith(("translation", "rotation", "transform", "noise", "sub")):
        raise source.refuse(
            found.start("name"),
            f"{check.show(found['name'])} has no place in a recipe, whose frames are each made on their own; leave it "
            f"out, or write values of {', '.join(TARGETS)}",
        )
    if name not in TARGETS:
        return None
    start, end = found.end(), len(source.text.rstrip().rstrip(","))
    mark = source.text[start]
    if mark in "\"'" and end - 1 > start and source.text[end - 1] == mark and _is_whole(source.text[start:end], mark):
        start, end = start + 1, end - 1
    return Label(name, start, end)


def _is_whole(text: str, mark: str) -> bool:
    """Whether the quotes around a text hold all its pairs, and are not those of its first key and last value."""
    return not re.match(rf"{mark}\s*(?:[0-9]{{1,12}}|max_f[^:\n]{{0,20}}){mark}\s*:", text, re.ASCII)


def is_text(pair: Pair) -> bool:
    """Whether a value is text in quotes, ``("Euler a")``, which is no number in quotes, ``"7"``."""
    plain = _bare(pair)
    return (pair.quoted or plain.text[:1] in ("'", '"')) and not _NUMBER.fullmatch(plain.text.strip("'\""))


def _bare(pair: Pair) -> Written:
    """The value without brackets around quotes."""
    value = pair.value.strip()
    if not pair.quoted and re.fullmatch(r"\(\s*(\"[^\"]*\"|'[^']*')\s*\)", value.text):
        return value[1:-1].strip()
    return value


def number_track(source: Source, ordered: Ordered, given: Given, target: Target) -> list[Stop]:
    """The stops that values in order of their frames set on a number.

    A plain number is a key, and what lies between it and the next is on a straight way. Anything else is an
    expression, worked out on every frame until the next key.
    """
    last = given.frames
    stops: list[Stop] = []
    for i, (frame, pair) in enumerate(ordered):
        value = _unquoted(pair)
        found = _NUMBER.fullmatch(value.text)
        if found and value.text.startswith("(") == value.text.endswith(")"):
            stops.append(Stop(frame, _inside(source, value, _said(found[1]), target)))
            continue
        if last is None:
            raise source.refuse(value.start, "an expression needs the number of frames; give frames (--frames 48)")
        end = ordered[i + 1][0] if i + 1 < len(ordered) else last
        start = 0 if i == 0 else frame
        span = range(start, max(min(end, last), start + 1))
        stops += numbers(start, _over(source, value, span, given, target))
    if len(stops) > MAX_KEYFRAMES:
        raise source.refuse(
            ordered[0][1].key.start,
            f"this changes on {len(stops)} frames; a recipe has up to {MAX_KEYFRAMES} keyframes",
        )
    return cut(source, stops, last)


def _said(digits: str) -> float:
    """The number that `digits` spell, exactly where it is an integer."""
    return int(digits) if re.fullmatch(r"[+-]?[0-9]{1,40}", digits) else float(digits)


def _unquoted(pair: Pair) -> Written:
    value = _bare(pair)
    return value[1:-1].strip() if not pair.quoted and value.text[:1] in ("'", '"') else value


def _over(source: Source, value: Written, span: range, given: Given, target: Target) -> list[float]:
    """The values of an expression on the frames of `span`."""
    names = given.names()
    with source.within(value):
        expression = parse(value.text, ("t", *names))
        now: dict[str, Any] = {
            name: names[name] if isinstance(names[name], (int, float)) else [names[name][f] for f in span]  # type: ignore[index]
            for name in expression.names - {"t"}
        }
        found = expression.over(span, **now)
    return [_inside(source, value, number, target, frame) for frame, number in zip(span, found, strict=True)]


def _inside(source: Source, written: Written, value: float, target: Target, frame: int | None = None) -> float:
    turned = target.turned(value)
    if not target.low <= turned <= target.high:
        when = "" if frame is None else f" at frame {frame}"
        raise source.refuse(
            written.start,
            f"{turned:g}{when} is no {target.track} from {target.low:g} to {target.high:g}; change the value",
        )
    return turned


def seed_track(source: Source, ordered: Ordered, given: Given) -> list[Stop]:
    """The stops of seeds: whole numbers, cut from the values of every frame; below 0 stands for a random one."""
    if given.frames is None:
        raise source.refuse(ordered[0][1].key.start, "seeds need the number of frames; give frames (--frames 48)")
    stops = number_track(source, ordered, given, TARGETS["seed"])
    seeds = [int(value) for value in _every(stops, given.frames)]
    if min(seeds) < 0:
        source.note("the seed -1 stands for a random one: here it is drawn from the main seed and the frame")
    seeds = [random_seed(given.seed or 0, frame) if seed < 0 else seed for frame, seed in enumerate(seeds)]
    return steps_of([Mix.one(seed) for seed in seeds])


def _every(stops: Sequence[Stop], frames: int) -> list[float | Fraction]:
    """The number of each frame, on straight ways between the stops; exactly between integers."""
    values = [stops[0].value] * frames
    for start, end in pairwise(stops):
        way, gap = end.value - start.value, end.frame - start.frame
        exact = isinstance(way, int)
        for frame in range(start.frame, end.frame):
            gone = way * (frame - start.frame)
            values[frame] = start.value + (Fraction(gone, gap) if exact else gone / gap)
    values[stops[-1].frame :] = [stops[-1].value] * (frames - stops[-1].frame)
    return values


def sampler_said(source: Source, pairs: Sequence[Pair]) -> dict[str, Any]:
    """The sampler, and perhaps the scheduler, of a text schedule; RecipeError when there is more than one."""
    meant: dict[str, Any] = {}
    for pair in pairs:
        label = _bare(pair)
        text = label.text.strip("'\"")
        found = sampler_of(text)
        if found is None:
            raise source.refuse(label.start, f"{check.show(text)} is neither a number nor a sampler; mend it")
        said = {"sampler": found[0], **({"scheduler": found[1]} if found[1] else {})}
        if meant and said != meant:
            raise source.refuse(label.start, "a second sampler; a recipe has one for all frames, so keep one of them")
        meant = said
    return meant


def target_of(name: str) -> Target:
    """The target called `name`."""
    if name not in TARGETS:
        raise RecipeError(f"{check.show(name)} is no field that values can set; use one of {', '.join(TARGETS)}")
    return TARGETS[name]


def tracks_of(source: Source, ordered: Ordered, given: Given) -> Mapping[str, list[Stop]]:
    """The track that a value schedule sets, by its name."""
    if given.field is None:
        raise source.refuse(
            ordered[0][1].key.start,
            "these numbers may set any field; write which one before them, such as cfg: or denoise: "
            "(cfg, denoise, strength, seed), or name it (--field). A recipe has no camera, so a zoom has no field",
        )
    target = target_of(given.field)
    if target.track == "seed":
        return {"seed": seed_track(source, ordered, given)}
    return {target.track: number_track(source, ordered, given, target)}
