"""Prompt editing over the steps of one picture, as A1111 reads it: ``[a:b:0.5]``, ``[a:8]``, ``[a::0.3]``, ``[a|b]``.

A bracket that is not one of these is text, and so are the brackets around it. A ``|`` outside of alternation makes the
whole prompt text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from remix.prompt.reading import MOST_NESTED, too_deep

_MARK = re.compile(r"[^\\()\[\]:|]+|\\.|[\\()\[\]:|]")
_BRACKET = re.compile(r"[()\[\]]")
_WHEN = re.compile(r":\s*[-+.0-9eE]+\s*\]", re.ASCII)
_NUMBER = re.compile(r"\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*\Z", re.ASCII)


class Turn(NamedTuple):
    """A text, and the last call of the model that it applies to. Calls are counted from 0."""

    last: int
    text: str


@dataclass(frozen=True)
class _Editing:
    """``[before:after:when]``."""

    before: _Part
    after: _Part
    when: str

    def step(self, calls: int) -> int:
        """Returns the call at which the text changes. A number with a point is a share of the calls."""
        number = float(self.when)
        return int(max(-1.0, min(calls, number * calls if "." in self.when else number)))


@dataclass(frozen=True)
class _Alternation:
    """``[a|b|c]``."""

    options: tuple[_Part, ...]


_Part = tuple["str | _Editing | _Alternation", ...]


def is_edited(prompt: str) -> bool:
    """Returns whether a prompt changes over the steps."""
    return _may_be_edited(prompt) and any(not isinstance(each, str) for each in _parsed(prompt))


@lru_cache(256)
def turns(prompt: str, calls: int) -> tuple[Turn, ...]:
    """Returns the texts of a prompt over the `calls` of the model for one picture, in order.

    Raises BadInput, with the place, for more than 50 open brackets.

    >>> turns("a [cat:dog:0.5]", 8)
    (Turn(last=4, text='a cat'), Turn(last=8, text='a dog'))
    """
    if not _may_be_edited(prompt):
        return (Turn(calls, prompt),)
    whole = _parsed(prompt)
    found: list[Turn] = []
    for last in sorted({calls, *_ends(whole, calls)}):
        text = "".join(_at(whole, last, calls))
        if found and found[-1].text == text:
            found.pop()
        found.append(Turn(last, text))
    return tuple(found)


def text_at(prompt: str, call: int, calls: int) -> str:
    """Returns the text of a prompt at one call of the model, counted from 0.

    A scheduler may take more steps than it was asked for; these have the first text, as in A1111.
    """
    found = turns(prompt, calls)
    return next((turn.text for turn in found if call <= turn.last), found[0].text)


def _may_be_edited(prompt: str) -> bool:
    """Returns False for most prompts that do not change, at a fraction of the cost of parsing them."""
    if "[" not in prompt:
        return False
    return "|" in prompt or _WHEN.search(prompt) is not None or _is_deep(prompt)


def _is_deep(prompt: str) -> bool:
    """Returns whether so many brackets may be open that parsing refuses them."""
    level = 0
    for bracket in _BRACKET.findall(prompt):
        level = level + 1 if bracket in ("(", "[") else max(level - 1, 0)
        if level > MOST_NESTED:
            return True
    return False


def _ends(part: _Part, calls: int) -> Iterator[int]:
    for each in part:
        if isinstance(each, _Editing):
            if (step := each.step(calls)) >= 1:
                yield step
            yield from _ends(each.before, calls)
            yield from _ends(each.after, calls)
        elif isinstance(each, _Alternation):
            yield from range(1, calls + 1)
            return


def _at(part: _Part, call: int, calls: int) -> Iterator[str]:
    for each in part:
        if isinstance(each, str):
            yield each
        elif isinstance(each, _Editing):
            yield from _at(each.before if call <= each.step(calls) else each.after, call, calls)
        else:
            yield from _at(each.options[(call - 1) % len(each.options)], call, calls)


class _Level:
    """The content of an open bracket: its segments, and the separators between them."""

    def __init__(self, opening: str) -> None:
        self.opening = opening
        self.segments: list[list[str | _Editing | _Alternation]] = [[]]
        self.separators = ""
        self.is_text = False

    def add(self, *parts: str | _Editing | _Alternation) -> None:
        self.segments[-1] += parts

    def separate(self, mark: str) -> None:
        self.separators += mark
        self.segments.append([])

    def written(self) -> Iterator[str | _Editing | _Alternation]:
        """Yields the content as it is written, with its opening bracket and separators."""
        yield self.opening
        for mark, segment in zip(("", *self.separators), self.segments, strict=True):
            yield mark
            yield from segment

    def closed(self, closing: str) -> list[str | _Editing | _Alternation] | None:
        """Returns the parts that this bracket contributes when it is closed, None if its brackets are text."""
        if self.is_text:
            return None
        if self.separators == "" or (closing == ")" and self.separators == ":"):
            return [*self.written(), closing]
        segments = [tuple(segment) for segment in self.segments]
        if closing == "]" and set(self.separators) == {"|"}:
            return [_Alternation(tuple(segments))]
        if closing == "]" and self.separators in (":", "::") and (when := _number(self.segments[-1])):
            return [_Editing(segments[0] if len(segments) == 3 else (), segments[-2], when)]
        return None


def _number(segment: list[str | _Editing | _Alternation]) -> str | None:
    text = "".join(each if isinstance(each, str) else "[" for each in segment)
    found = _NUMBER.match(text)
    return found and found[1]


@lru_cache(256)
def _parsed(prompt: str) -> _Part:
    levels = [_Level("")]

    def spill() -> None:
        """Makes the innermost open bracket text."""
        inner = levels.pop()
        opened[inner.opening] -= 1
        levels[-1].add(*inner.written())
        levels[-1].is_text = True
        bars.append("|" in inner.separators)

    bars: list[bool] = []
    opened = {"[": 0, "(": 0}
    for mark in _MARK.finditer(prompt):
        sign = mark[0]
        if sign in ("[", "("):
            if len(levels) > MOST_NESTED:
                raise too_deep(prompt, mark.start())
            levels.append(_Level(sign))
            opened[sign] += 1
        elif sign in ("]", ")"):
            opening = "[" if sign == "]" else "("
            if opened[opening]:
                while levels[-1].opening != opening:
                    spill()
                if (parts := levels[-1].closed(sign)) is not None:
                    levels.pop()
                    opened[opening] -= 1
                    levels[-1].add(*parts)
                    continue
                spill()
            levels[-1].add(sign)
            levels[-1].is_text = True
        elif sign in (":", "|"):
            levels[-1].separate(sign)
        elif sign == "\\":
            return (prompt,)
        else:
            levels[-1].add(sign)
    while len(levels) > 1:
        spill()
    if any(bars) or "|" in levels[0].separators:
        return (prompt,)
    return tuple(levels[0].written())
