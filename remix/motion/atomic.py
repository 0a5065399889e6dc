"""Atomic writes: a file appears under its name completely or not at all.

This module is part of `remix.motion` because films are written this way too; `remix.job.files` builds on it.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from remix.errors import BadInput

FULL = {errno.ENOSPC, errno.EDQUOT}
"""Error numbers for a full disk, or an exhausted quota."""

NO_FLUSH = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
"""Error numbers of file systems that cannot flush."""

RETRY_SECONDS, RETRY_EVERY = 1.0, 0.05
"""How long, and how often, to retry a rename that Windows refuses temporarily."""

_HELD_OPEN = {5, 32, 33}
"""Windows' ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION and ERROR_LOCK_VIOLATION."""

_LONG = 200
"""Paths at least this long are extended. A temporary folder adds up to 60 characters to the 260 that Windows allows."""

RESERVED = {"con", "prn", "aux", "nul", "conin$", "conout$", "clock$"} | {
    f"{device}{digit}" for device in ("com", "lpt") for digit in "0123456789¹²³"
}
"""Names that Windows reserves for devices, in lower case."""

if sys.platform == "win32":
    _FULL_FLUSH = None
else:
    import fcntl

    _FULL_FLUSH: int | None = getattr(fcntl, "F_FULLFSYNC", None)
    """macOS has it: there fsync leaves the bytes in the drive's own memory."""
    _control = fcntl.fcntl

WHOLE = "whole"
"""The name of the file or folder in the temporary folder that will be renamed; others may be next to it."""

_PART = re.compile(r"\..{0,40}\.[a-z0-9_]{8}\.part", re.DOTALL)
LITTER = re.compile(r"\.DS_Store|\._.*|\.directory|desktop\.ini|thumbs\.db", re.IGNORECASE | re.DOTALL)
"""Names of files that file managers create in folders they show: macOS, KDE, Windows."""

_KINDS = (
    (stat.S_ISLNK, "a link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)

_NAME_KEPT = 40
"""Characters of a target's name that its temporary folder repeats. File systems allow 255 bytes in total."""


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Returns a context manager that yields a path to write to, then flushes that file and renames it to `path`.

    If the body raises, an existing file at `path` is left unchanged. Raises BadInput if no file can be written there,
    see `refuse_place`.
    """
    target = Path(path)
    refuse_place(target)
    with workplace(target) as place:
        part = place / WHOLE
        yield part
        flush_to_disk(part)
        replace(part, target)
        flush_folder(target.parent)


@contextmanager
def workplace(target: Path) -> Iterator[Path]:
    """Returns a context manager that yields a new folder next to `target`, and removes it afterwards with its contents.

    The folder is on the same file system, so that a rename to `target` is a single step. Its name is unique, so that it
    cannot collide with files of the user or of another run. A killed run leaves it behind, with a name that `is_part`
    detects: ``.NAME.XXXXXXXX.part``.
    """
    place = Path(
        tempfile.mkdtemp(
            prefix=f".{target.name[:_NAME_KEPT]}.", suffix=".part", dir=extended(os.path.abspath(target.parent))
        )
    )
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def is_part(name: str) -> bool:
    """Returns whether `name` is a name of a `workplace`, such as ``.film.mp4.k3x_90ab.part``."""
    return _PART.fullmatch(name) is not None


def contents(folder: Path) -> list[Path]:
    """Returns the entries of a folder sorted by name, without the `LITTER` of file managers."""
    return sorted(path for path in folder.iterdir() if not LITTER.fullmatch(path.name))


def kind_of(mode: int) -> str:
    """Returns a description of a file mode; "" for a regular file.

    >>> kind_of(stat.S_IFIFO), kind_of(stat.S_IFREG)
    ('a named pipe', '')
    """
    return next((words for is_kind, words in _KINDS if is_kind(mode)), "" if stat.S_ISREG(mode) else "a special file")


def refuse_place(target: Path, *, windows: bool = os.name == "nt") -> None:
    """Raises BadInput if no file can be written to `target`: its folder is missing, or it is not a regular file."""
    if windows and (problem := windows_problem(target.name)):
        raise BadInput(f"{target}: not a name for Windows ({problem}); choose another")
    mode = mode_at(target)
    if mode is not None and not stat.S_ISREG(mode):
        remedy = "give the name of a file" if stat.S_ISDIR(mode) else "delete it, or give another name"
        raise BadInput(f"{target}: is {kind_of(mode)}; {remedy}")


def mode_at(target: Path) -> int | None:
    """Returns the file mode of `target`, None if there is no file. Raises BadInput if none can be written there."""
    try:
        if not target.parent.is_dir():
            raise BadInput(f"{target}: there is no folder {target.parent}; make it, or choose another")
        if not os.access(target.parent, os.W_OK):
            raise BadInput(f"{target}: the folder {target.parent} may not be written to; choose another")
        return target.stat().st_mode
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:  # the name is too long, or contains a NUL
        reason = getattr(error, "strerror", None) or error
        raise BadInput(f"{str(target)!r}: cannot be written ({reason}); choose another name") from error


def windows_problem(name: str) -> str:
    """Returns the reason why a file cannot be called `name` on Windows; "" if it can.

    >>> windows_problem("CON.mp4"), windows_problem("film.mp4:x.mp4"), windows_problem("film.mp4")
    ("'CON' is a device there", "':' may not be in a name there", '')
    """
    stem = name.split(".")[0].rstrip()
    # Windows also treats "con.txt" and "con .txt" as the device, whatever follows the first dot.
    if stem.casefold() in RESERVED:
        return f"{stem!r} is a device there"
    if odd := next((letter for letter in name if letter in '<>:"/\\|?*' or ord(letter) < 32), ""):
        return f"{odd!r} may not be in a name there"
    if name.endswith((".", " ")) or Path(name).stem.endswith((".", " ")):
        return "a dot or a space ends it, or stands before its suffix"
    return ""


def extended(path: str, *, windows: bool = os.name == "nt") -> str:
    """Returns an absolute path in the form that Windows accepts beyond 260 characters.

    Short paths, and paths on other systems, are returned unchanged. Source: Microsoft, "Maximum Path Length
    Limitation".
    """
    if not windows or len(path) < _LONG or path.startswith("\\\\?\\"):
        return path
    return "\\\\?\\UNC\\" + path[2:] if path.startswith("\\\\") else "\\\\?\\" + path


def replace(
    source: Path,
    target: Path,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Renames `source` to `target`, replacing an existing file.

    On Windows, a virus scanner or a player may hold either file open for a moment, so the rename is retried for a
    second.
    """
    until = clock() + RETRY_SECONDS
    while True:
        try:
            return os.replace(source, target)
        except PermissionError as error:
            if getattr(error, "winerror", None) not in _HELD_OPEN or clock() >= until:
                raise
        sleep(RETRY_EVERY)


def flush_to_disk(path: Path) -> None:
    """Waits until the bytes of a file are on disk, and not only in the system's memory."""
    # Windows only flushes files that are open for writing.
    handle = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    try:
        flush(handle)
    finally:
        os.close(handle)


def flush(handle: int) -> None:
    """Waits until the bytes of an open file are on disk. Some network file systems cannot say; that is ignored."""
    if _FULL_FLUSH is not None:
        try:
            _control(handle, _FULL_FLUSH)
        except OSError as error:
            if error.errno not in NO_FLUSH:
                raise
        else:
            return
    _sync(handle)


def _sync(handle: int) -> None:
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in NO_FLUSH:
            raise


def flush_folder(folder: Path) -> None:
    """Waits until the entries of a folder are on disk, so that a rename survives a power failure.

    Some network and user-space file systems do not support this for folders; the error is then ignored.
    """
    if os.name == "nt":  # Windows cannot open folders, and orders renames itself
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:  # a folder that may be written to and not listed
        return
    try:
        _sync(handle)
    finally:
        os.close(handle)
