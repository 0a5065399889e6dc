"""One run at a time in a job folder."""

from __future__ import annotations

import errno
import json
import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from remix.errors import JobError, JobLocked
from remix.job.reading import LOCK, MAX_LOCK, open_part

log = logging.getLogger(__name__)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the folder for this process, and creates it if needed. Another run gets `JobLocked`, which names this one.

    The operating system holds the lock and releases it when the process ends, however it ends. A killed run therefore
    leaves no stale lock. The text of the file only identifies the holder.
    """
    with _locked_file(folder) as file:
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode())
        try:
            yield
        finally:
            file.truncate(0)


NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
"""Errors of file systems without locks, such as NFS and Lustre with some mount options."""

REMOVABLE = os.name != "nt"
"""Whether a file can be removed while it is open."""

TRIES = 10
"""Attempts to lock if another run that fails early keeps removing the file."""


def _locked_file(folder: Path) -> IO[bytes]:
    path = folder / LOCK
    for _ in range(TRIES):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            file = open(path, "a+b", buffering=0)  # noqa: SIM115  # the holder of the lock closes it
        except FileNotFoundError:  # the folder was removed
            continue
        if _try_lock(file) and _is_at(file, path):
            return file
        held = _is_at(file, path)
        file.close()
        if held:
            break
    raise JobLocked(
        f"{folder}: {_holder(path)} is at work in this folder; wait for it, stop it, or give another folder"
    )


def is_locked(folder: Path) -> bool:
    """Returns whether another run is at work in a folder."""
    try:
        with open_part(folder / LOCK, MAX_LOCK) as file:
            return not _try_lock(file)
    except (OSError, JobError):
        return False


def _is_at(file: IO[bytes], path: Path) -> bool:
    """Returns whether `path` still refers to this open file.

    True if the file system gives a file a new number at each request, as some network mounts do.
    """
    try:
        found, again = path.stat(), path.stat()
        return os.path.samestat(os.fstat(file.fileno()), found) or not os.path.samestat(found, again)
    except FileNotFoundError:
        return False


def _holder(path: Path) -> str:
    try:
        with open_part(path, MAX_LOCK) as file:
            holder = json.loads(file.read(MAX_LOCK))
        return f"process {holder['pid']} on {holder['host']}"
    except (OSError, JobError, ValueError, KeyError, TypeError, RecursionError):
        return "another process"


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: IO[bytes]) -> bool:
        # Windows locks also block reading, so the lock covers a byte far past the text.
        file.seek(1 << 30)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            log.warning("%s: this file system has no locks; take care that no other run uses the folder", file.name)
        return True
