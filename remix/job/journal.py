"""The journal of a job: one line for each finished file, what made it and its own hash."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from pathlib import Path

from remix.digest import canonical, sha256
from remix.motion.atomic import contents

log = logging.getLogger(__name__)

_PIECE = 2**20


class Journal:
    """What is finished, by file name. It only grows, line by line; the last line of a name counts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: dict[str, tuple[str, str]] = {}
        self._torn = False
        if path.is_file():
            with open(path, "rb") as file:
                for line in file:
                    self._read(line)

    def _read(self, line: bytes) -> None:
        self._torn = not line.endswith(b"\n")
        try:
            entry = json.loads(line)
            name, key, digest = (entry[field] for field in ("file", "key", "sha256"))
            self._entries[str(name)] = (str(key), str(digest))
        except (ValueError, KeyError, TypeError, RecursionError):
            # A run was killed, or the disk was full, in the middle of a line. What it spoke of is looked at anew.
            log.info("%s: skipped a line that is not whole", self._path)

    def holds(self, path: Path, key: str) -> bool:
        """Returns whether `path` was noted as made by `key`, and is still the same file."""
        entry = self._entries.get(_name(path))
        return entry is not None and entry[0] == key and path.exists() and entry[1] == fingerprint(path)

    def key_of(self, path: Path) -> str | None:
        """Returns what `path` was noted as made by, None where it is not noted or is no longer the same file."""
        entry = self._entries.get(_name(path))
        return entry[0] if entry is not None and path.is_file() and entry[1] == fingerprint(path) else None

    def keys(self) -> dict[str, str]:
        """Returns what each file was noted as made by, by its name; no file is looked at."""
        return {name: key for name, (key, _) in self._entries.items()}

    def note(self, path: Path, key: str) -> None:
        """Writes down, for good, that the file or folder at `path` is finished and what made it."""
        name, digest = _name(path), fingerprint(path)
        line = canonical({"file": name, "key": key, "sha256": digest}).encode() + b"\n"
        with open(self._path, "ab") as file:
            file.write(b"\n" + line if self._torn else line)
            file.flush()
            os.fsync(file.fileno())
        self._torn = False
        self._entries[name] = (key, digest)


def _name(path: Path) -> str:
    # Where the system's encoding is not UTF-8, Python keeps a name's odd bytes as halves of characters,
    # which no UTF-8 file can hold; the bytes themselves are the same everywhere.
    return os.fsencode(path.name).decode("utf-8", "backslashreplace")


def fingerprint(path: Path) -> str:
    """Returns the SHA-256 of a file; of a folder that of its files' names and contents. Read piece by piece.

    What file managers leave in folders does not count.
    """
    if path.is_dir():
        inner = (f"{file.name} {fingerprint(file)}" for file in contents(path))
        return sha256("\n".join(inner).encode("utf-8", "surrogateescape"))
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(_PIECE):
            found.update(piece)
    return found.hexdigest()
