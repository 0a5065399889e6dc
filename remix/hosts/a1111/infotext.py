"""A1111's infotext: the prompt, the negative prompt and the settings, in one text that users share.

a cat on a mat
Negative prompt: dog, blurry
Steps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 512x512, Lora hashes: "cat: 1f, mat: 2e"
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

NEGATIVE = "Negative prompt:"
LEAST_SETTINGS = 3
"""A last line with fewer settings is part of the prompt: A1111's own rule."""

_KEY = re.compile(r"\s*(\w[\w \-/]*):\s*")
_FIRST_SETTING = re.compile(r"\s*Steps: \d+(,|\s*$)")
_ONE_LINE = re.compile(r"(.*?)\s*(Negative prompt:.*?)?\s(Steps: \d+, .*)")
_MOST_AFTER = 10
"""Lines that extensions may add after the settings."""


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
    so they may contain commas and line endings. Values in braces or brackets (``Hashes: {"model": "1f", "vae": "2e"}``)
    extend to the closing one. Extensions may add lines after the settings (``Template: a {cat|dog}``); each is a
    setting. A whole infotext on one line is read too.
    """
    lines = text.replace("\r\n", "\n").strip().split("\n")
    if len(lines) == 1 and (one := _ONE_LINE.fullmatch(lines[0])):
        lines = [part for part in one.groups() if part]
    at = _settings_line(lines)
    found = dict[str, str]()
    if at is not None:
        found = {entry.name: entry.value for entry in entries(lines[at])}
        found |= {key[1].strip(): line[key.end() :].strip() for line in lines[at + 1 :] if (key := _KEY.match(line))}
        del lines[at:]
    start = next((n for n, line in enumerate(lines) if line.strip().startswith(NEGATIVE)), len(lines))
    negative = "\n".join(lines[start:]).strip().removeprefix(NEGATIVE).strip()
    return Infotext("\n".join(lines[:start]).strip(), negative, found)


def _settings_line(lines: Sequence[str]) -> int | None:
    """Returns the index of the line of settings, None if there is none.

    It is the last line, if it has `LEAST_SETTINGS` or begins as A1111's settings do. Otherwise it is such a line that
    only lines with a single setting follow.
    """
    for at in range(len(lines) - 1, max(-1, len(lines) - 1 - _MOST_AFTER), -1):
        line = lines[at]
        if len({entry.name for entry in entries(line)}) >= LEAST_SETTINGS or _FIRST_SETTING.match(line):
            return at if at == len(lines) - 1 or _FIRST_SETTING.match(line) else None
        if not _KEY.match(line) or line.strip().startswith(NEGATIVE):
            return None
    return None


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
    if line.startswith(('"', "{", "["), start):
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
