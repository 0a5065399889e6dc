"""Pages in a real browser: nothing fails, nothing overflows, the film plays, and axe finds no barrier."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix.client.lab.texts import texts_of
from remix.engine.grid import render_grid, write_grid_page
from remix.engine.report import film_report, job_report, write_report
from remix.motion import save_picture, write_video
from remix.plan import Keyframe, Recipe
from remix.plan.axes import read_axis
from remix.plan.grid import Grid
from remix.show.experiment import Curves, ExperimentView, Numbers, Slider, Strip, experiment_page
from remix.show.hand_in import HandInView, hand_in_page
from remix.show.steps import Step, StepsView, steps_page
from tests.fakes.renderer import Painter
from tests.real.browser import browser

PROMPT = "</script><script>document.title = 'run'</script><img src=x onerror=\"document.title = 'run'\"> " + "word" * 60
SHAPES = [(1200, "light"), (1200, "dark"), (400, "light")]


@pytest.fixture(scope="module")
def started() -> Iterator[Any]:
    with browser() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a job with hostile and very long prompts, several sections, and jumps."""
    from remix.engine import render

    keyframes = [Keyframe(prompt=PROMPT, seed=1), Keyframe(prompt="a dog", seed=2, cfg=3), Keyframe(prompt="a fox")]
    recipe = Recipe(frames=24, keyframes=keyframes, width=64, height=64, loop=True)
    folder = tmp_path_factory.mktemp("job")
    render(recipe, Painter(remarks=[PROMPT]), folder, report=False)
    return write_report(job_report(folder), folder / "report.html")


def opened(started: Any, path: Path, width: int, theme: str, **options: Any) -> tuple[Any, list[str]]:
    """Returns a page, and the list of all errors that it reports."""
    page = started.new_context(viewport={"width": width, "height": 900}, color_scheme=theme, **options).new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: errors.append(request.url) if request.url.startswith("http") else None)
    page.goto(path.as_uri())
    page.wait_for_function("[...document.images].every(image => image.complete)")
    return page, errors


@pytest.mark.parametrize(("width", "theme"), SHAPES)
def test_a_report_fits_and_plays_and_runs_nothing(started: Any, report: Path, width: int, theme: str) -> None:
    page, errors = opened(started, report, width, theme)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    page.wait_for_function("document.querySelector('video').readyState == 4")
    assert page.evaluate("document.querySelector('video').duration") == pytest.approx(2, abs=0.2)
    assert page.title() != "run"
    assert "<script>document.title" in page.inner_text("main")
    assert (
        page.evaluate("getComputedStyle(document.body).backgroundColor")
        == {
            "light": "rgb(250, 249, 246)",
            "dark": "rgb(20, 22, 26)",
        }[theme]
    )
    assert page.locator(".chart:visible").count() >= 3
    assert errors == []


@pytest.mark.parametrize(("width", "theme"), SHAPES)
def test_axe_finds_no_barrier_in_a_report(started: Any, report: Path, width: int, theme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install -e .[browser]")
    page, _ = opened(started, report, width, theme, bypass_csp=True)
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_a_linked_film_plays_next_to_the_page(started: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remix.show.page.media.EMBEDDED", 0)
    film = tmp_path / 'a "film" & more.mp4'
    write_video((np.full((64, 64, 3), 9 * k, np.uint8) for k in range(12)), film, 12)
    page, errors = opened(started, write_report(film_report(film), tmp_path / "page.html"), 1200, "light")
    page.wait_for_function("document.querySelector('video').readyState == 4")
    assert page.locator("figcaption").first.inner_text().startswith("The film has 0 MiB, too much for this page")
    assert errors == []


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a grid with three axes and a hostile prompt."""
    recipe = Recipe(1, [Keyframe(prompt=PROMPT)], width=64, height=64)
    axes = (read_axis("seed=1..9"), read_axis(f"prompt=|{PROMPT}"), read_axis("cfg=1,5"))
    folder = tmp_path_factory.mktemp("grid")
    return write_grid_page(render_grid(Grid(recipe, *axes), Painter(), folder).view, folder / "grid.html")


@pytest.mark.parametrize(("width", "theme"), SHAPES)
def test_a_grid_shows_the_settings_of_a_cell_and_enlarges_it(started: Any, grid: Path, width: int, theme: str) -> None:
    page, errors = opened(started, grid, width, theme)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    cell, settings = page.locator("#cell-1-0-0"), page.locator("#cell-1-0-0 .settings")
    small = cell.locator("img").bounding_box()
    cell.locator(".enlarge").focus()  # as a keyboard does; a pointer has the same rule
    box = settings.bounding_box()
    assert box["x"] >= 0
    assert box["y"] + box["height"] <= 900
    cell.locator(".enlarge").click()
    assert cell.locator("img").bounding_box()["width"] > 2 * small["width"]
    cell.get_by_role("link", name="down", exact=True).click()
    below = page.locator("#cell-1-1-0")
    assert below.locator("img").bounding_box()["height"] > 200  # next to a long prompt
    below.get_by_role("link", name="back to the grid").click()
    assert below.locator("img").bounding_box()["width"] == pytest.approx(small["width"], abs=30)
    assert page.title() != "run"
    assert errors == []


@pytest.mark.parametrize("place", ["", "#cell-1-1-0"])
@pytest.mark.parametrize(("width", "theme"), SHAPES)
def test_axe_finds_no_barrier_in_a_grid(started: Any, grid: Path, width: int, theme: str, place: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install -e .[browser]")
    page, _ = opened(started, grid, width, theme, bypass_csp=True)
    page.evaluate(f"location.hash = '{place}'")
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def gray(value: int) -> np.ndarray:
    return np.full((48, 64, 3), value, np.uint8)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page of steps, one of an experiment with every kind of part, and one that a student hands in."""
    folder = tmp_path_factory.mktemp("lab")
    steps = [Step(k, 9.0 / (k + 1), gray(60), gray(120), gray(180), 1.0 + k, 0.5) for k in range(30)]
    view = StepsView(PROMPT, steps, 30, gray(200), "a cat", {"seed": "3"})
    many = [(f"{PROMPT} {k}", gray(40 + k)) for k in range(12)]
    curve = [(0.0, 1.0), (1.0, 3.0), (2.0, 2.0)]
    parts = [
        Strip("Strip", PROMPT, many),
        Slider("Slider", PROMPT, [("stop 1", many[:2]), ("stop 2", many[2:4])]),
        Curves("Curves", PROMPT, {"one": curve, "two": curve[::-1]}),
        Curves("Plane", PROMPT, {"": curve}, square=True),
        Numbers("Numbers", PROMPT, ["prompt", "1", "2"], [[PROMPT, "1.00", "0.50"]]),
    ]
    words = texts_of("page", "de") | texts_of("kit", "de")
    experiment = ExperimentView("Titel", PROMPT, parts, [("Frage?", PROMPT)] * 3, "remix explain x", "de", words)
    picture = save_picture(folder / "picture.png", gray(90))
    answers = [("1.1", "Frage?", PROMPT), ("1.2", "Frage?", "")]
    hand_in = HandInView("Ada", answers, [("picture.png", picture, PROMPT)], "de", words)
    pages = {"steps": steps_page(view), "experiment": experiment_page(experiment)}
    pages["hand-in"] = hand_in_page(hand_in, folder / "hand-in.html")
    for name, html in pages.items():
        (folder / f"{name}.html").write_text(html, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in pages}


@pytest.mark.parametrize("name", ["steps", "experiment", "hand-in"])
@pytest.mark.parametrize(("width", "theme"), SHAPES[1:])
def test_a_page_of_the_lab_fits_and_axe_finds_no_barrier(
    started: Any, lab: dict[str, Path], width: int, theme: str, name: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install -e .[browser]")
    page, errors = opened(started, lab[name], width, theme, bypass_csp=True)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.title() != "run"
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert errors == []


def test_the_arrow_keys_move_the_slider(started: Any, lab: dict[str, Path]) -> None:
    page, errors = opened(started, lab["steps"], 400, "light")
    assert page.locator(".stop:visible .where").inner_text().startswith("step 30 of 30")
    page.locator("#step-30").focus()
    page.keyboard.press("ArrowLeft")
    assert page.locator(".stop:visible .where").inner_text().startswith("step 29 of 30")
    assert page.locator(".stop:visible img").count() == 3
    assert errors == []
