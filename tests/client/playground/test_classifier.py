"""The network that tells what a picture shows."""

from __future__ import annotations

import random
from itertools import islice
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from remix.client.playground import classifier
from remix.client.playground.classifier import CLASSIFIED, KEPT, accuracy, classify, train
from remix.client.playground.drawing import draw
from remix.client.playground.world import random_scenes


def test_it_is_right_about_drawings_that_it_was_not_trained_on() -> None:
    right = accuracy(1000)
    assert set(right) == set(CLASSIFIED)
    assert min(right.values()) >= 0.98


def test_it_is_small_enough_to_ship() -> None:
    assert KEPT.stat().st_size < 2**20


def test_what_it_tells_does_not_depend_on_the_batch() -> None:
    pictures = draw(list(islice(random_scenes(random.Random(0)), 5)))
    alone = [classify(picture[None])[0] for picture in pictures]
    assert classify(pictures) == alone


def test_its_training_depends_on_its_seed_alone_and_can_be_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier, "_BATCH", 4)
    made = {}
    for name, seed, start in (("first", 1, None), ("again", 1, None), ("other", 2, None), ("on", 1, KEPT)):
        train(tmp_path / name, pictures=12, steps=2, seed=seed, start=start)
        made[name] = load_file(tmp_path / name)
    kept = load_file(KEPT)
    assert {name: value.shape for name, value in made["first"].items()} == {n: v.shape for n, v in kept.items()}
    assert all(torch.equal(made["first"][name], made["again"][name]) for name in kept)
    assert not all(torch.equal(made["first"][name], made["other"][name]) for name in kept)
    assert all((made["on"][name] - kept[name]).abs().max() < 0.01 for name in kept)
