"""Free disk space: a warning before a run that may need more, and an error once the disk is full."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from remix.errors import DiskFull, VideoError
from remix.motion.atomic import FULL
from remix.plan import Recipe

log = logging.getLogger(__name__)


@dataclass
class DiskSpace:
    """The disk space that a run may still need, in bytes: an upper bound, the size of its uncompressed pictures."""

    folder: Path
    recipe: Recipe
    needed: int = 0

    def expect(self, frames: int) -> None:
        """Sets the needed space to that of `frames` frames."""
        self.needed = frames * 3 * self.recipe.width * self.recipe.height

    def free(self) -> int:
        """Returns the bytes that this user can still write to the folder's disk."""
        place = self.folder.resolve()
        while not place.exists():
            place = place.parent
        return shutil.disk_usage(place).free

    def warn(self) -> None:
        """Logs a warning if there may not be enough space."""
        if self.needed > (free := self.free()):
            log.warning(
                "%s: the remaining frames may need up to %d bytes, %d are free on its disk; "
                "the run keeps what is finished if they do not fit",
                self.folder,
                self.needed,
                free,
            )


@contextmanager
def raising_disk_full(folder: Path, recipe: Recipe) -> Iterator[DiskSpace]:
    """Returns a context manager that yields a run's disk space.

    Raises `DiskFull`, with the needed and the free bytes, if the disk fills up inside it.
    """
    space = DiskSpace(folder, recipe)
    space.expect(recipe.frames)
    try:
        yield space
    except (OSError, VideoError) as error:
        if not _is_full(error):
            raise
        raise DiskFull(
            f"{folder}: the disk is full: up to {space.needed} bytes are needed to continue, {space.free()} are free; "
            "what is finished is kept, make room and run it again"
        ) from error


def _is_full(error: OSError | VideoError) -> bool:
    if isinstance(error, OSError):
        return error.errno in FULL
    return error.disk_full
