"""Makes the pictures of docs/grid.md with the bundled model: a grid, and its page in a headless browser.

    python -m docs.make_grid_pictures

Needs Chromium and playwright, as the tests of real hosts do.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from remix.client.cli import main
from remix.plan import Recipe
from tests.real.browser import browser

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
RECIPE = ROOT / "examples" / "prompt-travel.toml"
WIDTH, HEIGHT = 860, 640


def make() -> None:
    """Writes docs/pictures/grid.png and docs/pictures/grid-page.png."""
    with tempfile.TemporaryDirectory() as work, browser() as started:
        recipe, out = Path(work) / "house-to-boat.toml", Path(work) / "grid.png"
        Recipe.load(RECIPE).save(recipe)
        words = ["grid", str(recipe), "--x", "steps=1,2,4,8,16", "--y", "sampler=euler,dpmpp_2m,euler_ancestral"]
        assert main([*words, "-o", str(out), "--page", "-q"]) == 0
        (PICTURES / "grid.png").write_bytes(out.read_bytes())
        page = started.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto(out.with_suffix(".html").as_uri())
        page.hover("#cell-2-1-0 .enlarge")
        page.screenshot(path=PICTURES / "grid-page.png")


if __name__ == "__main__":
    make()
