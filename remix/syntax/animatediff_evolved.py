"""AnimateDiff-Evolved's schedules: ``"0": "blue rock", "16:": "green rock"`` or ``0:12 = "a", 0.5 = "b", -1 = "c"``.

A key is a frame; a negative one counts from the end; with a point it is a share of the film. ``0:12`` holds from
0 to 11, ``16:`` until the next key. Values are prompts, or numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from remix.plan.fields import show
from remix.plan.recipe import Recipe
from remix.syntax.literal import gap
from remix.syntax.pairs import MAX_FRAME, Pair, read_pairs
from remix.syntax.parts import Given, Parts
from remix.syntax.prompts import Spoken, tracks
from remix.syntax.scan import Source, Written, joined
from remix.syntax.tracks import lay
from remix.syntax.values import tracks_of
from remix.syntax.writing import Export, Sheet, refused_in

_INDEX = re.compile(r"-?(?:[0-9]{1,12}\.?[0-9]{0,12}|\.[0-9]{1,12})", re.ASCII)
PYTHONIC = re.compile(r"\s*(?:\{\s*)?[-\d:.]+\s*=(?!>)", re.ASCII)


class Stretch(NamedTuple):
    """The frames that a key names, first and last, and whether it holds until the next key."""

    first: int
    last: int
    holds: bool
    pair: Pair


def read(source: Source, given: Given) -> Parts:
    """The parts that a prompt schedule or a value schedule says."""
    pairs = read_pairs(source, "=" if PYTHONIC.match(source.text, gap(source, 0)) else ":")
    if given.field == "sampler":
        raise source.refuse(
            pairs[0].value.start, 'samplers do not travel here; name one for the film, as deforum-values: 0:("Euler a")'
        )
    stretches = _in_order(source, [_stretch(source, pair, given.frames) for pair in pairs])
    words = [pair for pair in pairs if pair.quoted]
    if words and len(words) < len(pairs):
        bare = next(pair for pair in pairs if not pair.quoted)
        raise source.refuse(bare.value.start, f"{show(bare.value.text)} is not in quotes; put the prompt in quotes")
    if words:
        spoken = _each(stretches, lambda at, ease, pair: Spoken(at, _whole(pair.value, given), ease))
        found = tracks(source, spoken, given.frames, given.names())
    else:
        ordered = _each(stretches, lambda at, ease, pair: (at, pair))
        found = {name: list(track) for name, track in tracks_of(source, ordered, given).items()}
        holding = {stretch.last for stretch in stretches if stretch.holds}
        found = {name: [s._replace(ease="hold") if s.frame in holding else s for s in t] for name, t in found.items()}
    keyframes, ease = lay(source, found)
    return Parts(keyframes, frames=given.frames, fps=given.fps, ease=ease)


def _each(stretches: Sequence[Stretch], make: Callable[[int, str, Pair], Any]) -> list[Any]:
    """What `make` makes of the first and, where it is another, the last frame of each stretch."""
    found = []
    for stretch in stretches:
        if stretch.last > stretch.first:
            found.append(make(stretch.first, "linear", stretch.pair))
        found.append(make(stretch.last, "hold" if stretch.holds else "linear", stretch.pair))
    return found


def _whole(prompt: Written, given: Given) -> Written:
    return joined([given.before.strip(), prompt, given.after.strip()], ", ")


def _stretch(source: Source, pair: Pair, frames: int | None) -> Stretch:
    key = pair.key.strip()
    start, colon, end = key.text.partition(":")
    if not start or ":" in end:
        raise source.refuse(key.start, f'{show(key.text)} is not a key; write 12, "0:12", or "12:" to hold')
    first = _frame(source, key, start.strip(), frames, "first")
    if not end.strip():
        return Stretch(first, first, bool(colon), pair)
    after = _frame(source, key, end.strip(), frames, "after")
    if after < first:
        raise source.refuse(key.start, f"{show(key.text)} runs backwards; write the earlier frame first")
    return Stretch(first, max(first, after - 1), False, pair)


def _frame(source: Source, key: Written, text: str, frames: int | None, what: str) -> int:
    """The frame that an index means; at the end of a range, the frame after it."""
    if not _INDEX.fullmatch(text):
        raise source.refuse(key.start, f"{show(text)} is not a frame; write 12, -1 (the last) or 0.5 (half-way)")
    relative = "." in text or text.startswith("-")
    if relative and frames is None:
        raise source.refuse(key.start, f"{text} depends on the number of frames; give frames (--frames 48)")
    if not relative:
        frame = int(text)
        if frame > MAX_FRAME:
            raise source.refuse(key.start, f"frame {frame} is too far away; keep to {MAX_FRAME}")
        return frame
    assert frames is not None
    if "." in text:
        share = Fraction(text)
        if not 0 <= share <= 1:
            raise source.refuse(key.start, f"{text} is no share from 0 to 1; write one, or a frame without a point")
        return min(int(share * frames), frames - (what == "first"))
    frame = frames + int(text)
    if frame < 0:
        raise source.refuse(key.start, f"{text} is before the first frame of {frames}; write 0 for that")
    return frame


def _in_order(source: Source, stretches: list[Stretch]) -> list[Stretch]:
    stretches = sorted(stretches, key=lambda stretch: stretch.first)
    for i in range(1, len(stretches)):
        earlier, later = stretches[i - 1 : i + 1]
        if later.first <= earlier.last:
            raise source.refuse(
                later.pair.key.start,
                f"frame {later.first} belongs to the key {show(earlier.pair.key.text)} too; keep one of the two",
            )
    return stretches


def write(recipe: Recipe, field: str) -> Export:
    """The prompts of the recipe, or its negatives when that is the `field`; ``16:`` holds until the next key."""
    sheet = Sheet(recipe)
    negatives = field == "negative"
    other = [line.prompt if negatives else line.negative for line in sheet.lines]
    if any(mix.values != ("",) for mix in other):
        word = "prompts" if negatives else "negatives"
        sheet.lose(f"the {word}, which take a schedule of their own: --field {'prompt' if negatives else 'negative'}")
    lines = list(sheet.lines)
    if recipe.loop and len(lines) > 1:
        lines.append(lines[0]._replace(frame=recipe.frames, holds=False))
        sheet.lose("whether the film loops: the text travels home, and the player has to repeat it")
    entries = []
    for i, line in enumerate(lines):
        text = sheet.one(line.negative if negatives else line.prompt, line.frame)
        refused_in(sheet, text, {"`": "the beginning of a name", '"': "the end of the prompt; it is written as '"})
        if text.endswith("\\"):
            sheet.lose(f"{show(text)} ends in a backslash, which is read as a part of the quote after it")
        key = f"{line.frame}:" if line.holds and i + 1 < len(lines) else str(line.frame)
        entries.append(f'"{key}": "{text.replace(chr(34), chr(39))}"')
    return sheet.export(",\n".join(entries) + "\n")
