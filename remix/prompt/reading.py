r"""Reads the emphasis of a prompt: pieces of text with their weights, by the grammar of either host.

By A1111's grammar, ``(a)`` weighs 1.1, ``[a]`` 1/1.1 and ``(a:1.3)`` 1.3; nested weights are multiplied, brackets that
stay open end with the prompt, and a backslash makes a bracket a letter. By ComfyUI's, a number replaces the weight
around it, square brackets and other backslashes are letters, and ``(a`` that stays open is one too. BREAK begins a new
chunk where chunks are A1111's, outside of weights.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from remix.errors import BadInput

EMPHASIS = ("comfy", "a1111", "a1111-no-norm", "a1111-ignore", "none")
"""The rules of emphasis. The first is that of recipes that set none."""

CHUNKS = ("comfy", "a1111")
"""The rules by which prompts of more than 75 tokens are cut."""

MOST_NESTED = 50
"""The largest number of brackets that may be open at once."""

MORE, LESS = 1.1, 1 / 1.1
"""The weights of round and square brackets without a number."""

BREAK = "BREAK"

LONGEST_CHUNK = 75
"""The number of tokens of a prompt in one chunk of CLIP's text encoders."""

_WORDS = re.compile(r"[^\W\d_]+|\S")


class Piece(NamedTuple):
    """A part of a prompt, and the weight of its tokens."""

    text: str
    weight: float


Section = tuple[Piece, ...]
"""The pieces between two BREAKs."""


@dataclass(frozen=True)
class Reading:
    """How prompts are read: a rule of `EMPHASIS`, and one of `CHUNKS`."""

    emphasis: str = "comfy"
    chunks: str = "comfy"

    @classmethod
    def of(cls, emphasis: str | None, chunks: str | None) -> Reading:
        """Returns the rules of a recipe's fields. Chunks are those of the host whose emphasis is read."""
        chosen = emphasis or EMPHASIS[0]
        return cls(chosen, chunks or ("a1111" if chosen.startswith("a1111") else "comfy"))

    def sections(self, prompt: str) -> tuple[Section, ...]:
        """Returns the pieces of a prompt, in one section or, where BREAK is read, in several.

        Raises BadInput, with the place, for more than 50 open brackets and for an invalid weight.

        >>> Reading("a1111").sections("a (((house:1.3)) [on] a hill)")[0][:2]
        (Piece(text='a ', weight=1.0), Piece(text='house', weight=1.5730000000000004))
        >>> Reading("comfy").sections("(a (cat:1.2) [nap])")
        ((Piece(text='a ', weight=1.1), Piece(text='cat', weight=1.2), Piece(text=' [nap]', weight=1.1)),)
        """
        return _sections(self, prompt)

    def is_weighted(self, prompt: str) -> bool:
        """Returns whether some token of a prompt has another weight than 1."""
        return any(piece.weight != 1 for section in self.sections(prompt) for piece in section)

    def differs(self, other: Reading, prompt: str) -> bool:
        """Returns whether a prompt may give other conditioning by `other`: in its emphasis, its chunks or its letters.

        The cut of long prompts is ignored unless BREAK shows it, since it depends on their tokens.
        """
        if self.sections(prompt) != other.sections(prompt):
            return True
        return self.emphasis != other.emphasis and self.is_weighted(prompt)

    def may_differ(self, other: Reading, prompt: str) -> bool:
        """Returns the same as `differs`, and True if a prompt may be cut otherwise or cannot be read."""
        try:
            differs = self.differs(other, prompt)
        except BadInput:
            return True
        return differs or (self.chunks != other.chunks and may_be_cut(prompt))


def may_be_cut(prompt: str) -> bool:
    """Returns whether a prompt may have more than the 75 tokens of a chunk, from a high estimate of its tokens."""
    return sum(-(-len(word) // 3) for word in _WORDS.findall(prompt)) > LONGEST_CHUNK


@lru_cache(512)
def _sections(reading: Reading, prompt: str) -> tuple[Section, ...]:
    if reading.emphasis == "none":
        return ((Piece(prompt, 1.0),),)
    of_a1111 = reading.emphasis.startswith("a1111")
    breaks = reading.chunks == "a1111"
    pieces = list(_a1111(prompt, breaks) if of_a1111 else _comfy(prompt)) or [Piece("", 1.0)]
    if not breaks:
        return (tuple(pieces),)
    return tuple(_split(pieces if of_a1111 else _with_breaks(pieces)))


def _split(pieces: list[Piece]) -> Iterator[Section]:
    section: list[Piece] = []
    for piece in pieces:
        if piece == (BREAK, -1):
            yield tuple(section)
            section = []
        else:
            section.append(piece)
    yield tuple(section)


# --- A1111 -------------------------------------------------------------------------------------------------------

_A1111 = re.compile(
    r"""\\[()\[\]\\]?
      | [(\[]
      | :\s*(?P<weight>[+-]?[.\d]+)\s*\)
      | [)\]]
      | [^\\()\[\]:]+
      | :""",
    re.VERBOSE,
)
_BREAK = re.compile(r"\s*\bBREAK\b\s*")


def _a1111(prompt: str, breaks: bool) -> list[Piece]:
    """Returns the pieces by A1111's grammar.

    With `breaks`, BREAK is a piece of weight -1. Brackets around it multiply that too, which makes it a word.
    """
    texts: list[str] = []
    weights: list[float] = []
    opened: dict[str, list[int]] = {"(": [], "[": []}

    def add(text: str, weight: float = 1.0) -> None:
        texts.append(text)
        weights.append(weight)

    def multiply(start: int, factor: float) -> None:
        for at in range(start, len(weights)):
            weights[at] *= factor

    for mark in _A1111.finditer(prompt):
        sign = mark[0]
        if sign in ("(", "["):
            opened[sign].append(len(texts))
            if len(opened["("]) + len(opened["["]) > MOST_NESTED:
                raise too_deep(prompt, mark.start())
        elif sign == ")" and opened["("]:
            multiply(opened["("].pop(), MORE)
        elif sign == "]" and opened["["]:
            multiply(opened["["].pop(), LESS)
        elif sign[0] == "\\":
            add(sign[1:])
        elif mark.lastgroup == "weight" and opened["("]:
            multiply(opened["("].pop(), _number(prompt, mark["weight"], mark.start("weight")))
        elif breaks and BREAK in sign:
            first, *others = _BREAK.split(sign)
            add(first)
            for text in others:
                add(BREAK, -1.0)
                add(text)
        else:
            add(sign)
    for start in opened["("]:
        multiply(start, MORE)
    for start in opened["["]:
        multiply(start, LESS)
    return list(_merged(zip(texts, weights, strict=True)))


def _merged(pieces: Iterator[tuple[str, float]]) -> Iterator[Piece]:
    """Yields pieces, those of equal weights joined, since the host tokenizes them together."""
    texts: list[str] = []
    last = math.nan
    for text, weight in pieces:
        if texts and weight != last:
            yield Piece("".join(texts), last)
            texts = []
        texts.append(text)
        last = weight
    if texts:
        yield Piece("".join(texts), last)


def _with_breaks(pieces: list[Piece]) -> list[Piece]:
    """Returns pieces of ComfyUI's grammar, those of weight 1 divided where they say BREAK."""
    found: list[Piece] = []
    for piece in pieces:
        first, *others = _BREAK.split(piece.text) if piece.weight == 1 else [piece.text]
        found.append(Piece(first, piece.weight))
        for text in others:
            found += [Piece(BREAK, -1.0), Piece(text, piece.weight)]
    return found


# --- ComfyUI -----------------------------------------------------------------------------------------------------

_ROUND = re.compile(r"[()]")
_OPEN, _CLOSED = "\0\2", "\0\1"
"""Stand for escaped brackets while the others are read."""


def _comfy(prompt: str) -> Iterator[Piece]:
    """Yields the pieces by ComfyUI's grammar."""
    hidden = prompt.replace("\\)", _CLOSED).replace("\\(", _OPEN)
    _refuse_deep(hidden, prompt)
    for text, weight in _comfy_pieces(hidden, 1.0, prompt):
        yield Piece(text.replace(_CLOSED, ")").replace(_OPEN, "("), weight)


def _refuse_deep(hidden: str, prompt: str) -> None:
    level = 0
    for mark in _ROUND.finditer(hidden):
        level = level + 1 if mark[0] == "(" else max(level - 1, 0)
        if level > MOST_NESTED:
            raise too_deep(prompt, mark.start())


def _comfy_pieces(text: str, weight: float, prompt: str) -> Iterator[tuple[str, float]]:
    for part in _groups(text):
        if len(part) < 2 or part[0] != "(" or part[-1] != ")":
            yield part, weight
            continue
        inner, own = part[1:-1], weight * MORE
        colon = inner.rfind(":")
        if colon > 0 and (number := _float(inner[colon + 1 :])) is not None:
            if not math.isfinite(number):
                raise no_number(prompt, inner[colon + 1 :], prompt.find(inner[colon + 1 :]))
            inner, own = inner[:colon], number
        yield from _comfy_pieces(inner, own, prompt)


def _groups(text: str) -> Iterator[str]:
    """Yields the bracketed groups of the outermost level, and the text between them.

    A bracket that closes nothing makes those after it letters, until as many are open again.
    """
    start = level = 0
    for mark in _ROUND.finditer(text):
        at = mark.start()
        if mark[0] == "(":
            if level == 0 and at > start:
                yield text[start:at]
                start = at
            level += 1
        else:
            level -= 1
            if level == 0:
                yield text[start : at + 1]
                start = at + 1
    if start < len(text):
        yield text[start:]


# --- weights and errors ------------------------------------------------------------------------------------------


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _number(prompt: str, text: str, at: int) -> float:
    number = _float(text)
    if number is None or not math.isfinite(number):
        raise no_number(prompt, text, at)
    return number


def no_number(prompt: str, text: str, at: int) -> BadInput:
    return BadInput(f"prompt: {text[:40]!r} {place(prompt, at)} is not a weight; write a number such as 1.2")


def too_deep(prompt: str, at: int) -> BadInput:
    return BadInput(
        f"prompt: more than {MOST_NESTED} brackets are open {place(prompt, at)}; close some, or write one with the "
        "weight, such as (word:1.5)"
    )


def place(prompt: str, at: int) -> str:
    before = prompt[: max(at, 0)]
    return f"in line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"
