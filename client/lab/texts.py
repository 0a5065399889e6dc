"""The texts of experiments and of the kit in other languages: files of `languages`, one for each language.

A text that a language lacks is English.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from remix.errors import BadInput
from remix.plan.documents import read_toml

FOLDER = Path(__file__).with_name("languages")

LANGUAGES = ("en", "de", "fr")
"""The languages of the nodes."""

Texts = Mapping[str, str]


def texts_of(section: str, language: str, english: Texts | None = None) -> dict[str, str]:
    """Returns the texts of a section in a language, by name. `english` adds to those of ``en.toml``.

    Raises BadInput for a language that is not in `LANGUAGES`.
    """
    if language not in LANGUAGES:
        raise BadInput(f"language: there is no {language!r}; use one of {', '.join(LANGUAGES)}")
    found = {**_file("en").get(section, {}), **(english or {})}
    return found | {name: text for name, text in _file(language).get(section, {}).items() if name in found}


@lru_cache(len(LANGUAGES))
def _file(language: str) -> dict[str, Any]:
    path = FOLDER / f"{language}.toml"
    return read_toml(path.read_bytes())
