"""Names and texts for users: the nearest known name, and text that is safe for a terminal."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable
from typing import Any

UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"  # control characters, line ends, half pairs
    r"|[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"  # marks of direction
)
"""Characters that control a terminal or reverse text; tabs and line feeds are allowed."""

MOST_NAMES = 20
"""Largest number of names that an error lists."""

LONGEST_NAME = 200
"""Largest length of each name."""


def printable(text: str) -> str:
    r"""Returns `text` with `UNPRINTABLE` characters escaped as in JSON and TOML.

    >>> printable("a\x1b[2J")
    'a\\u001b[2J'
    """
    return UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def nearest(name: str, known: Collection[str]) -> str:
    """Returns a sentence with the most similar known name, if one is similar, followed by all of them.

    >>> nearest("eulr", ("ddim", "euler"))
    'did you mean "euler"? (known: ddim, euler)'
    """
    near = close(name, known)
    every = "known: " + ", ".join(known)
    return f'did you mean "{near}"? ({every})' if near else every


def close(name: str, known: Collection[str], cutoff: float = 0.6) -> str | None:
    """Returns the most similar known name, None if none reaches the similarity `cutoff` (0 to 1)."""
    plain = name[:60].strip().lower().replace(" ", "_")
    return next(iter(difflib.get_close_matches(plain, known, n=1, cutoff=cutoff)), None)


def cut(text: str, most: int) -> str:
    """Returns at most `most` characters of a text.

    >>> cut("abcdefgh", 6)
    'abc...'
    """
    return text if len(text) <= most else f"{text[: most - 3]}..."


def listed(names: Iterable[Any], most: int = MOST_NAMES) -> str:
    """Returns names as a list for an error message: the first few, each cut to a readable length.

    >>> listed(["euler", "heun"]), listed("abcd", 2)
    ('euler, heun', 'a, b and 2 more')
    """
    every = list(names)
    shown = ", ".join(cut(f"{name}", LONGEST_NAME) for name in every[:most])
    return shown + (f" and {len(every) - most} more" if len(every) > most else "")
