"""Keeps the tests on real hosts short in CI, whose time is limited."""

from __future__ import annotations

import os

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keeps every tenth case and the last one of each test in this folder, unless REMIX_REAL is "all"."""
    if not os.environ.get("CI") or os.environ.get("REMIX_REAL") == "all":
        return
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        if "tests/real/" in item.nodeid:
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    left_out = {id(item) for each in cases.values() for place, item in enumerate(each[:-1]) if place % 10}
    config.hook.pytest_deselected(items=[item for item in items if id(item) in left_out])
    items[:] = [item for item in items if id(item) not in left_out]
