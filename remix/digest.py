"""Hashes of bytes, and the canonical JSON text of a value that is hashed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

END = 4 * 2**20
"""Bytes read at either end of a file. In a checkpoint, they hold the names and positions of its tensors, and some data.

Hashing gigabytes would delay the first frame by seconds.
"""

SAMPLES, SAMPLE = 64, 64 * 2**10
"""The number of evenly spaced samples between the ends of files above 12 MiB, and their size in bytes."""


def sha256(data: bytes) -> str:
    """Returns the SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def canonical(value: Any) -> str:
    """Returns the canonical JSON text of `value`: keys sorted, no spaces."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def sampled_hash(path: Path) -> str:
    """Returns a short hash of a file's size, first 4 MiB, last 4 MiB, and samples between: 16 hexadecimal digits."""
    digest = hashlib.sha256()
    update_sampled_hash(digest, path)
    return digest.hexdigest()[:16]


def update_sampled_hash(digest: Any, path: Path) -> None:
    """Adds a file's size, its ends and samples between them to a digest of hashlib."""
    size = path.stat().st_size
    digest.update(f"{size}\0".encode())
    with path.open("rb") as file:
        digest.update(file.read(END))
        if size > END:
            file.seek(max(size - END, END))
            digest.update(file.read(END))
        if size > 3 * END:
            for sample in range(SAMPLES):
                file.seek(END + (size - 2 * END) * sample // SAMPLES)
                digest.update(file.read(SAMPLE))
