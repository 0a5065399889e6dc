"""What a model is asked, and how its pictures are looked at."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from remix.client.playground import check, measure, unknown_words
from remix.client.playground.check import BARS, main
from remix.client.playground.drawing import draw
from remix.client.playground.judge import background_of, colors_of, thing_mask
from remix.client.playground.measure import (
    SHOWN,
    Mark,
    by_thing,
    drawn,
    grammar_tasks,
    held_out_tasks,
    marks,
    shares,
    sheet,
)
from remix.client.playground.words import BACKGROUNDS, COLORS, SCENERY, STYLES, THINGS
from remix.client.playground.world import arrange, arrange_pair, held_out


def test_the_eyes_are_right_about_real_drawings() -> None:
    for group in (grammar_tasks(120), held_out_tasks()):
        assert min(shares(marks(group, drawn(group)))) >= 0.97


def test_prompts_are_drawn_from_the_whole_grammar() -> None:
    tasks = [task.scene for task in grammar_tasks(500)]
    assert {scene.thing for scene in tasks} == set(THINGS)
    assert {scene.background for scene in tasks} == set(BACKGROUNDS)
    assert {scene.style for scene in tasks} == set(STYLES)
    assert 70 < sum(scene.neighbor is not None for scene in tasks) < 150
    assert grammar_tasks(500)[:7] == grammar_tasks(7)
    assert grammar_tasks(7) != grammar_tasks(7, seed=1)


def test_every_prompt_says_what_the_check_looks_at() -> None:
    for task in grammar_tasks(300):
        words = task.prompt.replace(",", "").replace("grey", "gray").split()
        assert task.scene.thing in words
        assert task.scene.color in words
        if task.scene.background in COLORS:
            assert task.scene.background in words
        if task.scene.neighbor:
            assert {task.scene.second, task.scene.second_color} <= set(words)


def test_held_out_pairs_are_asked_for_on_several_backgrounds() -> None:
    tasks = held_out_tasks()
    assert len(tasks) == 4 * len(THINGS)
    assert all(held_out(task.scene.thing, task.scene.color) for task in tasks)
    assert all(task.scene.color != task.scene.background for task in tasks)
    assert len({task.prompt for task in tasks}) == len(tasks)


def test_all_prompts_are_in_the_words_of_the_world() -> None:
    prompts = [*SHOWN, *(task.prompt for task in (*grammar_tasks(300), *held_out_tasks()))]
    assert [unknown_words(prompt) for prompt in prompts] == [[]] * len(prompts)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("background", ["white", "black", "teal", *SCENERY])
def test_a_color_is_told_in_every_style_and_place(style: str, background: str) -> None:
    scenes = [
        arrange(thing, color, background, style, size, rng=random.Random(2))
        for thing, color, size in (("star", "red", "small"), ("boat", "yellow", "big"), ("ring", "purple", "medium"))
    ]
    for scene, picture in zip(scenes, draw(scenes), strict=True):
        assert colors_of(picture, scene) == [scene.color]


def test_the_colors_of_a_pair_are_told_from_left_to_right() -> None:
    scene = arrange_pair(("star", "red"), ("fish", "blue"), "sea", rng=random.Random(1))
    assert colors_of(draw([scene])[0], scene) == ["red", "blue"]


def test_an_empty_picture_shows_a_background_and_no_color() -> None:
    scene = arrange("star", "red", "white", rng=random.Random(1))
    empty = torch.full((3, 128, 128), 0.97)
    assert background_of(empty) == "white"
    assert colors_of(empty, scene) == [None]
    assert not thing_mask(empty, "white").any()


def test_marks_tell_what_is_wrong() -> None:
    task = next(task for task in grammar_tasks(50) if task.scene.background == "purple" and not task.scene.neighbor)
    scene = dataclasses.replace(task.scene, style="flat", thing="star", color="green", size="big")
    tasks = dataclasses.replace(task, scene=scene)

    def seen(**other: str) -> Mark:
        return marks([tasks], draw([dataclasses.replace(scene, **other)]))[0]

    assert seen() == Mark(True, True, True)
    assert seen().all
    assert seen(thing="ring") == Mark(False, True, True)
    assert seen(color="white") == Mark(True, False, True)
    assert seen(background="yellow") == Mark(True, True, False)
    assert not seen(thing="ring").all


def test_a_second_thing_that_nobody_asked_for_is_wrong() -> None:
    pair = arrange_pair(("star", "red"), ("fish", "red"), "white", rng=random.Random(1))
    alone = measure.Task("a red star on a white background", dataclasses.replace(pair, neighbor=None))
    assert not marks([alone], draw([pair]))[0].thing


def test_shares_count_the_marks() -> None:
    found = [Mark(True, True, True), Mark(True, False, True), Mark(False, True, True), Mark(True, True, False)]
    assert shares(found) == [0.75, 0.75, 0.75, 0.25]
    group = [task for task in grammar_tasks(40) if not task.scene.neighbor][:4]
    single = by_thing(group, found)
    assert set(single) == {task.scene.thing for task in group}
    assert min(single.values()) < 1


@pytest.mark.parametrize("count", [1, 6, 7])
def test_a_sheet_holds_all_pictures(count: int) -> None:
    words = ["a purple house and a brown mushroom on a green hill"] * count
    page = sheet(torch.zeros(count, 3, 128, 128), words).convert("L")
    rows = -(-count // 6)
    assert page.size == (6 * 136 + 8, rows * 178 + 8)
    inked = sum(value < 128 for value in page.tobytes())
    assert inked > count * 128 * 128 + count * 50  # the black pictures, and captions below them
    for column in range(7):
        assert page.crop((column * 136, 0, column * 136 + 8, page.height)).getextrema() == (255, 255)


def test_the_command_prints_the_table_with_its_bars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "SHOWN", measure.SHOWN[:1])
    kept = held_out_tasks()[:1]
    monkeypatch.setattr(measure, "held_out_tasks", lambda: kept)
    monkeypatch.setattr(measure, "ACCURACY_PICTURES", 20)
    options = ["--steps", "2", "--prompts", "3", "--travels", "1", "--sheet", str(tmp_path / "sheet.png")]
    result = CliRunner().invoke(main, options)
    assert result.exit_code == 0, result.output
    assert check.HEAD in result.output
    assert "| grammar, real drawings | 3 | 1.000 | 1.000 | 1.000 | 1.000 |" in result.output
    assert "| bars | 3 | 0.900 | 0.950 | 0.970 | 0.800 |" in result.output
    assert "1 prompt travels of 9 frames" in result.output
    assert "CPU seconds a picture (at most 1.0)" in result.output
    with Image.open(tmp_path / "sheet.png") as page:
        assert page.width == 824
    assert BARS == (0.90, 0.95, 0.97, 0.80)


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
