"""A schedule text with its positions: every piece of it knows where each of its characters stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from remix.errors import RecipeError
from remix.plan.expression import caret
from remix.plan.locate import line_and_column
from remix.plan.printable import OBEYED

_BLANK = re.compile(r"\s*")
_NOT_BLANK = re.compile(r"\S")
_DOUBLE = str.maketrans("\u201c\u201d\u201e\u201f\u2033", '"' * 5)
_OPENING_SINGLE = re.compile(r"(?<![^\s,:{])[\u2018\u201a\u201b]")
_CLOSING_SINGLE = re.compile(r"\u2019(?=[^\S\n]{0,9}(?:[,:}\n]|\Z))")
_CURLY_PAIR = re.compile(
    r"\{?\s{0,99}(?:[\u201c-\u201f][^\u201c-\u201f:\n]{1,40}[\u201c-\u201f]\s{0,9}:"
    r"|[\u2018\u201a\u201b][^\u2019:\n]{1,40}\u2019\s{0,9}:"
    r"|[\"']?[0-9]{1,12}[\"']?\s{0,9}:\s{0,9}[\u2018-\u201f][^\n]*[\u2018-\u201f][^\S\n]{0,9}(?:[,}]|$))",
    re.MULTILINE,
)
"""How a text begins whose keys or prompts are in curly quotes."""
_PART = {
    quote: re.compile(rf"(?P<fold>[^\S\n]*\n\s*)|(?P<plain>[^\S\n]+|[^\s\\{quote}]+)|(?P<escape>\\)") for quote in "\"'"
}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "/": "/", "\\": "\\", '"': '"', "'": "'"}
_UNICODE = re.compile(r"u([0-9a-fA-F]{4})")


@dataclass(frozen=True)
class Written:
    """A piece of a text: what it says, and the offset in the source of each character and of its end."""

    text: str
    places: Sequence[int]

    def __getitem__(self, part: slice) -> Written:
        start, stop, _ = part.indices(len(self.text))
        stop = max(start, stop)
        return Written(self.text[start:stop], self.places[start : stop + 1])

    def strip(self) -> Written:
        """The piece without the blanks around it."""
        start = len(self.text) - len(self.text.lstrip())
        return self[start : start + len(self.text.strip())]

    @property
    def start(self) -> int:
        """The offset in the source of the first character."""
        return self.places[0]


class Source:
    """A text that is being read; `notes` are sentences about what was understood differently, or left out.

    One that is `plain` is a part of another, and its errors are told there: they do not show the line.
    """

    def __init__(self, text: str, name: str | None = None, *, plain: bool = False) -> None:
        self.text = text
        self.name = name
        self.plain = plain
        self.notes: list[str] = []
        self._whole = text

    def only(self, start: int, end: int) -> Source:
        """The same source with blanks in place of all but the text from `start` to `end`, whose offsets stay.

        Its errors show the lines as they are written, and its notes are those of this one.
        """
        before, after = (_NOT_BLANK.sub(" ", text) for text in (self.text[:start], self.text[end:]))
        part = Source(before + self.text[start:end] + after, self.name, plain=self.plain)
        part.notes, part._whole = self.notes, self._whole
        return part

    def note(self, sentence: str) -> None:
        """Keep a sentence for the reader of the text, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def piece(self, start: int = 0, end: int | None = None) -> Written:
        """The text from `start` to `end`."""
        end = len(self.text) if end is None else end
        return Written(self.text[start:end], range(start, end + 1))

    def refuse(self, at: int, problem: str) -> RecipeError:
        """The error about what stands at the offset `at`, with its line shown."""
        line, column = line_and_column(self.text, at)
        if self.plain:
            return RecipeError(problem, line=line, column=column)
        excerpt = caret(self._whole, RecipeError("", line=line, column=column))
        return RecipeError(problem, source=self.name, line=line, column=column, excerpt=_printable(excerpt))

    @contextmanager
    def within(self, written: Written) -> Iterator[None]:
        """Within it, an error about the text of `written` becomes one about the place where that stands."""
        try:
            yield
        except RecipeError as error:
            if error.excerpt:
                raise
            offset = 0
            if error.line is not None:
                lines = written.text.split("\n")[: error.line - 1]
                offset = sum(len(line) + 1 for line in lines) + (error.column or 1) - 1
            at = written.places[min(offset, len(written.text))]
            raise self.refuse(at, error.problem) from error

    def blank(self, at: int) -> int:
        """The offset of what follows the blanks at `at`."""
        found = _BLANK.match(self.text, at)
        return found.end() if found else at


def _printable(excerpt: str) -> str:
    """A line and its caret, with a blank for each character that a terminal would obey."""
    return OBEYED.sub(" ", excerpt)


def straightened(text: str) -> str:
    """The text with straight quotes for the curly ones around its keys and prompts, of the same length.

    Word processors make them. Those of other texts stay, and so does an apostrophe within a prompt.

    >>> straightened("\u201c0\u201d: \u201cthe cat\u2019s hat\u201d")
    '"0": "the cat\u2019s hat"'
    """
    if not _CURLY_PAIR.match(text, len(text) - len(text.lstrip())):
        return text
    return _CLOSING_SINGLE.sub("'", _OPENING_SINGLE.sub("'", text.translate(_DOUBLE)))


def quoted(source: Source, at: int) -> tuple[Written, int]:
    """The piece in the quotes that open at `at`, and the offset after them.

    Escapes are those of JSON, and a backslash before any other character stays. A line break, with the
    blanks around it, is one blank. RecipeError when the quotes are not closed.
    """
    text, quote = source.text, source.text[at]
    parts: list[str] = []
    places: list[int] = []
    here = at + 1
    while found := _PART[quote].match(text, here):
        said, after = found[0], found.end()
        if found["plain"]:
            places += range(here, after)
        else:
            said, after = (" ", after) if found["fold"] else _escape(text, here)
            places += [here] * len(said)
        parts.append(said)
        here = after
    if here >= len(text):
        raise source.refuse(at, f"this quote is not closed; put a second {quote} where the text ends")
    return Written("".join(parts), [*places, here]), here + 1


def _escape(text: str, at: int) -> tuple[str, int]:
    """What the escape at `at` says, and the offset after it."""
    sign = text[at + 1 : at + 2]
    if sign in _ESCAPES and sign:
        return _ESCAPES[sign], at + 2
    found = _UNICODE.match(text, at + 1)
    if not found:
        return "\\", at + 1
    code, after = int(found[1], 16), found.end()
    low = _UNICODE.match(text, after + 1) if text[after : after + 1] == "\\" else None
    if 0xD800 <= code < 0xDC00 and low and 0xDC00 <= int(low[1], 16) < 0xE000:
        code = 0x10000 + (code - 0xD800) * 0x400 + int(low[1], 16) - 0xDC00
        after = low.end()
    return chr(code), after


def joined(parts: Sequence[Written | str], between: str) -> Written:
    """The pieces that say anything, one after another; text that is not of the source counts to its neighbour."""
    text: list[str] = []
    places: list[int] = []
    known = next((part.start for part in parts if isinstance(part, Written)), 0)
    for part in parts:
        said = part if isinstance(part, str) else part.text
        if not said:
            continue
        if text:
            text.append(between)
            places += [known] * len(between)
        text.append(said)
        if isinstance(part, Written):
            places += part.places[: len(said)]
            known = part.places[len(said)]
        else:
            places += [known] * len(said)
    return Written("".join(text), [*places, known])
