"""Embeddings (textual inversions) in prompts: ``embedding:ink`` as in ComfyUI, and ``ink`` as in A1111.

A name without ``embedding:`` counts where there is an embedding of that name. Upper and lower case are the same.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import lru_cache

_PREFIX = re.compile(r"\bembedding:([^\s,()\[\]:|]+)")
_SUFFIX = r"(?:\.(?:safetensors|pt|bin))?"


def split(text: str, names: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yields the parts of a text, each with "" or the name of the embedding that it stands for.

    >>> list(split("a cat in INK, embedding:fog", ["ink", "fog"]))
    [('a cat in ', ''), ('INK', 'ink'), (', ', ''), ('embedding:fog', 'fog')]
    """
    if not names:
        yield text, ""
        return
    known = {name.lower(): name for name in names}
    start = 0
    for found in _pattern(frozenset(known)).finditer(text):
        if found.start() > start:
            yield text[start : found.start()], ""
        yield found[0], known[found[1].lower()]
        start = found.end()
    if start < len(text) or start == 0:
        yield text[start:], ""


def unknown(text: str, names: Collection[str]) -> list[str]:
    """Returns the names after ``embedding:`` that are not among `names`."""
    rest = "".join(part for part, name in split(text, names) if not name)
    return _PREFIX.findall(rest)


def for_comfyui(text: str, names: Collection[str]) -> str:
    """Returns a text with ``embedding:`` before each name, as a word of its own."""
    return "".join(f" embedding:{name} " if name else part for part, name in split(text, names))


def for_a1111(text: str, names: Collection[str]) -> str:
    """Returns a text with the names alone."""
    return "".join(name or part for part, name in split(text, names))


def without_prefixes(text: str) -> str:
    """Returns a text without any ``embedding:``, for a server of A1111's whose embeddings are not known here."""
    return _PREFIX.sub(r"\1", text)


@lru_cache(16)
def _pattern(names: frozenset[str]) -> re.Pattern[str]:
    longest_first = "|".join(map(re.escape, sorted(names, key=lambda name: (-len(name), name))))
    return re.compile(rf"(?<!\w)(?:embedding:)?({longest_first}){_SUFFIX}(?!\w)", re.IGNORECASE)
