"""The network that tells what a picture shows."""

from __future__ import annotations

import random
from itertools import islice
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from remix.client.playground import classifier
from remix.client.playground.classifier import KEPT, TOLD, accuracy, tell, train
from remix.client.playground.drawing import draw
from remix.client.playground.world import random_scenes


def test_it_is_right_about_drawings_that_it_was_not_trained_on() -> None:
    assert set(accuracy(500)) == set(TOLD)
    assert min(accuracy(500).values()) >= 0.98


def test_it_is_small_enough_to_ship() -> None:
    assert KEPT.stat().st_size < 2**20


def test_what_it_tells_does_not_depend_on_the_batch() -> None:
    pictures = draw(list(islice(random_scenes(random.Random(0)), 5)))
    alone = [tell(picture[None])[0] for picture in pictures]
    for ours, theirs in zip(tell(pictures), alone, strict=True):
        assert (ours.thing, ours.second, ours.background) == (theirs.thing, theirs.second, theirs.background)
        assert ours.sure == pytest.approx(theirs.sure, abs=1e-4)


def test_its_training_depends_on_its_seed_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("_PICTURES", 12), ("_STEPS", 2), ("_BATCH", 4)):
        monkeypatch.setattr(classifier, name, value)
    made = []
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        train(tmp_path / name, seed)
        made.append(load_file(tmp_path / name))
    assert all(torch.equal(made[0][name], made[1][name]) for name in made[0])
    assert not all(torch.equal(made[0][name], made[2][name]) for name in made[0])
    assert {name: value.shape for name, value in made[0].items()} == {n: v.shape for n, v in load_file(KEPT).items()}
