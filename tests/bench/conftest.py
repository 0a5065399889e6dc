"""The fixture of the benches. Nothing else here: it is read wherever the tests are collected."""

from __future__ import annotations

from typing import Any

import pytest

from tests.bench.race import Race


@pytest.fixture
def race(benchmark: Any) -> Race:
    """One bench's race, which also becomes its record in pytest-benchmark."""
    return Race(benchmark)
