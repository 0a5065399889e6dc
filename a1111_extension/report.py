"""The report about the script and a checkpoint, for clients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from remix.engine.pack import REPORT, report
from remix.errors import Unsupported

from . import host


def answer(checkpoint: str = "") -> dict[str, Any]:
    """Returns the report, about a checkpoint by any of the host's names if it has that."""
    try:
        file = Path(host.checkpoint_of(checkpoint).filename)
    except Unsupported:
        return report(None)
    return report(file)


def add_route() -> None:
    """Adds the report to the host's API. Must run whenever the host loads its scripts."""
    host.on_api(REPORT, answer)
