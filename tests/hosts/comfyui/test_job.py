"""Job folders: where they lie, and what tells one from another."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from remix.errors import BadInput
from remix.motion import save_picture
from remix.plan import Schedule, plan
from tests.core.plan.recipes import recipe_of_text
from tests.hosts.comfyui.conftest import room
from tests.hosts.comfyui.stand_ins import Graph, graph


def made_by(pack: ModuleType, workflow: Graph) -> dict[str, str]:
    found: dict[str, str] = room(pack, "job").made_by(workflow, "render", ("model", "clip", "vae"))
    return found


def schedule(frames: int = 3) -> Schedule:
    return plan(recipe_of_text(f'frames = {frames}\n[[keyframes]]\nprompt = "a"\n'))


def test_what_is_behind_the_wires_tells_a_job(pack: ModuleType) -> None:
    first = made_by(pack, graph())
    assert first == made_by(pack, graph(seed=2))  # of a node that is not behind it
    changed = made_by(pack, graph(strength=0.5))
    assert {name for name in first if first[name] != changed[name]} == {"model", "clip"}
    assert made_by(pack, graph(ckpt="c.safetensors"))["vae"] != first["vae"]


def test_another_file_of_the_same_name_is_another_job(pack: ModuleType) -> None:
    checkpoint = Path(pack.base) / "models" / "checkpoints" / "a.safetensors"
    checkpoint.write_bytes(b"x" * (3 << 20))
    first = made_by(pack, graph())
    assert set(first) == {"model", "clip", "vae", "file a.safetensors"}
    checkpoint.write_bytes(b"x" * ((3 << 20) - 1) + b"y")
    assert made_by(pack, graph()) != first


def test_a_picture_in_front_of_the_model_is_told_by_all_of_it(pack: ModuleType) -> None:
    picture = Path(pack.base) / "input" / "a.png"
    data = bytearray(16 << 20)
    picture.write_bytes(data)
    first = made_by(pack, graph(lora="a.png"))
    assert "file a.png" in first
    data[(4 << 20) + (70 << 10)] = 1  # between two samples of a large file
    picture.write_bytes(data)
    assert made_by(pack, graph(lora="a.png")) != first


@pytest.mark.parametrize("kind", ["absolute", "up", "up on Windows", "share", "drive", "settings", "program"])
def test_no_widget_makes_a_file_told_that_is_no_model(pack: ModuleType, kind: str, monkeypatch: Any) -> None:
    models, hidden = Path(pack.base) / "models", Path(pack.base) / "secret.safetensors"
    for path in (hidden, models / "checkpoints" / "x.txt", models / "custom_nodes" / "k.safetensors"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("secret")
    texts = {
        "absolute": str(hidden),
        "up": "../../secret.safetensors",
        "up on Windows": "..\\..\\secret.safetensors",
        "share": "\\\\host\\share\\secret.safetensors",
        "drive": "C:secret.safetensors",
        "settings": "x.txt",
        "program": "k.safetensors",
    }
    looked: list[Path] = []
    is_file = Path.is_file
    monkeypatch.setattr(Path, "is_file", lambda path: looked.append(path) or is_file(path))
    assert set(made_by(pack, graph(lora=texts[kind]))) == {"model", "clip", "vae"}
    known = [str(models / "checkpoints"), str(Path(pack.base) / "input")]
    plain = {"a.safetensors", "k.safetensors", "x.txt"}
    assert {str(path.parent) for path in looked} <= set(known)
    assert {path.name for path in looked} <= plain


def test_a_model_behind_a_link_is_told_as_the_host_loads_it(pack: ModuleType) -> None:
    elsewhere = Path(pack.base) / "elsewhere.bin"
    elsewhere.write_bytes(b"x")
    (Path(pack.base) / "models" / "checkpoints" / "a.safetensors").symlink_to(elsewhere)
    first = made_by(pack, graph())
    elsewhere.write_bytes(b"y")
    assert made_by(pack, graph())["file a.safetensors"] != first["file a.safetensors"]


def test_loaders_in_a_row_are_each_visited_once(pack: ModuleType) -> None:
    nodes: dict[str, Any] = {"n0": ("CheckpointLoaderSimple", {"ckpt_name": "a.safetensors"})}
    for number in range(1, 15):
        before = f"n{number - 1}"
        nodes[f"n{number}"] = ("LoraLoader", {"model": [before, 0], "clip": [before, 1], "lora_name": Counted()})
    workflow = Graph(**nodes, render=("RemixRender", {"model": ["n14", 0], "clip": ["n14", 1], "vae": ["n0", 2]}))
    assert len(set(made_by(pack, workflow).values())) == 3
    assert Counted.written == 14


class Counted:
    """A widget's value that counts how often it is written out."""

    written = 0

    def __repr__(self) -> str:
        Counted.written += 1
        return "a"


def test_outputs_of_one_node_are_told_apart(pack: ModuleType) -> None:
    found = made_by(pack, graph())
    assert len({found["model"], found["clip"], found["vae"]}) == 3


def test_a_circle_in_a_workflow_has_an_end(pack: ModuleType) -> None:
    workflow = Graph(a=("A", {"x": ["b", 0]}), b=("B", {"x": ["a", 0]}), render=("RemixRender", {"model": ["a", 0]}))
    assert set(room(pack, "job").made_by(workflow, "render", ("model",))) == {"model"}


def test_the_same_schedule_and_model_is_the_same_folder(pack: ModuleType) -> None:
    job_folder, output = room(pack, "job").job_folder, Path(pack.base).resolve() / "output"
    first = job_folder("remix/film", schedule(), {"model": "1"})
    assert first == job_folder("remix\\film", schedule(), {"model": "1"})
    assert first.parent == output / "remix"
    assert first.name.startswith("film_")
    assert (
        len({first, job_folder("remix/film", schedule(4), {"model": "1"}), job_folder("remix/film", schedule(), {})})
        == 3
    )


@pytest.mark.parametrize(
    "prefix", ["../x", "/etc/x", "C:\\x", "a/../../x", "\\\\host\\x", "", " ", "a/b/..", "CON", "x\0y"]
)
def test_a_prefix_that_leads_elsewhere_is_refused(pack: ModuleType, prefix: str) -> None:
    with pytest.raises(BadInput, match=r"filename_prefix: .* is not a name below the output folder"):
        room(pack, "job").job_folder(prefix, schedule(), {})


def test_a_link_that_leads_out_is_refused(pack: ModuleType, tmp_path: Path) -> None:
    (Path(pack.base) / "output" / "link").symlink_to("/")
    with pytest.raises(BadInput, match="a link leads out"):
        room(pack, "job").job_folder("link/x", schedule(), {})


def frames(pack: ModuleType, tmp_path: Path, *arguments: int) -> torch.Tensor:
    paths = tuple(
        save_picture(tmp_path / f"{index}.png", np.full((2, 2, 3), index, dtype=np.uint8)) for index in range(4)
    )
    job = room(pack, "inputs").Rendered(tmp_path, schedule(4), paths)
    found: torch.Tensor = room(pack, "job").RemixFrames.execute(job, *arguments).result[0]
    return found


@pytest.mark.parametrize(
    ("arguments", "numbers"), [((), [0, 1, 2, 3]), ((1,), [1, 2, 3]), ((1, 2), [1, 2]), ((3, 9), [3])]
)
def test_frames_are_loaded_all_or_some(
    pack: ModuleType, tmp_path: Path, arguments: tuple[int, ...], numbers: list[int]
) -> None:
    found = frames(pack, tmp_path, *arguments)
    assert found.shape == (len(numbers), 2, 2, 3)
    assert found.dtype == torch.float32
    assert (found[:, 0, 0, 0] * 255).round().tolist() == numbers


def test_frames_past_the_end_are_refused(pack: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"first: 4 is past the last frame \(3\)"):
        frames(pack, tmp_path, 4)


def test_a_job_from_the_network_is_refused(pack: ModuleType) -> None:
    with pytest.raises(BadInput, match="job: str is not a job; connect Remix Render"):
        room(pack, "job").RemixFrames.execute("/etc")
