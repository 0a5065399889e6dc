"""A1111's infotext: the prompt, the negative prompt and the settings, in one text that users pass on.

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
    """An entry of a line of settings: its name, what its value says, and where in the line that begins and ends."""

    name: str
    value: str
    start: int
    end: int


@dataclass(frozen=True)
class Infotext:
    """What A1111 or Forge says of a picture; `settings` are its own labels and texts, in its order."""

    prompt: str
    negative: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)


def parse_infotext(text: str) -> Infotext:
    """Returns the parts of an infotext; any text is one, if need be a prompt alone.

    Of a setting that is there twice the last holds, as in A1111.
    Values in double quotes are unquoted as JSON strings, so they may hold commas and line ends;
    values in braces (``Hashes: {"model": "1f", "vae": "2e"}``) reach to the brace that closes them.
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
    """Yields what a line of settings says, in its order; what is not ``key: value`` is passed over, as A1111 does."""
    position = 0
    while position < len(line):
        key = _KEY.match(line, position)
        if key is not None:
            value, position = _value(line, key.end())
            yield Entry(key[1].strip(), value, key.end(), position)
        comma = line.find(",", position)
        position = comma + 1 if comma >= 0 else len(line)


def _value(line: str, start: int) -> tuple[str, int]:
    """Returns the value that begins at `start`, and where it ends."""
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
