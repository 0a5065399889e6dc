"""Takes the picture of docs/report.md: the report of a travel with a jump, in a headless browser.

    python -m docs.make_report_picture

Needs Chromium and playwright, as the tests of real hosts do.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from remix.client import Local
from remix.engine import render
from remix.plan import Keyframe, Recipe
from tests.real.browser import browser

ROOT = Path(__file__).parents[1]
WIDTH, HEIGHT = 1040, 1250


def make() -> None:
    """Writes docs/pictures/report.png."""
    recipe = Recipe.load(ROOT / "client" / "cli" / "demo.toml").replace(
        frames=24,
        loop=False,
        ease="linear",
        pace="linear",
        keyframes=(
            Keyframe(prompt="a white boat on the sea", seed=4),
            Keyframe(prompt="a yellow moon at night", seed=21),
        ),
    )
    with tempfile.TemporaryDirectory() as work, browser() as started:
        report = render(recipe, Local(), Path(work) / "boat-to-moon", report=True).report
        assert report is not None
        page = started.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto(report.as_uri())
        page.wait_for_function("[...document.querySelectorAll('video')].every(video => video.readyState == 4)")
        page.screenshot(path=ROOT / "docs" / "pictures" / "report.png")


if __name__ == "__main__":
    make()
