"""The memory that each reader takes at its limit, as docs/reliability.md states it."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from remix.client.auth import Auth
from remix.client.http import MOST_VALUES, PICTURE_LIMIT, TEXT_LIMIT, Http
from remix.digest import canonical
from remix.errors import RecipeError
from remix.job.journal import MAX_NAMES, Journal
from remix.job.reading import MAX_JOURNAL, MAX_TEXT, says
from remix.motion import save_picture
from remix.motion.song import LONGEST, MAX_SONG
from remix.motion.texts import IN_ALL, read_texts
from remix.plan import Keyframe, Recipe, plan
from remix.plan.bounds import FULL
from remix.plan.documents import read_json
from remix.syntax import read

PAGE = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text(encoding="utf-8")
MB = 2**20


def stated(row: str) -> int:
    """The megabytes in the last cell of a row of the page's table of limits."""
    line = next(line for line in PAGE.splitlines() if line.startswith(f"| {row} |"))
    found = re.search(r"(\d+) MB", line.rsplit("|", 2)[1])
    assert found is not None, line
    return int(found[1])


def peak(action: Callable[[], object]) -> float:
    """The megabytes that an action holds at most."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1] / MB
    finally:
        tracemalloc.stop()


def test_a_recipe_of_the_largest_size() -> None:
    text = "[" + ",".join(["{}"] * (MAX_TEXT // 3 - 1)) + "]"
    assert MAX_TEXT - 8 < len(text) <= MAX_TEXT
    prompts = json.dumps([{"at": n, "prompt": "x" * 350} for n in range(MAX_TEXT // 400)])
    for each in (text, prompts):
        assert peak(partial(read_json, each.encode())) < stated("A recipe, `job.json`")


@pytest.mark.parametrize("part", ["[],", '{"a":1},', '"node": 1,'])
def test_a_workflow_or_schedule_of_another_tool(part: str) -> None:
    """A sixteenth of the largest size, since memory grows with the length."""
    one = part if part[0] != '"' else '"1": {"class_type": "KSampler", "inputs": {"seed": 1, "model": ["2", 0]}},'
    parts = one * (MAX_TEXT // 16 // len(one))
    text = f"{{{parts[:-1]}}}" if part[0] == '"' else f"[{parts[:-1]}]"

    def attempt() -> None:
        with suppress(RecipeError):
            read(text, frames=48)

    assert 16 * peak(attempt) < stated("A schedule of another tool, a workflow")


@pytest.mark.parametrize("part", [b"[],", b'{"a":0},', b"1e9,", b'{"a":[]},'])
def test_an_answer_of_a_server(part: bytes) -> None:
    """A tenth of the values that are read, since memory grows with their number."""
    counted = sum(part.count(sign) for sign in b",[{")
    body = b"[" + part * (MOST_VALUES // 10 // counted - 1) + b"0]"
    http = Http("http://127.0.0.1:1", Auth("secret"))
    assert 10 * peak(lambda: http._json(body, "/a")) < stated("A server's reply")
    http.close()


def test_a_journal_of_the_longest_job(tmp_path: Path) -> None:
    digest = "0" * 60
    with open(tmp_path / "journal.jsonl", "wb") as file:
        for number in range(100_000):
            entry = {"file": f"{number:06}.png", "key": f"{digest}{number % 10_000:04}", "sha256": f"{digest}0000"}
            file.write(canonical(entry).encode() + b"\n")
    assert (tmp_path / "journal.jsonl").stat().st_size * 6 < MAX_JOURNAL
    assert peak(lambda: Journal(tmp_path / "journal.jsonl")) < stated("A journal")


def test_a_schedule_is_compared_without_parsing_it(tmp_path: Path) -> None:
    expected = b"x" * (8 * MB)
    (tmp_path / "schedule.json").write_bytes(expected)
    assert peak(lambda: says(tmp_path, "schedule.json", expected)) < 8.5
    with open(tmp_path / "schedule.json", "ab") as file:
        file.truncate(64 * 2**30)
    assert peak(lambda: says(tmp_path, "schedule.json", expected)) < 8.5
    assert not says(tmp_path, "schedule.json", expected)


def test_the_longest_film() -> None:
    recipe = Recipe(100_000, (Keyframe(prompt="a"), Keyframe(prompt="b")))
    assert peak(lambda: plan(recipe)) < stated("Frames")


def test_texts_of_a_picture(tmp_path: Path) -> None:
    save_picture(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8), {f"text {n}": "x" * 7 * MB for n in range(9)})
    assert peak(lambda: read_texts(tmp_path / "a.png")) < stated("Texts in a picture or film")


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("4 MiB", MAX_TEXT),
        ("128 MiB", MAX_JOURNAL),
        ("256 MiB |", FULL.size),
        ("32 MiB in all", IN_ALL),
        ("64 MiB of text", TEXT_LIMIT),
        ("256 MiB with pictures", PICTURE_LIMIT),
        ("1 GiB, one hour", MAX_SONG // 2**10),
    ],
)
def test_the_page_states_the_limits_that_hold(words: str, value: int) -> None:
    assert words in PAGE
    assert int(words.split()[0]) * MB == value
    assert f"{MAX_NAMES:,} files" in PAGE
    assert LONGEST == 3600
    assert f"{MOST_VALUES:,} values" in PAGE
