"""A schedule text and the spans cut from it, each of which knows the source positions of its characters."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from remix.errors import RecipeError
from remix.plan.expression import caret
from remix.plan.locate import line_and_column
from remix.plan.wording import UNPRINTABLE

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
"""The beginning of a text whose keys or prompts are in curly quotes."""
_PART = {
    quote: re.compile(rf"(?P<fold>[^\S\n]*\n\s*)|(?P<plain>[^\S\n]+|[^\s\\{quote}]+)|(?P<escape>\\)") for quote in "\"'"
}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "/": "/", "\\": "\\", '"': '"', "'": "'"}
_UNICODE = re.compile(r"u([0-9a-fA-F]{4})")


@dataclass(frozen=True)
class Span:
    """Text taken from a source, with the source offset of each character and of its end."""

    text: str
    places: Sequence[int]

    def __getitem__(self, part: slice) -> Span:
        start, stop, _ = part.indices(len(self.text))
        stop = max(start, stop)
        return Span(self.text[start:stop], self.places[start : stop + 1])

    def strip(self) -> Span:
        """Returns the span without leading and trailing blanks."""
        start = len(self.text) - len(self.text.lstrip())
        return self[start : start + len(self.text.strip())]

    def split(self, mark: str) -> list[Span]:
        """Returns the parts between marks of one character, stripped."""
        parts, start = [], 0
        for part in self.text.split(mark):
            parts.append(self[start : start + len(part)].strip())
            start += len(part) + 1
        return parts

    @property
    def start(self) -> int:
        """Returns the source offset of the first character."""
        return self.places[0]


class Source:
    """A text that is being read, its name for errors, and `notes` on what was changed or left out.

    Errors of a `nested` source have a line and column but no excerpt: the source around it adds that.
    """

    def __init__(self, text: str, name: str | None = None, *, nested: bool = False) -> None:
        self.text = text
        self.name = name
        self.nested = nested
        self.notes: list[str] = []
        self._whole = text

    def part(self, start: int, end: int) -> Source:
        """Returns this source with everything outside `start` to `end` blanked, so that offsets stay the same.

        Errors of the part still show the original lines, and both share their notes.
        """
        before, after = (_NOT_BLANK.sub(" ", text) for text in (self.text[:start], self.text[end:]))
        part = Source(before + self.text[start:end] + after, self.name, nested=self.nested)
        part.notes, part._whole = self.notes, self._whole
        return part

    def note(self, sentence: str) -> None:
        """Adds a note for the user, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def span(self, start: int = 0, end: int | None = None) -> Span:
        """Returns the text from `start` to `end`."""
        end = len(self.text) if end is None else end
        return Span(self.text[start:end], range(start, end + 1))

    def error(self, at: int, problem: str) -> RecipeError:
        """Returns a RecipeError about the text at the offset `at`, with line, column and an excerpt."""
        line, column = line_and_column(self.text, at)
        if self.nested:
            return RecipeError(problem, line=line, column=column)
        excerpt = caret(self._whole, RecipeError("", line=line, column=column))
        return RecipeError(problem, source=self.name, line=line, column=column, excerpt=_printable(excerpt))

    @contextmanager
    def errors_at(self, span: Span) -> Iterator[None]:
        """Turns a RecipeError about the text of `span`, raised inside the block, into one about its source position."""
        try:
            yield
        except RecipeError as error:
            if error.excerpt:
                raise
            offset = 0
            if error.line is not None:
                lines = span.text.split("\n")[: error.line - 1]
                offset = sum(len(line) + 1 for line in lines) + (error.column or 1) - 1
            at = span.places[min(offset, len(span.text))]
            raise self.error(at, error.problem) from error

    def after_blanks(self, at: int) -> int:
        """Returns the offset of the first character from `at` on that is not blank."""
        found = _BLANK.match(self.text, at)
        return found.end() if found else at


def _printable(excerpt: str) -> str:
    """Replaces terminal control characters by blanks."""
    return UNPRINTABLE.sub(" ", excerpt)


def straighten_quotes(text: str) -> str:
    """Returns the text with straight quotes in place of curly ones around keys and prompts; its length stays the same.

    Word processors insert curly quotes. Apostrophes within a prompt stay, and so do all quotes of other texts.

    >>> straighten_quotes("\u201c0\u201d: \u201cthe cat\u2019s hat\u201d")
    '"0": "the cat\u2019s hat"'
    """
    if not _CURLY_PAIR.match(text, len(text) - len(text.lstrip())):
        return text
    return _CLOSING_SINGLE.sub("'", _OPENING_SINGLE.sub("'", text.translate(_DOUBLE)))


def quoted(source: Source, at: int) -> tuple[Span, int]:
    """Returns the span in the quotes that open at `at`, and the offset after the closing quote.

    JSON escapes are resolved; a backslash before any other character stays. A line break with the blanks around it
    becomes one blank. Raises RecipeError if the quote is not closed.
    """
    text, quote = source.text, source.text[at]
    parts: list[str] = []
    places: list[int] = []
    here = at + 1
    while found := _PART[quote].match(text, here):
        chars, after = found[0], found.end()
        if found["plain"]:
            places += range(here, after)
        else:
            chars, after = (" ", after) if found["fold"] else _escape(text, here)
            places += [here] * len(chars)
        parts.append(chars)
        here = after
    if here >= len(text):
        raise source.error(at, f"this quote is not closed; put a second {quote} where the text ends")
    return Span("".join(parts), [*places, here]), here + 1


def _escape(text: str, at: int) -> tuple[str, int]:
    """Returns the characters that the escape at `at` stands for, and the offset after it."""
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


def join(parts: Sequence[Span | str], between: str) -> Span:
    """Returns the non-empty parts joined by `between`; plain strings take the place of their neighbor."""
    text: list[str] = []
    places: list[int] = []
    known = next((part.start for part in parts if isinstance(part, Span)), 0)
    for part in parts:
        chars = part if isinstance(part, str) else part.text
        if not chars:
            continue
        if text:
            text.append(between)
            places += [known] * len(between)
        text.append(chars)
        if isinstance(part, Span):
            places += part.places[: len(chars)]
            known = part.places[len(chars)]
        else:
            places += [known] * len(chars)
    return Span("".join(text), [*places, known])
