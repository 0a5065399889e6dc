"""A film of the bundled model, to compare what a real host makes of it with the local engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from remix.motion import load_picture
from remix.motion.pictures import difference
from remix.plan import Recipe

FILM = """
frames = 4
size = [128, 128]
sampler = "SAMPLER"
scheduler = "sgm_uniform"
steps = 8
cfg = 3
[model]
clip_skip = SKIP
[[keyframes]]
prompt = "a red house on a green hill"
negative = "a tree"
seed = 3
[[keyframes]]
prompt = "a white house in the snow"
seed = 4
"""


def film(sampler: str, clip_skip: int = 1) -> Recipe:
    """Returns the recipe of the film."""
    return Recipe.from_toml(FILM.replace("SAMPLER", sampler).replace("SKIP", str(clip_skip)))


def frames_in(job: Path) -> list[np.ndarray]:
    """Returns the frames of a job folder."""
    return [load_picture(path) for path in sorted((job / "frames").iterdir())]


def assert_agree(here: list[np.ndarray], there: list[np.ndarray]) -> None:
    """Fails if frames differ by more than the agreement table allows."""
    differences = [difference(one, other) for one, other in zip(here, there, strict=True)]
    assert all(each.agrees() for each in differences), [str(each) for each in differences]
