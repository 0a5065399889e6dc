"""The memory that each reader takes at its limit, as docs/reliability.md states it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from remix.client.auth import Auth
from remix.client.http import MOST_VALUES, PICTURE_LIMIT, TEXT_LIMIT, Http
from remix.client.workflows import read_workflow
from remix.digest import canonical
from remix.errors import BadInput, RecipeError
from remix.hosts.record import MOST_VALUES as MOST_OF_TOOLS
from remix.job import read_metadata
from remix.job.inputs import MAX_WORKFLOW
from remix.job.journal import MAX_NAMES, Journal
from remix.job.reading import MAX_JOURNAL, MAX_TEXT, says
from remix.motion import save_picture
from remix.motion.song import LONGEST, MAX_SONG
from remix.motion.texts import IN_ALL, read_texts
from remix.motion.texts import LIMIT as LONGEST_TEXT
from remix.plan import Keyframe, Recipe, plan
from remix.plan.axes import read_axis
from remix.plan.bounds import FULL
from remix.plan.documents import read_json
from remix.plan.grid import MAX_CELLS, MAX_KEYFRAMES, Grid, cells_of
from remix.plan.moments import MAX_FRAMES
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
    """An eighth of it, since memory grows with the length."""
    text = "[" + ",".join(["{}"] * (MAX_TEXT // 24 - 1)) + "]"
    assert MAX_TEXT // 8 - 8 < len(text) <= MAX_TEXT // 8
    prompts = json.dumps([{"at": n, "prompt": "x" * 350} for n in range(MAX_TEXT // 3200)])
    for each in (text, prompts):
        assert 8 * peak(partial(read_json, each.encode())) < stated("A recipe, `job.json`")


@pytest.mark.parametrize("part", ["[],", '{"a":1},', '"node": 1,'])
def test_a_workflow_or_schedule_of_another_tool(part: str) -> None:
    """A 64th of the largest size, since memory grows with the length."""
    one = part if part[0] != '"' else '"1": {"class_type": "KSampler", "inputs": {"seed": 1, "model": ["2", 0]}},'
    parts = one * (MAX_TEXT // 64 // len(one))
    text = f"{{{parts[:-1]}}}" if part[0] == '"' else f"[{parts[:-1]}]"

    def attempt() -> None:
        with suppress(RecipeError):
            read(text, frames=48)

    assert 64 * peak(attempt) < stated("A schedule of another tool")


SIGNS = {"lists": ("[],", 2), "tables": ('{"a":1},', 2), "numbers": ("1.5,", 1), "half characters": ('"\\ud800🎬",', 1)}
"""Parts of JSON, and how many values each counts."""


@pytest.mark.parametrize("part", SIGNS)
def test_a_workflow_in_a_file(tmp_path: Path, part: str) -> None:
    """A tenth of the values and of the largest size, since memory grows with either."""
    text, counted = SIGNS[part]
    many = text * (MOST_OF_TOOLS // 10 // counted - 100)
    filler = "é🎬" * (MAX_WORKFLOW // 10 // 6 - len(many.encode()) // 6 - 20)
    path = tmp_path / "w.json"
    path.write_text(f'{{"1": {{"class_type": "A", "inputs": {{"x": [{many}0], "y": "{filler}"}}}}}}', encoding="utf-8")
    assert path.stat().st_size == pytest.approx(MAX_WORKFLOW // 10, rel=0.01)
    assert "1" in read_workflow(path).nodes
    assert 10 * peak(lambda: read_workflow(path)) < stated("A workflow in a file")
    path.write_text("[" + text * (MOST_OF_TOOLS // counted + 1) + "0]", encoding="utf-8")
    with pytest.raises(BadInput, match="is not a workflow"):
        read_workflow(path)


NODE = '"%d":{"class_type":"KSampler","inputs":{"seed":1,"model":["%d",0],"positive":["%d",0]}},'
UI = (
    '{"id":%d,"type":"KSampler","inputs":[{"name":"model","type":"MODEL","link":%d}],"outputs":[{"name":"a","type":"B",'
    '"links":[%d]}],"widgets_values":[5,"randomize",20]},'
)


def test_a_workflow_of_many_nodes(tmp_path: Path) -> None:
    """A hundredth of the values that are read."""
    for name, part, frame in (("prompt", NODE, "{%s}"), ("workflow", UI, '{"nodes":[%s],"links":[],"version":0.4}')):
        counted = sum(part.count(sign) for sign in ",[{")
        nodes = "".join(part % (n, n + 1, n + 2) for n in range(MOST_OF_TOOLS // 100 // counted))
        (tmp_path / f"{name}.json").write_text(frame % nodes[:-1])
        assert len(read_workflow(tmp_path / f"{name}.json").nodes) > 200
        assert 100 * peak(partial(read_workflow, tmp_path / f"{name}.json")) < stated("A workflow in a file")
        save_picture(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8), {name: frame % nodes[:-1]})
        assert 100 * peak(lambda: read_metadata(tmp_path / "a.png")) < stated("What texts in a picture say")


@pytest.mark.parametrize("name", ["prompt", "parameters"])
def test_what_texts_in_a_picture_say(tmp_path: Path, name: str) -> None:
    """A part of the values that are read, of a text that has more of them, and of one that is no JSON."""
    within, beyond = ("[" + "[]," * (count // 2) + "0]" for count in (MOST_OF_TOOLS // 16, MOST_OF_TOOLS))
    other = "a: 1, " * (LONGEST_TEXT // 64 // 6)
    for text, scale in ((within, 16), (beyond, LONGEST_TEXT / len(beyond)), (other, 64)):
        save_picture(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8), {name: text})
        assert scale * peak(lambda: read_metadata(tmp_path / "a.png")) < stated("What texts in a picture say")


GRID = """
from pathlib import Path
import numpy as np
from remix.engine import grid as engine
from remix.motion import save_picture
from remix.plan import Keyframe, Recipe
from remix.plan.axes import read_axis
from remix.plan.grid import Grid, cells_of
from remix.show import grid as show
from remix.show.page import template

PARTS, SIDE, COUNT = 16, 256, 8
show.MAX_PIXELS //= PARTS
show.PAGE_PIXELS //= PARTS
template("grid.html")
noise = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
files = [save_picture(Path(f"{n}.png"), np.roll(noise, n, 0)) for n in range(COUNT)]


def write(count):
    axes = (read_axis(f"{name}=" + ",".join(map(str, range(1, count + 1)))) for name in ("seed", "cfg"))
    grid = Grid(Recipe(2, (Keyframe(prompt="a<" * 9000),), width=SIDE, height=SIDE), *axes)
    cells = cells_of(grid)
    view = show.GridView("title", grid, cells, {cell.place: files[cell.place[0]] for cell in cells}, ())
    engine.write_grid_page(view, Path("a.html"))
    engine.write_grid(view, Path("a.png"))
    (own,) = (line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
    return int(own.split()[1])


before = write(1)
print(PARTS * (write(COUNT) - before) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts kilobytes as Linux does")
def test_a_grid_of_the_largest_size(tmp_path: Path) -> None:
    """A sixteenth of the pixels, in a picture and on a page."""
    pytest.importorskip("pygal")
    done = subprocess.run([sys.executable, "-c", GRID], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert 100 < int(done.stdout) < stated("A grid")


def test_the_cells_of_a_grid() -> None:
    """A hundredth of the keyframes of all cells."""
    keyframes = tuple(Keyframe(at=n, prompt=f"a {n}", cfg=5, seed=n) for n in range(500))
    recipe, axis = Recipe(500, keyframes), read_axis("cfg=1,2")
    assert 100 * len(keyframes) * len(axis.values) == MAX_KEYFRAMES
    assert 100 * peak(lambda: cells_of(Grid(recipe, axis))) < stated("A grid")
    with pytest.raises(RecipeError, match="202 cells of a recipe with 500 keyframes take too long; keep to 200 cells"):
        Grid(recipe, axis, read_axis("steps=1..101"))


@pytest.mark.parametrize("part", [b"[],", b'{"a":0},', b"1e9,", b'{"a":[]},'])
def test_an_answer_of_a_server(part: bytes) -> None:
    """A tenth of the values that are read, since memory grows with their number."""
    counted = sum(part.count(sign) for sign in b",[{")
    body = b"[" + part * (MOST_VALUES // 10 // counted - 1) + b"0]"
    http = Http("http://127.0.0.1:1", Auth("secret"))
    assert 10 * peak(lambda: http._json(body, "/a")) < stated("A server's reply")
    http.close()


def test_a_journal_of_the_longest_job(tmp_path: Path) -> None:
    """A tenth of its frames, since memory grows with their number."""
    digest = "0" * 60
    with open(tmp_path / "journal.jsonl", "wb") as file:
        for number in range(10_000):
            entry = {"file": f"{number:06}.png", "key": f"{digest}{number % 10_000:04}", "sha256": f"{digest}0000"}
            file.write(canonical(entry).encode() + b"\n")
    assert (tmp_path / "journal.jsonl").stat().st_size * 60 < MAX_JOURNAL
    assert 10 * peak(lambda: Journal(tmp_path / "journal.jsonl")) < stated("A journal")


def test_a_schedule_is_compared_without_parsing_it(tmp_path: Path) -> None:
    expected = b"x" * (8 * MB)
    (tmp_path / "schedule.json").write_bytes(expected)
    assert peak(lambda: says(tmp_path, "schedule.json", expected)) < 8.5
    with open(tmp_path / "schedule.json", "ab") as file:
        file.truncate(64 * 2**30)
    assert peak(lambda: says(tmp_path, "schedule.json", expected)) < 8.5
    assert not says(tmp_path, "schedule.json", expected)


def test_the_longest_film() -> None:
    """A tenth of its frames, since memory grows with their number."""
    recipe = Recipe(MAX_FRAMES // 10, (Keyframe(prompt="a"), Keyframe(prompt="b")))
    assert 10 * peak(lambda: plan(recipe)) < stated("Frames")


def test_texts_of_a_picture(tmp_path: Path) -> None:
    save_picture(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8), {f"text {n}": "x" * 7 * MB for n in range(9)})
    assert peak(lambda: read_texts(tmp_path / "a.png")) < stated("Texts in a picture or film")


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("4 MiB", MAX_TEXT),
        ("16 MiB", MAX_WORKFLOW),
        ("8 MiB for each", LONGEST_TEXT),
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
    assert stated("A picture") == 600  # as test_bombs.py measures it
    assert f"{MOST_VALUES:,} values" in PAGE
    assert f"{MOST_OF_TOOLS:,} values" in PAGE
    assert f"{MAX_CELLS:,} cells" in PAGE
    assert f"| Frames | {MAX_FRAMES:,} |" in PAGE
    assert f"{MAX_KEYFRAMES:,} keyframes" in PAGE
