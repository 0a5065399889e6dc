"""The report as a page and as JSON: hostile texts, structure, size, and the same bytes each time."""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix.plan import Keyframe, Recipe, plan
from remix.show.motion import Motion, measure
from remix.show.report import (
    TERMS,
    Cost,
    InBetweens,
    Report,
    Section,
    advice,
    jumps_of,
    sections_of,
    to_dict,
    to_html,
    variation_within,
)

DOCS = Path(__file__).parents[3] / "docs" / "report.md"
HOSTILE = (
    "</script><script>alert(1)</script>\"><img src=x onerror=alert(2)> '{{ 7 * 7 }}{% raw %} &amp; </style><b> \u202e"
)


def report(frames: int = 12, prompt: str = "a cat", **changes: Any) -> Report:
    keyframes = (Keyframe(prompt=prompt, seed=1), Keyframe(prompt="a dog", seed=2), Keyframe(prompt="a fox", cfg=3))
    schedule = plan(Recipe(frames=frames, keyframes=keyframes, width=32, height=16))
    levels = [50 + (2 * k + 80 * (k > frames // 2)) % 200 for k in range(frames)]
    measured = measure(np.full((16, 32, 3), level, np.uint8) for level in levels)
    given: dict[str, Any] = {"title": "a film", "measured": measured, "fps": 12, "schedule": schedule}
    given |= {"settings": (("steps", "20"),), "model": (("checkpoint", prompt),), "cost": Cost(6.5, 14, frames, 0)}
    given["inbetweens"] = InBetweens(3, 0.05, ((0, 2, 0.01), (2, 4, 0.02), (4, 6, 0.07)))
    return Report(**{**given, "remarks": ("a remark",), **changes})


class Page(HTMLParser):
    """The elements of a page with their attributes, its texts, and the elements that were not closed."""

    VOID = ("meta", "img", "br", "rect", "circle", "path")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(to_html(report(), Path("report.html")))


def test_a_jump_of_a_workflow_has_its_inputs_and_no_seed() -> None:
    keyframes = (Keyframe(inputs={"KSampler.cfg": 1}), Keyframe(inputs={"KSampler.cfg": 12}))
    made = report(schedule=plan(Recipe(12, keyframes, width=32, height=16, workflow="mine.json")))
    (jump,) = jumps_of(made)
    assert (jump.prompts, jump.seeds) == (("KSampler.cfg 7", "KSampler.cfg 8"), None)
    text = " ".join(Page(to_html(made, Path("report.html"))).texts)
    assert "from KSampler.cfg 7 to KSampler.cfg 8" in " ".join(text.split())
    assert "(no prompt)" not in text


def test_hostile_texts_are_shown_and_never_run(tmp_path: Path) -> None:
    film = tmp_path / '"><script>x<.mp4'
    film.write_bytes(b"film")
    rows = ((HOSTILE, HOSTILE),)
    made = report(prompt=HOSTILE, title=HOSTILE, settings=rows, model=rows, remarks=(HOSTILE,), film=film)
    page = Page(to_html(made, tmp_path / "report.html"))
    assert page.open == []
    assert page.all("script") == []
    assert {tag for tag, _ in page.elements} <= TAGS
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in page.all("img"))
    shown = [text for text in page.texts if text.strip() == HOSTILE.strip()]
    assert len(shown) >= 6  # heading, remark, table cells
    assert any(HOSTILE in attributes.get("alt", "") for attributes in page.all("img"))


TAGS = {
    *("html", "head", "meta", "title", "style", "body", "main", "header", "footer", "a", "h1", "h2", "h3", "p", "div"),
    *(
        "figure",
        "figcaption",
        "video",
        "img",
        "dl",
        "dt",
        "dd",
        "small",
        "ul",
        "ol",
        "li",
        "span",
        "strong",
        "code",
        "br",
    ),
    *("table", "caption", "thead", "tbody", "tr", "th", "td", "svg", "g", "path", "rect", "text", "circle"),
}


def test_a_page_needs_nothing_from_elsewhere(page: Page) -> None:
    addresses = [value for _, each in page.elements for name, value in each.items() if name in ("src", "href")]
    assert addresses
    assert all(address.startswith(("data:", "#")) for address in addresses)
    policy = next(each["content"] for each in page.all("meta") if "http-equiv" in each)
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "http://" not in "".join(page.texts)
    assert "@import" not in "".join(page.texts)


def test_a_page_is_readable_by_screen_readers(page: Page) -> None:
    assert page.all("html") == [{"lang": "en"}]
    assert all(image["alt"] for image in page.all("img"))
    assert all(each.get("aria-label") or each.get("aria-hidden") for each in page.all("svg"))
    assert all(each.get("scope") for each in page.all("th"))
    assert len(page.all("table")) == len(page.all("caption"))
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(levels))
    ids = [each["id"] for _, each in page.elements if "id" in each]
    assert len(ids) == len(set(ids))


def test_a_jump_is_shown_with_its_frames_prompts_size_and_advice(page: Page) -> None:
    made = report()
    [jump] = jumps_of(made)
    assert (jump.frame, jump.after) == (6, 7)
    assert jump.prompts is not None
    assert "a dog" in jump.prompts[0]
    text = " ".join("".join(page.texts).split())
    assert f"Frame 6 to 7: {jump.steps:.1f} typical steps" in text
    assert 'pace = "even"' in advice(made)
    assert advice(made) in text
    assert [each["alt"] for each in page.all("img")][1:3] == ["Frame 6, before the jump", "Frame 7, after the jump"]
    assert len(page.all("circle")) == 2  # the dot in the narrow and in the wide chart


def test_advice_differs_once_the_pace_is_even() -> None:
    made = report()
    assert made.schedule is not None
    paced = report(schedule=plan(made.schedule.recipe.replace(pace="even")))
    assert "keyframe between" in advice(paced)


def test_sections_end_at_keyframes_and_are_even_by_themselves() -> None:
    made = report(13)
    assert [(each.begin, each.end) for each in sections_of(made)] == [(0, 6), (6, 12)]
    steps = (1.0, 1.0, 4.0, 4.0)
    halves = [Section(k, k + 2, Motion(steps[k : k + 2], False, 0)) for k in (0, 2)]
    assert variation_within(halves) == 0


def test_the_same_report_is_the_same_page() -> None:
    assert to_html(report(), Path("a.html")) == to_html(report(), Path("a.html"))


def test_a_film_too_large_for_the_page_is_linked_and_the_page_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = tmp_path / "films" / "my film.mp4"
    film.parent.mkdir()
    film.write_bytes(bytes(3 * 2**20))
    small = Page(to_html(report(film=film), tmp_path / "report.html"))
    assert small.all("video")[0]["src"].startswith("data:video/mp4;base64,")
    monkeypatch.setattr("remix.show.page.media.EMBEDDED", 2**20)
    large = Page(to_html(report(film=film), tmp_path / "report.html"))
    assert large.all("video")[0]["src"] == "films/my%20film.mp4"
    assert "The film has 3 MiB, too much for this page (1 MiB); keep my film.mp4" in "".join(large.texts)


def test_a_film_that_browsers_do_not_play_is_a_link(tmp_path: Path) -> None:
    film = tmp_path / "film.mkv"
    film.write_bytes(b"film")
    page = Page(to_html(report(film=film), tmp_path / "report.html"))
    assert page.all("video") == []
    assert {"href": "film.mkv"} in page.all("a")
    assert "Browsers do not play .mkv films" in "".join(page.texts)


def test_charts_leave_the_import_system_as_it_was() -> None:
    to_html(report(), Path("a.html"))
    assert all(hasattr(hook, "find_spec") for hook in sys.meta_path)


def test_the_charts_of_a_long_film_stay_small() -> None:
    short, long = (to_html(report(frames), Path("a.html")) for frames in (1000, 5000))
    drawn = [sum(map(len, re.findall(r' d="([^"]*)"', html))) for html in (short, long)]
    assert drawn[1] < 1.5 * drawn[0]


def test_a_film_of_many_prompts_groups_those_after_the_first_twelve() -> None:
    keyframes = tuple(Keyframe(prompt=f"p{k}") for k in range(40))
    page = Page(to_html(report(40, schedule=plan(Recipe(frames=40, keyframes=keyframes))), Path("a.html")))
    assert "28 more" in page.texts
    assert {"class": "fill-12", "width": "10", "height": "10", "rx": "2"} in page.all("rect")


def names_in(value: Any, name: str = "") -> Iterator[str]:
    """Yields the names of the fields in JSON values: `a.b`, and `a[].b` in a list of objects."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from names_in(each, f"{name}.{key}" if name else key)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        yield from names_in(value[0], f"{name}[]")
    else:
        yield name


@pytest.mark.parametrize("frames", [6, 12])
def test_the_json_is_what_the_documentation_describes(frames: int) -> None:
    plain = json.loads(json.dumps(to_dict(report(frames))))
    assert plain["report"] == 1
    documented = set(re.findall(r"^\| `([\w.\[\]]+)` \|", DOCS.read_text(encoding="utf-8"), re.MULTILINE))
    assert set(names_in(plain)) == documented
    assert len(plain["motion"]["steps"]) == frames - 1


def test_in_betweens_that_may_be_wrong_are_named(page: Page) -> None:
    text = " ".join(" ".join(page.texts).split())
    assert "3 in-betweens Their error is 0.020 in the median and at most 0.070" in text
    assert "Where the error may exceed 0.05 rendered frames error between them 4 and 6 0.070" in text
    assert re.findall(r"(\d+) · [\d.]+ s in-between", text) == ["1", "3", "5"]
    plain = to_dict(report())["inbetweens"]
    assert plain["far"] == [{"from": 4, "to": 6, "error": 0.07}]


def test_every_figure_on_the_page_is_explained_in_the_documentation(page: Page) -> None:
    text = " ".join(DOCS.read_text(encoding="utf-8").split())
    for name, meaning in TERMS:
        assert name in page.texts
        assert f"**{name}**: {meaning}" in text
