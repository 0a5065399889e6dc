"""Finds the position of a recipe's field in the TOML or JSON text that it was read from.

The parsers of the standard library return values without positions. This module walks over the tokens of a text and
tracks the current field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

_TOKEN = re.compile(
    r'''(?P<comment>\#[^\n]*)
    | (?P<long>"""(?:\\.|[^\\])*?(?:"""(?:"(?!")|"")?|\\?\Z) | \'\'\'.*?(?:\'\'\'(?:'(?!')|'')?|\Z))
    | (?P<text>"(?:\\.|[^"\\\n])*"? | '[^'\n]*'?)
    | (?P<mark>[\[\]{},=:\n])
    | (?P<bare>[^\s\[\]{},=:"'\#]+)''',
    re.VERBOSE | re.DOTALL,
)
# An unclosed string is one token to the end. Retried from every quote, it would take quadratic time.
_STEP = re.compile(r"\.?([A-Za-z0-9_-]+)|\[([0-9]+)\]|\.?\[(\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*')\]")

MAX_STEPS = 64

Step = str | int


def locate(text: str | bytes, path: str) -> tuple[int | None, int | None]:
    """Returns line and column, from 1, of the field `path` (``"keyframes[2].at"``) in a TOML or JSON text.

    If the text does not have the field, returns the position of its nearest existing parent, or else (None, None).
    `text` must be valid.

    >>> locate('frames = 8\\n[[keyframes]]\\nat = 3\\n', "keyframes[0].at")
    (3, 1)
    """
    plain = text.removeprefix("\ufeff") if isinstance(text, str) else text.decode("utf-8-sig", errors="replace")
    walk = _Walk(plain, _steps(path))
    walk.run()
    return line_and_column(plain, walk.offset) if walk.matched else (None, None)


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Returns line and column, both from 1, of the character at `offset`."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def find_bare(text: str, token: str) -> int | None:
    """Returns the offset of the first number or word `token` outside of quotes and comments."""
    return next((found.start() for found in _tokens(text) if found["bare"] == token), None)


def repeated_key(text: str) -> tuple[str, int | None]:
    """Returns the first key that a table of a JSON text repeats, and the offset of its second occurrence."""
    walk = _Walk(text, ())
    walk.run()
    return walk.repeated


def deepest_key(text: str) -> int:
    """Returns the number of parts of the longest dotted key of a TOML text."""
    walk = _Walk(text, ())
    walk.run()
    return walk.deepest


def _tokens(text: str) -> Iterator[re.Match[str]]:
    return (found for found in _TOKEN.finditer(text) if found.lastgroup != "comment")


def _steps(path: str) -> tuple[Step, ...]:
    return tuple(
        found[1] if found[1] is not None else int(found[2]) if found[2] else found[3][1:-1]
        for found in _STEP.finditer(path)
    )


class _Walk:
    """One pass over a text, after which `offset` is the position of the longest matched part of `target`.

    It neither recurses nor raises, and takes linear time, because it is also used for texts that no parser has accepted
    yet.
    """

    def __init__(self, text: str, target: tuple[Step, ...]) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._target = target
        self.matched = 0
        self.offset = 0
        self.repeated: tuple[str, int | None] = ("", None)
        self.deepest = 0

    def run(self) -> None:
        """Walks to the end of the text. A text that begins with a brace is JSON, any other is TOML."""
        counts: dict[tuple[Step, ...], int] = {}
        table: tuple[Step, ...] = ()
        for token in self._tokens:
            if token[0] == "{":
                self._value(token, [])
            elif token[0] == "[":
                table = self._header(token, counts)
            elif token["mark"] is None:
                steps = [*table, *self._key(token)]
                self._reach(steps, len(steps), token.start())
                self._value(next(self._tokens, None), steps)

    def _reach(self, steps: list[Step], count: int, offset: int) -> None:
        """Records that the field at the first `count` of `steps`, and all its parents, begin by `offset`."""
        for depth in range(self.matched + 1, min(count, len(self._target)) + 1):
            if tuple(steps[:depth]) != self._target[:depth]:
                return
            self.matched, self.offset = depth, offset

    def _header(self, opening: re.Match[str], counts: dict[tuple[Step, ...], int]) -> tuple[Step, ...]:
        """Returns the steps to the table that ``[a.b]`` or ``[[a.b]]`` opens; `counts` numbers the tables of arrays."""
        doubled = self._text.startswith("[[", opening.start())
        if doubled:
            next(self._tokens, None)
        first = next(self._tokens, None)
        names = self._key(first) if first else []
        if doubled:
            next(self._tokens, None)
        steps: list[Step] = []
        for depth, name in enumerate(names, 1):
            steps.append(name)
            if doubled and depth == len(names):
                counts[tuple(steps)] = counts.get(tuple(steps), -1) + 1
            if tuple(steps) in counts:
                steps.append(counts[tuple(steps)])
        self._reach(steps, len(steps), opening.start())
        return tuple(steps)

    def _key(self, first: re.Match[str]) -> list[Step]:
        """Returns the parts of a dotted key that begins with the token `first`, and consumes the mark that ends it."""
        parts: list[Step] = []
        dots = 0
        token: re.Match[str] | None = first
        while token and token["mark"] is None:
            if token["bare"]:
                dots += token["bare"].count(".")
                parts += [part for part in token["bare"].split(".") if part]
            else:
                parts.append(_unquoted(token[0]))
            token = next(self._tokens, None)
        self.deepest = max(self.deepest, dots + 1)
        return parts[:MAX_STEPS]

    def _value(self, token: re.Match[str] | None, here: list[Step]) -> None:
        """Walks over one value, given its first token; `here` are the steps to it."""
        levels: list[tuple[int, set[str] | None]] = []  # of each open list or table: its depth, a table's keys
        while token:
            mark = token["mark"]
            if mark == "[":
                levels.append((len(here), None))
                here.append(0)
            elif mark == "{":
                levels.append((len(here), set()))
            elif mark in ("]", "}") and levels:
                levels.pop()
            elif mark == "," and levels:
                depth, keys = levels[-1]
                here[depth:] = [int(here[depth]) + 1] if keys is None else []
            elif mark is None:
                keys = levels[-1][1] if levels else None
                if keys is not None and len(here) == levels[-1][0]:
                    self._enter(token, here, keys)
                else:
                    self._reach(here, len(here), token.start())
            if mark in ("[", "{"):
                self._reach(here, levels[-1][0], token.start())
            if not levels and mark != "\n":
                return
            token = next(self._tokens, None)

    def _enter(self, token: re.Match[str], here: list[Step], keys: set[str]) -> None:
        """Enters the field of a table whose key begins with `token`."""
        parts = self._key(token)
        here += parts
        self._reach(here, len(here), token.start())
        name = str(parts[0]) if len(parts) == 1 else ""
        if name in keys and self.repeated[1] is None:
            self.repeated = (name, token.start())
        keys.add(name)


def _unquoted(token: str) -> str:
    """Returns the content of a quoted key."""
    if token.startswith('"'):
        try:
            return str(json.loads(token))
        except ValueError:  # an escape that only TOML knows
            return token[1:-1]
    return token[1:-1]
