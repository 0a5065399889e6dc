"""`remix link`: what it makes in a host's folder, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.numpy import load_file

from remix.client import cli
from remix.client.cli.link import CLONE


@pytest.fixture
def comfyui(tmp_path: Path) -> Path:
    (tmp_path / "custom_nodes").mkdir()
    (tmp_path / "main.py").touch()
    return tmp_path


@pytest.fixture
def a1111(tmp_path: Path) -> Path:
    for folder in ("extensions", "models/Stable-diffusion"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "launch.py").touch()
    return tmp_path


def test_a_comfyui_gets_a_link_to_this_checkout_once(comfyui: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["link", "comfyui", str(comfyui)]) == 0
    link = comfyui / "custom_nodes" / "remix-toolkit"
    assert link.resolve() == CLONE
    assert "restart ComfyUI" in capsys.readouterr().out
    assert cli.main(["link", "comfyui", str(comfyui)]) == 0
    assert f"{link}: has Remix Toolkit already" in capsys.readouterr().out
    assert [place.name for place in link.parent.iterdir()] == ["remix-toolkit"]


def test_an_a1111_gets_the_bundled_model_only_when_asked(a1111: Path) -> None:
    models = a1111 / "models" / "Stable-diffusion"
    assert cli.main(["link", "a1111", str(a1111)]) == 0
    assert not list(models.iterdir())
    assert cli.main(["link", "a1111", str(a1111), "--playground"]) == 0
    assert {path.name for path in models.iterdir()} == {"playground.safetensors", "playground.yaml"}
    written = (models / "playground.safetensors").read_bytes()
    prefixes = {name.split(".")[0] for name in load_file(models / "playground.safetensors")}
    assert prefixes == {"model", "first_stage_model", "cond_stage_model"}
    assert cli.main(["link", "a1111", str(a1111), "--playground"]) == 0
    assert (models / "playground.safetensors").read_bytes() == written


@pytest.mark.parametrize(
    ("arguments", "missing", "sentence"),
    [
        (["a1111"], "launch.py", "has no launch.py; give the folder of A1111 or Forge"),
        (["a1111", "--playground"], "models/Stable-diffusion", "there is no such folder; start the host once"),
    ],
)
def test_another_folder_is_refused(
    a1111: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], missing: str, sentence: str
) -> None:
    place = a1111 / missing
    place.rmdir() if place.is_dir() else place.unlink()
    assert cli.main(["link", arguments[0], str(a1111), *arguments[1:]]) == 2
    assert sentence in capsys.readouterr().err
    assert not list((a1111 / "extensions").iterdir())


def test_a_forge_is_not_given_a_model_that_it_cannot_load(a1111: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (a1111 / "modules_forge").mkdir()
    assert cli.main(["link", "a1111", str(a1111), "--playground"]) == 2
    assert "is a Forge" in capsys.readouterr().err
    assert not list((a1111 / "extensions").iterdir())


def test_what_is_in_the_way_is_kept(comfyui: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = comfyui / "custom_nodes" / "remix-toolkit"
    other.write_text("mine")
    assert cli.main(["link", "comfyui", str(comfyui)]) == 2
    assert "exists and is not Remix Toolkit" in capsys.readouterr().err
    assert other.read_text() == "mine"
