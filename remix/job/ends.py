"""A large file told from others without reading all of it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

END = 4 * 2**20
"""How much is read at either end: in a checkpoint, the names and places of its tensors, and some of them.

Hashing gigabytes would delay the first frame by seconds.
"""


def ends(path: Path) -> str:
    """Returns a short hash of a file's size, its first 4 MiB and its last: 16 hexadecimal digits."""
    digest = hashlib.sha256()
    take_ends(digest, path)
    return digest.hexdigest()[:16]


def take_ends(digest: Any, path: Path) -> None:
    """Adds a file's size and its ends to a digest of hashlib."""
    size = path.stat().st_size
    digest.update(f"{size}\0".encode())
    with path.open("rb") as file:
        digest.update(file.read(END))
        if size > END:
            file.seek(max(size - END, END))
            digest.update(file.read(END))
