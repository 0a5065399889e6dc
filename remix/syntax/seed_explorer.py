"""Inspire's seed explorer: ``7, 12:0.3, 99:0.1``, a seed and others that are mixed into it one after another."""

from __future__ import annotations

import re

from remix.plan.fields import show
from remix.plan.keyframe import MAX_SEED, Keyframe
from remix.plan.mix import Mix
from remix.syntax.parts import Given, Parts
from remix.syntax.scan import Source, Written

_SEED = re.compile(r"[0-9]{1,20}", re.ASCII)
_STRENGTH = re.compile(r"[0-9]{1,2}(?:\.[0-9]{0,20})?|\.[0-9]{1,20}", re.ASCII)
MAX_SEEDS = 64


def read(source: Source, given: Given) -> Parts:
    """The parts that a seed and its variations say: one mix, in which each strength is the share of its seed."""
    mix: Mix[int] | None = None
    start = 0
    items = source.text.split(",")
    if len(items) > MAX_SEEDS:
        raise source.refuse(0, f"{len(items)} seeds are too many; keep to {MAX_SEEDS}")
    for item in items:
        written = source.piece(start, start + len(item)).strip()
        start += len(item) + 1
        seed, colon, strength = (part.strip() for part in written.text.partition(":"))
        if not _SEED.fullmatch(seed) or int(seed) > MAX_SEED:
            raise source.refuse(written.start, f"{show(seed)} is not a seed; write a number from 0 to 2^64 - 1")
        if mix is None:
            if colon:
                raise source.refuse(written.start, "the first seed has a strength; write it alone: 7, 12:0.3")
            mix = Mix.one(int(seed))
        else:
            mix = mix.toward(Mix.one(int(seed)), _share(source, written, strength))
    if mix is not None and len(mix.items) == 2:
        source.note("two seeds are mixed on the arc, as the explorer does with the method slerp")
    return Parts((Keyframe(at=0, seed=mix),), frames=given.frames or 1, fps=given.fps)


def _share(source: Source, written: Written, strength: str) -> float:
    if not _STRENGTH.fullmatch(strength) or float(strength) > 1:
        raise source.refuse(written.start, f"{show(written.text)} is not a seed with a strength to 1; write 12:0.3")
    return float(strength)
