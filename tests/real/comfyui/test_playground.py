"""The bundled model on a real ComfyUI: the frames of the local engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from remix.client import Local
from remix.engine import render
from tests.real.comfyui.films import folder, name
from tests.real.comfyui.graphs import Builder
from tests.real.comfyui.host import Host
from tests.real.playground import assert_agree, film, frames_in


@pytest.mark.parametrize("sampler", ["dpmpp_2m", "euler_ancestral"])
def test_it_renders_the_frames_of_the_local_engine(host: Host, tmp_path: Path, sampler: str) -> None:
    recipe = film(sampler)
    render(recipe, Local(device="cpu"), tmp_path, film=None)
    builder, prefix = Builder(), name("playground")
    model, clip, vae = builder.add("RemixPlayground", 3)
    builder.add(
        "RemixRender",
        **{"model": model, "clip": clip, "vae": vae, "schedule": builder.recipe(recipe.to_toml())},
        **{"filename_prefix": prefix, "batch_size": 2},
    )
    host.run(builder.graph)
    assert_agree(frames_in(tmp_path), frames_in(folder(host, prefix)))
