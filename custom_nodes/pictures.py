"""Hashes of a recipe's pictures, so that a node notices when a file is replaced."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from remix.errors import BadInput
from remix.job.files import inside
from remix.motion.regular import fingerprint
from remix.plan import Recipe


def input_stamps(recipe: Recipe) -> dict[Path, str]:
    """Returns the hashes of a recipe's pictures and masks by path, "" for missing files."""
    found: dict[Path, str] = {}
    for name in recipe.pictures():
        try:
            path = inside(recipe.folder or ".", name)
        except BadInput:  # rendering reports it
            continue
        found[path] = picture_hash(path)
    return found


def picture_hash(path: Path) -> str:
    """Returns the hash of a picture, or "" if it does not exist."""
    try:
        about = path.stat()
        return _hash_at(path, about.st_size, about.st_mtime_ns)
    except OSError:
        return ""


@lru_cache(maxsize=256)
def _hash_at(path: Path, size: int, changed: int) -> str:
    """Returns the hash of a file. Cached until the file changes."""
    return fingerprint(path)
