"""Offloading and quantizing: what diffusers is asked for, that pictures stay the same, and what is refused on a CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import accelerate
import diffusers
import pytest
import torch
import transformers
from safetensors.torch import save_file

from remix.client.local import Local
from remix.client.local.devices import Place, frames_at_once
from remix.client.local.folder import from_folder
from remix.client.local.models import open_model
from remix.client.local.offload import OFFLOADS, Offloading, check_offload
from remix.client.local.quantized import check_quantize
from remix.errors import BlankFrame, MissingPackage, Unsupported
from remix.plan import Keyframe, Model, plan
from tests.client.local import stability
from tests.client.local.films import pictures, travel

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 1)


@pytest.mark.parametrize("offload", OFFLOADS)
def test_an_offloaded_model_makes_the_same_pictures(
    offload: str, sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its networks move from the CPU to the CPU here, through diffusers' own hooks."""
    lora, layer = str(tmp_path / "style.safetensors"), "text_model_encoder_layers_1_self_attn_q_proj"
    torch.manual_seed(0)
    down, up = torch.randn(2, 64), torch.randn(64, 2)
    save_file({f"lora_te_{layer}.lora_down.weight": down, f"lora_te_{layer}.lora_up.weight": up}, lora)
    keyframes = [Keyframe(at, prompt="a red circle", seed=1, loras={lora: at}) for at in (0, 1)]
    recipe = travel(str(sound), frames=2, keyframes=keyframes)
    wanted = pictures(recipe)
    monkeypatch.setattr("remix.client.local.devices.check_offload", lambda offload, device: None)
    monkeypatch.setattr("accelerate.cpu_offload", without_index(accelerate.cpu_offload))
    assert (pictures(recipe, offload=offload) == wanted).all()
    place = Place(CPU, torch.float32, offload)
    model = open_model(Model(str(sound)), [], place)
    assert model.fixed
    hooked = [name for name, network in model.parts().items() if any(map(is_hooked, network.modules()))]
    assert hooked == ["unet", "text_encoder"]
    resident = {each: frames_at_once(Place(CPU, torch.float32, each), 64, 64, [Huge()]) for each in ("", *OFFLOADS)}
    assert resident == {"": 1, "model": 1, "group": 16, "sequential": 16}


def without_index(offload: Any) -> Any:
    """Diffusers numbers all devices, and accelerate takes cpu:0 for another device than cpu."""
    return lambda network, device, **options: offload(network, torch.device(device.type), **options)


def is_hooked(module: Any) -> bool:
    return hasattr(module, "_hf_hook") or hasattr(module, "_diffusers_hook")


class Huge(torch.nn.Module):
    """A network that is larger than any memory."""

    def parameters(self, recurse: bool = True) -> Any:
        return iter([torch.empty(1 << 50, device="meta")])


def test_a_cpu_neither_offloads_nor_quantizes(sound: Path) -> None:
    schedule = plan(travel(str(sound)))
    refused = {
        "offload": ("model", r"^offload: moves networks from main memory to a GPU .* and cpu has none; leave it out"),
        "quantize": (
            "8bit",
            r"^quantize: bitsandbytes quantizes on a CUDA GPU, not on cpu; leave it out, or use",
        ),
    }
    for option, (value, message) in refused.items():
        with pytest.raises(Unsupported, match=message):
            Local(device="cpu", **{option: value}).check(schedule)  # type: ignore[arg-type]
    with pytest.raises(Unsupported, match=r"^offload: 'disk' is not known; use one of model, group, sequential"):
        check_offload("disk", CUDA)
    with pytest.raises(Unsupported, match=r"^quantize: '2bit' is not known; use one of 4bit, 8bit, or a .gguf"):
        check_quantize("2bit", CUDA)


def test_a_missing_bitsandbytes_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "bitsandbytes", None)
    with pytest.raises(MissingPackage, match=r"quantize: '4bit' needs bitsandbytes, .*\[local,quantize\]"):
        check_quantize("4bit", CUDA)


@pytest.mark.parametrize(("quantize", "bits"), [("4bit", 4), ("8bit", 8)])
@pytest.mark.parametrize("library", [diffusers, transformers])
def test_weights_are_quantized_by_the_settings_of_the_library_that_loads_them(
    library: Any, quantize: str, bits: int, tmp_path: Path
) -> None:
    """A network and a text encoder come from two libraries, each of which has its own class of settings."""
    if bits == 4:  # both libraries ask for its version
        pytest.importorskip("bitsandbytes", reason="the extra quantize is not installed")
    asked: dict[str, Any] = {}

    class Network:
        @classmethod
        def from_pretrained(cls, folder: Path | None, **options: Any) -> tuple[Any, dict[str, Any]]:
            asked.update(options)
            return cls(), {"missing_keys": []}

    Network.__module__ = f"{library.__name__}.models"
    from_folder(tmp_path, Network, Place(CUDA, torch.bfloat16, quantize=quantize))
    settings = asked["quantization_config"]
    assert isinstance(settings, library.BitsAndBytesConfig)
    assert (settings.load_in_4bit, settings.load_in_8bit) == (bits == 4, bits == 8)
    assert bits == 8 or (settings.bnb_4bit_quant_type, settings.bnb_4bit_compute_dtype) == ("nf4", torch.bfloat16)
    assert (asked["device_map"], asked["torch_dtype"]) == ({"": "cuda:1"}, torch.bfloat16)
    asked.clear()
    from_folder(tmp_path, Network, Place(CUDA, torch.bfloat16, quantize=quantize).unquantized())
    assert "quantization_config" not in asked


class Quantized(torch.nn.Linear):
    """Stands for a network that bitsandbytes quantized: it is where it belongs, and must not be cast."""

    hf_quantizer = type("Quantizer", (), {"quantization_config": type("Config", (), {"quant_method": "bitsandbytes"})})

    def __init__(self) -> None:
        super().__init__(2, 2)

    def to(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("it was moved or cast")

    half = float = to


def test_quantized_weights_stay_as_they_are(sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = Quantized()
    assert Place(CUDA, torch.float16, quantize="4bit").put(network) is network
    assert not network.training
    with pytest.raises(Unsupported, match=r'offload: \'group\' moves layers one by one, .* use "model"'):
        Offloading({"unet": network}, "group", CUDA)


def test_a_blank_frame_of_a_fixed_model_is_not_rendered_again(sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def blank(*args: Any) -> Any:
        raise BlankFrame("frame 0: blank")

    monkeypatch.setattr("remix.client.local.engine.render_batch", blank)
    monkeypatch.setattr("remix.client.local.latent_model.is_quantized", lambda network: True)
    monkeypatch.setattr(Place, "find", lambda *options: Place(CPU, torch.bfloat16))
    engine = Local()
    with pytest.raises(BlankFrame, match=r'frame 0: blank in half precision, .* again with precision "full" and'):
        list(engine.render(plan(travel(str(sound))), [0], {}, lambda event: None))


def test_a_quantized_job_is_another_one(sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = plan(travel(str(sound)))
    assert Local(device="cpu", quantize="4bit").identity(schedule)["quantize"] == "4bit"
    assert "quantize" not in Local(device="cpu").identity(schedule)


def test_single_files_are_not_quantized(tmp_path: Path, sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = stability.single_file(sound, tmp_path / "out" / "sd1.safetensors", "sd1")
    monkeypatch.setattr("remix.client.local.devices.check_quantize", lambda quantize, device: None)
    with pytest.raises(Unsupported, match=r"quantize: .* is a single file; give a diffusers folder, a hub id, or"):
        Local(device="cpu", quantize="4bit").check(plan(travel(str(file))))
    Local(device="cpu", quantize="4bit").check(plan(travel(str(sound))))
