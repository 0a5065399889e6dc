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
from remix.syntax.text.export import Draft, Export, lose_misread
from remix.syntax.text.literal import after_gap
from remix.syntax.text.pairs import MAX_FRAME, Pair, read_pairs
from remix.syntax.text.parts import Options, Parts
from remix.syntax.text.prompts import TimedPrompt, tracks
from remix.syntax.text.source import Source, Span, join
from remix.syntax.text.syntax import Shape, Syntax
from remix.syntax.text.tracks import to_keyframes
from remix.syntax.text.values import tracks_of

_INDEX = re.compile(r"-?(?:[0-9]{1,12}\.?[0-9]{0,12}|\.[0-9]{1,12})", re.ASCII)
_PYTHONIC = re.compile(r"\s*(?:\{\s*)?[-\d:.]+\s*=(?!>)", re.ASCII)


_KEY = re.compile(r"[-\d:.]+", re.ASCII)
_OWN_KEY = re.compile(r"-?[0-9]+\.?[0-9]*:[-0-9.]*|-[0-9]+|[0-9]*\.[0-9]*:?", re.ASCII)
"""A key that no other tool has: -1, 0.5, 0:12 or 12:."""


class Stretch(NamedTuple):
    """The first and last frame of a key, and whether it holds until the next key."""

    first: int
    last: int
    holds: bool
    pair: Pair


def looks(shape: Shape) -> bool:
    """Returns whether a text looks like a prompt or value schedule of AnimateDiff-Evolved."""
    if _PYTHONIC.match(shape.text, shape.start):
        return True
    if shape.braced:
        keys = [key.strip() for key in shape.keys]
    else:
        quoted = shape.text[shape.start : shape.start + 1] in ("'", '"')
        keys = [pair.key.text.strip() for pair in shape.pairs or ()] if quoted else []
    return all(_KEY.fullmatch(key) for key in keys) and any(_OWN_KEY.fullmatch(key) for key in keys)


def read(source: Source, options: Options) -> Parts:
    """Returns the parts of a prompt schedule or value schedule."""
    pairs = read_pairs(source, "=" if _PYTHONIC.match(source.text, after_gap(source, 0)) else ":")
    if options.field == "sampler":
        raise source.error(
            pairs[0].value.start,
            'a sampler cannot change over the frames; name one for the film, as deforum-values: 0:("Euler a")',
        )
    stretches = _in_order(source, [_stretch(source, pair, options.frames) for pair in pairs])
    texts = [pair for pair in pairs if pair.quoted]
    if texts and len(texts) < len(pairs):
        bare = next(pair for pair in pairs if not pair.quoted)
        raise source.error(bare.value.start, f"{show(bare.value.text)} is not in quotes; put the prompt in quotes")
    if texts:
        prompts = _at_ends(stretches, lambda at, ease, pair: TimedPrompt(at, _wrapped(pair.value, options), ease))
        found = tracks(source, prompts, options.frames, options.names())
    else:
        ordered = _at_ends(stretches, lambda at, ease, pair: (at, pair))
        found = {name: list(track) for name, track in tracks_of(source, ordered, options).items()}
        holding = {stretch.last for stretch in stretches if stretch.holds}
        found = {name: [s._replace(ease="hold") if s.frame in holding else s for s in t] for name, t in found.items()}
    keyframes, ease = to_keyframes(source, found)
    return Parts(keyframes, frames=options.frames, fps=options.fps, ease=ease)


def _at_ends(stretches: Sequence[Stretch], make: Callable[[int, str, Pair], Any]) -> list[Any]:
    """Returns the results of `make` for the first frame of each stretch and for the last, if that is another."""
    found = []
    for stretch in stretches:
        if stretch.last > stretch.first:
            found.append(make(stretch.first, "linear", stretch.pair))
        found.append(make(stretch.last, "hold" if stretch.holds else "linear", stretch.pair))
    return found


def _wrapped(prompt: Span, options: Options) -> Span:
    return join([options.before.strip(), prompt, options.after.strip()], ", ")


def _stretch(source: Source, pair: Pair, frames: int | None) -> Stretch:
    key = pair.key.strip()
    start, colon, end = key.text.partition(":")
    if not start or ":" in end:
        raise source.error(key.start, f'{show(key.text)} is not a key; write 12, "0:12", or "12:" to hold')
    first = _frame(source, key, start.strip(), frames, "first")
    if not end.strip():
        return Stretch(first, first, bool(colon), pair)
    after = _frame(source, key, end.strip(), frames, "after")
    if after < first:
        raise source.error(key.start, f"{show(key.text)} runs backwards; write the earlier frame first")
    return Stretch(first, max(first, after - 1), False, pair)


def _frame(source: Source, key: Span, text: str, frames: int | None, what: str) -> int:
    """Returns the frame of an index; for the end of a range, the frame after it."""
    if not _INDEX.fullmatch(text):
        raise source.error(key.start, f"{show(text)} is not a frame; write 12, -1 (the last) or 0.5 (half-way)")
    relative = "." in text or text.startswith("-")
    if relative and frames is None:
        raise source.error(key.start, f"{text} depends on the number of frames; give frames (--frames 48)")
    if not relative:
        frame = int(text)
        if frame > MAX_FRAME:
            raise source.error(key.start, f"frame {frame} is too far away; keep to {MAX_FRAME}")
        return frame
    assert frames is not None
    if "." in text:
        share = Fraction(text)
        if not 0 <= share <= 1:
            raise source.error(key.start, f"{text} is not a share from 0 to 1; write one, or a frame without a point")
        return min(int(share * frames), frames - (what == "first"))
    frame = frames + int(text)
    if frame < 0:
        raise source.error(key.start, f"{text} is before the first frame of {frames}; write 0 for that")
    return frame


def _in_order(source: Source, stretches: list[Stretch]) -> list[Stretch]:
    stretches = sorted(stretches, key=lambda stretch: stretch.first)
    for i in range(1, len(stretches)):
        earlier, later = stretches[i - 1 : i + 1]
        if later.first <= earlier.last:
            raise source.error(
                later.pair.key.start,
                f"frame {later.first} belongs to the key {show(earlier.pair.key.text)} too; keep one of the two",
            )
    return stretches


def write(recipe: Recipe, field: str) -> Export:
    """Returns the prompts of the recipe, or its negatives if `field` is "negative"; ``16:`` holds to the next key."""
    draft = Draft(recipe)
    negatives = field == "negative"
    other = [line.prompt if negatives else line.negative for line in draft.lines]
    if any(mix.values != ("",) for mix in other):
        what = "prompts" if negatives else "negatives"
        draft.lose(f"the {what}, which take a schedule of their own: --field {'prompt' if negatives else 'negative'}")
    lines = draft.unmixed_lines()
    if recipe.loop and len(lines) > 1:
        lines.append(lines[0]._replace(frame=recipe.frames, holds=False))
        draft.lose("whether the film loops: the text travels back to its start, and the player has to repeat it")
    entries = []
    for i, line in enumerate(lines):
        text = draft.one(line.negative if negatives else line.prompt, line.frame)
        lose_misread(draft, text, {"`": "the beginning of a name", '"': "the end of the prompt; it is written as '"})
        if text.endswith("\\"):
            draft.lose(f"{show(text)} ends in a backslash, which is read as a part of the quote after it")
        key = f"{line.frame}:" if line.holds and i + 1 < len(lines) else str(line.frame)
        entries.append(f'"{key}": "{text.replace(chr(34), chr(39))}"')
    return draft.export(",\n".join(entries) + "\n")


SYNTAX = Syntax("animatediff-evolved", "AnimateDiff-Evolved's schedules", looks, read, write)
