"""Makes the README's picture of the A1111 script, with a real A1111 and a headless browser.

    python -m docs.make_a1111_pictures

Needs what the tests in tests/real/a1111 need. Takes one or two minutes on two cores. The script renders with the
bundled model. Writes docs/pictures/a1111.png and a1111-film.gif.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from remix.playground.checkpoint import write_checkpoint
from tests.real.a1111.host import A1111, Host, Kind
from tests.real.browser import browser

PICTURES = Path(__file__).with_name("pictures")
KEYFRAMES = "0: a red house on a green hill\n5: a white house in the snow\n11: a yellow boat at sunset"
FIELDS = {"keyframes": KEYFRAMES, "frames": "16", "seeds": "3"}
NUMBERS = {
    "txt2img_width": 128,
    "txt2img_height": 128,
    "txt2img_steps": 12,
    "txt2img_cfg_scale": 3,
    "script_txt2img_remix_between": 1,
}
CHOICES = {"txt2img_sampling": "DPM++ 2M", "txt2img_scheduler": "SGM Uniform"}
SIZE = {"width": 1240, "height": 1650}
COLORS = 128
PATIENCE = 900_000
"""Milliseconds."""


class WithModel(Host):
    """An A1111 with the bundled model as its checkpoint."""

    def __init__(self, kind: Kind, webui: Path, base: Path) -> None:
        super().__init__(kind, webui, base)
        (base / "models").mkdir()
        self.checkpoint = write_checkpoint(base / "models")


def make() -> None:
    """Fills in the panel of an A1111, renders a film, and saves the page and the film."""
    webui = A1111.installed()
    assert webui is not None, f"set {A1111.variable} to the folder of an A1111"
    with tempfile.TemporaryDirectory() as base:
        host = WithModel(A1111, webui, Path(base))
        try:
            host.start()
            with browser() as started:
                _film(started.new_page(viewport=SIZE), host)
        finally:
            host.stop()


def _film(page: Any, host: Host) -> None:
    page.goto(f"{host.url}/?__theme=light")
    page.wait_for_selector("#txt2img_script_container #script_list", timeout=PATIENCE)
    page.wait_for_load_state("networkidle")
    for name, choice in CHOICES.items():
        _pick(page, page.locator(f"#{name} input").first, choice)
    _pick(page, page.locator("#txt2img_script_container #script_list input").first, "Remix")
    for name, value in NUMBERS.items():
        page.locator(f"#{name} input[type=number]").first.fill(str(value))
    for name, text in FIELDS.items():
        page.locator(f"#script_txt2img_remix_{name}").locator("textarea, input").first.fill(text)
    page.locator("#script_txt2img_remix_loop input").check()
    _pick(page, page.locator("#script_txt2img_remix_film input").first, "gif")
    page.locator("#txt2img_generate").click()
    page.locator("#txt2img_remix_film a").first.wait_for(timeout=PATIENCE)
    page.wait_for_timeout(1000)
    page.evaluate("scrollTo(0, 0)")
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "page.png"
        page.screenshot(path=shot)
        with Image.open(shot) as picture:
            picture.convert("RGB").quantize(COLORS).save(PICTURES / "a1111.png", optimize=True)
    (film,) = host.jobs.glob("*/film.gif")
    (PICTURES / "a1111-film.gif").write_bytes(film.read_bytes())


def _pick(page: Any, box: Any, choice: str) -> None:
    box.click()
    page.locator("ul.options li").filter(has_text=choice).first.click()


if __name__ == "__main__":
    make()
