"""Recipes with `restore`: the pictures are in the film unchanged, and what is between them keeps their contrast."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix.engine import Picture, render
from remix.engine.restoring import is_exact
from remix.errors import Interrupted
from remix.job import frame_path
from remix.motion import load_picture, save_picture
from remix.plan import Keyframe, Recipe, Schedule, plan
from tests.fakes.renderer import Painter

FRAMES = 9


class Dull(Painter):
    """Mixes the init pictures, loses detail as an encoder does, and contrast the more it redraws."""

    def _painted(self, schedule: Schedule, index: int, inputs: Any) -> Picture:
        frame = schedule[index]
        if frame.image is None:
            return np.arange(schedule.recipe.width * schedule.recipe.height * 3, dtype=np.uint8).reshape(-1, 64, 3)
        mixed = sum(weight * inputs[name].astype(float) for name, weight in frame.image.items)
        coarse = mixed.reshape(mixed.shape[0] // 4, 4, mixed.shape[1] // 4, 4, 3).mean((1, 3))
        blurred = coarse.repeat(4, 0).repeat(4, 1)
        return np.rint(128 + (blurred - 128) * (1 - 0.7 * frame.denoise)).astype(np.uint8)


@pytest.fixture
def pictures(tmp_path: Path) -> list[Picture]:
    rng = np.random.default_rng(1)
    found = []
    for name in ("a.png", "b.png"):
        picture = rng.integers(0, 256, (4, 8, 3)).repeat(8, 0).repeat(8, 1) + rng.integers(-20, 21, (32, 64, 3))
        found.append(np.clip(picture, 0, 255).astype(np.uint8))
        save_picture(tmp_path / name, found[-1])
    return found


def recipe(folder: Path, **changes: Any) -> Recipe:
    keyframes = (
        Keyframe(at=0, prompt="a", image="a.png", denoise=0),
        Keyframe(at=4, denoise=0.75),
        Keyframe(at=8, image="b.png", denoise=0),
    )
    fields: dict[str, Any] = {
        "frames": FRAMES,
        "keyframes": keyframes,
        "width": 64,
        "height": 32,
        "folder": str(folder),
    }
    return Recipe(**{**fields, "restore": True, **changes})


def rendered(asked: Recipe, engine: Painter, folder: Path) -> list[Picture]:
    render(asked, engine, folder, film=None, report=False)
    return [load_picture(frame_path(folder, index)) for index in range(asked.frames)]


def contrast(picture: Picture) -> float:
    return float(picture.astype(float).reshape(-1, 3).std(0).mean())


def test_the_ends_are_the_pictures_and_the_middle_keeps_their_contrast(pictures: list[Picture], tmp_path: Path) -> None:
    plain = rendered(recipe(tmp_path, restore=False), Dull(), tmp_path / "plain")
    engine = Dull()
    film = rendered(recipe(tmp_path), engine, tmp_path / "film")
    assert (film[0] == pictures[0]).all()
    assert (film[-1] == pictures[1]).all()
    assert not (plain[0] == pictures[0]).all()
    ends = (contrast(pictures[0]) + contrast(pictures[1])) / 2
    assert contrast(plain[4]) < 0.5 * ends
    assert min(map(contrast, film)) > 0.8 * ends
    # What the encoder lost comes back near the pictures: the first step is no jump.
    steps = [np.abs(a.astype(float) - b).mean() for a, b in itertools.pairwise(film)]
    assert steps[0] < 2 * np.median(steps)
    assert 0 not in engine.rendered[2:]  # after both pictures, encoded and decoded
    assert FRAMES - 1 not in engine.rendered


def test_a_restored_film_resumes_and_is_another_job_than_a_plain_one(pictures: list[Picture], tmp_path: Path) -> None:
    whole = rendered(recipe(tmp_path), Dull(), tmp_path / "whole")
    with pytest.raises(Interrupted):
        rendered(recipe(tmp_path), Dull(stop_after=3), tmp_path / "film")
    assert frame_path(tmp_path / "film", 1).is_file()
    resumed = rendered(recipe(tmp_path), Dull(), tmp_path / "film")
    assert all((a == b).all() for a, b in zip(whole, resumed, strict=True))
    schedules = [plan(recipe(tmp_path, restore=restore)) for restore in (True, False)]
    assert schedules[0].frame_hash(4) != schedules[1].frame_hash(4)
    assert [is_exact(schedules[0], index) for index in (0, 1, 8)] == [True, False, True]
    assert not is_exact(schedules[1], 0)


def test_frames_without_a_picture_or_with_a_mask_are_left_alone(pictures: list[Picture], tmp_path: Path) -> None:
    save_picture(tmp_path / "mask.png", np.full((32, 64, 3), 255, np.uint8))
    masked = recipe(tmp_path, keyframes=(Keyframe(image="a.png", mask="mask.png", denoise=0.4),))
    for asked in (masked, recipe(tmp_path, keyframes=(Keyframe(prompt="a"), Keyframe(prompt="b")))):
        name = str(bool(asked.keyframes[0].mask))
        plain = rendered(asked.replace(restore=False), Dull(), tmp_path / f"plain{name}")
        assert all(
            (a == b).all() for a, b in zip(plain, rendered(asked, Dull(), tmp_path / f"film{name}"), strict=True)
        )
