"""In-betweens by the host's own model, names of files, and the check of a text, on a real ComfyUI."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from remix.client.cli import main
from remix.motion import load_picture, read_video, save_picture
from tests.real.comfyui.graphs import Builder, new_folder
from tests.real.comfyui.host import Failed, Host

RIFE = "rife_random.pth"
RECIPE = 'frames = 2\nsize = [64, 64]\nsteps = 1\n[[keyframes]]\nprompt = "a"\nseed = 1\n[[keyframes]]\nseed = 2\n'
KEYED = "0 | a cat\n8 | a dog"


def weights() -> dict[str, torch.Tensor]:
    """Random weights in the layout of RIFE, as narrow as can be."""
    torch.manual_seed(0)
    shapes: dict[str, tuple[int, ...]] = {}

    def layer(name: str, *shape: int, bias: int) -> None:
        shapes.update({f"{name}.weight": shape, f"{name}.bias": (bias,)})

    for index, size in enumerate((3, 16, 16)):
        layer(f"encode.cnn{index}", 16, size, 3, 3, bias=16)
    layer("encode.cnn3", 16, 4, 4, 4, bias=4)
    for index in range(5):
        layer(f"blocks.{index}.conv0.0.0", 4, 15 if index == 0 else 28, 3, 3, bias=4)
        layer(f"blocks.{index}.conv0.1.0", 8, 4, 3, 3, bias=8)
        for number in range(8):
            layer(f"blocks.{index}.convblock.{number}.conv", 8, 8, 3, 3, bias=8)
            shapes[f"blocks.{index}.convblock.{number}.beta"] = (1, 8, 1, 1)
        layer(f"blocks.{index}.lastconv.0", 8, 52, 4, 4, bias=52)
    return {name: torch.randn(shape) * 0.2 for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def rife(host: Host) -> str:
    folder = host.base / "models" / "frame_interpolation"
    folder.mkdir(exist_ok=True)
    torch.save(weights(), folder / RIFE)
    return RIFE


def shown(host: Host, outputs: dict[str, Any], node: Any) -> list[Path]:
    return [host.output / each["subfolder"] / each["filename"] for each in outputs[node[0]]["images"]]


def test_the_hosts_own_model_makes_the_in_betweens_of_a_film(host: Host, rife: str) -> None:
    methods = host.get("/object_info/RemixFilm")["RemixFilm"]["input"]["optional"]["method"]
    assert rife in str(methods)
    graph, name = Builder(), new_folder()
    model, clip, vae = graph.checkpoint()
    schedule = graph.recipe(RECIPE)
    inputs = {"model": model, "clip": clip, "vae": vae, "schedule": schedule, "batch_size": 2}
    (job,) = graph.add("RemixRender", filename_prefix=f"film{name}/%width%-%RemixRecipe.fps%", **inputs)
    film = {"job": job, "fps": 0.0, "ping_pong": False, "repeat": 1}
    (video,) = graph.add("RemixFilm", **film, between=1, method=rife)
    (saved,) = graph.add("RemixSaveFilm", video=video, filename_prefix=f"film{name}/%date:yyyy%_", format="apng")
    (pictures,) = graph.add("RemixFrames", job=job, first=0, count=0)
    (loaded,) = graph.add("FrameInterpolationModelLoader", model_name=rife)
    (own,) = graph.add(
        "FrameInterpolate", interp_model=loaded, images=pictures, multiplier=2
    )  # one moment at a time, as Remix Film asks for them
    (kept,) = graph.add("SaveImage", images=own, filename_prefix=f"film{name}/own")
    outputs = host.run(graph.graph)
    (path,) = shown(host, outputs, saved)
    assert path.name[:3] == "202"
    expected = [load_picture(each) for each in shown(host, outputs, kept)]
    found = list(read_video(path))
    assert len(found) == len(expected) == 3
    assert np.array_equal(found[0], expected[0])
    assert np.array_equal(found[2], expected[2])
    # Random weights enlarge the last bits of numbers.
    assert np.abs(found[1].astype(int) - expected[1]).mean() < 0.1
    assert np.abs(found[1].astype(int) - (found[0].astype(int) + found[2]) // 2).max() > 9  # no dissolve
    assert [folder.name[:6] for folder in (host.output / f"film{name}").iterdir() if folder.is_dir()] == ["64-0.0"]


def test_the_client_makes_the_same_in_betweens_with_it(host: Host, rife: str, tmp_path: Path) -> None:
    pictures = [np.random.default_rng(seed).integers(0, 256, (64, 128, 3), np.uint8) for seed in range(2)]
    (tmp_path / "pictures").mkdir()
    for index, picture in enumerate(pictures):
        save_picture(tmp_path / "pictures" / f"{index}.png", picture)
    words = ["video", tmp_path / "pictures", "-o", tmp_path / "film.mkv", "--between", 1, "-q"]
    assert main([str(word) for word in (*words, "--method", f"comfyui:{rife}", "--url", host.url)]) == 0
    first, middle, second = read_video(tmp_path / "film.mkv")
    assert np.array_equal(first, pictures[0])
    assert np.array_equal(second, pictures[1])
    assert not np.array_equal(middle, first)


def test_the_check_before_a_run_knows_the_chosen_syntax(host: Host) -> None:
    def queued(**widgets: Any) -> Any:
        graph = Builder()
        graph.recipe(KEYED, frames=8, **widgets)
        return host.post("/prompt", {"prompt": graph.graph, "client_id": "test"}).json()

    (errors,) = queued()["node_errors"].values()
    (error,) = errors["errors"]
    assert error["extra_info"]["input_name"] == "recipe"
    assert "0 | a cat" in error["details"]
    reply = queued(syntax="prompt-travel")
    assert reply["node_errors"] == {}
    (output,) = host.wait(reply["prompt_id"]).values()
    assert output["remarks"][0].startswith("Read as A1111's prompt travel script")


def test_tags_of_loras_are_refused_by_name(host: Host) -> None:
    graph = Builder()
    _, clip, _ = graph.checkpoint()
    schedule = graph.recipe('frames = 2\n[[keyframes]]\nprompt = "a <lora:ink:1>"')
    widgets = {"batch_size": 0, "how": "recipe", "lengths": "recipe"}
    travel = graph.add("RemixPromptTravel", 2, clip=clip, schedule=schedule, **widgets)
    graph.add("PreviewAny", source=travel[0])
    with pytest.raises(Failed, match="only Remix Render loads <lora:ink>"):
        host.run(graph.graph)
