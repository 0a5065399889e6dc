"""Values as JSON, JavaScript and Python write them, with their positions: objects, lists, texts and numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from remix.plan.documents import MAX_DIGITS
from remix.plan.fields import show
from remix.syntax.text.source import Source, Span, quoted

MAX_DEPTH = 50

_GAP = re.compile(r"(?:\s+|\#[^\n]*|//[^\n]*|/\*(?:[^*]|\*(?!/))*\*/)*")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![\w.])", re.ASCII)
WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORDS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}


@dataclass(frozen=True)
class Node:
    """A value and the offset where it begins.

    The value is a Span, int, float, bool, None, a list of Node, or a dict from str to Node; `keys` holds the key of
    each field of a dict as a Span.
    """

    value: Any
    at: int
    keys: Mapping[str, Span]

    def plain(self) -> Any:
        """Returns the value without positions."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value.text if isinstance(self.value, Span) else self.value


def after_gap(source: Source, at: int) -> int:
    """Returns the offset after blanks and comments (``#`` and ``//``, to the end of the line) at `at`."""
    found = _GAP.match(source.text, at)
    return found.end() if found else at


def read_value(source: Source, at: int = 0, depth: int = 0) -> tuple[Node, int]:
    """Returns the value that begins after the blanks at `at`, and the offset after it.

    Trailing commas, comments between values, and keys that are numbers or bare words are accepted. Raises RecipeError
    with the position of anything else, of a key that an object has twice, and of a number that is too long.
    """
    at = after_gap(source, at)
    sign = source.text[at : at + 1]
    if depth > MAX_DEPTH:
        raise source.error(at, f"more than {MAX_DEPTH} levels are too deep; a schedule has a few")
    if sign in ("{", "["):
        return (_object if sign == "{" else _list)(source, at, depth)
    if sign in ('"', "'"):
        text, after = quoted(source, at)
        return Node(text, at, {}), after
    return _scalar(source, at)


def read_all(source: Source) -> Node:
    """Returns the single value that the text consists of. Raises RecipeError if something follows it."""
    node, after = read_value(source)
    after = after_gap(source, after)
    if after < len(source.text):
        raise source.error(after, f"{show(source.text[after : after + 20])} follows the end; remove it")
    return node


def _scalar(source: Source, at: int) -> tuple[Node, int]:
    if found := _NUMBER.match(source.text, at):
        return Node(number(source, found[0], at), at, {}), found.end()
    found = WORD.match(source.text, at)
    if found and found[0] in _WORDS:
        return Node(_WORDS[found[0]], at, {}), found.end()
    if at >= len(source.text):
        raise source.error(at, "the text ends where a value is missing; write one")
    what = show(found[0] if found else source.text[at])
    raise source.error(at, f"{what} is not a value; write a number, or text in quotes")


def number(source: Source, digits: str, at: int) -> int | float:
    """Returns the number that `digits`, at the offset `at`, spell."""
    if re.fullmatch(r"[+-]?[0-9]+", digits, re.ASCII):
        if len(digits) > MAX_DIGITS:
            raise source.error(at, f"an integer of {len(digits)} digits is too long; keep to {MAX_DIGITS}")
        return int(digits)
    value = float(digits)
    if not math.isfinite(value):
        raise source.error(at, f"{digits[:40]} is not a finite number; write one")
    return value


def _list(source: Source, at: int, depth: int) -> tuple[Node, int]:
    items: list[Node] = []
    here = after_gap(source, at + 1)
    while not _closes(source, here, "]", at):
        node, here = read_value(source, here, depth + 1)
        items.append(node)
        here = _next(source, here, "]", at)
    return Node(items, at, {}), here + 1


def _object(source: Source, at: int, depth: int) -> tuple[Node, int]:
    fields: dict[str, Node] = {}
    keys: dict[str, Span] = {}
    here = after_gap(source, at + 1)
    while not _closes(source, here, "}", at):
        key, here = _key(source, here)
        here = after_gap(source, here)
        if source.text[here : here + 1] != ":":
            raise source.error(here, f"a colon is missing after the key {show(key.text)}; write one")
        value, here = read_value(source, here + 1, depth + 1)
        # Deforum's default settings file has a frame twice, with the same prompt.
        if key.text in fields and fields[key.text].plain() != value.plain():
            raise source.error(key.start, f"the field {show(key.text)} is given twice; keep one")
        fields[key.text], keys[key.text] = value, key
        here = _next(source, here, "}", at)
    return Node(fields, at, keys), here + 1


def _key(source: Source, at: int) -> tuple[Span, int]:
    if source.text[at] in "\"'":
        return quoted(source, at)
    found = _NUMBER.match(source.text, at) or WORD.match(source.text, at)
    if not found:
        raise source.error(at, f"{show(source.text[at])} does not begin a key; write one in quotes")
    return source.span(at, found.end()), found.end()


def _closes(source: Source, at: int, sign: str, opening: int) -> bool:
    if at >= len(source.text):
        raise source.error(opening, f"this bracket is not closed; put a {sign} where it ends")
    return source.text[at] == sign


def _next(source: Source, at: int, closing: str, opening: int) -> int:
    """Returns the offset after the comma that follows a value, or of the closing bracket."""
    after = after_gap(source, at)
    if _closes(source, after, closing, opening):
        return after
    if source.text[after] != ",":
        raise source.error(after, after_value(source, at, after))
    return after_gap(source, after + 1)


def after_value(source: Source, end: int, at: int) -> str:
    """Returns the problem where neither a comma nor the end follows a value that ended before `end`."""
    rest = source.text[at : at + 200]
    if source.text[end - 1] not in "\"'" or re.match(r"""["'][^"'\n]*["']\s*[:=]|[-\d.:]+\s*[:=]""", rest):
        return "a comma is missing before this; put one where the value before it ends"
    return 'the quote before this ends the text; write \\" for a quote within it'


def fields_of(source: Source, node: Node, what: str) -> dict[str, Node]:
    """Returns the fields of an object. Raises RecipeError if `node`, called `what`, is not one."""
    if not isinstance(node.value, dict):
        raise source.error(node.at, f"{what} is not an object; write it in braces, as key: value")
    return node.value


def text_of(source: Source, node: Node, what: str) -> Span:
    """Returns the text of a node. Raises RecipeError if it is not text."""
    if not isinstance(node.value, Span):
        raise source.error(node.at, f"{what} {show(node.plain())} is not text; put it in quotes")
    return node.value


def items_of(source: Source, node: Node, what: str) -> list[Node]:
    """Returns the items of a list. Raises RecipeError if `node` is not one."""
    if not isinstance(node.value, list):
        raise source.error(node.at, f"{what} is not a list; write it in square brackets")
    return node.value


def number_of(source: Source, node: Node, what: str, low: float, high: float, *, whole: bool = False) -> Any:
    """Returns the number of a node. Raises RecipeError if it is not a number from `low` to `high`."""
    value = node.value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise source.error(node.at, f"{what} {show(node.plain())} is not a number; write one")
    if whole and value != int(value):
        raise source.error(node.at, f"{what} {show(value)} is not a whole number; write one")
    if not low <= value <= high:
        raise source.error(node.at, f"{what} {show(value)} is outside {low:g} to {high:g}; choose one inside")
    return int(value) if whole else float(value)
