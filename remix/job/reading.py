"""Opens the files of a job folder. No other module does.

A job folder may come from another person. Its files must be regular files, not links, and of a plausible size. Anything
else in their place is refused by name before it is opened.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from remix.errors import JobError
from remix.motion.atomic import kind_of
from remix.motion.images import MAX_BYTES
from remix.motion.regular import fingerprint, never, open_file
from remix.plan.documents import LIMIT, read_json

RECIPE, SCHEDULE, JOB, JOURNAL = "recipe.json", "schedule.json", "job.json", "journal.jsonl"
FRAMES, INPUTS, EARLIER, PACING = "frames", "inputs", "earlier", "pacing"
SHEET, REPORT, LOCK = "sheet.png", "report.html", "job.lock"

FILES = (RECIPE, SCHEDULE, JOB, JOURNAL, SHEET, REPORT, LOCK)
FOLDERS = (FRAMES, INPUTS, EARLIER, PACING)
OWN = FILES + FOLDERS
"""The contents of every job folder except its films."""

MAX_TEXT = LIMIT
"""The maximum size of recipe.json and job.json, in bytes."""

MAX_JOURNAL = 128 * 2**20
"""The maximum size of a journal, in bytes: 100,000 frames written six times over."""

MAX_LINE = 4096
"""The maximum length of a journal line, in bytes: a file name of 255 bytes, and two hashes."""

MAX_PICTURE = MAX_BYTES
"""The maximum size of a frame, init picture or contact sheet, in bytes."""

MAX_LOCK = 4096

REMEDY = "delete it, or give another folder"
REMEDIES = {"a link": "put what it leads to in its place, or give another folder"}


def refuse_foreign(folder: Path) -> None:
    """Raises JobError if a part of a job has the wrong file type, since a link could redirect writes anywhere."""
    for name in OWN:
        _refuse_other(folder / name, "a folder" if name in FOLDERS else "")
    for path in sorted((folder / PACING).glob("round-*")):
        _refuse_other(path, "a folder")


def _refuse_other(path: Path, expected: str) -> None:
    """Raises JobError for an existing path of another file type, see `kind_of`."""
    try:
        kind = kind_of(os.lstat(path).st_mode)
    except FileNotFoundError:
        return
    if kind != expected:
        raise JobError(f"{path}: is {kind or 'a file'}; {REMEDIES.get(kind, REMEDY)}")


def open_part(path: Path, limit: int | None) -> BinaryIO:
    """Returns a file of a job, opened for reading.

    Raises JobError for links, pipes, devices and files over `limit` bytes.
    """
    return open_file(path, links=False, limit=limit, remedy=REMEDY, error=JobError)


def read_part(folder: Path, name: str, limit: int = MAX_TEXT) -> bytes:
    """Returns the bytes of a job's file. Raises JobError if there is no such file, or if `open_part` refuses it."""
    if not os.path.lexists(folder / name):
        raise JobError(f"{folder}: holds no job (there is no {name}); give a job folder or a recipe file")
    with open_part(folder / name, limit) as file:
        return file.read(limit)


def says(folder: Path, name: str, expected: bytes) -> bool:
    """Returns whether a job's file holds exactly the bytes `expected`. No more than those are read."""
    path = folder / name
    if not os.path.lexists(path):
        return False
    with open_part(path, limit=None) as file:
        return file.read(len(expected) + 1) == expected


def read_about(folder: Path) -> dict[str, Any]:
    """Returns the object in job.json, {} for any other JSON value. Raises RecipeError if it is not JSON."""
    found = read_json(read_part(folder, JOB), source=str(folder / JOB))
    return found if isinstance(found, dict) else {}


def is_job(folder: Path | str) -> bool:
    """Returns whether a folder holds a job."""
    return os.path.lexists(Path(folder) / JOB)


def lines_of(path: Path) -> Iterator[bytes]:
    """Returns the lines of a journal, none if there is no file. A line over `MAX_LINE` bytes is cut off."""
    if not os.path.lexists(path):
        return
    with open_part(path, MAX_JOURNAL) as file:
        while line := file.readline(MAX_LINE):
            yield line
            while len(line) == MAX_LINE and not line.endswith(b"\n"):
                line = file.readline(MAX_LINE)


def hash_of(path: Path, limit: int | None = MAX_PICTURE, pause: Callable[[], None] = never) -> str:
    """Returns the SHA-256 of a job's file or folder of pictures. Raises JobError if `open_part` refuses it."""
    return fingerprint(path, links=False, limit=limit, pause=pause, error=JobError)
