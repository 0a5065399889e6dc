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
from remix.syntax.text.boxes import read_boxes, recipe_fields, seed_of
from remix.syntax.text.export import Draft, Export, Line, lose_misread
from remix.syntax.text.lines import refuse_keyed
from remix.syntax.text.literal import after_gap
from remix.syntax.text.pairs import by_frame, frame_of, read_pairs
from remix.syntax.text.parts import Options, Parts
from remix.syntax.text.prompts import TimedPrompt, tracks, wrap_sides
from remix.syntax.text.source import Source, Span, quoted
from remix.syntax.text.syntax import Shape, Syntax
from remix.syntax.text.tracks import Stop, to_keyframes

_FRAMES = r"(?:[0-9]{1,12}|max_f[^\"'\n:]{0,40})"
_KEY = re.compile(rf"(?:([\"']){_FRAMES}\1|{_FRAMES})\s{{0,9}}:\s{{0,9}}[\"']", re.ASCII)
_LINE = re.compile(
    rf"^[ \t]*(?:([\"']){_FRAMES}\1\s{{0,9}}:\s{{0,9}}[\"']"
    rf"|{_FRAMES}\s{{0,9}}:\s{{0,9}}(?:\"[^\"\n]*\"|'[^'\n]*')[ \t]*,)",
    re.ASCII | re.MULTILINE,
)
"""The first line of the pairs. A key without quotes needs a comma after its prompt: AnimateDiff's box has none."""
_PAIRED = re.compile(r":\s{0,9}[\"']")
_QUOTED_KEY = re.compile(r"[\"'][^\"'\n]*[\"']\s*:")
_QUOTED_VALUE = re.compile(r"""[0-9]{1,12}\s*:\s*("[^"\n]*"|'[^'\n]*')[^\S\n]*(?:,|\n|$)""")
_ANY_LINE = re.compile(r"[^\n]+")


def looks(shape: Shape) -> bool:
    if _has_head(shape.source):
        return True
    if shape.text[shape.start : shape.start + 1] in ("'", '"'):
        if shape.pairs is None:
            return bool(_QUOTED_KEY.match(shape.text, shape.start))
        return any(pair.quoted for pair in shape.pairs)
    return bool(_QUOTED_VALUE.match(shape.text, shape.start))


def _has_head(source: Source) -> bool:
    """Returns whether lines of a prompt come before pairs such as ``"0": "a"``."""
    start, first = after_gap(source, 0), _LINE.search(source.text)
    if first is None or first.start() <= start or source.text[start] == "{":
        return False
    return not _PAIRED.search(source.text[start:].split("\n", 1)[0])


def read(source: Source, options: Options) -> Parts:
    """Returns the parts of a prompt schedule."""
    clock = options.clock(last=0)
    body, options, between, settings = _split(source, options)
    found = []
    for pair in read_pairs(body):
        if not pair.quoted:
            raise source.error(pair.value.start, "this prompt is not in quotes; put it in quotes")
        found.append((frame_of(source, pair.key, clock), pair.key, wrap_sides(source, pair.value, options, between)))
    prompts = [TimedPrompt(frame, prompt) for frame, prompt in by_frame(source, found)]
    every = tracks(source, prompts, options.frames, options.names())
    seed = seed_of(source, settings)
    if seed is not None:
        every["seed"] = [Stop(0, Mix.one(seed))]
    keyframes, ease = to_keyframes(source, every)
    return Parts(keyframes, frames=options.frames, fps=options.fps, ease=ease, **recipe_fields(source, settings))


def _split(source: Source, options: Options) -> tuple[Source, Options, str, Mapping[str, Span]]:
    """Returns the pairs alone, options with the text around every prompt, its separator, and the settings below.

    The lines before and after the pairs are added around every prompt, and the text after ``Negative prompt:`` around
    every negative. Raises RecipeError for a line that looks keyed.
    """
    begin = after_gap(source, 0)
    first = _LINE.search(source.text) if _has_head(source) else None
    start = first.start() if first else begin
    end = _end(source, source.after_blanks(start))
    boxes = read_boxes(source.part(end, len(source.text)))
    head, tail, negatives = (_content(lines) for lines in (_lines(source, start), boxes.prompt, boxes.negative))
    if not (head or tail or negatives or boxes.settings):
        return source, options, " ", {}
    if late := next((line for line in tail if _LINE.match(line.text)), None):
        raise source.error(late.start, "the line above has no key; move it before or after all keys")
    refuse_keyed(source, [*head, *tail])
    before = [options.before.strip(), *(line.text.strip(", ") for line in head)]
    after = [*(line.text.strip(", ") for line in tail), options.after.strip()]
    behind = ", ".join(text for text in after if text)
    if negatives:
        behind = f"{behind} --neg {', '.join(line.text.strip(', ') for line in negatives)}"
    wrapped = replace(options, before=", ".join(text for text in before if text), after=behind)
    return source.part(start, end), wrapped, ", ", boxes.settings


def _lines(source: Source, end: int) -> list[Span]:
    """Returns the lines up to the offset `end`."""
    return [source.span(found.start(), found.end()).strip() for found in _ANY_LINE.finditer(source.text, 0, end)]


def _content(lines: Sequence[Span]) -> list[Span]:
    """Returns the lines that are neither blank nor a comment."""
    return [line for line in lines if line.text and not line.text.startswith(("#", "//"))]


def _end(source: Source, start: int) -> int:
    """Returns the end of the pairs from `start`: after the last complete one, or the text's end if one is broken."""
    here = start
    while found := _KEY.match(source.text, here):
        try:
            here = quoted(source, found.end() - 1)[1]
        except RecipeError:
            return len(source.text)
        after = source.after_blanks(here)
        here = after_gap(source, after + 1) if source.text[after : after + 1] == "," else after
    return here if here > start and _starts_line(source, here) else len(source.text)


def _starts_line(source: Source, at: int) -> bool:
    return "\n" in source.text[len(source.text[:at].rstrip()) : at]


def write(recipe: Recipe, field: str) -> Export:
    """Returns the recipe as a prompt schedule, holds written out; a loop ends on its first prompt, at `max_f`."""
    draft = Draft(recipe)
    entries = []
    for line in draft.straight_lines():
        key = "max_f" if line.frame == recipe.frames else str(line.frame)
        entries.append(f'"{key}": {json.dumps(_prompt_text(draft, line), ensure_ascii=False)}')
    if recipe.loop:
        draft.lose("whether the film loops: the text travels back to its start, and the player has to repeat it")
    return draft.export(",\n".join(entries) + "\n")


def _prompt_text(draft: Draft, line: Line) -> str:
    """Returns the prompt of a line, with ``--neg`` before its negative if it has one."""
    prompt, negative = draft.one(line.prompt, line.frame), draft.one(line.negative, line.frame)
    for text in (prompt, negative):
        lose_misread(draft, text, {"`": "the beginning of an expression", "--neg": "the beginning of the negative"})
    return f"{prompt} --neg {negative}".strip() if negative else prompt


SYNTAX = Syntax("fizznodes", "FizzNodes' prompt schedule", looks, read, write)
