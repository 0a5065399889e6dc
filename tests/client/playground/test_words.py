"""The words of the playground world, and prompts that leave it."""

from __future__ import annotations

import random
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remix.client import playground
from remix.client.playground import EXAMPLES, WEIGHTS, unknown_words, words
from remix.client.playground.words import BACKGROUNDS, COLORS, SCENERY, THINGS
from remix.client.playground.world import caption, random_scenes


def test_importing_the_playground_loads_no_torch() -> None:
    code = "import sys, remix.client.playground; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_weights_lie_inside_the_package() -> None:
    assert (WEIGHTS / "model_index.json").is_file()


def test_no_word_stands_under_two_kinds() -> None:
    every = [word for kind in words().values() for word in kind]
    assert len(every) == len(set(every))


def test_the_world_has_eighteen_things_and_seventeen_backgrounds() -> None:
    assert words()["thing"] == THINGS
    assert len(THINGS) == 18
    assert (*COLORS, *SCENERY) == BACKGROUNDS
    assert len(BACKGROUNDS) == 17


def test_words_are_exactly_those_of_the_captions() -> None:
    rng = random.Random(1)
    texts = [caption(scene, rng).text for scene in islice(random_scenes(rng), 6000)]
    used = {word for text in texts for word in text.replace(",", "").split()}
    assert used == {word for kind in words().values() for word in kind}


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a red star on a blue background", []),
        ("", []),
        ("A Red STAR, At Night", []),
        ("(red star:1.2), 42 8k", [("k", None)]),
        ("a crimson zebra", [("crimson", "red"), ("zebra", None)]),
        ("two stars and a star", [("two", None), ("stars", "star")]),
        ("zebra, zebra", [("zebra", None)]),
        ("a cottage by the ocean at dusk", [("cottage", "house"), ("ocean", "sea"), ("dusk", "sunset")]),
        ("in the centre", [("centre", "center")]),
        ("été_noir", [("été", None), ("noir", None)]),
    ],
)
def test_unknown_words(prompt: str, expected: list[tuple[str, str | None]]) -> None:
    assert unknown_words(prompt) == expected


def test_examples_are_in_the_words_of_the_world() -> None:
    assert [unknown_words(prompt) for prompt in EXAMPLES] == [[]] * len(EXAMPLES)


@given(st.text())
def test_whatever_is_nearest_is_known(prompt: str) -> None:
    for word, nearest in unknown_words(prompt):
        assert word in prompt.lower()
        assert nearest is None or unknown_words(nearest) == []


def test_the_card_tells_how_many_words_there_are_and_names_every_thing_and_color() -> None:
    card = (Path(playground.__file__).parent / "README.md").read_text("utf-8")
    assert f"{sum(map(len, words().values()))} words" in card
    assert f"| 18 things | {' '.join(THINGS)} |" in card
    assert f"| 12 colors | {' '.join(COLORS)} |" in card
