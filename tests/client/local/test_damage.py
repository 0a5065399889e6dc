"""Model files that are cut or garbled: one sentence that names the file, and never a model with random weights."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from remix.client.local import Local
from remix.client.local.devices import Place
from remix.client.local.loras import apply_loras, read_lora
from remix.client.playground import WEIGHTS
from remix.errors import EngineError, OutOfMemory, RemixError, Unsupported
from remix.plan import Lora, Model, plan
from tests.client.local import stability, tiny
from tests.client.local.films import travel

Damage = Callable[[bytes], bytes]


@pytest.fixture
def single(sound: Path, tmp_path: Path) -> Path:
    shutil.copytree(WEIGHTS / "tokenizer", tmp_path / "tokenizer")
    return stability.single_file(sound, tmp_path / "all.safetensors", "sd1")


def load(checkpoint: Path, **model: Any) -> Any:
    name = str(checkpoint)
    recipe = travel(name, frames=1, keyframes=travel(name).keyframes[:1], model=Model(name, **model))
    engine = Local(device="cpu")
    engine.check(plan(recipe))
    return engine._loaded.model(plan(recipe))


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def without_one(path: Path) -> str:
    """Takes a weight out of a file and returns its name."""
    weights = load_file(path)
    gone = sorted(weights)[3]
    del weights[gone]
    save_file(weights, path, metadata={"format": "pt"})
    return gone


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        (
            "text_encoder/model.safetensors",
            cut,
            "text_encoder: CLIPTextModel could not be loaded .*; give",
        ),
        ("text_encoder/model.safetensors", lambda data: data[:4], "text_encoder: CLIPTextModel could not be loaded"),
        ("text_encoder/config.json", lambda data: b"[]", "text_encoder: CLIPTextModel could not be loaded"),
        ("unet/diffusion_pytorch_model.safetensors", cut, "unet: UNet2DConditionModel could not be loaded"),
        ("unet/config.json", lambda data: b"null", "unet: UNet2DConditionModel could not be loaded"),
        ("vae/config.json", lambda data: b'{"a":' * 5000, "vae: AutoencoderKL could not be loaded"),
        ("tokenizer/tokenizer.json", cut, "tokenizer: the tokenizer could not be loaded"),
        ("tokenizer/tokenizer_config.json", lambda data: b"[]", "tokenizer: the tokenizer could not be loaded"),
        ("scheduler/scheduler_config.json", lambda data: b"null", r"scheduler_config\.json: holds no settings"),
        ("scheduler/scheduler_config.json", lambda data: b'{"beta_start": []}', "its files do not go together"),
        ("scheduler/scheduler_config.json", lambda data: b'{"beta_start": "x"}', "its files do not go together"),
        (
            "scheduler/scheduler_config.json",
            lambda data: b'{"num_train_timesteps": 0}',
            "trained on no levels of noise",
        ),
        (
            "text_encoder/config.json",
            lambda data: data.replace(b'"intermediate_size": 128', b'"intermediate_size": 96'),
            "text_encoder: CLIPTextModel could not be loaded",
        ),
    ],
)
def test_a_folder_that_is_damaged_is_one_sentence(file: str, damage: Damage, message: str, folder: Path) -> None:
    (folder / file).write_bytes(damage((folder / file).read_bytes()))
    with pytest.raises(EngineError, match=message) as caught:
        load(folder)
    assert len(str(caught.value)) < 600
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("part", ["text_encoder", "unet", "vae"])
def test_weights_that_are_missing_are_not_made_up(part: str, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    [file] = (folder / part).glob("*.safetensors")
    gone = without_one(file)
    capfd.readouterr()
    with pytest.raises(EngineError, match=rf"{part}: lacks 1 of its weights, such as {gone}; give"):
        load(folder)
    assert capfd.readouterr() == ("", "")


def test_a_single_file_that_is_damaged_is_one_sentence(single: Path, folder: Path) -> None:
    weights = load_file(single)
    flat = {name: value.flatten() if value.ndim == 4 else value for name, value in weights.items()}
    save_file(flat, single)
    with pytest.raises(EngineError, match=r"all\.safetensors: its unet could not be read .*; the file is damaged"):
        load(single)
    bare = {"decoder.conv_in.weight": weights["first_stage_model.decoder.conv_in.weight"]}
    save_file(bare, single.with_name("vae.safetensors"))
    with pytest.raises(EngineError, match=r"vae\.safetensors: its vae could not be read"):
        load(folder, vae=str(single.with_name("vae.safetensors")))


def test_a_full_memory_is_no_damage(single: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: Any) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(Place, "put", full)
    with pytest.raises(OutOfMemory, match=r"model.checkpoint: .* does not fit into the memory of cpu"):
        load(single)


# --- LoRAs

DOWN, UP = "unet.conv_out.lora_A.weight", "unet.conv_out.lora_B.weight"
KOHYA = "lora_unet_conv_out"


def lora(path: Path, tensors: dict[str, torch.Tensor], **metadata: str) -> str:
    save_file(tensors, path, metadata=metadata or None)
    return str(path)


@pytest.fixture
def network() -> dict[str, Any]:
    return {"unet": tiny.unet(tiny.WIDTH, linear=False)}


@pytest.mark.parametrize("settings", ["[]", "3", "null", "{", "[" * 100_000, '{"unet.lora_alpha": "x"}'])
def test_a_header_that_says_no_alpha_leaves_the_lora_as_it_is(settings: str, tmp_path: Path) -> None:
    factors = {DOWN: torch.ones(2, 32, 3, 3), UP: torch.ones(4, 2, 1, 1)}
    [change] = read_lora(Path(lora(tmp_path / "a.safetensors", factors, lora_adapter_metadata=settings))).values()
    assert change.alpha is None


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({f"{KOHYA}.alpha": torch.ones(2)}, f"has 2 numbers as '{KOHYA}.alpha'; give a LoRA with one"),
        ({DOWN: torch.tensor(1.0), UP: torch.ones(4)}, r"'unet.conv_out' \(it is empty\)"),
        ({DOWN: torch.ones(0, 32, 3, 3), UP: torch.ones(4, 0, 1, 1)}, r"'unet.conv_out' \(it is empty\)"),
    ],
)
def test_factors_that_are_none_are_refused_by_name(
    tensors: dict[str, torch.Tensor], message: str, network: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(Unsupported, match=f"loras: .*odd.*{message}"):
        apply_loras(network, [Lora(lora(tmp_path / "odd.safetensors", tensors))])


def garbled(data: bytes, count: int) -> Iterator[bytes]:
    """A file cut anywhere, and with bytes of its header changed."""
    draw, head = random.Random(0), 8 + int.from_bytes(data[:8], "little")
    for _ in range(count):
        yield data[: draw.randrange(len(data))]
        changed = bytearray(data)
        for _ in range(draw.choice([1, 1, 4, 20])):
            changed[draw.randrange(head)] = draw.randrange(256)
        yield bytes(changed)


def test_a_lora_cut_or_garbled_anywhere_is_read_or_refused(network: dict[str, Any], tmp_path: Path) -> None:
    tensors = {DOWN: torch.ones(2, 32, 3, 3), UP: torch.ones(4, 2, 1, 1), f"{KOHYA}.alpha": torch.ones(())}
    about = json.dumps({"unet.lora_alpha": 2})
    file = Path(lora(tmp_path / "a.safetensors", tensors, lora_adapter_metadata=about))
    refused = 0
    for data in garbled(file.read_bytes(), 200):
        file.write_bytes(data)
        try:
            apply_loras(network, [Lora(str(file))])
        except RemixError:
            refused += 1
    assert refused > 300
