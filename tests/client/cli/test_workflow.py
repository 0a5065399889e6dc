"""`remix workflow`, on files, pictures and a fake ComfyUI server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix.client import cli
from remix.motion import save_picture
from tests.fakes.comfyui_server import ComfyServer

PROMPT: dict[str, Any] = {
    "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "none.safetensors"}},
    "2": {
        "class_type": "KSampler",
        "inputs": {"seed": 5, "steps": 20, "cfg": ["9", 0], "model": ["1", 0], "sampler_name": "euler"},
        "_meta": {"title": "Main"},
    },
    "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "12", "clip": ["1", 1]}},
    "4": {"class_type": "CLIPTextEncode", "inputs": {"text": "b", "clip": ["1", 1]}},
}
WORKFLOW = {
    "version": 0.4,
    "nodes": [{"id": 7, "type": "EmptyLatentImage", "inputs": [], "outputs": [], "widgets_values": [512, 768, 1]}],
    "links": [],
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "a.json").write_text(json.dumps(PROMPT))
    return tmp_path / "a.json"


def run(*arguments: Any) -> int:
    return cli.main(["workflow", *map(str, arguments)])


def test_a_change_keeps_the_type_of_an_input_and_diff_names_it(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = file.with_name("b.json")
    changes = ("Main.seed=7", "KSampler.cfg=4.5", "3.text=13", "2.sampler_name=heun")
    assert run("set", file, *changes, "-o", other) == 0
    written = json.loads(other.read_text())
    expected = {"seed": 7, "steps": 20, "cfg": 4.5, "model": ["1", 0], "sampler_name": "heun"}
    assert written["2"]["inputs"] == expected
    assert written["3"]["inputs"]["text"] == "13"
    capsys.readouterr()
    assert run("diff", file, other) == 1
    assert capsys.readouterr().out.splitlines() == [
        "2 (Main).cfg: node 9, output 0 became 4.5",
        "2 (Main).sampler_name: 'euler' became 'heun'",
        "2 (Main).seed: 5 became 7",
        "3 (CLIPTextEncode).text: '12' became '13'",
    ]
    assert run("diff", file, file) == 0
    assert run("set", file, "Main.seed=7", "-o", other) == 2
    assert "--overwrite" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("Mian.seed=1", 'did you mean "Main"?'),
        ("Main.sead=1", 'did you mean "seed"?'),
        ("CLIPTextEncode.text=x", "nodes 3, 4 have this name"),
        ("Main.seed=x", "'x' is a text, and the input has a number (5)"),
        ("Main.seed", "has no value"),
        ("seed=1", "is not a node and an input"),
    ],
)
def test_a_change_that_fits_nowhere_is_refused(
    file: Path, change: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("set", file, change) == 2
    answer = capsys.readouterr()
    assert sentence in answer.err
    assert answer.out == ""


def test_settings_of_another_tool_become_a_prompt_and_the_other_way_around(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    infotext = "a cat\nSteps: 9, Sampler: Euler, CFG scale: 3, Seed: 5, Size: 64x64, Model: fox, RNG: CPU"
    save_picture(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8), {"parameters": infotext})
    (tmp_path / "a.txt").write_text(infotext, encoding="utf-8")
    for name in ("a.png", "a.txt"):
        assert run("convert", tmp_path / name, "-o", tmp_path / "b.json", "--overwrite") == 0
        assert "fox.safetensors" in capsys.readouterr().err
    nodes = json.loads((tmp_path / "b.json").read_text())
    assert [node["inputs"]["seed"] for node in nodes.values() if node["class_type"] == "KSampler"] == [5]
    assert run("convert", tmp_path / "b.json", "--infotext") == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "a cat"
    assert "Seed: 5" in shown[1]
    save_picture(tmp_path / "c.png", np.zeros((8, 8, 3), np.uint8))
    assert run("convert", tmp_path / "c.png", "--infotext") == 2


def test_a_workflow_is_run_and_its_files_are_kept_beside_older_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_picture(tmp_path / "photo.png", np.zeros((8, 8, 3), np.uint8))
    nodes = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "x.png"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "remix/mine"}},
    }
    (tmp_path / "w.json").write_text(json.dumps(nodes))
    with ComfyServer(pack=False).started() as server:
        line = ("run", tmp_path / "w.json", f"LoadImage.image={tmp_path / 'photo.png'}", "-o", tmp_path / "out")
        for _ in range(2):
            assert run(*line, "--url", server.url, "-q") == 0
        assert len(server.ran) == 2
        capsys.readouterr()
        assert run("run", tmp_path / "w.json", "-o", tmp_path / "out", "--url", server.url, "-q") == 2
        assert "x.png" in capsys.readouterr().err
        assert len(server.ran) == 2
        assert run(*line[:-1], tmp_path / "w.json", "--url", server.url, "-q") == 2
        assert len(server.ran) == 2
    assert len([*(tmp_path / "out").iterdir()]) == 2


@pytest.mark.parametrize("name", ["SD15/win.safetensors", "SD15\\win.safetensors"])
def test_a_workflow_of_another_system_is_run_with_the_names_of_the_server(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Windows lists its files with backslashes."""
    nodes = {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": name}},
        "2": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "x"}},
    }
    (tmp_path / "w.json").write_text(json.dumps(nodes))
    for listed in ("SD15/win.safetensors", "SD15\\win.safetensors"):
        with ComfyServer(checkpoints=[listed]).started() as server:
            assert run("check", tmp_path / "w.json", "--url", server.url) == 0
            capsys.readouterr()
            assert run("set", tmp_path / "w.json", "EmptyImage.color=1", "--url", server.url) == 0
            assert json.loads(capsys.readouterr().out)["1"]["inputs"]["ckpt_name"] == listed
            line = ("run", tmp_path / "w.json", f"1.ckpt_name={name}", "-o", tmp_path / "out")
            assert run(*line, "--url", server.url, "-q") == 0
            (entry,) = server.history.values()
            assert entry["prompt"][2]["1"]["inputs"]["ckpt_name"] == listed


@pytest.mark.parametrize("kind", ["workflow.json", "picture.png"])
def test_a_workflow_is_read_from_its_file_and_from_a_picture(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path, text = tmp_path / kind, json.dumps(WORKFLOW)
    if path.suffix == ".json":
        path.write_text(text)
    else:
        save_picture(path, np.zeros((8, 8, 3), np.uint8), {"workflow": text})
    assert run("convert", path) == 0
    inputs = {"width": 512, "height": 768, "batch_size": 1}
    assert json.loads(capsys.readouterr().out) == {
        "7": {"class_type": "EmptyLatentImage", "inputs": inputs, "_meta": {"title": "Empty Latent Image"}}
    }
    assert run("show", path) == 0
    assert "    height = 768" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"a": 1}', '{"nodes": [], "links": []', "[" * 10_000])
def test_what_is_no_workflow_is_refused(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.json").write_text(text)
    assert run("show", tmp_path / "a.json") == 2
    assert "is not a workflow of ComfyUI" in capsys.readouterr().err
    assert run("show", tmp_path / "none.json") == 2
    assert "there is no such file" in capsys.readouterr().err


@pytest.mark.parametrize("node", [{"id": 1, "type": None}, {"type": "KSampler"}, {"id": 1e400, "type": "KSampler"}, []])
def test_a_node_that_cannot_be_read_is_never_left_out(
    tmp_path: Path, node: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.json").write_text(json.dumps({**WORKFLOW, "nodes": [*WORKFLOW["nodes"], node]}))
    for verb in ("show", "convert"):
        assert run(verb, tmp_path / "a.json") == 2
        assert f"node {len(WORKFLOW['nodes']) + 1} of its list has no type or no number" in capsys.readouterr().err


def test_a_workflow_without_nodes_cannot_be_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.json").write_text('{"nodes": [], "links": []}')
    with ComfyServer().started() as server:
        assert run("check", tmp_path / "a.json", "--url", server.url) == 1
    assert capsys.readouterr().out == "no node of it would run; add one that saves or shows a result\n"


def test_check_names_what_a_server_lacks(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nodes = {**PROMPT, "5": {"class_type": "NoSuchNode", "inputs": {}}}
    file.write_text(json.dumps(nodes))
    with ComfyServer().started() as server:
        assert run("check", file, "--url", server.url) == 1
        lines = capsys.readouterr().out.splitlines()
        assert any(line.startswith("1 (CheckpointLoaderSimple).ckpt_name: the server has no 'none") for line in lines)
        assert "2 (Main).positive: is missing" in lines
        assert not any("did you mean" in line for line in lines)  # nothing there is like "none"
        assert any(line.startswith("5 (NoSuchNode): the server has no node") for line in lines)
        assert not any("model: is missing" in line or "cfg" in line for line in lines)
        file.write_text(json.dumps({"4": PROMPT["4"]}))
        assert run("check", file, "--url", server.url) == 0
