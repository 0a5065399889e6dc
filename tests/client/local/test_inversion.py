"""`invert`: frames with init pictures start with the noise in them, so a model draws the pictures again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from remix.motion import fit, load_picture
from remix.motion.pictures import difference
from remix.plan import Keyframe, Model, Recipe
from tests.client.local import tiny
from tests.client.local.films import INPUTS, largest_difference, pictures

SUN = Path(__file__).parents[3] / "examples" / "pictures" / "sun.png"


def film(model: str, picture: str, size: int, **changes: Any) -> Recipe:
    """A picture as it is, and drawn again from half-way to noise."""
    keyframes = [Keyframe(at=0, prompt="", image=picture, cfg=1, denoise=0), Keyframe(at=1, denoise=0.5)]
    settings = {"frames": 2, "width": size, "height": size, "model": Model(model), "keyframes": keyframes}
    return Recipe(**{**settings, "steps": 16, "sampler": "euler", "scheduler": "sgm_uniform", **changes})


def test_the_bundled_model_draws_a_picture_again() -> None:
    inputs = {"sun.png": fit(load_picture(SUN), 128, 128)}
    apart = []
    for invert in (True, False):
        first, second = pictures(film("playground", "sun.png", 128, invert=invert), inputs=inputs)
        apart.append(difference(first, second).psnr)
    assert apart[0] > 30 > 25 > apart[1]


def test_a_flow_model_draws_a_picture_again(tmp_path: Path) -> None:
    model = str(tiny.flux(tmp_path))  # of random weights, whose ways are rough
    (first, again), (_, other) = (
        pictures(film(model, "in.png", 64, invert=invert), inputs=INPUTS).astype(int) for invert in (True, False)
    )
    assert np.abs(first - again).mean() < np.abs(first - other).mean() / 2


def test_a_frame_does_not_depend_on_its_batch_nor_on_missing_frames(tmp_path: Path) -> None:
    model = str(tiny.stable_diffusion(tmp_path))
    mixed = [
        Keyframe(at=0, prompt="a", image="in.png", denoise=0.4),
        Keyframe(at=2, image="soft.png", denoise=0.8, mask="left.png"),
    ]
    asked = film(model, "in.png", 64, frames=3, keyframes=mixed, steps=3, invert=True)
    whole = pictures(asked, inputs=INPUTS, batch=3)
    assert largest_difference(pictures(asked, [2], INPUTS, batch=1), whole[2:]) <= 1
    assert largest_difference(pictures(asked.replace(invert=False), inputs=INPUTS, batch=3), whole) > 5
