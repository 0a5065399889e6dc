"""The page that a student hands in: answers, pictures and films, with the settings that made them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from remix.motion.images import load_picture
from remix.show.page import film_media, picture_uri, template
from remix.show.page.media import EMBEDDED

LARGEST = 1024
"""The longest side of a picture on the page, in pixels."""

FILMS_IN_ALL = 64 * 2**20
"""The maximum size of all films that a page embeds, in bytes. It links to the others."""

FILMS = (".mp4", ".webm", ".mov", ".mkv", ".gif")
"""The suffixes of results that are embedded as films."""


@dataclass(frozen=True)
class HandInView:
    """A student's results.

    `answers` are number, question and answer. `results` are the name, the file and the settings of pictures and films.
    `words` are the texts of the page in its language, `lang`.
    """

    name: str
    answers: Sequence[tuple[str, ...]]
    results: Sequence[tuple[str, Path, str]]
    lang: str
    words: Mapping[str, str]


def hand_in_page(view: HandInView, page: Path) -> str:
    """Returns the results as one HTML page at `page`. Raises MissingPackage if Jinja2 or pygal is missing."""
    found = template("hand_in.html")
    shown, left = [], FILMS_IN_ALL
    for name, path, settings in view.results:
        shown.append(_shown(name, path, settings, page, min(left, EMBEDDED)))
        if (film := shown[-1]["film"]) is not None and film.source.startswith("data:"):
            left -= path.stat().st_size
    return found.render(view=view, lang=view.lang, results=shown)


def _shown(name: str, path: Path, settings: str, page: Path, most: int) -> dict[str, Any]:
    if path.suffix.lower() in FILMS:
        return {"name": name, "settings": settings, "film": film_media(path, page, most), "image": ""}
    image = Image.fromarray(load_picture(path))
    image.thumbnail((LARGEST, LARGEST))
    return {"name": name, "settings": settings, "film": None, "image": picture_uri(image)}
