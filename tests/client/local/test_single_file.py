"""Single-file checkpoints: the same pictures as the folder they were written from, without a hub, without pickle."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from remix.client.local import Local
from remix.client.local.lora_layers import stability_names
from remix.client.local.single_file import SingleFile, unet_config
from remix.client.playground import WEIGHTS
from remix.errors import EngineError, Unsupported
from remix.plan import Lora, Model, plan
from tests.client.local import stability, tiny
from tests.client.local.films import TOLERANCE, Trap, largest_difference, pictures, travel

FAMILIES = ("sd1", "sd2", "sdxl")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    """Every family as (folder, file)."""
    place = tmp_path_factory.mktemp("files")
    folders = {
        "sd1": tiny.stable_diffusion(place / "one"),
        "sd2": tiny.stable_diffusion(place / "two", second=True),
        "sdxl": tiny.stable_diffusion_xl(place / "xl"),
    }
    return {
        family: (str(folder), str(stability.single_file(folder, place / "out" / f"{family}.safetensors", family)))
        for family, folder in folders.items()
    }


def two_frames(model: str, **changes: Any) -> Any:
    return travel(model, frames=2, keyframes=travel(model).keyframes[:1], **changes)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_file_makes_the_pictures_of_its_folder(family: str, written: dict[str, tuple[str, str]]) -> None:
    folder, file = written[family]
    assert largest_difference(pictures(two_frames(folder)), pictures(two_frames(file))) <= TOLERANCE


@pytest.mark.parametrize("family", FAMILIES)
def test_the_settings_of_the_folder_are_read_off_the_shapes(family: str, written: dict[str, tuple[str, str]]) -> None:
    theirs, ours = (Local(device="cpu")._loaded.model(plan(two_frames(model))) for model in written[family])
    for name, network in theirs.parts().items():
        other = ours.parts()[name]
        assert {k: tuple(v.shape) for k, v in network.state_dict().items()} == {
            k: tuple(v.shape) for k, v in other.state_dict().items()
        }
        if name != "unet":
            for key in ("hidden_act", "num_attention_heads", "num_hidden_layers", "eos_token_id"):
                assert getattr(network.config, key) == getattr(other.config, key)
    for key in ("attention_head_dim", "use_linear_projection", "cross_attention_dim"):
        assert np.array_equal(theirs.network.config[key], ours.network.config[key])
    assert theirs.vae.config.scaling_factor == ours.vae.config.scaling_factor


@pytest.mark.parametrize(("spread", "velocity"), [(0.05, False), (0.2, True)])
def test_sd2_predicts_velocity_when_its_last_norm_spreads(
    spread: float, velocity: bool, written: dict[str, tuple[str, str]], tmp_path: Path
) -> None:
    weights = load_file(written["sd2"][1])
    name = "model.diffusion_model.output_blocks.3.1.transformer_blocks.0.norm1.bias"
    weights[name] = spread * torch.tensor([-1.0, 1.0]).repeat(len(weights[name]) // 2)
    file = changed(tmp_path, weights)
    assert Local(device="cpu")._loaded.model(plan(two_frames(file))).predicts_velocity is velocity


def test_a_marked_sdxl_file_predicts_velocity_down_to_zero_signal(
    written: dict[str, tuple[str, str]], tmp_path: Path
) -> None:
    marks = {"v_pred": torch.zeros(0), "ztsnr": torch.zeros(0)}
    model = Local(device="cpu")._loaded.model(
        plan(two_frames(changed(tmp_path, load_file(written["sdxl"][1]) | marks)))
    )
    assert model.predicts_velocity
    assert model.levels.table[-1] > 4000


def test_a_vae_in_a_file_is_the_one_that_decodes(written: dict[str, tuple[str, str]], tmp_path: Path) -> None:
    folder, file = written["sd1"]
    bare = {k.removeprefix("first_stage_model."): v for k, v in load_file(file).items() if "first_stage" in k}
    vae = changed(tmp_path, bare)
    same = two_frames(folder).replace(model=Model(folder, vae=vae))
    assert np.array_equal(pictures(two_frames(folder)), pictures(same))
    other = tiny.stable_diffusion(tmp_path / "other", seed=5)
    different = stability.single_file(other, tmp_path / "other" / "all.safetensors", "sd1")
    replaced = two_frames(folder).replace(model=Model(folder, vae=str(different)))
    assert largest_difference(pictures(two_frames(folder)), pictures(replaced)) > 8


OLD = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


@pytest.mark.parametrize("old", [False, True])
def test_a_vae_in_a_file_may_have_the_names_of_diffusers_of_any_age(
    old: bool, written: dict[str, tuple[str, str]], tmp_path: Path
) -> None:
    folder = written["sd1"][0]
    weights = stability.part(Path(folder), "vae")
    for present, before in OLD.items() if old else ():
        weights = {name.replace(f".0.{present}.", f".0.{before}."): value for name, value in weights.items()}
    recipe = two_frames(folder)
    alone = recipe.replace(model=Model(folder, vae=changed(tmp_path, weights)))
    assert np.array_equal(pictures(recipe), pictures(alone))


def changed(folder: Path, weights: dict[str, torch.Tensor]) -> str:
    """Writes weights with the vocabulary next to them."""
    shutil.copytree(WEIGHTS / "tokenizer", folder / "tokenizer", dirs_exist_ok=True)
    save_file({name: value.contiguous() for name, value in weights.items()}, folder / "model.safetensors")
    return str(folder / "model.safetensors")


def test_a_file_without_a_vocabulary_on_the_machine_says_what_to_run(
    written: dict[str, tuple[str, str]], tmp_path: Path
) -> None:
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes(Path(written["sd1"][1]).read_bytes())
    with pytest.raises(Unsupported, match=r"vocabulary is not on this machine; run once: hf download openai/clip-vit"):
        Local(device="cpu").check(plan(two_frames(str(alone))))


def test_the_vocabulary_is_taken_from_what_the_hub_gave_before(
    written: dict[str, tuple[str, str]], tmp_path: Path
) -> None:
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes(Path(written["sd1"][1]).read_bytes())
    kept = tmp_path / "hub" / "models--openai--clip-vit-large-patch14"
    shutil.copytree(WEIGHTS / "tokenizer", kept / "snapshots" / "abc")
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text("abc", encoding="utf-8")
    assert np.array_equal(pictures(two_frames(str(alone))), pictures(two_frames(written["sd1"][1])))


@pytest.mark.parametrize("suffix", [".ckpt", ".pt", ".pth", ".bin", ".CKPT"])
@pytest.mark.parametrize("field", ["checkpoint", "vae", "loras"])
def test_pickled_files_are_refused_unread(suffix: str, field: str, tmp_path: Path) -> None:
    file = tmp_path / f"model{suffix}"
    file.write_bytes(pickle.dumps(Trap(tmp_path / "ran")))
    given: Any = (Lora(str(file)),) if field == "loras" else str(file)
    recipe = two_frames("playground").replace(model=Model(**{"checkpoint": "playground", field: given}))
    with pytest.raises(Unsupported, match=f"{field}: .* is a pickled file, .* as .safetensors"):
        Local(device="cpu").check(plan(recipe))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"not safetensors at all", pickle.dumps({"a": 1})])
def test_a_file_that_is_no_safetensors_inside_is_refused(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(content)
    with pytest.raises(Unsupported, match="is no readable safetensors file"):
        Local(device="cpu").check(plan(two_frames(str(file))))


def test_weights_of_another_family_and_missing_weights_are_refused_by_name(
    written: dict[str, tuple[str, str]], tmp_path: Path
) -> None:
    with pytest.raises(Unsupported, match="holds neither an SD1, SD2 or SDXL checkpoint"):
        SingleFile(Path(changed(tmp_path, {"double_blocks.0.img_attn.proj.weight": torch.zeros(1)})))
    weights = load_file(written["sd1"][1])
    del weights["model.diffusion_model.middle_block.1.proj_in.weight"]
    with pytest.raises(EngineError, match=r"its unet could not be read"):
        pictures(two_frames(changed(tmp_path, weights)))


PLACES = {
    "sd1": ("cond_stage_model.transformer.text_model.encoder.layers.1.mlp.fc1.weight", "text_encoder"),
    "sd2": ("cond_stage_model.model.transformer.resblocks.1.mlp.c_fc.weight", "text_encoder"),
    "sdxl": ("conditioner.embedders.1.model.transformer.resblocks.1.attn.in_proj_weight", "text_encoder_2"),
    "vae": ("first_stage_model.decoder.mid.attn_1.q.weight", "vae"),
}


@pytest.mark.parametrize("place", PLACES)
def test_weights_that_a_file_lacks_are_not_made_up(
    place: str, written: dict[str, tuple[str, str]], tmp_path: Path
) -> None:
    weights = load_file(written[place if place in FAMILIES else "sd1"][1])
    gone, part = PLACES[place]
    del weights[gone]
    with pytest.raises(EngineError, match=f"its {part} could not be read"):
        pictures(two_frames(changed(tmp_path, weights)))


def test_identity_tells_files_apart_but_not_where_they_lie(written: dict[str, tuple[str, str]], tmp_path: Path) -> None:
    def found(file: str) -> str:
        return Local().identity(plan(two_frames(file)))["fingerprint"]

    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(Path(written["sd1"][1]).read_bytes())
    assert found(str(copy)) == found(written["sd1"][1]) != found(written["sd2"][1])


REAL = {
    "sd1": {"attention_head_dim": 8, "cross_attention_dim": 768},
    "sd2": {"attention_head_dim": [5, 10, 20, 20], "cross_attention_dim": 1024, "use_linear_projection": True},
    "sdxl": {
        "attention_head_dim": [5, 10, 20],
        "cross_attention_dim": 2048,
        "use_linear_projection": True,
        "block_out_channels": [320, 640, 1280],
        "transformer_layers_per_block": [1, 2, 10],
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
}
"""The published settings of the full-size U-Nets, where they are not diffusers' defaults."""

UPSAMPLERS = {
    "sd1": {"output_blocks.2.1.conv", "output_blocks.5.2.conv", "output_blocks.8.2.conv"},
    "sd2": {"output_blocks.2.1.conv", "output_blocks.5.2.conv", "output_blocks.8.2.conv"},
    "sdxl": {"output_blocks.2.2.conv", "output_blocks.5.2.conv"},
}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_settings_of_the_full_size_models_are_read_off_their_shapes(family: str) -> None:
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        network = UNet2DConditionModel(**REAL[family])
    modules = dict(network.named_modules())
    named = {other: modules[name] for name in modules for other in stability_names(name, network)}
    shapes = {f"{name}.weight": tuple(m.weight.shape) for name, m in named.items() if hasattr(m, "weight")}
    found = unet_config(shapes)
    assert {name.removesuffix(".weight") for name in shapes if name.endswith(".conv.weight")} == UPSAMPLERS[family]
    assert found["layers_per_block"] == 2
    for key, value in found.items():
        theirs = network.config[key]
        # diffusers keeps one number where all levels have the same.
        assert value == (theirs if not isinstance(value, list) else spread(theirs, len(value))), key


@pytest.mark.parametrize("blocks", [1, 3])
@pytest.mark.parametrize("places", [(False, True), (True, False, True), (True, True, True, False, False)])
def test_levels_blocks_and_the_places_of_transformers_are_read_off_the_shapes(
    places: tuple[bool, ...], blocks: int
) -> None:
    from diffusers import UNet2DConditionModel

    given = {
        "block_out_channels": [320] * len(places),
        "layers_per_block": blocks,
        "down_block_types": ["CrossAttnDownBlock2D" if place else "DownBlock2D" for place in places],
        "up_block_types": ["CrossAttnUpBlock2D" if place else "UpBlock2D" for place in reversed(places)],
        "cross_attention_dim": 768,
        "attention_head_dim": 8,
    }
    with torch.device("meta"):
        network = UNet2DConditionModel(**given)
    modules = dict(network.named_modules())
    named = {other: modules[name] for name in modules for other in stability_names(name, network)}
    found = unet_config({f"{name}.weight": tuple(m.weight.shape) for name, m in named.items() if hasattr(m, "weight")})
    assert {name: found[name] for name in given} == given


def spread(value: Any, levels: int) -> list[Any]:
    """Returns a setting of each level."""
    return [value] * levels if isinstance(value, int) else list(value)
