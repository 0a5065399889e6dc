"""The recipe's pictures, by their content: what tells a node that one was replaced under its name."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from remix.errors import BadInput
from remix.job.files import inside
from remix.motion.regular import fingerprint
from remix.plan import Recipe


def input_stamps(recipe: Recipe) -> dict[Path, str]:
    """Returns the hashes of a recipe's pictures and masks, by their paths; "" for one that is not there."""
    found: dict[Path, str] = {}
    for name in recipe.pictures():
        try:
            path = inside(recipe.folder or ".", name)
        except BadInput:  # which is told when the recipe is rendered
            continue
        found[path] = picture_hash(path)
    return found


def picture_hash(path: Path) -> str:
    """Returns the hash of a picture, "" where there is none."""
    try:
        about = path.stat()
        return _hash_at(path, about.st_size, about.st_mtime_ns)
    except OSError:
        return ""


@lru_cache(maxsize=256)
def _hash_at(path: Path, size: int, changed: int) -> str:
    """The hash of a file, read once as long as it is the same."""
    return fingerprint(path)
