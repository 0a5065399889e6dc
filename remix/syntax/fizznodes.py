"""FizzNodes' prompt schedule: ``"0": "spring --neg snow", "max_f/2": "autumn (leaf:`sin(t)`)"``.

Prompts travel straight from key to key. In a key `max_f` is the number of frames, in backticks the last frame. Lines
before and after the pairs belong to every prompt, as in a prompt box of AnimateDiff.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from remix.errors import RecipeError
from remix.plan.mix import Mix
from remix.plan.recipe import Recipe
from remix.syntax.boxes import read_boxes, said, seed_said
from remix.syntax.keyed import refuse_keyed
from remix.syntax.literal import gap
from remix.syntax.pairs import frame_of, in_order, read_pairs
from remix.syntax.parts import Given, Parts
from remix.syntax.prompts import Spoken, around, sides, tracks
from remix.syntax.scan import Source, Written, joined, quoted
from remix.syntax.tracks import Stop, lay
from remix.syntax.writing import Export, Line, Sheet, refused_in

_FRAMES = r"(?:[0-9]{1,12}|max_f[^\"'\n:]{0,40})"
_KEY = re.compile(rf"(?:([\"']){_FRAMES}\1|{_FRAMES})\s{{0,9}}:\s{{0,9}}[\"']", re.ASCII)
_LINE = re.compile(
    rf"^[ \t]*(?:([\"']){_FRAMES}\1\s{{0,9}}:\s{{0,9}}[\"']"
    rf"|{_FRAMES}\s{{0,9}}:\s{{0,9}}(?:\"[^\"\n]*\"|'[^'\n]*')[ \t]*,)",
    re.ASCII | re.MULTILINE,
)
"""The first line of the pairs. A key without quotes needs a comma after its prompt: AnimateDiff's box has none."""
_PAIRED = re.compile(r":\s{0,9}[\"']")
_ANY_LINE = re.compile(r"[^\n]+")


def has_head(source: Source) -> bool:
    """Whether lines of a prompt stand before pairs such as ``"0": "a"``."""
    start, first = gap(source, 0), _LINE.search(source.text)
    if first is None or first.start() <= start or source.text[start] == "{":
        return False
    return not _PAIRED.search(source.text[start:].split("\n", 1)[0])


def read(source: Source, given: Given) -> Parts:
    """The parts that a prompt schedule says."""
    clock = given.clock(last=0)
    body, given, between, settings = _parted(source, given)
    found = []
    for pair in read_pairs(body):
        if not pair.quoted:
            raise source.refuse(pair.value.start, "this prompt is not in quotes; put it in quotes")
        found.append((frame_of(source, pair.key, clock), pair.key, surrounded(source, pair.value, given, between)))
    spoken = [Spoken(frame, prompt) for frame, prompt in in_order(source, found)]
    every = tracks(source, spoken, given.frames, given.names())
    seed = seed_said(source, settings)
    if seed is not None:
        every["seed"] = [Stop(0, Mix.one(seed))]
    keyframes, ease = lay(source, every)
    return Parts(keyframes, frames=given.frames, fps=given.fps, ease=ease, **said(source, settings))


def _parted(source: Source, given: Given) -> tuple[Source, Given, str, Mapping[str, Written]]:
    """The pairs alone, what goes around every prompt and what stands between, and the settings below the pairs.

    The lines before and after the pairs go around every prompt, and what follows ``Negative prompt:`` around every
    negative. RecipeError for one that looks keyed.
    """
    begin = gap(source, 0)
    first = _LINE.search(source.text) if has_head(source) else None
    start = first.start() if first else begin
    end = _end(source, source.blank(start))
    boxes = read_boxes(source.only(end, len(source.text)))
    head, tail, negatives = (_saying(lines) for lines in (_lines(source, start), boxes.prompt, boxes.negative))
    if not (head or tail or negatives or boxes.settings):
        return source, given, " ", {}
    if late := next((line for line in tail if _LINE.match(line.text)), None):
        raise source.refuse(late.start, "a line without a key stands before this one; move it before or after all keys")
    refuse_keyed(source, [*head, *tail])
    before = [given.before.strip(), *(line.text.strip(", ") for line in head)]
    after = [*(line.text.strip(", ") for line in tail), given.after.strip()]
    behind = ", ".join(text for text in after if text)
    if negatives:
        behind = f"{behind} --neg {', '.join(line.text.strip(', ') for line in negatives)}"
    around = replace(given, before=", ".join(text for text in before if text), after=behind)
    return source.only(start, end), around, ", ", boxes.settings


def _lines(source: Source, end: int) -> list[Written]:
    """The lines up to the offset `end`."""
    return [source.piece(found.start(), found.end()).strip() for found in _ANY_LINE.finditer(source.text, 0, end)]


def _saying(lines: Sequence[Written]) -> list[Written]:
    """The lines that are neither blank nor a remark."""
    return [line for line in lines if line.text and not line.text.startswith(("#", "//"))]


def _end(source: Source, start: int) -> int:
    """Where the pairs end that begin at `start`: after the last that is whole, or at the end if one is not."""
    here = start
    while found := _KEY.match(source.text, here):
        try:
            here = quoted(source, found.end() - 1)[1]
        except RecipeError:
            return len(source.text)
        after = source.blank(here)
        here = gap(source, after + 1) if source.text[after : after + 1] == "," else after
    return here if here > start and _starts_line(source, here) else len(source.text)


def _starts_line(source: Source, at: int) -> bool:
    return "\n" in source.text[len(source.text[:at].rstrip()) : at]


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
