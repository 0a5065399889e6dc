"""Single files of SD3 and Flux: the pictures of the folder that they were written from, and what a file needs."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from remix.client.local import Local
from remix.client.local.devices import Place
from remix.client.local.models import open_model
from remix.errors import EngineError, MissingPackage, Unsupported
from remix.plan import Keyframe, Lora, Model, plan
from tests.client.local import flow_files, tiny
from tests.client.local.films import TOLERANCE, largest_difference, pictures, travel

CPU = Place(torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("made")
    return {"sd3": tiny.stable_diffusion_3(place / "sd3"), "flux": tiny.flux(place / "flux")}


@pytest.fixture
def folders(made: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Copies for one test. Diffusers knows the width of the only Flux there is, and here that of the tiny one."""
    from diffusers.loaders.single_file_model import SINGLE_FILE_LOADABLE_CLASSES

    convert = SINGLE_FILE_LOADABLE_CLASSES["FluxTransformer2DModel"]["checkpoint_mapping_fn"]
    constants = tuple(32 if each == 3072 else each for each in convert.__code__.co_consts)
    assert constants != convert.__code__.co_consts
    code = convert.__code__.replace(co_consts=constants)
    narrow = FunctionType(code, convert.__globals__)
    monkeypatch.setitem(SINGLE_FILE_LOADABLE_CLASSES["FluxTransformer2DModel"], "checkpoint_mapping_fn", narrow)
    return {family: Path(shutil.copytree(folder, tmp_path / family)) for family, folder in made.items()}


def one_frame(checkpoint: Path, **changes: Any) -> Any:
    keyframe = Keyframe(prompt="a red circle", seed=1, cfg=3)
    settings = {"frames": 1, "keyframes": (keyframe,), "scheduler": "simple", "steps": 2}
    return travel(str(checkpoint), **{**settings, **changes})


def apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


def without_weights(folder: Path, *parts: str) -> None:
    for part in parts:
        for file in (folder / part).glob("*.safetensors"):
            file.unlink()


TEXTS = {
    "sd3": {"clip_l": "text_encoder", "clip_g": "text_encoder_2", "t5xxl": "text_encoder_3"},
    "flux": {"clip_l": "text_encoder", "t5xxl": "text_encoder_2"},
}
TRANSFORMERS = {"sd3": flow_files.sd3_transformer, "flux": flow_files.flux_transformer}


@pytest.mark.parametrize("family", ["sd3", "flux"])
def test_a_file_in_its_folder_makes_the_pictures_of_the_folder(family: str, folders: dict[str, Path]) -> None:
    """Alone, the file has the transformer. A file of ComfyUI's kind has all networks, and the folder only settings."""
    folder = folders[family]
    wanted = pictures(one_frame(folder))
    bare = TRANSFORMERS[family](folder)
    alone = flow_files.written(bare, folder / "model.safetensors")
    all_of_them = flow_files.written(flow_files.whole(folder, bare, TEXTS[family]), folder / "whole.safetensors")
    without_weights(folder, "transformer")
    assert largest_difference(pictures(one_frame(alone)), wanted) <= TOLERANCE
    fingerprints = Local(device="cpu").identity(plan(one_frame(alone)))
    assert {"fingerprint", "folder"} <= fingerprints.keys()
    without_weights(folder, "vae", *TEXTS[family].values())
    assert largest_difference(pictures(one_frame(all_of_them)), wanted) <= TOLERANCE
    assert wanted.std() > 5
    with pytest.raises(Unsupported, match=r"the folder of .* has no weights as safetensors in its .* 'text_encoder"):
        Local(device="cpu").check(plan(one_frame(alone)))


def test_a_file_without_its_folder_or_in_another_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    def refused(file: Path, match: str) -> None:
        with pytest.raises(Unsupported, match=match):
            Local(device="cpu").check(plan(one_frame(file)))

    transformer = flow_files.flux_transformer(folders["flux"])
    lost = flow_files.written(transformer, tmp_path / "lost.safetensors")
    refused(lost, r"no tokenizers.* put the file into that folder, next to its model_index.json \(.*hf download")
    astray = flow_files.written(transformer, folders["sd3"] / "astray.safetensors")
    refused(
        astray, r"takes guidance as an input, unlike the model in its folder .*sd3.*; put it into the folder of its"
    )
    scaled = {**transformer, "double_blocks.0.img_attn.qkv.scale_weight": torch.ones(1)}
    file = flow_files.written(scaled, folders["flux"] / "scaled.safetensors")
    refused(file, r"scales of their own \(double_blocks.*\), which only ComfyUI reads; give one in float16")
    del transformer["double_blocks.0.img_attn.proj.weight"]
    file = flow_files.written(transformer, folders["flux"] / "part.safetensors")
    with pytest.raises(
        EngineError, match=r"part.safetensors: its transformer could not be read .*; the file is damaged"
    ):
        open_model(Model(str(file)), [], CPU)


@pytest.mark.parametrize("family", ["flux", "sd3"])
def test_loras_in_kohyas_names_change_the_same_layers(family: str, folders: dict[str, Path], tmp_path: Path) -> None:
    """A layer that joins several of diffusers' has one file's change, cut into theirs."""
    folder = folders[family]
    torch.manual_seed(0)
    authors = {name: value for name, value in TRANSFORMERS[family](folder).items() if value.ndim == 2}
    changes: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    kohya, dotted = {}, {}
    for name, weight in authors.items():
        down, up = torch.randn(2, weight.shape[1]) / 4, torch.randn(weight.shape[0], 2) / 4
        changes[name] = down, up
        layer = name.removesuffix(".weight")
        flat = f"lora_unet_{layer.replace('.', '_')}"
        kohya |= {f"{flat}.lora_down.weight": down, f"{flat}.lora_up.weight": up, f"{flat}.alpha": torch.tensor(2.0)}
        dotted |= {f"diffusion_model.{layer}.lora_A.weight": down, f"diffusion_model.{layer}.lora_B.weight": up}
    clip_key = "text_model.encoder.layers.0.mlp.fc1"
    in_clip = torch.randn(2, 64) / 4, torch.randn(128, 2) / 4
    flat = f"lora_te1_{clip_key.replace('.', '_')}"
    kohya |= {f"{flat}.lora_down.weight": in_clip[0], f"{flat}.lora_up.weight": in_clip[1]}
    merged = {**TRANSFORMERS[family](folder)}
    for name, (down, up) in changes.items():
        merged[name] = merged[name] + 0.5 * up @ down
    file = flow_files.written(merged, folder / "merged.safetensors")
    wanted = open_model(Model(str(file)), [], CPU).parts()["transformer"].state_dict()
    plain = open_model(Model(str(folder)), [], CPU).parts()
    for number, given in enumerate((kohya, dotted)):
        lora = str(tmp_path / f"{number}.safetensors")
        save_file({name: value.contiguous() for name, value in given.items()}, lora)
        found = open_model(Model(str(folder), loras=(Lora(lora, 0.5),)), [], CPU).parts()
        for name, value in found["transformer"].state_dict().items():
            torch.testing.assert_close(value, wanted[name], rtol=1e-4, atol=1e-5)
        change = [dict(parts["text_encoder"].named_parameters()) for parts in (found, plain)]
        name = next(name for name in change[0] if name.endswith("layers.0.mlp.fc1.weight"))
        assert (not torch.equal(change[0][name], change[1][name])) == (number == 0)


def test_a_gguf_file_has_the_transformer_in_fewer_bits(folders: dict[str, Path], tmp_path: Path) -> None:
    """It makes almost the folder's picture, also with a LoRA, which is added to what the layers return."""
    pytest.importorskip("gguf", reason="the extra quantize is not installed")
    folder = folders["flux"]
    key = "transformer.transformer_blocks.0.attn.add_v_proj"
    lora = str(tmp_path / "style.safetensors")
    save_file({f"{key}.lora_A.weight": torch.randn(2, 32), f"{key}.lora_B.weight": 4 * torch.randn(32, 2)}, lora)
    styled = {"loras": (Lora(lora, 10.0),)}
    plain, changed = pictures(one_frame(folder)), pictures(one_frame(folder, model=Model(str(folder), **styled)))
    file = flow_files.written_gguf(flow_files.flux_transformer(folder), folder / "model-Q8_0.gguf")
    without_weights(folder, "transformer")
    quantized = pictures(one_frame(file))
    assert 0 < largest_difference(quantized, plain) < 60
    added = pictures(one_frame(file, model=Model(str(file), **styled)))
    assert apart(quantized, plain) < 3
    assert apart(added, changed) < 3
    assert apart(changed, plain) > 9
    model = open_model(Model(str(file)), [], Place(torch.device("cpu"), torch.float16))
    assert model.fixed
    kinds = {weight.dtype for weight in model.parts()["transformer"].parameters()}
    assert torch.uint8 in kinds
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(EngineError, match=r"the GGUF file could not be read .*; the file is damaged"):
        Local(device="cpu").check(plan(one_frame(file)))


def test_without_the_extra_a_gguf_file_names_it(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "gguf", None)
    file = folders["flux"] / "model.gguf"
    file.write_bytes(b"GGUF")
    with pytest.raises(MissingPackage, match=r"needs gguf, which .*run: pip install .*\[local,quantize\]"):
        Local(device="cpu").check(plan(one_frame(file)))
