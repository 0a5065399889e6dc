"""Hashes of the files of a schedule, so that a node notices when one is replaced."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from remix.digest import sampled_hash
from remix.errors import BadInput
from remix.job.files import inside
from remix.motion.regular import fingerprint
from remix.plan import Recipe

MODELS = (".safetensors", ".sft", ".ckpt", ".pt", ".pth", ".bin")
"""Suffixes of models, which are too large to be read completely."""


def input_stamps(recipe: Recipe) -> dict[Path, str]:
    """Returns the hashes of a recipe's pictures and masks by path, "" for missing files."""
    found: dict[Path, str] = {}
    for name in recipe.pictures():
        try:
            path = inside(recipe.folder or ".", name)
        except BadInput:  # rendering reports it
            continue
        found[path] = file_hash(path)
    return found


def file_hash(path: Path) -> str:
    """Returns the hash of a picture or a model, or "" if it does not exist."""
    try:
        about = path.stat()
        return _hash_at(path, about.st_size, about.st_mtime_ns)
    except OSError:
        return ""


@lru_cache(maxsize=256)
def _hash_at(path: Path, size: int, changed: int) -> str:
    """Returns the hash of a file. Cached until the file changes."""
    return sampled_hash(path) if path.suffix.lower() in MODELS else fingerprint(path)
