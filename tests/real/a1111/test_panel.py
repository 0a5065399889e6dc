"""The panel in the page of a real A1111, in a headless browser: typed into, run, pasted back."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from remix.client.cli import main
from remix.motion import probe, read_video, save_picture
from tests.real.a1111.films import SIDE, painted
from tests.real.a1111.host import Host
from tests.real.browser import browser

THREE = "0: a red house on a green hill\n3: a white house in the snow\n5: a yellow boat at sunset"
PATIENCE = 60_000


class Page:
    """The host's page, with the script chosen, and what went wrong in it since it was ready."""

    def __init__(self, page: Any, url: str) -> None:
        self.page = page
        self.wrong: list[str] = []
        page.goto(url)
        page.wait_for_selector("#txt2img_script_container #script_list", timeout=PATIENCE)
        page.wait_for_load_state("networkidle")
        page.on("pageerror", lambda error: self.wrong.append(f"{error} {error.stack}"))
        page.on("console", lambda message: message.type == "error" and self.wrong.append(message.text))
        self.choose("txt2img")

    def choose(self, tab: str) -> None:
        """Chooses the script in the list of a tab."""
        self.pick(self.page.locator(f"#{tab}_script_container #script_list input").first, "Remix")
        self.field("keyframes", tab).wait_for(state="visible")

    def pick(self, box: Any, choice: str) -> None:
        """Picks from a list; the one that is chosen already has a mark before it."""
        box.click()
        listed = self.page.locator("ul.options li").filter(has_text=re.compile(rf"^\W*{choice}\s*$"))
        listed.first.click()

    def field(self, name: str, tab: str = "txt2img") -> Any:
        """The box in which a field of the panel is written or chosen."""
        return self.page.locator(f"#script_{tab}_remix_{name}").locator("textarea, input").first

    def fill(self, name: str, text: str, tab: str = "txt2img") -> None:
        self.field(name, tab).fill(text)
        self.field(name, tab).blur()

    def number(self, name: str, value: float) -> None:
        """Sets one of the host's own numbers."""
        box = self.page.locator(f"#{name} input[type=number]").first
        box.fill(str(value))
        box.blur()

    def clear(self) -> None:
        for name in ("keyframes", "frames", "seeds", "cfg", "denoise"):
            self.fill(name, "")
        self.wait_until("Write keyframes")

    @property
    def preview(self) -> Any:
        return self.page.locator("#script_txt2img_remix_said .remix-said").first

    def wait_until(self, text: str) -> str:
        """Waits until the panel shows a text, and returns all that it shows."""
        self.preview.get_by_text(text).first.wait_for(state="visible", timeout=PATIENCE)
        return str(self.preview.inner_text())

    def generate(self, tab: str = "txt2img") -> None:
        """Presses the button, and waits until the host is idle again."""
        self.page.locator(f"#{tab}_generate").click()
        self.page.locator(f"#{tab}_interrupt").wait_for(state="visible", timeout=PATIENCE)
        self.page.locator(f"#{tab}_interrupt").wait_for(state="hidden", timeout=PATIENCE)

    def log(self) -> str:
        """What the host says below its gallery, in plain words."""
        note = self.page.locator("#html_log_txt2img .comments").first
        note.wait_for(timeout=PATIENCE)
        text = str(note.inner_text())
        assert not re.search(r"Error|Traceback", text)
        return text

    def ours(self) -> list[str]:
        """What went wrong that names us; the host's own page is not without errors of its own."""
        return [text for text in self.wrong if "remix" in text.lower()]


@pytest.fixture(scope="module")
def page(host: Host) -> Iterator[Page]:
    with browser() as started:
        opened = Page(started.new_page(viewport={"width": 1300, "height": 1400}), host.url)
        for name, value in (("txt2img_steps", 2), ("txt2img_width", 64), ("txt2img_height", 64)):
            opened.number(name, value)
        yield opened


def test_what_is_typed_is_shown_as_curves_and_as_a_table(page: Page) -> None:
    page.clear()
    page.field("keyframes").fill(THREE.removesuffix(" sunset"))
    page.field("keyframes").press_sequentially(" sunset", delay=5)
    page.fill("frames", "6")
    assert "0.5 s at 12 fps" in page.wait_until("6 frames")
    rows = [row.inner_text().split("\t") for row in page.preview.locator("tr").all()]
    assert rows[0] == ["frame", "time", "prompt", "seed", "cfg"]
    assert {row[3] for row in rows[1:]} == {"random"}
    assert [row[2] for row in rows[1:] if "+" not in row[2]] == [line.split(": ")[1] for line in THREE.split("\n")]
    assert page.preview.locator("img").evaluate_all("pictures => pictures.every(picture => picture.naturalWidth > 500)")
    assert page.ours() == []


def test_what_the_hosts_own_fields_say_is_in_the_table(page: Page) -> None:
    page.fill("seeds", "1, 2")
    page.number("txt2img_cfg_scale", 4.5)
    page.wait_until("4.5")
    assert page.preview.locator("img").count() == 2
    page.fill("seeds", "")
    page.number("txt2img_cfg_scale", 7)
    page.wait_until("a seed is drawn")


def test_an_error_is_shown_with_its_line_and_a_caret_while_typing(page: Page) -> None:
    page.fill("keyframes", THREE)
    page.wait_until("6 frames")
    box = page.field("keyframes")
    box.press("End")
    box.press_sequentially("\n3: a dog", delay=20)
    assert "frame 3 is given twice, first in line 2; keep one of the two" in page.wait_until("line 4:1")
    page.preview.locator("pre").get_by_text("3: a dog").wait_for(timeout=PATIENCE)  # the last letter, on a slow host
    assert page.preview.locator("pre").inner_text() == "3: a dog\n^"
    assert page.preview.locator("table").count() == 0
    # The last key is never lost, however quickly it follows.
    for _ in range(len("\n3: a dog")):
        box.press("Backspace")
    page.wait_until("6 frames")


def test_bad_input_is_refused_before_anything_is_rendered(page: Page, host: Host) -> None:
    jobs = set(host.jobs.glob("*"))
    page.fill("keyframes", "0: a\n0: b")
    page.wait_until("given twice")
    page.generate()
    assert "frame 0 is given twice, first in line 1; keep one of the two" in page.log()
    assert set(host.jobs.glob("*")) == jobs


def test_the_placeholder_typed_as_it_stands_is_a_film(page: Page) -> None:
    page.clear()
    page.fill("keyframes", page.field("keyframes").get_attribute("placeholder"))
    assert "the film ends on the last keyframe: 48 frames" in page.wait_until("48 frames")
    above = page.field("fps").bounding_box()["y"]
    assert page.preview.bounding_box()["y"] > above


def test_what_generate_would_refuse_is_shown_while_it_is_written(page: Page) -> None:
    page.page.locator("#txt2img_subseed_show input").first.check()
    page.number("txt2img_subseed_strength", 0.3)
    assert page.wait_until("its strength is above 0").startswith("variation seed: ")
    page.number("txt2img_subseed_strength", 0)
    page.page.locator("#txt2img_subseed_show input").first.uncheck()
    page.wait_until("48 frames")


def test_what_a_recipe_sets_in_place_of_the_hosts_fields_is_shown(page: Page) -> None:
    page.fill("keyframes", 'size = [128, 96]\nsteps = 3\nframes = 2\n[[keyframes]]\nprompt = "a"\nseed = 1')
    assert "The text sets size 128x96, 3 steps, in place of the fields above." in page.wait_until("2 frames")


def test_frames_are_in_the_gallery_and_the_film_is_below_it(page: Page, host: Host) -> None:
    options = host.get("/sdapi/v1/options")
    page.clear()
    page.fill("keyframes", THREE)
    page.fill("frames", "6")
    page.fill("seeds", "1, 2, 1")
    page.wait_until("6 frames")
    page.generate()
    film = page.page.locator("#txt2img_remix_film").first
    film.locator("video").wait_for(state="visible", timeout=PATIENCE)
    assert page.page.locator("#txt2img_gallery .thumbnails .thumbnail-item").count() == 6
    video = film.locator("video")
    video.evaluate("video => video.readyState >= 2 || new Promise(go => video.addEventListener('loadeddata', go))")
    assert video.evaluate("video => [video.videoWidth, video.duration]") == [64, pytest.approx(0.5, abs=0.01)]
    with page.page.expect_download() as note:
        film.locator("a[download$='.mp4']").click()
    name = note.value.suggested_filename
    assert re.fullmatch(r"film_[0-9a-f]{10}\.mp4", name)
    job = host.jobs / Path(name).stem
    assert hashed(Path(note.value.path())) == hashed(job / "film.mp4")
    assert probe(job / "film.mp4").frames == 6
    pictures = list(read_video(job / "film.mp4"))
    assert all(picture.std() > 1 for picture in pictures)
    assert abs(pictures[0].astype(int) - pictures[3].astype(int)).mean() > 1
    assert host.get("/sdapi/v1/options") == options
    assert page.ours() == []


def test_the_report_below_the_film_is_downloaded_and_opens_without_the_host(
    page: Page, host: Host, tmp_path: Path
) -> None:
    film = page.page.locator("#txt2img_remix_film").first
    job = host.jobs / str(film.locator("a[download$='.mp4']").get_attribute("download")).removesuffix(".mp4")
    assert main(["report", str(job)]) == 0  # as the host may lack the packages for it
    page.generate()
    link = film.locator("a[download$='.html']")
    link.wait_for(state="visible", timeout=PATIENCE)
    with page.page.expect_download() as note:
        link.click()
    saved = tmp_path / "report.html"
    note.value.save_as(saved)
    assert note.value.suggested_filename == f"{job.name}.html"
    assert hashed(saved) == hashed(job / "report.html")
    opened = page.page.context.browser.new_page()
    try:
        asked: list[str] = []
        wrong: list[str] = []
        opened.on("request", lambda request: asked.append(request.url))
        opened.on("pageerror", lambda error: wrong.append(str(error)))
        opened.goto(saved.as_uri())
        video = opened.locator("video").first
        video.evaluate("video => video.readyState >= 2 || new Promise(go => video.addEventListener('loadeddata', go))")
        assert video.evaluate("video => video.videoWidth") == 64
        assert "6 frames" in opened.locator("body").inner_text()
        assert [url for url in asked if url.startswith("http")] == wrong == []
    finally:
        opened.close()


def hashed(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def newest_frame(host: Host) -> Path:
    newest = max(host.jobs.glob("*/frames/*.png"), key=lambda path: path.stat().st_mtime)
    return newest


def shown(page: Page, *names: str, tab: str = "txt2img") -> list[str]:
    return [page.field(name, tab).input_value() for name in names]


def test_a_pasted_infotext_brings_the_panel_back(page: Page) -> None:
    note = page.page.locator("#html_info_txt2img").first.inner_text().split("\nTime taken")[0]
    page.clear()
    page.page.locator("#script_txt2img_remix_loop input").check()
    page.page.locator("#txt2img_prompt textarea").fill(note)
    page.page.locator("#paste").first.click()
    page.wait_until("6 frames")
    assert shown(page, "keyframes", "frames", "seeds", "cfg") == [THREE, "6", "1, 2, 1", ""]
    assert not page.page.locator("#script_txt2img_remix_loop input").is_checked()


def test_a_frames_png_info_fills_the_panel_and_chooses_the_script(page: Page, host: Host) -> None:
    page.clear()
    page.pick(page.page.locator("#txt2img_script_container #script_list input").first, "None")
    page.field("keyframes").wait_for(state="hidden")
    page.page.locator("#tabs").get_by_text("PNG Info", exact=True).first.click()
    page.page.locator("#pnginfo_image input[type=file]").set_input_files(newest_frame(host))
    page.page.locator("#tab_pnginfo").get_by_text("Remix keyframes").first.wait_for(timeout=PATIENCE)
    page.page.locator("#txt2img_tab").first.click()
    page.field("keyframes").wait_for(state="visible", timeout=PATIENCE)
    page.wait_until("6 frames")
    assert shown(page, "keyframes", "frames", "seeds") == [THREE, "6", "1, 2, 1"]


def test_the_same_settings_go_on_with_the_same_job(page: Page, host: Host) -> None:
    jobs, last = set(host.jobs.glob("*")), newest_frame(host)
    before = last.stat().st_mtime_ns
    page.generate()
    assert set(host.jobs.glob("*")) == jobs
    assert last.stat().st_mtime_ns == before


def test_a_refusal_leaves_the_gallery_as_it_was(page: Page) -> None:
    page.fill("cfg", "1, 999")
    page.wait_until("CFG scale: ")
    page.generate()
    assert page.log().startswith("CFG scale: 999 is outside 0 to 100")
    assert page.page.locator("#txt2img_gallery .thumbnails .thumbnail-item").count() == 6
    page.fill("cfg", "")
    page.wait_until("6 frames")


def test_the_gallerys_button_upscales_a_frame_by_its_own_prompt_and_the_gallery_keeps_the_others(
    page: Page, host: Host
) -> None:
    jobs, frames = set(host.jobs.glob("*")), {path.stat().st_mtime_ns for path in host.jobs.glob("*/frames/*.png")}
    thumbnails = page.page.locator("#txt2img_gallery .thumbnails .thumbnail-item")
    thumbnails.nth(3).click()
    page.page.locator("#txt2img_upscale").click()
    page.page.locator("#txt2img_interrupt").wait_for(state="visible", timeout=PATIENCE)
    page.page.locator("#txt2img_interrupt").wait_for(state="hidden", timeout=PATIENCE)
    note = page.page.locator("#html_info_txt2img").first
    note.get_by_text("Hires upscale").first.wait_for(timeout=PATIENCE)
    assert note.inner_text().startswith("a white house in the snow")
    assert page.page.locator("#html_log_txt2img .error").count() == 0
    assert thumbnails.count() == 6
    shown = page.page.locator("#txt2img_gallery img[data-testid='detailed-image']").first
    assert shown.evaluate("image => image.decode().then(() => [image.naturalWidth, image.naturalHeight])") == [128, 128]
    assert set(host.jobs.glob("*")) == jobs
    assert {path.stat().st_mtime_ns for path in host.jobs.glob("*/frames/*.png")} == frames
    page.page.keyboard.press("Escape")


def test_fields_are_saved_as_a_preset_and_brought_back(page: Page, host: Host) -> None:
    page.clear()
    page.fill("keyframes", "0: mine\n5: yours")
    page.fill("frames", "9")
    between = page.page.locator("#script_txt2img_remix_between input[type=number]")
    between.fill("3")
    between.press("Tab")
    page.field("preset").fill("my film")
    page.field("preset").press("Enter")
    page.page.locator("#script_txt2img_remix_save").click()
    page.page.get_by_text("Saved my film").first.wait_for(timeout=PATIENCE)
    (kept,) = (host.base / "remix-presets").glob("*.json")
    assert json.loads(kept.read_text(encoding="utf-8")) == {
        "recipe": "0: mine\n5: yours",
        "frames": "9",
        "between": 3,
    }
    between.fill("0")
    page.clear()
    page.pick(page.field("preset"), "my film")
    page.page.locator("#script_txt2img_remix_use").click()
    page.wait_until("9 frames")
    assert page.field("keyframes").input_value() == "0: mine\n5: yours"
    assert between.input_value() == "3"
    between.fill("0")


def test_an_example_fills_the_keyframes(page: Page) -> None:
    page.clear()
    page.pick(page.field("preset"), "mixed map")
    page.page.locator("#script_txt2img_remix_use").click()
    assert "in a loop" in page.wait_until("48 frames")
    assert "a blue star on a white background" in page.field("keyframes").input_value()
    own = "0: mine\n5: yours"
    page.fill("keyframes", own)
    page.page.once("dialog", lambda dialog: dialog.dismiss())
    page.page.locator("#script_txt2img_remix_use").click()
    page.page.wait_for_timeout(300)
    assert page.field("keyframes").input_value() == own
    page.page.once("dialog", lambda dialog: dialog.accept())
    page.page.locator("#script_txt2img_remix_use").click()
    page.wait_until("48 frames")
    assert "a blue star on a white background" in page.field("keyframes").input_value()


def test_fields_go_along_to_img2img(page: Page) -> None:
    page.fill("frames", "9")
    page.page.locator("#txt2img_send_to_img2img").click()
    page.page.locator("#tab_img2img").wait_for(state="visible")
    page.choose("img2img")
    assert shown(page, "frames", tab="img2img") == ["9"]
    assert "a blue star" in page.field("keyframes", "img2img").input_value()
    assert page.ours() == []


def test_img2img_begins_with_the_picture_that_was_put_there(page: Page, tmp_path: Path) -> None:
    save_picture(tmp_path / "given.png", painted(1))
    page.page.locator("#img2img_image input[type=file]").set_input_files(tmp_path / "given.png")
    page.page.locator("#img2img_image img").first.wait_for(state="visible", timeout=PATIENCE)
    for name, value in (("img2img_steps", 2), ("img2img_width", SIDE), ("img2img_height", SIDE)):
        page.number(name, value)
    for name, text in (("keyframes", THREE), ("frames", "6"), ("denoise", "0, 0.5")):
        page.fill(name, text, "img2img")
    page.generate("img2img")
    film = page.page.locator("#img2img_remix_film").first
    film.locator("video").wait_for(state="visible", timeout=PATIENCE)
    assert page.page.locator("#img2img_gallery .thumbnails .thumbnail-item").count() == 6
    assert re.fullmatch(r"film_[0-9a-f]{10}\.mp4", film.locator("a[download$='.mp4']").get_attribute("download"))
    assert page.ours() == []
