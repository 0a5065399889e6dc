"""LoRAs: what every way of naming layers comes to, and what does not fit is refused by name."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from remix.client.local import Local
from remix.client.local.loras import Change, apply_loras
from remix.errors import Unsupported
from remix.plan import Lora, Model, plan
from tests.client.local import tiny
from tests.client.local.films import largest_difference, pictures, travel
from tests.client.local.lora_files import LAYERS, RANK, factors, kohya, load, peft, weight, write
from tests.client.local.stability import unet_name


@pytest.fixture(scope="module")
def sd1(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.stable_diffusion(tmp_path_factory.mktemp("sd1")))


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.stable_diffusion_xl(tmp_path_factory.mktemp("sdxl")))


def kohya_xl(part: str, layer: str) -> tuple[str, str, str]:
    if part != "unet":
        return tuple(name.replace("lora_te_", "lora_te1_") for name in kohya(part, layer))  # type: ignore[return-value]
    return kohya("unet", unet_name(f"{layer}.weight").removesuffix(".weight"))


def older(part: str, layer: str) -> tuple[str, str, None]:
    name = f"{part}.{'' if part == 'unet' else 'text_model.'}{layer}"
    if ".attn" in name and part == "unet":
        before, _, last = name.replace(".to_out.0", ".to_out").rpartition(".")
        return f"{before}.processor.{last}_lora.down.weight", f"{before}.processor.{last}_lora.up.weight", None
    return f"{name}.lora_linear_layer.down.weight", f"{name}.lora_linear_layer.up.weight", None


@pytest.mark.parametrize(
    ("family", "naming", "alpha"),
    [
        ("sd1", kohya, None),
        ("sd1", kohya, 1.0),
        ("sd1", peft, None),
        ("sd1", older, None),
        ("sdxl", kohya, 4.0),
        ("sdxl", kohya_xl, 1.0),
        ("sdxl", peft, None),
    ],
)
def test_every_way_of_naming_changes_the_same_layers(
    family: str, naming: Any, alpha: float | None, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder = request.getfixturevalue(family)
    before = load(folder)
    lora = write(tmp_path / "style.safetensors", before, naming, alpha)
    after = load(folder, lora)
    scale = 0.5 * (1.0 if alpha is None else alpha / RANK)
    for part, network in before.items():
        for layer in LAYERS.get(part, ()):
            wanted = weight(before, part, layer) + scale * factors(before, part, layer)[2]
            assert torch.allclose(weight(after, part, layer), wanted, atol=1e-5)
        same = sum(torch.equal(v, after[part].state_dict()[k]) for k, v in network.state_dict().items())
        assert same == len(network.state_dict()) - len(LAYERS.get(part, ()))


def test_alpha_is_read_from_the_header_that_diffusers_writes(sd1: str, tmp_path: Path) -> None:
    before, layer = load(sd1), LAYERS["unet"][0]
    settings = json.dumps({"unet.lora_alpha": 6, "unet.r": RANK})
    after = load(sd1, write(tmp_path / "a.safetensors", before, peft, lora_adapter_metadata=settings))
    wanted = weight(before, "unet", layer) + 0.5 * 3 * factors(before, "unet", layer)[2]
    assert torch.allclose(weight(after, "unet", layer), wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "scales"),
    [
        ({"lora_alpha": 6, "use_rslora": True}, (6 / RANK**0.5, 6 / RANK**0.5)),
        ({"lora_alpha": 6, "use_rslora": False}, (3, 3)),
        ({"lora_alpha": 6, "alpha_pattern": {"attn1.to_q": 8}}, (4, 3)),
        ({"lora_alpha": 6, "alpha_pattern": {"conv_out": 8}, "rank_pattern": {"conv_out": RANK}}, (3, 4)),
        ({"lora_alpha": 6, "alpha_pattern": {"to_q": 8, LAYERS["unet"][0]: 2}, "use_rslora": True}, (8 / 2**0.5, None)),
    ],
)
def test_scales_are_those_of_the_header_that_diffusers_writes(
    settings: dict[str, Any], scales: tuple[float, float | None], sd1: str, tmp_path: Path
) -> None:
    before = load(sd1)
    header = json.dumps({f"unet.{name}": value for name, value in settings.items()})
    after = load(sd1, write(tmp_path / "a.safetensors", before, peft, lora_adapter_metadata=header))
    for layer, scale in zip((LAYERS["unet"][0], "conv_out"), scales, strict=True):
        if scale is not None:
            wanted = weight(before, "unet", layer) + 0.5 * scale * factors(before, "unet", layer)[2]
            assert torch.allclose(weight(after, "unet", layer), wanted, atol=1e-5)


@pytest.mark.parametrize("own", [{"(a+)+": 2}, {"conv_out": "x"}, ["conv_out"]])
def test_alphas_by_patterns_that_are_no_names_are_refused(own: Any, sd1: str, tmp_path: Path) -> None:
    header = json.dumps({"unet.lora_alpha": 6, "unet.alpha_pattern": own})
    lora = write(tmp_path / "a.safetensors", load(sd1), peft, lora_adapter_metadata=header)
    with pytest.raises(Unsupported, match=r"loras: .*a\.safetensors' has an alpha_pattern for the unet that"):
        load(sd1, lora)


def test_layers_are_merged_one_after_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All changed layers in float32 at once would be twice a model in half precision."""
    size, count = 48, 20
    network = torch.nn.Sequential(*(torch.nn.Linear(size, size, bias=False) for _ in range(count))).half()
    thin = {"down": torch.ones(RANK, size), "up": torch.ones(size, RANK)}
    tensors = {f"lora_unet_{k}.lora_{way}.weight": thin[way].clone() for k in range(count) for way in thin}
    loras = [Lora(str(tmp_path / f"{name}.safetensors"), 0.5) for name in "ab"]
    for lora in loras:
        save_file(tensors, lora.name)
    alive: list[int] = []
    delta = Change.delta

    def counted(self: Change, shape: Any) -> Tensor:
        made = delta(self, shape)
        found = [thing for thing in gc.get_objects() if type(thing) is Tensor]
        alive.append(sum(thing.dtype is torch.float32 and thing.shape == (size, size) for thing in found))
        return made

    monkeypatch.setattr(Change, "delta", counted)
    before = [layer.weight.float() for layer in network]
    apply_loras({"unet": network}, loras)
    for layer, was in zip(network, before, strict=True):
        assert torch.equal(layer.weight, (was + RANK).half())
    assert len(alive) == 2 * count
    assert max(alive) - count <= 4


def test_several_loras_add_up_in_any_order_and_opposite_ones_cancel(sd1: str, tmp_path: Path) -> None:
    before, layer = load(sd1), LAYERS["unet"][0]
    one = write(tmp_path / "one.safetensors", before, kohya, 1.0)
    two = write(tmp_path / "two.safetensors", before, peft)
    there, back = (weight(load(sd1, *loras), "unet", layer) for loras in ((one, two), (two, one)))
    assert torch.allclose(there, back)
    gone = weight(load(sd1, two, Lora(two.name, -two.strength)), "unet", layer)
    assert torch.allclose(gone, weight(before, "unet", layer), atol=1e-6)


def test_a_lora_changes_the_picture_and_the_identity_and_strength_0_does_not(sd1: str, tmp_path: Path) -> None:
    lora = write(tmp_path / "style.safetensors", load(sd1), kohya)
    recipe = travel(sd1, frames=1, keyframes=travel(sd1).keyframes[:1])
    # Given without its suffix too.
    changed, same = (
        recipe.replace(model=Model(sd1, loras=(Lora(str(tmp_path / "style"), s),))) for s in (lora.strength, 0)
    )
    assert largest_difference(pictures(recipe), pictures(changed)) > 8
    assert largest_difference(pictures(recipe), pictures(same)) == 0
    found = Local().identity(plan(changed))
    assert found.keys() - Local().identity(plan(recipe)).keys() == {"lora 1"}


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"lora_unet_nowhere.lora_down.weight": (2, 4)}, "'lora_unet_nowhere' .*no such layer.*trained on a model of"),
        (
            {"unet.conv_out.lora_A.weight": (2, 5, 3, 3), "unet.conv_out.lora_B.weight": (4, 2, 1, 1)},
            "'unet.conv_out'",
        ),
        ({"unet.conv_out.lora_A.weight": (2, 32, 3, 3)}, "'unet.conv_out' .*half of it is missing"),
        ({"lora_te2_text_model_final.lora_up.weight": (2, 4)}, "no such layer"),
        ({"lora_unet_conv_out.hada_w1_a": (2, 4)}, "'lora_unet_conv_out.hada_w1_a', which is no part of a LoRA"),
        ({"lora_unet_conv_out.dora_scale": (2, 4)}, "no part of a LoRA"),
        ({"model.weight": (2, 4)}, "no part of a LoRA"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    tensors: dict[str, tuple[int, ...]], message: str, sd1: str, tmp_path: Path
) -> None:
    save_file({name: torch.ones(shape) for name, shape in tensors.items()}, tmp_path / "odd.safetensors")
    with pytest.raises(Unsupported, match=f"loras: .*odd.*{message}"):
        load(sd1, Lora(str(tmp_path / "odd.safetensors")))


def test_a_lora_that_is_not_there_is_refused_before_the_first_frame(sd1: str) -> None:
    with pytest.raises(Unsupported, match=r"loras: there is no file 'styles/none'; give the path of"):
        Local(device="cpu").check(plan(travel(sd1, model=Model(sd1, loras=(Lora("styles/none"),)))))
