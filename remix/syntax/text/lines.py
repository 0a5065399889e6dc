"""Lines with a frame or moment before each prompt, and lines that look keyed and are in no supported form.

Many tools write a frame, a time or a share before each prompt, each in its own way. Since plain lines are the stages of
a prompt travel, an unknown key would become part of the prompt: such lines are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from remix.plan.fields import show
from remix.plan.mix import Mix
from remix.syntax.text.boxes import Boxes, seed_of
from remix.syntax.text.prompts import prompt_of
from remix.syntax.text.source import Source, Span, join
from remix.syntax.text.tracks import Stop

FRAME = re.compile(r"([0-9]{1,12})\s{0,9}[:\uff1a](?=\s|$|[^\d\s(\"'])\s{0,9}", re.ASCII)
"""A frame before a prompt, ``12: a cat``, as in sd-webui-animatediff; not ``16:9`` or ``0:(7)``.

The colon may be the wide one of a Chinese or Japanese keyboard.
"""

MOMENT = re.compile(
    r"(?!(?:1[0-9]|20)[0-9]0s\b)"  # not the 1980s
    r"(?:(?:key\s?)?frame\s{0,3}#?\s{0,3}(?P<frame>[0-9]{1,12})"
    r"|(?P<number>[0-9]{1,12}(?:\.[0-9]{0,12}|,[0-9]{1,12})?|\.[0-9]{1,12})\s{0,3}(?P<unit>ms|s|secs?|seconds?|%))\s{0,9}[:\uff1a]\s{0,9}",
    re.ASCII | re.IGNORECASE,
)
"""A named frame, a time or a share before a prompt: ``Frame 12: a``, ``1.5s: a``, ``1,5s: a``, ``50%: a``."""

_GAP = r"\s{0,9}"
_SPAN = r"[0-9]{1,9}(?:\.[0-9]{0,9})?\s?(?:ms|s|secs?|seconds?|%)"
_STAMP = r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?(?:[.,][0-9]{1,3})?"
_ANY = rf"(?:{_SPAN}|{_STAMP}|[0-9]{{1,9}}(?:\.[0-9]{{1,9}})?)"
_TO = r"\s{0,9}(?:-->|->|-|\u2013|\u2014|\.\.\.?|~|to)\s{0,9}"
_ZERO = r"(?:0{1,9}(?:\.0{1,9})?\s?(?:ms|s|secs?|seconds?|%)?|0{1,2}:[0-9]{2}(?::[0-9]{2})?(?:[.,][0-9]{1,3})?)"
_QUOTES = "\"'\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb\u2039\u203a\u300c\u300d\u300e\u300f"
_LEADING = re.compile(r"[0-9]+\.?[0-9]*|\.[0-9]+", re.ASCII)
_BULLET = re.compile(r"[-*+\u2022]\s{1,9}")

_ALWAYS = re.compile(
    "|".join(
        (
            r"\[/[A-Za-z_]",  # [/duration=5s] a
            rf"[\[<{{]{_GAP}{_ANY}{_TO}(?:{_ANY})?{_GAP}[\]>}}:]",  # [0-5s] a, [0s-2s: a]
            rf"\({_GAP}(?:(?:{_ZERO}|{_SPAN}|{_STAMP}){_TO}{_ANY}|{_ANY}{_TO}(?:{_SPAN}|{_STAMP})){_GAP}\)",  # (0-5s) a
            rf"\[{_GAP}{_ANY}{_GAP}\]|<{_GAP}{_ANY}{_GAP}>",  # [00:05] a, <0> a
            rf"\[{_GAP}(?:{_SPAN}|{_STAMP}){_GAP}:(?!{_GAP}[0-9.]+{_GAP}\])[^:\[\]\n]{{0,2000}}\]",  # [2s: b]
            rf"\({_GAP}{_ZERO}{_GAP}\)",  # (0s) a
            rf"{_ANY}{_GAP}(?:\||;|=>|=(?!=)|-->|->|\u2192|>|\t){_GAP}\S",  # 0 | a, 0 = a, 0s -> a
            rf"{_ZERO}{_GAP}(?:[,.);\-\u2013\u2014](?=\D)|:)",  # 0, a   0:(a)
            rf"{_ZERO}{_TO}{_ANY}(?![\w.])",  # 0-16 a
            rf"{_ANY}{_TO}{_ANY}{_GAP}:(?![0-9])",  # 17-32: a
            r"[0-9]{1,9}\s{0,9}:\s{0,9}[\"'(]",  # 24:(a dog:1.2)
            r"(?:[0-9]{0,9}\.[0-9]{1,9}|-[0-9]{1,9})\s{0,9}:(?![0-9])",  # 1.5: a, -1: a
            r"max_f\b[^:\n]{0,40}:",
            r"(?:key\s?)?frames?\s{0,3}[#=:]?\s{0,3}[0-9]{1,9}(?:$|[\s\-\u2013\u2014:.,|>)\]=])",  # frame 0 - a
            rf"[{_QUOTES}]{_GAP}{_ANY}{_GAP}[{_QUOTES}]{_GAP}(?:[:=\uff1a]|[,;\t]{_GAP}[{_QUOTES}])",  # "0" = a, "0","
            r"[\uff10-\uff19]{1,9}\s{0,9}[:\uff1a]",  # full-width digits
            rf"{_ANY}\s?\uff05",  # full-width percent sign
            r"\*{1,2}[0-9]{1,9}(?:\*{1,2}\s?[:\uff1a]|\s?[:\uff1a]\*{1,2})",  # **0**: a
            r"@\s?[0-9]",
            r"t\s?=\s?[0-9]",
            r"\|",
        )
    ),
    re.ASCII | re.IGNORECASE,
)
"""Beginnings that no prompt has."""

_DECADE = r"(?:[0-9]{2})?[0-9]0s"
_NUMBER = r"(?P<number>[0-9]{1,9}(?:\.[0-9]{0,9})?)"
_SEVERAL = (
    re.compile(
        rf"(?!{_DECADE})(?P<kind>){_NUMBER}\s?(?:ms|s|secs?|seconds?|%)?{_GAP}[,.)\-\u2013\u2014](?=\s)", re.ASCII
    ),  # 1. a
    re.compile(rf"(?P<kind>)(?P<number>{_STAMP})(?=[\s\-\u2013\u2014])", re.ASCII),  # 01:30 a
    re.compile(rf"(?P<kind>#)\s?{_NUMBER}(?![\w.])", re.ASCII),  # #1 a
    re.compile(rf"(?!{_DECADE}\b)(?P<kind>){_NUMBER}\s?(?:ms|s|secs?|seconds?)(?=\s)", re.ASCII),  # 1s a
    re.compile(rf"(?P<kind>){_NUMBER}\s?/\s?[0-9]{{1,9}}\s?:", re.ASCII),  # 1/20: a
    re.compile(rf"(?P<kind>){_NUMBER}\s?f(?:r|rames?)?{_GAP}:", re.ASCII),  # 1f: a
    re.compile(
        rf"(?P<kind>[A-Za-z]{{1,16}})\s?[#=]?\s?{_NUMBER}{_GAP}[:.)|\-\u2013\u2014](?=\s)", re.ASCII
    ),  # Scene 1: a
)
"""Beginnings that one prompt may have, but hardly several with rising numbers."""

_FIRST_WORD, _LATER_WORD = (
    re.compile(rf"(?:{words})\b[^:\n]{{0,20}}[:\uff1a]", re.IGNORECASE)
    for words in (
        "start(?:ing)?|begin(?:ning)?|first|opening|intro",
        "then|next|second|middle|mid|end(?:ing)?|last(?:ly)?|final(?:ly)?|closing|outro",
    )
)
"""Words for moments, ``Start: a`` and ``End: b``: keys if a line begins with the first and a later one with another."""

_UNIT = re.compile(r"\u7b2c?(?P<number>[0-9]{1,9})\s{0,9}(?P<unit>[^\W\d_]{1,12}\.?)\s{0,9}[:\uff1a]")
"""A number with a unit in any language, ``0 Sek.: a``: keys if the first is 0 and another line has the same unit."""

_COUNTED = re.compile(rf"(?!00s){_NUMBER}\s?(?P<unit>ms|s|secs?|seconds?|%)?(?=\s)", re.ASCII)
"""A number before words: a key only among keys, or where the first line has 0."""

SECOND = re.compile(r"[,|;\x0b\x0c\x85\u2028\u2029]\s{0,9}([0-9]{1,12}\s{0,9}:)(?=\s|$|[^\d\s(\"'])", re.ASCII)
"""A second key on a line."""

_TITLE = re.compile(r"(?:animation[_ ]?)?(?:prompts?|key\s?frames|frames|schedule)\s{0,9}[:=\uff1a]$", re.IGNORECASE)
"""A name of the keys below it, ``prompts:`` as in YAML, which no prompt begins with."""

WRITE = 'write "12: " (a frame), "1.5s: " (a time) or "50%: " (a share) before each prompt'


class Key(NamedTuple):
    """A line with a key: its moment, as a keyframe holds it, and the prompt after it."""

    at: int | str
    line: Span
    prompt: Span


def key_of(line: Span) -> Key | None:
    """Returns the key of a line, None if it has none."""
    if found := FRAME.match(line.text):
        return Key(int(found[1]), line, line[found.end() :])
    found = MOMENT.match(line.text)
    if not found:
        return None
    if found["frame"]:
        return Key(int(found["frame"]), line, line[found.end() :])
    unit = found["unit"].lower()
    return Key(found["number"].replace(",", ".") + (unit if unit in ("ms", "%") else "s"), line, line[found.end() :])


def split_keys(
    source: Source, lines: Sequence[Span], read: Callable[[Span], Key | None]
) -> tuple[Sequence[Span], list[Key], Sequence[Span]]:
    """Returns the lines before the keys, the keys that `read` finds, and the lines after them.

    Raises RecipeError if there are no keys, if a line between keys has none, or if a line looks keyed in another form.
    """
    found = {i: key for i, line in enumerate(lines) if (key := read(line))}
    if not found:
        raise source.error(0, 'there are no keys; write lines such as "0: closed mouth"')
    first, last = min(found), max(found)
    for i in range(first, last):
        if i not in found:
            raise source.error(
                lines[i].start,
                f"{show(lines[i].text)} is between keys and has none; {WRITE}, or move the line before or after "
                "them all",
            )
    keys = list(found.values())
    for key in keys:
        if second := SECOND.search(key.prompt.text):
            raise source.error(
                key.prompt.places[second.start(1)],
                f"{show(second[1])} is a second key on this line; write it on its own line",
            )
    _refuse_strays(source, lines[:first], keys, lines[last + 1 :])
    return lines[:first], keys, lines[last + 1 :]


def refuse_keyed_negatives(source: Source, lines: Sequence[Span]) -> None:
    """Raises RecipeError about a key in the negative box, which is one text for the whole film."""
    for line in lines:
        if key_of(line):
            raise source.error(
                line.start,
                f"{show(line.text)} is a key in the negative prompt, which is the same on all frames here; write it "
                "without keys, or the film as a recipe, whose keyframes have negatives",
            )


def constant_tracks(source: Source, boxes: Boxes) -> dict[str, list[Stop]]:
    """Returns the tracks that are constant on all frames: the negative box and the seed."""
    tracks: dict[str, list[Stop]] = {}
    negative = join(boxes.negative, " ")
    if negative.text.strip():
        tracks["negative"] = [Stop(0, prompt_of(source, negative))]
    seed = seed_of(source, boxes.settings)
    if seed is not None:
        tracks["seed"] = [Stop(0, Mix.one(seed))]
    return tracks


def looks_keyed(line: Span) -> bool:
    """Returns whether a line has a beginning that no prompt has."""
    return _ALWAYS.match(_without_bullet(line).text) is not None


def refuse_keyed(source: Source, lines: Sequence[Span]) -> None:
    """Raises RecipeError about the first line that looks keyed; none of the lines has a supported key."""
    for line in _suspects(lines):
        raise source.error(
            line.start,
            f"{show(line.text)} looks like a key in a form that is not supported; {WRITE}, or name the "
            "syntax prompt-travel if each line is a whole prompt",
        )


def _refuse_strays(source: Source, head: Sequence[Span], keys: Sequence[Key], tail: Sequence[Span]) -> None:
    """Raises RecipeError about a line around the keys that looks like another key.

    A number before words may be part of a prompt ("2 girls"). It counts as a key if it continues the order: smaller
    than the first key and above it, or greater than the last key and below it.
    """
    for line in head:
        if _TITLE.match(line.text):
            raise source.error(
                line.start,
                f"{show(line.text)} would be part of every prompt; remove the line, or write the words that every "
                "prompt begins with in its place",
            )
    first, last = _size(keys[0].at), _size(keys[-1].at)
    near: list[tuple[Sequence[Span], Callable[[float], bool]]] = [
        (head, lambda number: number < first),
        (tail, lambda number: number > last),
    ]
    for lines, is_next in near:
        for line in lines:
            text = _without_bullet(line).text
            counted = _COUNTED.match(text)
            marked = _ALWAYS.match(text) or any(pattern.match(text) for pattern in _SEVERAL[:2])
            if marked or (counted and is_next(_size(counted["number"] + (counted["unit"] or "")))):
                raise source.error(
                    line.start,
                    f"{show(line.text)} looks like a key without its mark; {WRITE}, or begin the "
                    "line with a word if it belongs to every prompt",
                )


def _suspects(lines: Sequence[Span]) -> Iterator[Span]:
    bare = [_without_bullet(line) for line in lines]
    for line, text in zip(lines, bare, strict=True):
        bulleted = text is not line and key_of(text)
        if bulleted or _ALWAYS.match(text.text) or (len(lines) > 1 and line.text.endswith("|")):
            yield line
            return
    for pattern in _SEVERAL:
        yield from _rising(lines, [pattern.match(text.text) for text in bare])
    begins = next((at for at, text in enumerate(bare) if _FIRST_WORD.match(text.text)), len(bare))
    if any(_LATER_WORD.match(text.text) for text in bare[begins + 1 :]):
        yield lines[begins]
    units = [(line, found) for line, text in zip(lines, bare, strict=True) if (found := _UNIT.match(text.text))]
    if len({found["unit"] for _, found in units}) < len(units) and int(units[0][1]["number"]) == 0:
        yield units[0][0]
    counted = [_COUNTED.match(text.text) for text in bare]
    if len(lines) > 1 and all(counted) and counted[0] and float(counted[0]["number"]) == 0:
        yield lines[0]


def _rising(lines: Sequence[Span], found: Sequence[re.Match[str] | None]) -> Iterator[Span]:
    """Yields the first of several lines of one kind whose numbers rise."""
    kinds: dict[str, list[tuple[Span, float]]] = {}
    for line, match in zip(lines, found, strict=True):
        if match:
            kinds.setdefault(match["kind"].lower(), []).append((line, _size(match["number"])))
    for counted in kinds.values():
        if len(counted) > 1 and all(later[1] > earlier[1] for earlier, later in pairwise(counted)):
            yield counted[0][0]


def _without_bullet(line: Span) -> Span:
    """Returns the line without a bullet."""
    found = _BULLET.match(line.text)
    return line[found.end() :] if found else line


def _size(at: int | str) -> float:
    """Returns a number for comparing moments of one unit: seconds, frames or percent."""
    if isinstance(at, int):
        return float(at)
    if ":" in at:
        size = 0.0
        for part in at.replace(",", ".").split(":"):
            size = 60 * size + float(part)
        return size
    found = _LEADING.match(at)
    assert found is not None
    return float(found[0]) / (1000 if at.endswith("ms") else 1)
