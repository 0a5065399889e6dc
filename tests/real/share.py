"""How much of a long table the tests on real hosts go through."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def share(rows: Sequence[T]) -> Sequence[T]:
    """Returns every third row in CI, whose time is limited, and all rows elsewhere or with REMIX_REAL=all."""
    return rows[::3] if os.environ.get("CI") and os.environ.get("REMIX_REAL") != "all" else rows
