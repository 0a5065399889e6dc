"""Choices and word lists of strangers: no file outside is read, and no choice takes long."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from remix.errors import RecipeError
from remix.plan import Keyframe, Recipe
from remix.plan.variants import MOST_ENTRIES, MOST_LISTS, with_choices
from remix.prompt.variants import MOST_WORK

posix = pytest.mark.skipif(os.name != "posix", reason="makes pipes and links")


def recipe(folder: Path, *prompts: str, wildcards: str = "wildcards") -> Recipe:
    keyframes = tuple(Keyframe(prompt=prompt) for prompt in prompts)
    return Recipe(max(2, len(prompts)), keyframes, folder=str(folder), variants="keyframe", wildcards=wildcards)


@pytest.mark.parametrize(
    "folder",
    ["..", "../private", "lists/../../private", "/", "/etc", "~", "C:", "C:\\lists", "..\\private", "\\\\host\\share"],
)
def test_word_lists_are_below_the_recipe(tmp_path: Path, folder: str) -> None:
    with pytest.raises(RecipeError, match=r"wildcards: .* may lead out of the recipe's folder"):
        recipe(tmp_path, "__diary__", wildcards=folder)


@posix
@pytest.mark.parametrize("name", ["diary", "d*", "below/diary"])
@pytest.mark.parametrize("place", ["folder", "below", "list"])
def test_no_list_is_read_through_a_link_that_leads_out(tmp_path: Path, place: str, name: str) -> None:
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "diary.txt").write_text("secret\n", encoding="utf-8")
    lists = tmp_path / "recipe" / "wildcards"
    lists.parent.mkdir()
    if place == "folder":
        lists.symlink_to(tmp_path / "private")
    else:
        lists.mkdir()
        target, link = ("private", "below") if place == "below" else ("private/diary.txt", "diary.txt")
        (lists / link).symlink_to(tmp_path / target)
    with pytest.raises(RecipeError, match=r"a link leads out of|does not exist"):
        with_choices(recipe(tmp_path / "recipe", f"__{name}__"))


@posix
@pytest.mark.parametrize("kind", ["pipe", "device", "sparse", "loop", "folder"])
def test_an_odd_file_in_the_place_of_a_list_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "wildcards" / "a.txt"
    path.parent.mkdir()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "sparse":
        path.touch()
        os.truncate(path, 200 * 2**30)
    elif kind == "loop":
        path.symlink_to(path)
    else:
        path.mkdir()
    with pytest.raises(RecipeError, match=r"a\.txt|wildcards"):
        with_choices(recipe(tmp_path, "__a__"))


def chain(folder: Path) -> str:
    """Twenty lists of a line each that names the next one twenty times, and the last one nothing."""
    for number in range(20):
        text = f"__{number + 1:02}__" * 20 if number < 18 else "{}"
        (folder / f"{number:02}.txt").write_text(text, encoding="utf-8")
    return "__00__"


@pytest.mark.parametrize("attack", ["chain", "options", "keyframes", "itself", "lists", "entries"])
def test_no_choice_takes_long(tmp_path: Path, attack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limits are a tenth of the real ones."""
    monkeypatch.setattr("remix.plan.variants.MOST_LISTS", MOST_LISTS // 10)
    monkeypatch.setattr("remix.plan.variants.MOST_ENTRIES", MOST_ENTRIES // 10)
    monkeypatch.setattr("remix.prompt.variants.MOST_WORK", MOST_WORK // 10)
    lists = tmp_path / "wildcards"
    lists.mkdir()
    prompts = ["__a__"]
    if attack == "chain":
        prompts = [chain(lists)]
    elif attack == "options":
        prompts = ["{4000$$" + "|".join("a" * 4000) + "}"] * 50
    elif attack == "keyframes":
        prompts = ["{a|b}" * 3900] * 400
    elif attack == "itself":
        (lists / "a.txt").write_text("__a____a__", encoding="utf-8")
    elif attack == "lists":
        for number in range(MOST_LISTS // 10 + 1):
            (lists / f"{number}.txt").touch()
    elif attack == "entries":
        (lists / "a.txt").write_bytes(b"a\n" * (MOST_ENTRIES // 10 + 1))
    asked = recipe(tmp_path, *prompts)
    before = time.thread_time()
    with pytest.raises(RecipeError, match=r"too long|levels deep|more than 1,000 word lists|more than 100,000 entr"):
        with_choices(asked)
    assert time.thread_time() - before < 5
