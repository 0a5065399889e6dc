"""Files that appear under their name whole, or not at all.

Lies in this room because films land this way too; `remix.job.files` builds on it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def landing(path: str | os.PathLike[str], part: str | os.PathLike[str] | None = None) -> Iterator[Path]:
    """Returns, as a context, the path to write to; afterwards that file is flushed and gets the name `path`.

    The part lies beside its target (same file system, so that the rename is one step) and is called
    ``NAME.part`` unless `part` says otherwise. When the body raises, the part is removed and whatever
    was at `path` before is untouched. A part that a killed run left behind is removed first.
    """
    target = Path(path)
    aside = Path(part) if part is not None else target.with_name(target.name + ".part")
    aside.unlink(missing_ok=True)
    try:
        yield aside
        flush_to_disk(aside)
        os.replace(aside, target)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    flush_folder(target.parent)


def flush_to_disk(path: Path) -> None:
    """Waits until the file's bytes are on the disk, not only in the system's memory."""
    # Windows flushes only what is open for writing.
    handle = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def flush_folder(folder: Path) -> None:
    """Waits until the folder's entries are on the disk, so that a rename survives a power cut."""
    if os.name == "nt":  # Windows cannot open folders, and orders renames itself.
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
