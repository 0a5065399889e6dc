"""Lists of seeds: A1111's seed travel script, and Inspire's seed explorer for ComfyUI.

``1, 2, (3), 4`` travels from seed to seed, without those in brackets; lines such as ``Steps: 10``, ``Loop back to
initial seed: yes``, ``Interpolation curve: Slow start`` and ``Curve strength: 3`` are the other fields of the script.
``7, 12:0.3, 99:0.1`` is one mix: a seed, and others that are mixed into it one after another.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from remix.plan.expression import parse
from remix.plan.fields import show
from remix.plan.keyframe import MAX_SEED, Keyframe
from remix.plan.mix import STEPS, Mix, between
from remix.plan.moments import MAX_FRAMES
from remix.plan.recipe_values import MAX_KEYFRAMES
from remix.plan.wording import nearest
from remix.syntax.text.parts import Options, Parts
from remix.syntax.text.source import Source, Span
from remix.syntax.text.syntax import Shape, Syntax
from remix.syntax.text.tracks import Stop, clip, from_stages, to_keyframes

_CURVES = {
    "linear": "t",
    "hug-the-middle": "t + s/30 * sin(tau*t)",
    "hug-the-nodes": "t - s/30 * sin(tau*t)",
    "slow start": "t**s",
    "quick start": "1 - (1-t)**s",
    "easy ease in": "(1 - cos(t**(s*pi/10) * pi)) / 2",
    "partial": "t * s/10",
    "random": "",
}
"""Progress to the next seed by the name of the curve; `t` is the share of the time, `s` the strength."""

_LABEL = re.compile(r"([A-Za-z][A-Za-z ]{1,40}?)(?:\s*\([^)]*\))?\s*:\s*(.*)")
_SEEDS = re.compile(r"[\d\s,()]*", re.ASCII)
_EXPLORED = re.compile(r"\s*[0-9]+\s*(?:,\s*[0-9]+\s*:\s*[0-9.]+\s*)+", re.ASCII)
_ONE_SEED = re.compile(r"[0-9]{1,20}", re.ASCII)
_STRENGTH = re.compile(r"[0-9]{1,2}(?:\.[0-9]{0,20})?|\.[0-9]{1,20}", re.ASCII)
_MAX_EXPLORED = 64
_ITEM = re.compile(r"\([^)]*\)|[^,\s()]+|[()]")
_LABELS = ("seed", "destination seeds", "steps", "loop back to initial seed", "interpolation curve", "curve strength")


def looks_travel(shape: Shape) -> bool:
    text = "".join(shape.lines)
    if _SEEDS.fullmatch(text):
        return "," in text or len(shape.lines) > 1  # one number alone is no travel
    labels = [_LABEL.fullmatch(line) for line in shape.lines if not _SEEDS.fullmatch(line)]
    names = [" ".join(found[1].lower().split()) for found in labels if found]
    has_seeds = len(names) < len(shape.lines) or "destination seeds" in names
    return has_seeds and len(names) == len(labels) and set(names) <= set(_LABELS)


def read_travel(source: Source, options: Options) -> Parts:
    """Returns the parts of a list of seeds; the main seed of the options goes before them."""
    seeds, labels = _seeds_and_labels(source)
    if options.seed is not None:
        seeds = [options.seed, *seeds]
    if not seeds:
        raise source.error(0, "there are no seeds; write them with commas between: 1, 2, 3")
    loop = options.loop or ("loop back to initial seed" in labels and _yes(source, labels["loop back to initial seed"]))
    options = replace(options, loop=loop and len(seeds) > 1)
    mixes = [Mix.one(seed) for seed in seeds]
    spacing = options.spacing or ((_count(source, labels["steps"]),) if "steps" in labels else ())
    steps = [spacing[0]] * (len(seeds) - 1) if len(spacing) == 1 else None
    curve = _curve(source, labels.get("interpolation curve"))
    if curve == "linear":
        return from_stages(source, {"seed": mixes}, options, steps, {"fps": options.fps})
    return _curved(source, mixes, options, steps, curve, _strength(source, labels.get("curve strength")))


def _seeds_and_labels(source: Source) -> tuple[list[int], dict[str, Span]]:
    seeds: list[int] = []
    labels: dict[str, Span] = {}
    for written in source.span().split("\n"):
        found = _LABEL.fullmatch(written.text)
        if not found:
            seeds += _seeds(source, written)
            continue
        name = " ".join(found[1].lower().split())
        if name not in _LABELS:
            problem = f"{show(found[1])} is not a field of the script; {nearest(name, _LABELS)}"
            raise source.error(written.start, problem)
        value = written[found.start(2) :]
        if name in ("seed", "destination seeds"):
            seeds[0 if name == "seed" else len(seeds) :] = [*_seeds(source, value), *(seeds if name == "seed" else [])]
        else:
            labels[name] = value
    return seeds, labels


def _seeds(source: Source, written: Span) -> list[int]:
    seeds = []
    for found in _ITEM.finditer(written.text):
        if found[0].startswith("(") and found[0].endswith(")"):
            continue  # a seed in brackets is left out
        if not re.fullmatch(r"[0-9]{1,20}", found[0], re.ASCII) or int(found[0]) > MAX_SEED:
            place = written.places[found.start()]
            raise source.error(place, f"{show(found[0])} is not a seed; write a number from 0 to 2^64 - 1")
        seeds.append(int(found[0]))
    return seeds


def _count(source: Source, value: Span) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", value.text, re.ASCII) or not 1 <= int(value.text) <= MAX_FRAMES:
        raise source.error(value.start, f"{show(value.text)} is not a number of steps; write one from 1")
    return int(value.text)


def _yes(source: Source, value: Span) -> bool:
    known = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}
    if value.text.lower() not in known:
        raise source.error(value.start, f"{show(value.text)} is neither yes nor no; write one of them")
    return known[value.text.lower()]


def _curve(source: Source, value: Span | None) -> str:
    if value is None:
        return "linear"
    name = " ".join(value.text.lower().split())
    if name not in _CURVES:
        raise source.error(value.start, f"{show(value.text)} is not a curve; {nearest(name, _CURVES)}")
    if name in ("quick start", "easy ease in"):
        source.note(
            f"the script runs its curve {value.text} differently from its documentation; here it is as documented"
        )
    return name


def _strength(source: Source, value: Span | None) -> float:
    if value is None:
        return 3.0
    if not re.fullmatch(r"[0-9]{1,2}(\.[0-9]{0,9})?", value.text, re.ASCII) or float(value.text) > 10:
        raise source.error(value.start, f"{show(value.text)} is not a strength from 0 to 10; write one")
    return float(value.text)


def _curved(
    source: Source, mixes: Sequence[Mix[int]], options: Options, steps: list[int] | None, curve: str, strength: float
) -> Parts:
    """Returns the parts of a travel along a curve: a keyframe for each frame."""
    gaps = len(mixes) - (not options.loop)
    if steps is None and options.frames is None:
        raise source.error(0, "the number of frames is not in the text; give frames (--frames 48), or a line Steps: 10")
    whole = options.frames or 1
    at = [i * (whole if options.loop else whole - 1) // max(gaps, 1) for i in range(gaps + 1)]
    if steps:
        at = [i * steps[0] for i in range(gaps + 1)]
    total = at[-1] + (not options.loop)
    if total > MAX_KEYFRAMES:
        raise source.error(0, f"a curve over {total} frames needs as many keyframes; keep to {MAX_KEYFRAMES}")
    stops = []
    for i in range(gaps):
        shares = _shares(curve, strength, at[i + 1] - at[i], i)
        travel = between(mixes[i], mixes[(i + 1) % len(mixes)], [round(share * STEPS) for share in shares])
        stops += [Stop(at[i] + j, mix) for j, mix in enumerate(travel)]
    if not options.loop:
        stops.append(Stop(at[-1], mixes[-1]))
    frames = options.frames or total
    keyframes, ease = to_keyframes(source, {"seed": clip(source, stops, frames)})
    return Parts(keyframes, frames=frames, fps=options.fps, loop=options.loop or None, ease=ease)


def _shares(curve: str, strength: float, frames: int, index: int) -> list[float]:
    """Returns the progress to the next seed at each frame before it."""
    if curve == "random":
        chance = random.Random(index)  # the same flicker on every machine
        return [chance.random() * strength / 10 for _ in range(frames)]
    expression = parse(_CURVES[curve])
    names: Mapping[str, float] = {"s": strength} if "s" in expression.names else {}
    return [min(max(expression.evaluate(t=j / frames, **names), 0.0), 1.0) for j in range(frames)]


def looks_explorer(shape: Shape) -> bool:
    return bool(_EXPLORED.fullmatch(shape.text))


def read_explorer(source: Source, options: Options) -> Parts:
    """Returns the parts of a seed and its variations: one mix, in which each strength is the share of its seed."""
    mix: Mix[int] | None = None
    items = source.span().split(",")
    if len(items) > _MAX_EXPLORED:
        raise source.error(0, f"{len(items)} seeds are too many; keep to {_MAX_EXPLORED}")
    for written in items:
        seed, colon, strength = (part.strip() for part in written.text.partition(":"))
        if not _ONE_SEED.fullmatch(seed) or int(seed) > MAX_SEED:
            raise source.error(written.start, f"{show(seed)} is not a seed; write a number from 0 to 2^64 - 1")
        if mix is None:
            if colon:
                raise source.error(written.start, "the first seed has a strength; write it alone: 7, 12:0.3")
            mix = Mix.one(int(seed))
        else:
            mix = mix.toward(Mix.one(int(seed)), _share(source, written, strength))
    if mix is not None and len(mix.items) == 2:
        source.note("two seeds are mixed on the arc, as the explorer does with the method slerp")
    return Parts((Keyframe(at=0, seed=mix),), frames=options.frames or 1, fps=options.fps)


def _share(source: Source, written: Span, strength: str) -> float:
    if not _STRENGTH.fullmatch(strength) or float(strength) > 1:
        raise source.error(written.start, f"{show(written.text)} is not a seed with a strength to 1; write 12:0.3")
    return float(strength)


TRAVEL = Syntax("seed-travel", "A1111's seed travel script", looks_travel, read_travel, wraps=False)
EXPLORER = Syntax("seed-explorer", "Inspire's seed explorer", looks_explorer, read_explorer, wraps=False)
