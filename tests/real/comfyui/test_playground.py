"""The bundled model on a real ComfyUI: the frames of the local engine."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from remix.client import Local
from remix.client.cli import main
from remix.engine import render
from remix.motion import load_picture
from tests.real.comfyui.films import folder, name
from tests.real.comfyui.graphs import Builder
from tests.real.comfyui.host import Host
from tests.real.playground import assert_agree, film, frames_in

ROOT = Path(__file__).parents[3]


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


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs" / "course" / "workflows").glob("*.json")), ids=lambda path: path.stem
)
def test_the_workflows_of_the_course_run(host: Host, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["workflow", "convert", str(path)]) == 0
    graph = json.loads(capsys.readouterr().out)
    outputs = host.run(graph).values()
    files = [image for output in outputs for image in output.get("images", [])]
    assert len(files) == sum(node["class_type"] == "SaveImage" for node in graph.values())
    for file in files:
        picture = load_picture(host.output / file["subfolder"] / file["filename"])
        assert picture.shape == (128, 128, 3)
        assert np.ptp(picture) > 100
