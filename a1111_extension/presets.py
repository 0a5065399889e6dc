"""Texts and fields for the panel: the examples of this repository, and presets that the user saves."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

from remix.errors import BadInput, RemixError
from remix.hosts.examples import example_texts
from remix.job.files import safe_name, write_text

from .settings import Settings

MOST, LARGEST = 500, 2**22
"""The largest number of presets, and the largest file of one in bytes."""

OF_RUNS = ("new", "every", "first", "count")
"""Fields that belong to one run and are not saved."""

_HOSTS = re.compile(r"^(?:size|sampler|scheduler|steps|cfg) = .*\n", re.MULTILINE)
"""Fields that the host has too. An example sets them for the bundled model."""


def examples() -> Mapping[str, str]:
    """Returns the text of each example by its name, sorted. Size, sampler, steps and cfg are left to the host."""
    texts = {}
    for name, text in example_texts().items():
        head, table, keyframes = text.partition("[[keyframes]]")
        texts[name] = _HOSTS.sub("", head) + table + keyframes
    return texts


def saved(folder: Path) -> Mapping[str, Settings]:
    """Returns the presets in a folder by name, sorted. Files that are no presets are left out."""
    found = {}
    for path in sorted(folder.glob("*.json"))[:MOST]:
        with suppress(OSError, ValueError, RecursionError, RemixError):
            if path.stat().st_size <= LARGEST:
                found[path.stem] = _read(json.loads(path.read_text(encoding="utf-8")))
    return found


def _read(given: Any) -> Settings:
    if not isinstance(given, Mapping) or "recipe" not in given:
        raise BadInput("preset: has no recipe; save it again")
    return Settings.of_request(given)


def save(folder: Path, name: str, settings: Settings) -> str:
    """Saves the panel's fields as a preset, and returns its name, which is valid as the name of a file.

    A preset is what `script_args` of the API takes. Raises BadInput without a name, for the name of an example, and for
    one preset too many.
    """
    if not name.strip():
        raise BadInput("preset: has no name; type one into the field, then save")
    name = safe_name(name.strip())
    if name in examples():
        raise BadInput(f"preset: {name!r} is an example; type another name")
    path = folder / f"{name}.json"
    if not path.exists() and len(list(folder.glob("*.json"))) >= MOST:
        raise BadInput(f"preset: there are {MOST} already; delete some in {folder}")
    values = {field.name: (getattr(settings, field.name), field.default) for field in fields(Settings)}
    given = {name: value for name, (value, default) in values.items() if value != default and name not in OF_RUNS}
    given.pop("text", None)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps({"recipe": settings.text, **given}, ensure_ascii=False, indent=2) + "\n")
    return name
