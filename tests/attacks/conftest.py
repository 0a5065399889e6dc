"""What every attack is measured with."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from remix.syntax import read


@pytest.fixture(autouse=True, scope="module")
def _no_more_than_the_reader_is_charged() -> Iterator[None]:
    """Loads numpy before, and keeps what other tests left in memory from being searched for garbage meanwhile."""
    read("0:(t/10)", "deforum-values", frames=600, field="cfg")
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
