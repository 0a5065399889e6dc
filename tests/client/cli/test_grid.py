"""`remix grid`: the picture, the page, resuming, and what it refuses."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix.client.cli import grid as verb
from remix.client.cli import main
from remix.errors import Unsupported
from remix.job import read_metadata
from remix.motion import load_picture
from remix.plan import Keyframe, Recipe
from remix.show import grid as show
from tests.fakes.renderer import Painter

HOSTILE = "a <script>alert(1)</script> {{ 7 * 7 }} cat"


@pytest.fixture
def painter(monkeypatch: pytest.MonkeyPatch) -> Painter:
    engine = Painter()
    monkeypatch.setattr(verb, "open_engine", lambda name, **options: engine)
    return engine


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "cat.toml"
    Recipe(4, [Keyframe(prompt=HOSTILE, seed=1), Keyframe(prompt="a dog")], width=32, height=16).save(path)
    return path


def run(recipe: Path, *words: object) -> int:
    return main(["grid", str(recipe), "-q", *map(str, words)])


class Page(HTMLParser):
    """The ids, links and images of a page, and its texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.alts: list[str] = []
        self.tags: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        given = dict(attrs)
        self.tags.add(tag)
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given["href"]] if tag == "a" else []
        self.alts += [given["alt"]] if tag == "img" else []


def test_a_grid_shows_every_cell_where_its_labels_say(
    painter: Painter, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "grid.png"
    assert run(recipe, "--x", "seed=1..3", "--y", "steps=2,4", "-o", out, "--json") == 0
    plain = json.loads(capsys.readouterr().out)
    assert [cell["labels"] for cell in plain["cells"]][3] == {"seed": "1", "steps": "4"}
    assert plain["cells"][3]["settings"]["prompt"] == HOSTILE
    sheet = load_picture(out)
    left = sheet.shape[1] - 3 * (96 + 4)  # narrow pictures stand in the middle of columns of 96 pixels
    for cell in plain["cells"]:
        column, row, _ = cell["place"]
        top, at = sheet.shape[0] - (2 - row) * (16 + 4), left + column * (96 + 4) + 32
        assert np.array_equal(sheet[top : top + 16, at : at + 32], load_picture(cell["picture"]))
    assert len({load_picture(cell["picture"]).tobytes() for cell in plain["cells"]}) == 6
    made = read_metadata(out).remix
    assert made is not None
    assert made["axes"]["y"] == {"field": "steps", "values": [2, 4]}
    assert Recipe.from_dict(made["recipe"]) == Recipe.load(recipe)


def test_running_again_renders_nothing_and_more_values_only_themselves(
    painter: Painter, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "grid.png"
    for seeds, rendered in (("1,2", 4), ("1,2", 0), ("3,2,1", 2), ("2", 0)):
        painter.rendered.clear()
        assert run(recipe, "--x", f"seed={seeds}", "--y", "steps=2,4", "-o", out, "--page") == 0
        assert len(painter.rendered) == rendered, seeds
    assert "(2 were there already)" in capsys.readouterr().out


def test_a_stopped_grid_goes_on_where_it_stopped(painter: Painter, recipe: Path, tmp_path: Path) -> None:
    painter._stop_after = 2
    words = ("--x", "seed=1..5", "-o", tmp_path / "grid.png")
    assert run(recipe, *words) == 130
    assert not (tmp_path / "grid.png").exists()
    painter._stop_after = None
    assert run(recipe, *words) == 0
    assert painter.rendered == [0, 1, 2, 3, 4]


def test_equal_cells_are_rendered_once(painter: Painter, recipe: Path, tmp_path: Path) -> None:
    assert run(recipe, "--x", "loop=true,false", "--y", "ease=linear,in", "-o", tmp_path / "grid.png") == 0
    assert painter.rendered == [0]


def test_a_page_enlarges_each_cell_and_runs_no_scripts(painter: Painter, recipe: Path, tmp_path: Path) -> None:
    axes = ("--x", "seed=1,2", "--y", "prompt=|a dog", "--z", "cfg=1,5")
    assert run(recipe, *axes, "-o", tmp_path / "grid.png", "--page") == 0
    html = (tmp_path / "grid.html").read_text("utf-8")
    page = Page(html)
    assert "script" not in page.tags
    assert "49" not in html.partition("<main")[2].replace("base64", "").partition("data:")[0]
    assert {link for link in page.links if link.startswith("#")} <= {f"#{anchor}" for anchor in page.ids}
    assert len(set(page.ids)) == len(page.ids)
    assert "seed 2; prompt a dog; cfg 5" in page.alts
    assert len(page.alts) == 8
    assert page.links.count("#cell-0-0-0") == 4  # its own, and from the right, from below and from the next block


def test_the_page_escapes_prompts(painter: Painter, recipe: Path, tmp_path: Path) -> None:
    assert run(recipe, "--x", "seed=1,2", "-o", tmp_path / "grid.png", "--page") == 0
    html = (tmp_path / "grid.html").read_text("utf-8")
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; {{ 7 * 7 }} cat" in html


@pytest.mark.parametrize("name", ["grid.png", "grid.html"])
def test_another_file_is_not_replaced_unasked(
    painter: Painter, recipe: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_bytes(b"mine")
    words = ("--x", "seed=1,2", "-o", tmp_path / "grid.png", "--page")
    assert run(recipe, *words) == 2
    assert "is not a grid" in capsys.readouterr().err
    assert (tmp_path / name).read_bytes() == b"mine"
    assert painter.rendered == []
    assert run(recipe, *words, "--overwrite") == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "--x steps=1,2,4,8"),
        (["--x", "stepz=1,2"], '--x: stepz: there is no such field; did you mean "steps"?'),
        (["--y", "steps=0,2"], "steps: 0 is outside 1 to 1000"),
        (["--x", "seed=1", "--at", "soon"], "at: 'soon' is not a moment"),
        (["--x", "seed=1", "-o", "grid.jpg"], "call it grid.png"),
    ],
)
def test_what_cannot_be_is_refused_before_an_engine_is_opened(
    recipe: Path,
    tmp_path: Path,
    words: list[str],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delattr(verb, "open_engine")
    assert run(recipe, "-o", tmp_path / "grid.png", *words) == 2
    assert sentence in capsys.readouterr().err


def test_a_cell_that_the_engine_cannot_render_is_refused_before_the_first(
    painter: Painter, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(schedule: Any) -> list[str]:
        if schedule.recipe.sampler == "heun":
            raise Unsupported("sampler: no")
        return []

    monkeypatch.setattr(painter, "check", check)
    assert run(recipe, "--x", "sampler=euler,heun", "-o", tmp_path / "grid.png") == 2
    assert painter.rendered == []


def test_a_large_grid_has_smaller_cells_and_long_labels_are_cut(
    painter: Painter, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(show, "MAX_PIXELS", 400_000)
    words = " ".join(["a very long prompt"] * 20)
    sizes = ("--y", "size=512x512,32x16")
    assert run(recipe, "--x", f"prompt={words}|{words}!", *sizes, "-o", tmp_path / "grid.png") == 0
    height, width, _ = load_picture(tmp_path / "grid.png").shape
    assert 200_000 < height * width <= 400_000
