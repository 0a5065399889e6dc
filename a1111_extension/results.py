"""The film below the host's gallery, to play and to download, and its report."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from remix.errors import JobError, RemixError
from remix.job import recipe_of
from remix.job.files import safe_name
from remix.job.job import largest_film
from remix.job.reading import REPORT, open_part

from . import host

LARGEST_REPORT = 64 * 2**20
"""The maximum size of a report, in bytes. It embeds a film of up to 16 MiB."""

PLAYED = (".mp4", ".m4v", ".webm")
SHOWN = (".gif", ".webp", ".apng", ".png")
"""Films that browsers show as animated pictures. Other formats get a download link only, unless browsers play them."""


def film_page(reported: str, tab: str) -> str:
    """Returns HTML with the film of a result, "" for a result of another script.

    `reported` is the host's information about the result, as JSON. It comes from the browser, so it cannot name files
    outside of jobs.
    """
    about = _about(reported)
    job = host.job_of(tab, str(about.get("Remix job", "")))
    if job is None:
        return ""
    name, left = str(about.get("Remix film") or ""), about.get("Remix left")
    film = job / name
    parts = [f"<p>The job is in <code>{escape(str(job))}</code>.</p>"]
    if isinstance(left, int) and left > 0:
        kept = "Generate again to render them; finished frames are kept."
        parts.insert(0, f"<p><b>{left} frames are missing.</b> {kept}</p>")
    if name and safe_name(name) == name and (size := _size(job, film)) is not None:
        parts.insert(0, _player(film, f"{job.name}{film.suffix}", size))
    parts += _report_link(job)
    return f'<div style="padding: .5em 0">{"".join(parts)}</div>'


def _report_link(job: Path) -> list[str]:
    """Returns a link that downloads the job's report, none without one. It is saved, so the host's origin is safe."""
    path = job / REPORT
    if not os.path.lexists(path):
        return []
    try:
        open_part(path, LARGEST_REPORT).close()
    except JobError:
        return []
    address, name = escape(f"{host.address(path)}?{path.stat().st_mtime_ns}"), escape(f"{job.name}.html")
    return [f'<p><a href="{address}" download="{name}">{name}</a>: a report on how evenly the film moves</p>']


def _about(reported: str) -> Mapping[str, Any]:
    try:
        about = json.loads(reported or "{}").get("extra_generation_params")
    except (ValueError, AttributeError, RecursionError):
        return {}
    return about if isinstance(about, dict) else {}


def _size(job: Path, film: Path) -> int | None:
    """Returns the size of a job's film, None for anything but a regular file of the size that such a film may have."""
    try:
        with open_part(film, largest_film(recipe_of(job))) as file:
            return os.fstat(file.fileno()).st_size
    except RemixError:
        return None


def _player(film: Path, name: str, size: int) -> str:
    """Returns the film in a player or as a picture, if browsers can show it, and a link that downloads it as `name`."""
    # A film that was rendered again has the same path; its time keeps the browser from showing the old one.
    address = escape(f"{host.address(film)}?{film.stat().st_mtime_ns}")
    style = "display: block; min-width: 50%; max-width: 100%; max-height: 60vh; margin: 0 auto .5em; border-radius: 4px"
    player = ""
    if film.suffix in PLAYED:
        player = f'<video src="{address}" style="{style}" controls loop autoplay muted></video>'
    elif film.suffix in SHOWN:
        player = f'<img src="{address}" alt="The film" style="{style}">'
    size_text = f"{size / 2**20:.1f} MiB" if size >= 2**20 else f"{size / 2**10:.0f} KiB"
    return f'{player}<p><a href="{address}" download="{escape(name)}"><b>{escape(name)}</b></a> ({size_text})</p>'
