"""The report about the script and a checkpoint, for clients."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from remix.engine.pack import REPORT, report
from remix.errors import Unsupported

from . import host
from .identity import fingerprint


def answer(checkpoint: str = "") -> dict[str, Any]:
    """Returns the report, about a checkpoint by any of the host's names if it has that."""
    try:
        file = Path(host.checkpoint_of(checkpoint).filename)
    except Unsupported:
        return report(None, embeddings=_embeddings())
    return report(file, embeddings=_embeddings())


def _embeddings() -> dict[str, str]:
    """Returns the hashes of the host's embeddings, without files that cannot be read."""
    found = {}
    for name, path in host.embedding_files().items():
        with contextlib.suppress(OSError):
            found[name] = fingerprint(path)
    return found


def add_route() -> None:
    """Adds the report to the host's API. Must run whenever the host loads its scripts."""
    host.on_api(REPORT, answer)
