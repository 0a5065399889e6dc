"""Files that appear under their name whole, or not at all.

Lies in this room because films land this way too; `remix.job.files` builds on it.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from remix.errors import BadInput

FULL = {errno.ENOSPC, errno.EDQUOT}
"""How systems say that a disk, or a user's share of it, is full."""

WHOLE = "whole"
"""What is to land is called so in its workplace; it may have other files and folders beside it."""

_PART = re.compile(r"\..{0,40}\.[a-z0-9_]{8}\.part", re.DOTALL)
LITTER = re.compile(r"\.DS_Store|\._.*|\.directory|desktop\.ini|thumbs\.db", re.IGNORECASE | re.DOTALL)
"""The names of what file managers leave in folders that they show: macOS, KDE, Windows."""

_KINDS = (
    (stat.S_ISLNK, "a link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)

_NAME_KEPT = 40
"""How many characters of a target's name its workplace repeats: file systems allow 255 bytes for all of it."""


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Returns, as a context, the path to write to; afterwards that file is flushed and gets the name `path`.

    It lies in a `workplace`. When the body raises, whatever was at `path` before is untouched. BadInput where
    no file can land, see `refuse_place`.
    """
    target = Path(path)
    refuse_place(target)
    with workplace(target) as place:
        part = place / WHOLE
        yield part
        flush_to_disk(part)
        os.replace(part, target)
        flush_folder(target.parent)


@contextmanager
def workplace(target: Path) -> Iterator[Path]:
    """Returns, as a context, a new folder beside `target`, which is removed afterwards with all that is in it.

    The same file system, so that a rename to `target` is one step; and a name that nothing else bears, so that
    neither a user's files nor another run's are ever in the way. A run that is killed leaves it behind, by a
    name that `is_part` knows: ``.NAME.XXXXXXXX.part``.
    """
    place = Path(tempfile.mkdtemp(prefix=f".{target.name[:_NAME_KEPT]}.", suffix=".part", dir=target.parent))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def is_part(name: str) -> bool:
    """Returns whether a `workplace` may be called `name`: ``.film.mp4.k3x_90ab.part``."""
    return _PART.fullmatch(name) is not None


def contents(folder: Path) -> list[Path]:
    """Returns what lies in a folder, in the order of names, without the `LITTER` of file managers."""
    return sorted(path for path in folder.iterdir() if not LITTER.fullmatch(path.name))


def kind_of(mode: int) -> str:
    """Returns what a file mode stands for, in words; "" for a regular file.

    >>> kind_of(stat.S_IFIFO), kind_of(stat.S_IFREG)
    ('a named pipe', '')
    """
    return next((words for is_kind, words in _KINDS if is_kind(mode)), "" if stat.S_ISREG(mode) else "a special file")


def refuse_place(target: Path) -> None:
    """Raises BadInput where no file can land at `target`: no folder for it, or something else by its name."""
    mode = mode_at(target)
    if mode is not None and not stat.S_ISREG(mode):
        remedy = "give the name of a file" if stat.S_ISDIR(mode) else "delete it, or give another name"
        raise BadInput(f"{target}: is {kind_of(mode)}; {remedy}")


def mode_at(target: Path) -> int | None:
    """Returns the mode of what lies at `target`, None for nothing; BadInput where nothing could lie there."""
    try:
        if not target.parent.is_dir():
            raise BadInput(f"{target}: there is no folder {target.parent}; make it, or choose another")
        if not os.access(target.parent, os.W_OK):
            raise BadInput(f"{target}: the folder {target.parent} may not be written to; choose another")
        return target.stat().st_mode
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:  # too long a name; a NUL in it
        reason = getattr(error, "strerror", None) or error
        raise BadInput(f"{str(target)!r}: cannot be written ({reason}); choose another name") from error


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
