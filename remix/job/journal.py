"""The journal of a job: one line for each finished file, with its key, its hash, and the time that it took."""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from remix.digest import canonical
from remix.errors import JobError
from remix.job.reading import MAX_PICTURE, REMEDY, hash_of, lines_of
from remix.motion.atomic import flush
from remix.motion.regular import never

log = logging.getLogger(__name__)

MAX_NAMES = 2**18
"""The maximum number of files in a journal. A job has at most 100,000 frames, and a few films."""

SECONDS, MEASURED = "seconds", "measured"
"""Names in a line: the rendering time, and the number of pictures that measured the pace."""


class Journal:
    """The finished files by name. The file only grows, line by line; the last line of a name is valid.

    `measuring` is the number of pictures that were rendered to measure the pace, and their rendering time in seconds.
    `pause` is called between the blocks of files that are hashed. An error that it raises stops the hashing.
    """

    def __init__(self, path: Path, pause: Callable[[], None] = never) -> None:
        self._path, self._pause = path, pause
        self._entries: dict[str, tuple[str, str]] = {}
        self._seconds: dict[str, float] = {}
        self.measuring: tuple[int, float] = (0, 0.0)
        self._torn = False
        for line in lines_of(path):
            self._read(line)

    def _read(self, line: bytes) -> None:
        self._torn = not line.endswith(b"\n")
        try:
            entry = json.loads(line)
            if MEASURED in entry:
                self.measuring = (int(entry[MEASURED]), _seconds(entry))
                return
            name, key, digest = (entry[field] for field in ("file", "key", "sha256"))
            self._entries[str(name)] = (str(key), str(digest))
            self._seconds.pop(str(name), None)
            if SECONDS in entry:
                self._seconds[str(name)] = _seconds(entry)
            if len(self._entries) > MAX_NAMES:
                raise JobError(f"{self._path}: names more than {MAX_NAMES} files; {REMEDY}")
        except (ValueError, KeyError, TypeError, RecursionError):
            # The run was killed, or the disk was full, in the middle of a line. That frame is checked by its metadata.
            log.info("%s: skipped an incomplete line", self._path)

    def holds(self, path: Path, key: str, limit: int = MAX_PICTURE) -> bool:
        """Returns whether the journal lists `path` with `key`, and the file is unchanged.

        Links, pipes, devices and files over `limit` bytes never match, and are not read.
        """
        entry = self._entries.get(_name(path))
        return entry is not None and entry[0] == key and self._is_same(path, entry[1], limit)

    def key_of(self, path: Path) -> str | None:
        """Returns the recorded key of `path`, None if there is none or the file has changed."""
        entry = self._entries.get(_name(path))
        return entry[0] if entry is not None and self._is_same(path, entry[1], MAX_PICTURE) else None

    def _is_same(self, path: Path, digest: str, limit: int) -> bool:
        if not os.path.lexists(path):
            return False
        try:
            return hash_of(path, limit, self._pause) == digest
        except JobError as error:
            log.warning("%s", error)
            return False

    def keys(self) -> dict[str, str]:
        """Returns the recorded keys by file name, without reading the files."""
        return {name: key for name, (key, _) in self._entries.items()}

    def seconds(self) -> dict[str, float]:
        """Returns the rendering time of each file that has one, by file name."""
        return dict(self._seconds)

    def note(self, path: Path, key: str, seconds: float | None = None) -> None:
        """Records that the file or folder at `path` is finished and has the key `key`, flushed to disk.

        `seconds` is the time that it took to render, None if it was not rendered now.
        """
        name, digest = _name(path), hash_of(path, None)
        timed = {} if seconds is None else {SECONDS: round(seconds, 4)}
        self._append({"file": name, "key": key, "sha256": digest, **timed})
        self._entries[name] = (key, digest)
        self._seconds.pop(name, None)
        self._seconds.update({} if seconds is None else {name: seconds})

    def note_measuring(self, pictures: int, seconds: float) -> None:
        """Records the pictures that were rendered to measure the pace, and their rendering time."""
        self._append({MEASURED: pictures, SECONDS: round(seconds, 4)})
        self.measuring = (pictures, seconds)

    def _append(self, entry: dict[str, object]) -> None:
        line = canonical(entry).encode() + b"\n"
        with open(self._path, "ab") as file:
            file.write(b"\n" + line if self._torn else line)
            file.flush()
            flush(file.fileno())
        self._torn = False


def _seconds(entry: Mapping[str, object]) -> float:
    """Returns the time in a line of the journal. Raises ValueError unless it is a finite number of seconds."""
    seconds = float(str(entry[SECONDS]))
    if not 0 <= seconds < math.inf:
        raise ValueError(seconds)
    return seconds


def _name(path: Path) -> str:
    # If the system's encoding is not UTF-8, Python stores the undecodable bytes of a name as lone surrogates, which a
    # UTF-8 file cannot hold. The bytes themselves are the same everywhere.
    return os.fsencode(path.name).decode("utf-8", "backslashreplace")
