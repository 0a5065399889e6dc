"""JSON from strangers, wherever it is read: a recipe, the files of a job, the text in a frame."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from remix.client import cli
from remix.engine import render
from remix.errors import RecipeError, RemixError
from remix.motion import load_picture, save_picture
from remix.plan import Keyframe, Recipe
from remix.plan.documents import read_json, read_toml
from tests.fakes.renderer import Painter

DEEP = "[" * 100_000
HOSTILE = {
    "deep": DEEP,
    "deep objects": '{"a":' * 100_000,
    "deep and whole": DEEP + "]" * 100_000,
    "a huge number": '{"frames": ' + "9" * 5_000 + "}",
    "NaN": '{"frames": 3, "fps": NaN}',
    "Infinity": '{"frames": 3, "fps": -Infinity}',
    "a name twice": '{"frames": 3, "frames": 4}',
    "too long": '{"frames": "' + " " * (4 * 2**20) + '"}',
    "cut off": '{"frames": 3',
    "half a character": '{"frames": "\\ud800"}',
    "a list": "[1, 2]",
    "a word": '"recipe"',
    "null": "null",
    "nothing": "",
    "no text": "\0\1\2",
    "another number": '{"frames": 1e400}',
}

ENDS = (Keyframe(at=0, prompt="a"), Keyframe(at=2, prompt="b"))
RECIPE = Recipe(frames=3, keyframes=ENDS, width=32, height=16)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_recipe_is_one_sentence_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(text, encoding="utf-8")
    assert cli.main(["render", str(path), "-o", str(tmp_path / "job")]) == 2
    error = capsys.readouterr().err
    assert "recipe.json" in error
    assert len(error) < 1000
    assert not (tmp_path / "job").exists()


@pytest.mark.parametrize("read", [read_json, read_toml])
def test_ten_thousand_random_texts_are_read_or_refused(read: Callable[[bytes], object]) -> None:
    chance = random.Random(3)
    pieces = [
        *(bytes([n]) for n in b'{}[]",:.=-+eE0123456789 \n\\#'),
        b"null",
        b"NaN",
        b'"a":',
        b"[[a]]",
        b"\xff",
        b"\xc3\xa9",
    ]
    for _ in range(10_000):
        if chance.random() < 0.3:
            text = chance.randbytes(chance.randrange(40))
        else:
            text = b"".join(chance.choices(pieces, k=chance.randrange(40)))
        try:
            read(text)
        except RecipeError as error:
            assert len(str(error)) < 1000  # noqa: PT017


@pytest.fixture
def job(tmp_path: Path) -> Path:
    render(RECIPE, Painter(), tmp_path / "job")
    return tmp_path / "job"


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_job_with_a_hostile_job_file_is_refused_and_left_alone(job: Path, text: str) -> None:
    (job / "job.json").write_text(text, encoding="utf-8")
    before = {path: path.read_bytes() for path in job.rglob("*") if path.is_file() and path.name != "job.lock"}
    with pytest.raises(RemixError):
        render(RECIPE, Painter(), job)
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_schedule_is_not_read_and_costs_nothing(job: Path, text: str) -> None:
    """Frames are identified by what made them. The schedule in the folder is only written, and never read."""
    whole = {path: path.read_bytes() for path in job.rglob("*") if path.is_file() and path.name != "job.lock"}
    (job / "schedule.json").write_text(text, encoding="utf-8")
    again = Painter()
    render(RECIPE, again, job)
    assert again.rendered == []
    assert {path: path.read_bytes() for path in whole} == whole


LINES = [
    *HOSTILE.values(),
    '{"file": [], "key": "", "sha256": ""}',
    '{"file": {}, "key": [], "sha256": null}',
    '{"file": "000000.png"}',
    '{"file": "../../x", "key": "", "sha256": ""}',
    '{"file": "000000.png", "key": "", "sha256": ""}',
    "\n" * 1000,
]


@pytest.mark.parametrize("line", LINES, ids=lambda line: line[:20])
def test_hostile_lines_in_a_journal_cost_nothing(job: Path, line: str) -> None:
    journal = job / "journal.jsonl"
    journal.write_bytes(line.encode() + b"\n" + journal.read_bytes() + line.encode())
    for _ in range(2):
        again = Painter()
        render(RECIPE, again, job)
        assert again.rendered == []


@pytest.mark.parametrize(
    "text", [*(text for text in HOSTILE.values() if "\0" not in text), '{"key": ["a"]}', '{"key": 3}']
)
def test_a_frame_whose_own_text_is_hostile_is_made_again(job: Path, text: str) -> None:
    path = job / "frames" / "000001.png"
    before = path.read_bytes()
    save_picture(path, load_picture(path), {"remix": text})
    (job / "journal.jsonl").unlink()
    again = Painter()
    render(RECIPE, again, job)
    assert again.rendered == [1]
    assert path.read_bytes() == before


def test_a_journal_that_claims_a_strangers_frame_is_not_believed(job: Path) -> None:
    shutil.copy(job / "frames" / "000000.png", job / "frames" / "000001.png")
    lines = (job / "journal.jsonl").read_text("utf-8").splitlines()
    entry = {**json.loads(lines[1]), "key": "0" * 64}
    (job / "journal.jsonl").write_text(json.dumps(entry) + "\n", encoding="utf-8")
    again = Painter()
    render(RECIPE, again, job)
    assert again.rendered == [1]
