"""The bundled model on a real ComfyUI: the frames of the local engine, and what the host's own nodes do with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from remix import Recipe
from remix.client import Local
from remix.engine import render
from remix.motion import load_picture
from remix.motion.pictures import difference
from tests.real.comfyui.films import folder, name, pictures
from tests.real.comfyui.graphs import Builder
from tests.real.comfyui.host import Host

FILM = """
frames = 4
size = [128, 128]
sampler = "SAMPLER"
scheduler = "sgm_uniform"
steps = 8
cfg = 3
[[keyframes]]
prompt = "a red house on a green hill"
negative = "a tree"
seed = 3
[[keyframes]]
prompt = "a white house in the snow"
seed = 4
"""


def rendered(host: Host, film: str) -> np.ndarray:
    builder, prefix = Builder(), name("playground")
    model, clip, vae = builder.add("RemixPlayground", 3)
    builder.add(
        "RemixRender",
        **{"model": model, "clip": clip, "vae": vae, "schedule": builder.recipe(film)},
        **{"filename_prefix": prefix, "batch_size": 2},
    )
    host.run(builder.graph)
    return pictures(folder(host, prefix))


@pytest.mark.parametrize("sampler", ["dpmpp_2m", "euler_ancestral"])
def test_it_renders_the_frames_of_the_local_engine(host: Host, tmp_path: Path, sampler: str) -> None:
    film = FILM.replace("SAMPLER", sampler)
    render(Recipe.from_toml(film), Local(device="cpu"), tmp_path, film=None)
    local = [load_picture(path) for path in sorted((tmp_path / "frames").iterdir())]
    there = rendered(host, film)
    assert len(there) == len(local)
    differences = [difference(one, other) for one, other in zip(there, local, strict=True)]
    assert all(each.agrees() for each in differences), [str(each) for each in differences]
