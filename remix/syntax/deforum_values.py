"""Deforum's and FizzNodes' value schedule: ``0:(7), 15:(9), 30:(7+sin(t/4))``.

Numbers are keys with straight ways between them; an expression of `t`, `max_f` (the last frame), `s` (the
seed) and `fps` is worked out on every frame until the next key. A text schedule, ``0:("Euler a")``, names the sampler.
The field that the numbers are of may stand before them: ``cfg: 0:(7), 15:(9)``.
"""

from __future__ import annotations

from dataclasses import replace

from remix.plan.keyframe import Keyframe
from remix.plan.recipe import Recipe
from remix.plan.schedule import plan
from remix.syntax.pairs import frame_of, in_order, read_pairs
from remix.syntax.parts import Given, Parts
from remix.syntax.scan import Source
from remix.syntax.tracks import lay, numbers
from remix.syntax.values import is_text, label_of, sampler_said, target_of, tracks_of
from remix.syntax.writing import Export, Sheet, said


def read(source: Source, given: Given) -> Parts:
    """The parts that a value schedule says of the field that is `given` for it."""
    if label := label_of(source):
        if given.field not in (None, label.field):
            raise source.refuse(0, f"these are values of {label.field}, and {given.field} was asked for; keep one")
        source, given = source.only(label.start, label.end), replace(given, field=label.field)
    clock = given.clock()
    ordered = in_order(source, [(frame_of(source, pair.key, clock), pair.key, pair) for pair in read_pairs(source)])
    pairs = [pair for _, pair in ordered]
    if given.field == "sampler" or all(is_text(pair) for pair in pairs):
        return Parts((Keyframe(at=0),), frames=given.frames, fps=given.fps, **sampler_said(source, pairs))
    keyframes, ease = lay(source, tracks_of(source, ordered, given))
    return Parts(keyframes, frames=given.frames, fps=given.fps, ease=ease)


def write(recipe: Recipe, field: str) -> Export:
    """One field of the recipe as a value schedule: exactly what the schedule has, whatever its eases and curve."""
    target = target_of(field)
    sheet = Sheet(recipe, carried=(target.track, "curve"))
    sheet.lose("the prompts; write them with --to deforum-prompts or --to fizznodes")
    if field == "sampler":
        return sheet.export(f'0:("{recipe.sampler}")\n')
    frames = plan(recipe).frames
    if target.track == "seed":
        if any(len(frame.seed.items) > 1 for frame in frames):
            sheet.lose("the mixes of two seeds; the heavier one is written")
        values: list[float] = [frame.seed.heaviest for frame in frames]
    else:
        values = [target.turned(getattr(frame, target.track)) for frame in frames]
    stops = numbers(0, values)
    if len(stops) > 1 and stops[-1].value == stops[-2].value:
        stops.pop()  # the last key holds to the end
    return sheet.export(", ".join(f"{stop.frame}:({said(stop.value)})" for stop in stops) + "\n")
