"""A headless browser for the pages of real hosts; where there is none its tests are skipped, and say so."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

BROWSER = os.environ.get("CHROMIUM", shutil.which("chromium") or "")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)
"""Reaches nothing but this machine."""


@contextmanager
def browser() -> Iterator[Any]:
    """Yields a started browser; skips the test where there is none, or nothing to drive it with."""
    driver = pytest.importorskip("playwright.sync_api", reason="no browser driver: pip install playwright")
    if not BROWSER:
        pytest.skip("no browser to test with: install chromium, or set CHROMIUM")
    with driver.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=BROWSER, headless=True, args=QUIET)
        try:
            yield started
        finally:
            started.close()
