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
class Infotext:
    """What A1111 or Forge says of a picture; `settings` are its own labels and texts, in its order."""

    prompt: str
    negative: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)


def parse_infotext(text: str) -> Infotext:
    """Returns the parts of an infotext; any text is one, if need be a prompt alone.

    Values in double quotes are unquoted as JSON strings, so they may hold commas and line ends;
    values in braces (``Hashes: {"model": "1f", "vae": "2e"}``) reach to the brace that closes them.
    """
    lines = text.replace("\r\n", "\n").strip("\n").split("\n")
    settings = _settings(lines[-1])
    if len(settings) < LEAST_SETTINGS:
        settings = {}
    else:
        lines.pop()
    start = next((n for n, line in enumerate(lines) if line.startswith(NEGATIVE)), len(lines))
    negative = "\n".join(lines[start:]).removeprefix(NEGATIVE).strip()
    return Infotext("\n".join(lines[:start]).strip(), negative, settings)


def _settings(line: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in _pairs(line):
        found.setdefault(key, value)
    return found


def _pairs(line: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(line):
        key = _KEY.match(line, position)
        if key is None:
            # Not "key: value": A1111 passes over it too.
            comma = line.find(",", position)
            if comma < 0:
                return
            position = comma + 1
            continue
        value, position = _value(line, key.end())
        yield key[1].strip(), value
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
    end = line.find(",", start)
    end = len(line) if end < 0 else end
    return line[start:end].strip(), end
