"""The jobs below a folder, as a list shows them: how far each is, what it is about, when it changed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from remix.errors import RemixError
from remix.job.identity import finished_at
from remix.job.job import frame_path, recipe_of
from remix.job.lock import is_locked
from remix.job.reading import FRAMES, is_job

DEPTH = 6
"""Levels of folders that are searched."""


@dataclass(frozen=True)
class ListedJob:
    """A job folder: its number of frames and of finished ones, its first prompt, its size on disk, its last change.

    `changed` is in seconds since 1970: when the last frame was finished, 0 if none is. `problem` says why a folder
    cannot be read as a job.
    """

    folder: Path
    frames: int = 0
    finished: int = 0
    prompt: str = ""
    width: int = 0
    height: int = 0
    fps: float = 0.0
    size: int = 0
    changed: float = 0.0
    running: bool = False
    problem: str = ""

    @property
    def state(self) -> str:
        """Returns "running", "finished", "unfinished" or "damaged"."""
        if self.problem:
            return "damaged"
        if self.running:
            return "running"
        return "finished" if self.finished >= self.frames else "unfinished"


def jobs_below(root: Path) -> list[ListedJob]:
    """Returns the jobs in a folder and its subfolders, the last changed first. Links are not followed."""
    return sorted(map(listed_job, _folders(root)), key=lambda job: (-job.changed, str(job.folder)))


def listed_job(folder: Path) -> ListedJob:
    """Returns a job as a list shows it. Frames are counted by their files, which are not opened."""
    changed = finished_at(folder) / 10**9
    try:
        recipe = recipe_of(folder)
        finished = sum(frame_path(folder, index).is_file() for index in range(recipe.frames))
        return ListedJob(
            folder,
            recipe.frames,
            finished,
            next((keyframe.prompt.values[0] for keyframe in recipe.keyframes if keyframe.prompt), ""),
            recipe.width,
            recipe.height,
            recipe.fps,
            _size(folder),
            changed,
            is_locked(folder),
        )
    except (RemixError, OSError) as error:
        return ListedJob(folder, changed=changed, problem=str(error))


def _folders(root: Path) -> Iterator[Path]:
    base = len(root.parts)
    for place, folders, _ in os.walk(root):
        folder = Path(place)
        if is_job(folder) or len(folder.parts) - base >= DEPTH:
            folders.clear()
        if is_job(folder):
            yield folder


def _size(folder: Path) -> int:
    """Returns the size of a job's files and frames in bytes."""
    total = 0
    for place in (folder, folder / FRAMES):
        with contextlib.suppress(OSError), os.scandir(place) as entries:
            total += sum(entry.stat(follow_symlinks=False).st_size for entry in entries if entry.is_file())
    return total
