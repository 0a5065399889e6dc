"""FizzNodes' prompt schedule: ``"0": "spring --neg snow", "max_f/2": "autumn (leaf:`sin(t)`)"``.

Prompts travel straight from key to key. In a key `max_f` is the number of frames, in backticks the last frame.
"""

from __future__ import annotations

import json

from remix.plan.recipe import Recipe
from remix.plan.syntax.pairs import frame_of, in_order, read_pairs
from remix.plan.syntax.parts import Given, Parts
from remix.plan.syntax.prompts import Spoken, around, sides, tracks
from remix.plan.syntax.scan import Source, Written, joined
from remix.plan.syntax.tracks import lay
from remix.plan.syntax.writing import Export, Line, Sheet, refused_in


def read(source: Source, given: Given) -> Parts:
    """The parts that a prompt schedule says."""
    clock = given.clock(last=0)
    found = []
    for pair in read_pairs(source):
        if not pair.quoted:
            raise source.refuse(pair.value.start, "this prompt is not in quotes; put it in quotes")
        found.append((frame_of(source, pair.key, clock), pair.key, surrounded(source, pair.value, given, " ")))
    spoken = [Spoken(frame, prompt) for frame, prompt in in_order(source, found)]
    keyframes, ease = lay(source, tracks(source, spoken, given.frames, given.names()))
    return Parts(keyframes, frames=given.frames, fps=given.fps, ease=ease)


def surrounded(source: Source, prompt: Written, given: Given, between: str) -> Written:
    """The prompt with what is given to stand before and after it, on both sides of ``--neg``."""
    if not given.before and not given.after:
        return prompt
    given_sides = [
        sides(source, Written(text, [prompt.start] * (len(text) + 1))) for text in (given.before, given.after)
    ]
    positive, negative = (
        around(side, before.text, after.text, between)
        for before, side, after in zip(given_sides[0], sides(source, prompt), given_sides[1], strict=True)
    )
    return joined([positive, "--neg", negative], " ") if negative.text else positive


def write(recipe: Recipe, field: str) -> Export:
    """The recipe as a prompt schedule: holds are written out, and a loop ends on its first prompt, at `max_f`."""
    sheet = Sheet(recipe)
    entries = []
    for line in sheet.travelling():
        key = "max_f" if line.frame == recipe.frames else str(line.frame)
        entries.append(f'"{key}": {json.dumps(spoken(sheet, line), ensure_ascii=False)}')
    if recipe.loop:
        sheet.lose("whether the film loops: the text travels home, and the player has to repeat it")
    return sheet.export(",\n".join(entries) + "\n")


def spoken(sheet: Sheet, line: Line) -> str:
    """A line's prompt, with ``--neg`` before its negative where it has one."""
    prompt, negative = sheet.one(line.prompt, line.frame), sheet.one(line.negative, line.frame)
    for text in (prompt, negative):
        refused_in(sheet, text, {"`": "the beginning of an expression", "--neg": "the beginning of the negative"})
    return f"{prompt} --neg {negative}".strip() if negative else prompt
