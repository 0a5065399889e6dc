"""Schedules written as pairs, ``0: "a", 12: "b"``, as FizzNodes, Deforum and AnimateDiff-Evolved have them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from remix.plan.expression import parse
from remix.plan.fields import show
from remix.syntax.text.literal import after_gap, after_value
from remix.syntax.text.source import Source, Span, quoted

MAX_FRAME = 10**9

_BARE = re.compile(r"""[^"'()\[\]{},:=]+""")
_WHOLE = re.compile(r"[+-]?[0-9]+", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.[0-9]*|\.[0-9]+)", re.ASCII)
_OPENING, _CLOSING = "([{", ")]}"


class Pair(NamedTuple):
    """A key and its value; `quoted` says whether the value is text in quotes."""

    key: Span
    value: Span
    quoted: bool


@dataclass(frozen=True)
class Clock:
    """Values from which the keys of a schedule may be computed.

    `last` is the value of `max_f`, None if it is unknown; `fps` and `seed` are those of `fps` and `s`.
    """

    last: int | None
    fps: float | None
    seed: int

    def names(self) -> dict[str, float]:
        """Returns the names that expressions may use besides `t`."""
        known = {"max_f": self.last, "fps": self.fps, "s": self.seed}
        return {name: float(value) for name, value in known.items() if value is not None}


def read_pairs(source: Source, mark: str = ":", start: int = 0) -> list[Pair]:
    """Returns the pairs of a text from `start` on; `mark` separates key and value, commas separate pairs.

    Braces around all of them, a trailing comma, and comments (``#`` to the end of the line) before keys and after the
    last pair in braces are accepted. A key or value without quotes ends at the first mark or comma outside brackets.
    Raises RecipeError with the position of anything else.
    """
    text, here = source.text, after_gap(source, start)
    opening = here if text[here : here + 1] == "{" else None
    here = after_gap(source, here + 1) if opening is not None else here
    pairs: list[Pair] = []
    while here < len(text) and not (opening is not None and text[here] == "}"):
        pair, here = _pair(source, here, mark, opening is not None)
        pairs.append(pair)
        if text[here : here + 1] == ",":
            here = after_gap(source, here + 1)
    if opening is not None:
        if here >= len(text):
            raise source.error(opening, "this brace is not closed; put a } after the last pair")
        here = after_gap(source, here + 1)
        if here < len(text):
            raise source.error(here, f"{show(text[here : here + 20])} follows the closing brace; remove it")
    if not pairs:
        raise source.error(min(here, len(text)), f'there are no keys; write a frame and its value, such as 0{mark} "a"')
    return pairs


def _pair(source: Source, at: int, mark: str, braced: bool) -> tuple[Pair, int]:
    key, _, here = _part(source, at, mark, "a key", braced)
    if source.text[here : here + 1] != mark:
        raise source.error(
            here, f"there is no {mark} after {show(key.text)}; write the frame, then {mark}, then what holds there"
        )
    value, is_text, here = _part(source, source.after_blanks(here + 1), ",", f"what holds at {show(key.text)}", braced)
    if here < len(source.text) and source.text[here] != "," and not (braced and source.text[here] == "}"):
        raise source.error(here, f"{show(source.text[here : here + 20])} follows the value; put a comma before it")
    return Pair(key, value, is_text), here


def _part(source: Source, at: int, stop: str, what: str, braced: bool) -> tuple[Span, bool, int]:
    """Returns the key or value that begins at `at`, whether it is in quotes, and the offset after it."""
    if source.text[at : at + 1] in ('"', "'"):
        written, end = quoted(source, at)
        after = source.after_blanks(end)
        if stop == "," and after < len(source.text) and source.text[after] not in ",}":
            raise source.error(after, after_value(source, end, after))
        return written, True, after
    end = _bare_end(source, at, stop, braced)
    written = source.span(at, end).strip()
    if not written.text:
        raise source.error(min(at, len(source.text)), f"{what} is missing here; write it")
    return written, False, end


def _bare_end(source: Source, at: int, stop: str, braced: bool) -> int:
    """Returns where a part without quotes ends: at the `stop` or, within braces, the } that is in no bracket."""
    text, here, open_at = source.text, at, list[int]()
    while here < len(text):
        if found := _BARE.match(text, here):
            here = found.end()
            continue
        sign = text[here]
        if not open_at and (sign in (stop, ",") or (sign == "}" and braced)):
            return here
        if sign == ":" and stop == "," and not open_at:
            raise source.error(here, "there is a colon in the value; put a comma before the next key")
        if sign in "\"'":
            here = quoted(source, here)[1]
            continue
        if sign in _OPENING:
            open_at.append(here)
        elif sign in _CLOSING:
            if not open_at or _CLOSING.index(sign) != _OPENING.index(text[open_at[-1]]):
                raise source.error(here, f"this {sign} closes nothing; remove it, or open it before")
            open_at.pop()
        here += 1
    if open_at:
        closing = _CLOSING[_OPENING.index(text[open_at[-1]])]
        raise source.error(open_at[-1], f"this bracket is not closed; put a {closing} where it ends")
    return here


def frame_of(source: Source, key: Span, clock: Clock) -> int:
    """Returns the frame of a key: a whole number, or an expression, which is truncated to one.

    Raises RecipeError for frames before 0, for plain numbers between two frames, and for expressions with `max_f` while
    the number of frames is unknown.
    """
    text = key.strip().text
    if _WHOLE.fullmatch(text):
        if len(text) > 12:
            raise source.error(key.start, f"frame {show(text)} is too far away; keep to {MAX_FRAME}")
        frame = int(text)
    elif _DECIMAL.fullmatch(text):
        value = float(text)
        if abs(value) > MAX_FRAME:  # or it is no finite one
            raise source.error(key.start, f"frame {show(text)} is too far away; keep to {MAX_FRAME}")
        if value != int(value):
            low = int(value // 1)
            raise source.error(key.start, f"{show(text)} is between two frames; write {low} or {low + 1}")
        frame = int(value)
    else:
        frame = _evaluate(source, key, clock)
    if frame < 0:
        raise source.error(key.start, f"frame {frame} is before the first frame (0); write 0, or a frame after it")
    if frame > MAX_FRAME:
        raise source.error(key.start, f"frame {frame} is too far away; keep to {MAX_FRAME}")
    return frame


def _evaluate(source: Source, key: Span, clock: Clock) -> int:
    with source.errors_at(key):
        expression = parse(key.text, ("max_f", "fps", "s"))
    missing = expression.names - set(clock.names())
    if missing:
        known = {"max_f": "the number of frames is", "fps": "the frames per second are"}[min(missing)]
        raise source.error(key.start, f"{min(missing)} is known only when {known}; give frames (--frames 48)")
    with source.errors_at(key):
        value = expression.evaluate(**{name: clock.names()[name] for name in expression.names})
    return int(max(min(value, 2.0 * MAX_FRAME), -2.0 * MAX_FRAME))


T = TypeVar("T")


def _plain(value: Any) -> Any:
    """Returns a value without its position, for comparing it with another."""
    if isinstance(value, Pair):
        return value.value.text, value.quoted
    return value.text if isinstance(value, Span) else value


def by_frame(source: Source, found: Iterable[tuple[int, Span, T]]) -> list[tuple[int, T]]:
    """Returns the values sorted by frame. Raises RecipeError if a frame has two different values."""
    first: dict[int, Span] = {}
    values: dict[int, T] = {}
    for frame, key, value in found:
        if frame in first and _plain(value) != _plain(values[frame]):
            line = source.text.count("\n", 0, first[frame].start) + 1
            raise source.error(key.start, f"frame {frame} is given twice, first in line {line}; keep one of the two")
        first[frame] = key
        values[frame] = value
    return sorted(values.items())
