"""How many frames an engine is told to make at once."""

from __future__ import annotations

from remix.errors import Unsupported


def checked_batch(batch: int | None) -> int | None:
    """Returns `batch` as it is; raises Unsupported for less than one frame. None leaves the choice to the engine."""
    if batch is not None and batch < 1:
        raise Unsupported(f"batch: {batch} is less than one frame; leave it out or give 1 or more")
    return batch
