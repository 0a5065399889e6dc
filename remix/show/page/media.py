"""Pictures and films in pages: embedded as data, or linked where they are too large."""

from __future__ import annotations

import base64
import io
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from PIL import Image

EMBEDDED = 16 * 2**20
"""The maximum size of a film that a page embeds, in bytes. The page grows by a third more."""

QUALITY = 85
"""The JPEG quality of embedded pictures."""

VIDEOS = {".mp4": "video/mp4", ".m4v": "video/mp4", ".webm": "video/webm"}
PICTURES = {".gif": "image/gif", ".webp": "image/webp", ".apng": "image/apng", ".png": "image/apng"}
"""The types of films that browsers play, by suffix: as a video, or as a picture."""

JPEG = "image/jpeg"


@dataclass(frozen=True)
class FilmMedia:
    """A film in a page.

    `kind` is "video" or "image", or "" if browsers do not play the film. `source` is its data, or its address relative
    to the page; "" if there is none, as on another drive. `note` tells the reader why the film is not in the page.
    """

    kind: str
    source: str
    note: str = ""


def film_media(film: Path, page: Path, most: int | None = None) -> FilmMedia:
    """Returns how the page at `page` shows `film`: with its data up to `most` bytes (`EMBEDDED`), else as a link."""
    most = EMBEDDED if most is None else most
    suffix = film.suffix.lower()
    kind = "video" if suffix in VIDEOS else "image" if suffix in PICTURES else ""
    size = film.stat().st_size
    if kind and size <= most:
        return FilmMedia(kind, _data_uri(film.read_bytes(), {**VIDEOS, **PICTURES}[suffix]))
    link = _relative(film, page)
    keep = f"keep {film.name} where it is, next to this page's folder" if link else f"open {film.name} yourself"
    if not kind:
        return FilmMedia("", link, f"Browsers do not play {suffix} films; {keep}.")
    return FilmMedia(
        kind if link else "",
        link,
        f"The film has {size / 2**20:.0f} MiB, too much for this page ({most // 2**20} MiB); {keep}.",
    )


def picture_uri(picture: Image.Image) -> str:
    """Returns a picture as a data URI, a JPEG."""
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return _data_uri(buffer.getvalue(), JPEG)


def _data_uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _relative(film: Path, page: Path) -> str:
    """Returns the address of a film relative to a page, "" on another drive."""
    try:
        path = os.path.relpath(film.resolve(), page.resolve().parent)
    except ValueError:  # Windows has no relative path to another drive
        return ""
    return quote(os.fsencode(Path(path).as_posix()))
