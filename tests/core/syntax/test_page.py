"""The page and the README say what is so: every syntax is there, and each example is one of it and plans."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from remix.plan import plan
from remix.syntax import SYNTAXES, detect, read

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "syntaxes.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTIONS = {
    section.split("\n", 1)[0]: block
    for section in re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]
    for block in re.findall(r"^```text\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
}
ROWS = dict(re.findall(r"^\| `([\w-]+)` \| (.*?) \| ", README, re.MULTILINE))


def test_every_syntax_has_a_section_and_a_row() -> None:
    assert set(SECTIONS) == set(SYNTAXES)
    assert set(SYNTAXES) - {"toml", "json"} <= set(ROWS)


@pytest.mark.parametrize("words", ["Detected by:", "Refused:"])
def test_every_section_says_how_its_syntax_is_detected_and_what_is_refused(words: str) -> None:
    sections = re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]
    assert [section.split("\n", 1)[0] for section in sections if words not in " ".join(section.split())] == []


@pytest.mark.parametrize("name", SECTIONS)
def test_the_pages_example_is_told_and_plans(name: str) -> None:
    assert detect(SECTIONS[name]) == name
    assert len(plan(read(SECTIONS[name], frames=48).recipe())) == 48


@pytest.mark.parametrize("name", [name for name in SYNTAXES if name in ROWS])
def test_the_readmes_example_is_told_and_plans(name: str) -> None:
    text = "\n".join(span.replace("\\|", "|") for span in re.findall(r"`([^`]+)`", ROWS[name]))
    assert detect(text) == name
    assert len(plan(read(text, frames=48).recipe())) == 48
