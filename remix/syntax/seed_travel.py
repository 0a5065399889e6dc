"""Seed travel: ``1, 2, (3), 4`` is a way from seed to seed, without those in brackets.

Lines such as ``Steps: 10``, ``Loop back to initial seed: yes``, ``Interpolation curve: Slow start`` and ``Curve
strength: 3`` may say what the script's panel says.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from remix.plan.expression import parse
from remix.plan.fields import show
from remix.plan.keyframe import MAX_SEED
from remix.plan.mix import STEPS, Mix, between
from remix.plan.moments import MAX_FRAMES
from remix.plan.names import nearest
from remix.plan.recipe import MAX_KEYFRAMES
from remix.syntax.parts import Given, Parts
from remix.syntax.scan import Source, Written
from remix.syntax.stages import staged
from remix.syntax.tracks import Stop, cut, lay

CURVES = {
    "linear": "t",
    "hug-the-middle": "t + s/30 * sin(tau*t)",
    "hug-the-nodes": "t - s/30 * sin(tau*t)",
    "slow start": "t**s",
    "quick start": "1 - (1-t)**s",
    "easy ease in": "(1 - cos(t**(s*pi/10) * pi)) / 2",
    "partial": "t * s/10",
    "random": "",
}
"""How far the way to the next seed is, by the name of the curve: `t` is the share of the time, `s` the strength."""

LABEL = re.compile(r"([A-Za-z][A-Za-z ]{1,40}?)(?:\s*\([^)]*\))?\s*:\s*(.*)")
SEEDS = re.compile(r"[\d\s,()]*", re.ASCII)
_ITEM = re.compile(r"\([^)]*\)|[^,\s()]+|[()]")
LABELS = ("seed", "destination seeds", "steps", "loop back to initial seed", "interpolation curve", "curve strength")


def read(source: Source, given: Given) -> Parts:
    """The parts that a list of seeds says; the main seed that is `given` goes before them."""
    seeds, labels = _lines(source)
    if given.seed is not None:
        seeds = [given.seed, *seeds]
    if not seeds:
        raise source.refuse(0, "there are no seeds; write them with commas between: 1, 2, 3")
    loop = given.loop or ("loop back to initial seed" in labels and _yes(source, labels["loop back to initial seed"]))
    given = replace(given, loop=loop and len(seeds) > 1)
    mixes = [Mix.one(seed) for seed in seeds]
    spacing = given.spacing or ((_count(source, labels["steps"]),) if "steps" in labels else ())
    ways = [spacing[0]] * (len(seeds) - 1) if len(spacing) == 1 else None
    curve = _curve(source, labels.get("interpolation curve"))
    if curve == "linear":
        return staged(source, {"seed": mixes}, given, ways, {"fps": given.fps})
    return _curved(source, mixes, given, ways, curve, _strength(source, labels.get("curve strength")))


def _lines(source: Source) -> tuple[list[int], dict[str, Written]]:
    seeds: list[int] = []
    labels: dict[str, Written] = {}
    start = 0
    for line in source.text.split("\n"):
        written = source.piece(start, start + len(line)).strip()
        start += len(line) + 1
        found = LABEL.fullmatch(written.text)
        if not found:
            seeds += _seeds(source, written)
            continue
        name = " ".join(found[1].lower().split())
        if name not in LABELS:
            raise source.refuse(written.start, f"{show(found[1])} is not asked here; {nearest(name, LABELS)}")
        value = written[found.start(2) :]
        if name in ("seed", "destination seeds"):
            seeds[0 if name == "seed" else len(seeds) :] = [*_seeds(source, value), *(seeds if name == "seed" else [])]
        else:
            labels[name] = value
    return seeds, labels


def _seeds(source: Source, written: Written) -> list[int]:
    seeds = []
    for found in _ITEM.finditer(written.text):
        if found[0].startswith("(") and found[0].endswith(")"):
            continue  # a seed that the author has put in brackets is left out
        if not re.fullmatch(r"[0-9]{1,20}", found[0], re.ASCII) or int(found[0]) > MAX_SEED:
            place = written.places[found.start()]
            raise source.refuse(place, f"{show(found[0])} is not a seed; write a number from 0 to 2^64 - 1")
        seeds.append(int(found[0]))
    return seeds


def _count(source: Source, value: Written) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", value.text, re.ASCII) or not 1 <= int(value.text) <= MAX_FRAMES:
        raise source.refuse(value.start, f"{show(value.text)} is not a number of steps; write one from 1")
    return int(value.text)


def _yes(source: Source, value: Written) -> bool:
    known = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}
    if value.text.lower() not in known:
        raise source.refuse(value.start, f"{show(value.text)} is neither yes nor no; write one of them")
    return known[value.text.lower()]


def _curve(source: Source, value: Written | None) -> str:
    if value is None:
        return "linear"
    name = " ".join(value.text.lower().split())
    if name not in CURVES:
        raise source.refuse(value.start, f"{show(value.text)} is not a curve; {nearest(name, CURVES)}")
    if name in ("quick start", "easy ease in"):
        source.note(f"the script runs its curve {value.text} otherwise than its own page draws it; here it is as drawn")
    return name


def _strength(source: Source, value: Written | None) -> float:
    if value is None:
        return 3.0
    if not re.fullmatch(r"[0-9]{1,2}(\.[0-9]{0,9})?", value.text, re.ASCII) or float(value.text) > 10:
        raise source.refuse(value.start, f"{show(value.text)} is no strength from 0 to 10; write one")
    return float(value.text)


def _curved(
    source: Source, mixes: Sequence[Mix[int]], given: Given, ways: list[int] | None, curve: str, strength: float
) -> Parts:
    """The parts of a way along a curve: a keyframe for each frame."""
    gaps = len(mixes) - (not given.loop)
    if ways is None and given.frames is None:
        raise source.refuse(
            0, "the number of frames is not in the text; give frames (--frames 48), or a line Steps: 10"
        )
    whole = given.frames or 1
    at = [i * (whole if given.loop else whole - 1) // max(gaps, 1) for i in range(gaps + 1)]
    if ways:
        at = [i * ways[0] for i in range(gaps + 1)]
    total = at[-1] + (not given.loop)
    if total > MAX_KEYFRAMES:
        raise source.refuse(0, f"a curve over {total} frames needs as many keyframes; keep to {MAX_KEYFRAMES}")
    stops = []
    for i in range(gaps):
        shares = _shares(curve, strength, at[i + 1] - at[i], i)
        way = between(mixes[i], mixes[(i + 1) % len(mixes)], [round(share * STEPS) for share in shares])
        stops += [Stop(at[i] + j, mix) for j, mix in enumerate(way)]
    if not given.loop:
        stops.append(Stop(at[-1], mixes[-1]))
    frames = given.frames or total
    keyframes, ease = lay(source, {"seed": cut(source, stops, frames)})
    return Parts(keyframes, frames=frames, fps=given.fps, loop=given.loop or None, ease=ease)


def _shares(curve: str, strength: float, frames: int, gap: int) -> list[float]:
    """How far the way to the next seed is at each of its frames."""
    if curve == "random":
        chance = random.Random(gap)  # the same flicker on every machine
        return [chance.random() * strength / 10 for _ in range(frames)]
    expression = parse(CURVES[curve])
    names: Mapping[str, float] = {"s": strength} if "s" in expression.names else {}
    return [min(max(expression.evaluate(t=j / frames, **names), 0.0), 1.0) for j in range(frames)]
