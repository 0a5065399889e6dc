"""The `remix` command with an engine that paints, as a process of its own.

Run: python -m tests.fakes.command RECORD SECONDS render ...; each painted frame takes so many seconds and leaves its
number as a line in the file RECORD.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

from remix.client import cli
from tests.fakes.renderer import Painter


def command(words: Sequence[object], record: Path, seconds: float = 0) -> int:
    """Runs `remix WORDS` with a painter in place of whatever engine is asked for; returns its exit code."""
    painter = Painter(record=record, seconds=seconds)
    with mock.patch("remix.client.cli.render.open_engine", return_value=painter):
        return cli.main([str(word) for word in words])


if __name__ == "__main__":
    sys.exit(command(sys.argv[3:], Path(sys.argv[1]), float(sys.argv[2])))
