"""Values as JSON, JavaScript and Python write them, each with its place: objects, lists, texts and numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from remix.plan.fields import show
from remix.plan.read import MAX_DIGITS
from remix.syntax.scan import Source, Written, quoted

MAX_DEPTH = 50

_GAP = re.compile(r"(?:\s+|\#[^\n]*|//[^\n]*)*")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![\w.])", re.ASCII)
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORDS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}


@dataclass(frozen=True)
class Node:
    """A value and where it begins: Written, int, float, bool, None, a list of Node, or a dict of text to Node.

    `keys` has the key of each field of a dict, as it is written.
    """

    value: Any
    at: int
    keys: Mapping[str, Written]

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value.text if isinstance(self.value, Written) else self.value


def gap(source: Source, at: int) -> int:
    """The offset of what follows the blanks and comments (``#`` and ``//``, to the end of the line) at `at`."""
    found = _GAP.match(source.text, at)
    return found.end() if found else at


def read_value(source: Source, at: int = 0, depth: int = 0) -> tuple[Node, int]:
    """The value that begins after the blanks at `at`, and the offset after it.

    Commas may trail, comments may stand between values, and keys may be numbers or bare words. RecipeError
    with the place of whatever else does not fit, of a key that an object has twice, and of numbers too long.
    """
    at = gap(source, at)
    sign = source.text[at : at + 1]
    if depth > MAX_DEPTH:
        raise source.refuse(at, f"more than {MAX_DEPTH} levels are too deep; a schedule has a few")
    if sign in ("{", "["):
        return (_object if sign == "{" else _list)(source, at, depth)
    if sign in ('"', "'"):
        text, after = quoted(source, at)
        return Node(text, at, {}), after
    return _scalar(source, at)


def read_all(source: Source) -> Node:
    """The one value that the whole text is; RecipeError when something follows it."""
    node, after = read_value(source)
    after = gap(source, after)
    if after < len(source.text):
        raise source.refuse(after, f"{show(source.text[after : after + 20])} follows the end; remove it")
    return node


def _scalar(source: Source, at: int) -> tuple[Node, int]:
    if found := _NUMBER.match(source.text, at):
        return Node(number(source, found[0], at), at, {}), found.end()
    found = _WORD.match(source.text, at)
    if found and found[0] in _WORDS:
        return Node(_WORDS[found[0]], at, {}), found.end()
    if at >= len(source.text):
        raise source.refuse(at, "the text ends where a value is missing; write one")
    what = show(found[0] if found else source.text[at])
    raise source.refuse(at, f"{what} is not a value; write a number, or text in quotes")


def number(source: Source, digits: str, at: int) -> int | float:
    """The number that `digits` spell, which stand at `at`."""
    if re.fullmatch(r"[+-]?[0-9]+", digits, re.ASCII):
        if len(digits) > MAX_DIGITS:
            raise source.refuse(at, f"an integer of {len(digits)} digits is too long; keep to {MAX_DIGITS}")
        return int(digits)
    value = float(digits)
    if not math.isfinite(value):
        raise source.refuse(at, f"{digits[:40]} is not a finite number; write one")
    return value


def _list(source: Source, at: int, depth: int) -> tuple[Node, int]:
    items: list[Node] = []
    here = gap(source, at + 1)
    while not _closes(source, here, "]", at):
        node, here = read_value(source, here, depth + 1)
        items.append(node)
        here = _next(source, here, "]", at)
    return Node(items, at, {}), here + 1


def _object(source: Source, at: int, depth: int) -> tuple[Node, int]:
    fields: dict[str, Node] = {}
    keys: dict[str, Written] = {}
    here = gap(source, at + 1)
    while not _closes(source, here, "}", at):
        key, here = _key(source, here)
        here = gap(source, here)
        if source.text[here : here + 1] != ":":
            raise source.refuse(here, f"a colon is missing after the key {show(key.text)}; write one")
        value, here = read_value(source, here + 1, depth + 1)
        # Deforum's own default file says a frame twice, with one prompt.
        if key.text in fields and fields[key.text].plain() != value.plain():
            raise source.refuse(key.start, f"the field {show(key.text)} is given twice; keep one")
        fields[key.text], keys[key.text] = value, key
        here = _next(source, here, "}", at)
    return Node(fields, at, keys), here + 1


def _key(source: Source, at: int) -> tuple[Written, int]:
    if source.text[at] in "\"'":
        return quoted(source, at)
    found = _NUMBER.match(source.text, at) or _WORD.match(source.text, at)
    if not found:
        raise source.refuse(at, f"{show(source.text[at])} does not begin a key; write one in quotes")
    return source.piece(at, found.end()), found.end()


def _closes(source: Source, at: int, sign: str, opening: int) -> bool:
    if at >= len(source.text):
        raise source.refuse(opening, f"this bracket is not closed; put a {sign} where it ends")
    return source.text[at] == sign


def _next(source: Source, at: int, closing: str, opening: int) -> int:
    """The offset of what follows a value in brackets: after its comma, or the closing bracket."""
    after = gap(source, at)
    if _closes(source, after, closing, opening):
        return after
    if source.text[after] != ",":
        raise source.refuse(after, after_value(source, at, after))
    return gap(source, after + 1)


def after_value(source: Source, end: int, at: int) -> str:
    """What is wrong where neither a comma nor the end follows a value that ended before `end`."""
    rest = source.text[at : at + 200]
    if source.text[end - 1] not in "\"'" or re.match(r"""["'][^"'\n]*["']\s*[:=]|[-\d.:]+\s*[:=]""", rest):
        return "a comma is missing before this; put one where the value before it ends"
    return 'the quote before this ends the text; write \\" for a quote within it'


def fields_of(source: Source, node: Node, what: str) -> dict[str, Node]:
    """The fields of an object; RecipeError when `node`, which is called `what`, is none."""
    if not isinstance(node.value, dict):
        raise source.refuse(node.at, f"{what} is not an object; write it in braces, as key: value")
    return node.value


def text_of(source: Source, node: Node, what: str) -> Written:
    """The text of a node; RecipeError when it is none."""
    if not isinstance(node.value, Written):
        raise source.refuse(node.at, f"{what} {show(node.plain())} is not text; put it in quotes")
    return node.value


def items_of(source: Source, node: Node, what: str) -> list[Node]:
    """The items of a list; RecipeError when `node` is none."""
    if not isinstance(node.value, list):
        raise source.refuse(node.at, f"{what} is not a list; write it in square brackets")
    return node.value


def number_of(source: Source, node: Node, what: str, low: float, high: float, *, whole: bool = False) -> Any:
    """The number of a node, from `low` to `high`; RecipeError with its place for anything else."""
    value = node.value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise source.refuse(node.at, f"{what} {show(node.plain())} is not a number; write one")
    if whole and value != int(value):
        raise source.refuse(node.at, f"{what} {show(value)} is not a whole number; write one")
    if not low <= value <= high:
        raise source.refuse(node.at, f"{what} {show(value)} is outside {low:g} to {high:g}; choose one inside")
    return int(value) if whole else float(value)


_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s*=(?!=)")
_CALL = re.compile(r"\s*(?:[A-Za-z_][\w.]*\s*=\s*)?[A-Za-z_][\w.]*\s*\(")


def assignments(source: Source, alone: str) -> dict[str, Node]:
    """The values by name that a text says: ``name=value, ...``, on lines of their own or as arguments of a call.

    An object whose keys are names says the same; one of anything else is the value of `alone`.
    """
    here = gap(source, 0)
    if source.text[here : here + 1] == "{":
        node = read_all(source)
        named = any(_WORD.fullmatch(key) for key in node.value)
        return dict(node.value) if named else {alone: node}
    call = _CALL.match(source.text, here)
    here = gap(source, call.end()) if call else here
    found: dict[str, Node] = {}
    while here < len(source.text) and not (call and source.text[here] == ")"):
        name = _NAME.match(source.text, here)
        if not name:
            raise source.refuse(here, f"{show(source.text[here : here + 20])} is not a setting; write name=value")
        if name[1] in found:
            raise source.refuse(here, f"{name[1]} is given twice; keep one")
        found[name[1]], here = read_value(source, name.end())
        here = gap(source, here)
        here = gap(source, here + 1) if source.text[here : here + 1] == "," else here
    if call and here >= len(source.text):
        raise source.refuse(call.end() - 1, "this bracket is not closed; put a ) where the call ends")
    return found
