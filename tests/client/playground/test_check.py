"""The judge, and the questions that a model is asked."""

from __future__ import annotations

import random
import statistics
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from remix.client.playground import measure, unknown_words
from remix.client.playground.check import main
from remix.client.playground.drawing import draw
from remix.client.playground.judge import Verdict, judge
from remix.client.playground.measure import SHOWN, by_thing, shares, sheet, tasks
from remix.client.playground.words import COLOURS, SCENERY, THINGS
from remix.client.playground.world import arrange, held_out


def test_the_judge_is_right_about_real_drawings() -> None:
    rng = random.Random(8)
    for group in tasks().values():
        scenes = [arrange(task.thing, task.colour, task.background, rng=rng) for task in group]
        rates = shares(group, draw(scenes))
        assert min(rate for rate in rates if rate is not None) > 0.97


def test_an_empty_picture_shows_nothing() -> None:
    assert judge(torch.full((3, 128, 128), 0.97)) == Verdict(None, None, "white")


def test_the_tasks_ask_for_every_pair_and_every_scenery() -> None:
    asked = tasks()
    seen = {(task.thing, task.colour) for task in asked["seen pairs"]}
    kept = {(task.thing, task.colour) for task in asked["held-out pairs"]}
    assert len(seen) == len(asked["seen pairs"]) == len(THINGS) * (len(COLOURS) - 1)
    assert all(held_out(*pair) for pair in kept)
    assert seen | kept == {(thing, colour) for thing in THINGS for colour in COLOURS}
    assert {task.background for task in asked["scenery"]} == set(SCENERY)
    for group in asked.values():
        assert all(task.colour != task.background for task in group)


def test_all_prompts_are_in_the_words_of_the_world() -> None:
    prompts = [*SHOWN, *(task.prompt for group in tasks().values() for task in group)]
    assert [unknown_words(prompt) for prompt in prompts] == [[]] * len(prompts)


def test_tasks_are_the_same_every_time() -> None:
    assert tasks() == tasks()


def test_shares_count_what_is_wrong() -> None:
    group = tasks()["seen pairs"][:4]
    rng = random.Random(1)
    right = draw([arrange(task.thing, task.colour, task.background, rng=rng) for task in group])
    assert shares(group, right) == [1.0, 1.0, 1.0, 1.0]
    right[0] = 0.5  # a gray picture with nothing in it
    assert shares(group, right) == [0.75, 0.75, 0.75, 0.75]
    assert statistics.fmean(by_thing(group, right).values()) == 0.75


def test_scenery_is_judged_by_its_background_alone() -> None:
    group = tasks()["scenery"][:2]
    plain = draw([arrange("star", "red", "blue", rng=random.Random(0))] * 2)
    assert shares(group, plain) == [None, None, 0.0, 0.0]


@pytest.mark.parametrize("count", [1, 6, 7])
def test_a_sheet_holds_all_pictures(count: int) -> None:
    said = ["a big red star on the left on a blue background"] * count
    page = sheet(torch.zeros(count, 3, 128, 128), said).convert("L")
    rows = -(-count // 6)
    assert page.size == (6 * 136 + 8, rows * 166 + 8)
    inked = sum(value < 128 for value in page.tobytes())
    assert inked > count * 128 * 128 + count * 50  # the black pictures, and captions below them


def test_the_command_prints_a_table_and_writes_a_sheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = tasks()["seen pairs"][:2]
    monkeypatch.setattr(measure, "tasks", lambda: {"seen pairs": group})
    monkeypatch.setattr(measure, "SHOWN", measure.SHOWN[:1])
    result = CliRunner().invoke(main, ["--steps", "4", "--sheet", str(tmp_path / "sheet.png")])
    assert result.exit_code == 0
    assert "| prompts | pictures | thing | its colour | background | all |" in result.output
    assert "| seen pairs, real drawings | 2 | 1.00 | 1.00 | 1.00 | 1.00 |" in result.output
    assert "things: circle" in result.output
    with Image.open(tmp_path / "sheet.png") as page:
        assert page.width == 824


def test_a_folder_without_a_model_is_refused_in_a_sentence(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, [str(tmp_path)])
    assert result.exit_code == 1
    assert "holds no model_index.json; give the folder of a diffusers pipeline" in result.output


def test_without_torch_the_command_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = CliRunner().invoke(main, [])
    assert result.exit_code == 1
    assert "needs torch" in result.output
    assert "pip install" in result.output
