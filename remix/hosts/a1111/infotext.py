"""A1111's infotext: the prompt, the negative prompt and the settings, in one text that users share.

a cat on a mat
Negative prompt: dog, blurry
Steps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 512x512, Lora hashes: "cat: 1f, mat: 2e"
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

NEGATIVE = "Negative prompt:"
LEAST_SETTINGS = 3
"""A last line with fewer settings is part of the prompt: A1111's own rule."""

_KEY = re.compile(r"\s*(\w[\w \-/]*):\s*")


@dataclass(frozen=True)
class Entry:
    """An entry of a line of settings: its name, its value, and where it begins and ends in the line."""

    name: str
    value: str
    start: int
    end: int


@dataclass(frozen=True)
class Infotext:
    """The infotext of a picture from A1111 or Forge; `settings` holds its own labels and texts, in order."""

    prompt: str
    negative: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)


def parse_infotext(text: str) -> Infotext:
    """Returns the parts of an infotext. Any text is valid, if need be as a prompt alone.

    If a setting is repeated, the last one applies, as in A1111. Values in double quotes are unquoted as JSON strings,
    so they may contain commas and line endings. Values in braces (``Hashes: {"model": "1f", "vae": "2e"}``) extend to
    the closing brace.
    """
    lines = text.replace("\r\n", "\n").strip("\n").split("\n")
    found = {entry.name: entry.value for entry in entries(lines[-1])}
    if len(found) < LEAST_SETTINGS:
        found = {}
    else:
        lines.pop()
    start = next((n for n, line in enumerate(lines) if line.startswith(NEGATIVE)), len(lines))
    negative = "\n".join(lines[start:]).removeprefix(NEGATIVE).strip()
    return Infotext("\n".join(lines[:start]).strip(), negative, found)


def entries(line: str) -> Iterator[Entry]:
    """Yields the entries of a line of settings, in order. Text that is not ``key: value`` is skipped, as in A1111."""
    position = 0
    while position < len(line):
        key = _KEY.match(line, position)
        if key is not None:
            value, position = _value(line, key.end())
            yield Entry(key[1].strip(), value, key.end(), position)
        comma = line.find(",", position)
        position = comma + 1 if comma >= 0 else len(line)


def _value(line: str, start: int) -> tuple[str, int]:
    """Returns the value that begins at `start`, and its end."""
    if line.startswith(('"', "{"), start):
        decoder = json.JSONDecoder()
        try:
            value, end = decoder.raw_decode(line, start)
        except (ValueError, RecursionError):
            pass
        else:
            return (value if isinstance(value, str) else line[start:end]), end
    comma = line.find(",", start)
    value = line[start : len(line) if comma < 0 else comma].rstrip()
    return value, start + len(value)
