"""Opens regular files only, with a size limit, and reads them in blocks.

A path may lead to a named pipe that never answers, to a device that never ends, or to a file that claims terabytes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from remix.digest import sha256
from remix.errors import BadInput, PictureError
from remix.motion.atomic import contents, kind_of

BLOCK = 2**20
"""Bytes read at a time. A run that is asked to stop does so between two blocks."""

_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
"""O_NONBLOCK: opening a named pipe would wait for its other end, and the file may be replaced after it was checked."""


def never() -> None:
    """Does nothing: the default `pause`."""


def open_file(
    path: str | os.PathLike[str],
    *,
    links: bool = True,
    limit: int | None = None,
    remedy: str = "give a picture or film",
    error: type[BadInput] = PictureError,
) -> BinaryIO:
    """Returns the regular file at `path`, opened for reading.

    Raises `error`, ending in `remedy`, for folders, pipes, devices and missing files, for a link unless `links`, and
    for more than `limit` bytes. Intermediate folders may be links.
    """
    name = os.fspath(path)
    try:
        _refuse(os.stat(path, follow_symlinks=links), name, limit, remedy, error)
        handle = os.open(path, _FLAGS | (0 if links else getattr(os, "O_NOFOLLOW", 0)))
    except FileNotFoundError as missing:
        raise error(f"{name}: no such file; only files on this machine are read") from missing
    except (OSError, ValueError) as problem:  # ValueError: a NUL in the name
        raise error(f"{name!r}: cannot be read ({problem}); {remedy}") from problem
    try:
        _refuse(os.fstat(handle), name, limit, remedy, error)  # it may have been replaced since it was checked
    except BadInput:
        os.close(handle)
        raise
    return os.fdopen(handle, "rb")


def _refuse(found: os.stat_result, name: str, limit: int | None, remedy: str, error: type[BadInput]) -> None:
    if kind := kind_of(found.st_mode):
        raise error(f"{name}: is {kind}, not a regular file; {remedy}")
    if limit is not None and found.st_size > limit:
        raise error(f"{name}: {found.st_size} bytes; at most {limit} are read; {remedy}")


def fingerprint(
    path: Path,
    *,
    links: bool = True,
    limit: int | None = None,
    pause: Callable[[], None] = never,
    error: type[BadInput] = PictureError,
) -> str:
    """Returns the SHA-256 of a file; of a folder, that of its files' names and contents.

    Files are read in blocks, and `pause` is called before each; an error that it raises stops the reading. Files that
    file managers create in folders are ignored. Raises `error` for files that `open_file` refuses, also inside the
    folder.
    """
    if path.is_dir() and (links or not path.is_symlink()):
        inner = (f"{file.name} {_digest(file, links, limit, pause, error)}" for file in contents(path))
        return sha256("\n".join(inner).encode("utf-8", "surrogateescape"))
    return _digest(path, links, limit, pause, error)


def _digest(path: Path, links: bool, limit: int | None, pause: Callable[[], None], error: type[BadInput]) -> str:
    digest = hashlib.sha256()
    with open_file(path, links=links, limit=limit, remedy="delete it, or give another one", error=error) as file:
        pause()
        while block := file.read(BLOCK):
            digest.update(block)
            pause()
    return digest.hexdigest()
