"""Memory does not grow with a job by more than its numbers: pictures are kept on the disk alone."""

from __future__ import annotations

import weakref
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from remix.engine import render
from remix.motion import images
from remix.plan import Keyframe, Recipe
from tests.fakes.renderer import Painter

FRAMES = 40


def test_no_more_than_a_few_pictures_of_a_job_live_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    living: set[int] = set()
    most = 0

    def born(picture: np.ndarray) -> np.ndarray:
        nonlocal most
        living.add(id(picture))
        weakref.finalize(picture, living.discard, id(picture))
        most = max(most, len(living))
        return picture

    painted, loaded = Painter._painted, images.load_picture
    monkeypatch.setattr(Painter, "_painted", lambda *given: born(painted(*given)))
    for place in ("remix.job.inputs", "remix.job.job", "remix.show.contact_sheet"):
        monkeypatch.setattr(import_module(place), "load_picture", lambda path: born(loaded(path)))
    recipe = Recipe(FRAMES, (Keyframe(at=0, prompt="a"), Keyframe(at=FRAMES - 1, prompt="b")), width=32, height=16)
    assert render(recipe, Painter(), tmp_path).rendered == FRAMES
    assert most <= 3
    assert not living
