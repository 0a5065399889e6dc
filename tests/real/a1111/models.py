"""Small checkpoints of random weights in layouts that a real A1111 loads, each with its yaml, made of another one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.real.comfyui.models import SDXL_LABEL, SDXL_TEXT, TIMES, Weights, layer
from tests.real.families import SDXL_YAML, OpenClip, open_clip, random

UNET, TEXT, VAE = "model.diffusion_model.", "cond_stage_model.", "first_stage_model."
SDXL_ENCODERS = "conditioner.embedders."
SD2_TEXT, SDXL_POOLED = 1024, 1280
SMALL_SD2, SMALL_SDXL = OpenClip("small-sd2", SD2_TEXT, 2), OpenClip("small-sdxl", SDXL_POOLED, 2)


def second(checkpoint: Path, path: Path) -> None:
    """Writes a checkpoint of the same layout whose U-Net is another one."""
    weights = load_file(checkpoint)
    last = f"{UNET}out.2.weight"
    weights[last] = weights[last].flip(0).contiguous()
    _save(weights, path, _yaml(checkpoint))


def vae(checkpoint: Path, path: Path) -> None:
    """Writes the VAE of a checkpoint, with inverted colors."""
    weights = {name.removeprefix(VAE): tensor for name, tensor in load_file(checkpoint).items() if VAE in name}
    parts = ("encoder.", "decoder.", "quant_conv.", "post_quant_conv.")
    held = {name: tensor for name, tensor in weights.items() if name.startswith(parts)}
    for name in ("decoder.conv_out.weight", "decoder.conv_out.bias"):
        held[name] = held[name].flip(0).contiguous()
    save_file(held, path)


def sd2(checkpoint: Path, path: Path) -> None:
    """Writes a checkpoint of SD 2's layout: prediction of velocity, and OpenCLIP for its text."""
    weights = load_file(checkpoint)
    made = {**_kept(weights, VAE), **_unet(weights, SD2_TEXT)}
    made |= open_clip(f"{TEXT}model.", SMALL_SD2)
    config = _changed(
        _yaml(checkpoint),
        {
            "scale_factor: 0.18215": "scale_factor: 0.18215\n    parameterization: v",
            "context_dim: 768": f"context_dim: {SD2_TEXT}, use_linear_in_transformer: True",
            "FrozenCLIPEmbedder": "FrozenOpenCLIPEmbedder",
        },
    )
    head, _, _ = config.rpartition("params:")
    _save(made, path, f"{head}params: {{arch: small-sd2, freeze: True, layer: penultimate}}\n")


def sdxl(checkpoint: Path, path: Path) -> None:
    """Writes a checkpoint of SDXL's layout: two text encoders, and pooled text with the sizes of the picture."""
    weights = load_file(checkpoint)
    made = {**_kept(weights, VAE), **_unet(weights, SDXL_TEXT)}
    labels = layer("label_emb.0.0", TIMES, SDXL_LABEL) | layer("label_emb.0.2", TIMES, TIMES)
    made |= {f"{UNET}{name}": tensor for name, tensor in labels.items()}
    clip = _kept(weights, TEXT)
    made |= {f"{SDXL_ENCODERS}0.{name.removeprefix(TEXT)}": tensor for name, tensor in clip.items()}
    made |= open_clip(f"{SDXL_ENCODERS}1.model.", SMALL_SDXL)
    config = _yaml(checkpoint)
    clip_folder = config.rpartition("version:")[2].strip(" }\n")
    ddconfig = config.partition("ddconfig:")[2].partition("}")[0].strip(" {")
    unet = (
        f"adm_in_channels: {SDXL_LABEL}, num_classes: sequential, use_checkpoint: False, in_channels: 4, "
        "out_channels: 4, model_channels: 320, attention_resolutions: [1], num_res_blocks: 1, channel_mult: [1], "
        "num_heads: 8, use_spatial_transformer: True, use_linear_in_transformer: True, transformer_depth: 1, "
        f"context_dim: {SDXL_TEXT}, legacy: False"
    )
    vae = f"{{attn_type: vanilla-xformers, {ddconfig}}}"
    about = {"scale": 0.18215, "unet": unet, "clip": clip_folder, "arch": SMALL_SDXL.name, "vae": vae}
    _save(made, path, SDXL_YAML.format(**about))


def _unet(weights: Mapping[str, Tensor], width: int) -> Weights:
    """The U-Net of a checkpoint for tokens of another width, with linear projections."""
    made = {}
    for name, tensor in _kept(weights, UNET).items():
        if name.endswith(("attn2.to_k.weight", "attn2.to_v.weight")):
            made[name] = random(name, tensor.shape[0], width)
        else:
            made[name] = tensor[..., 0, 0] if name.endswith(("proj_in.weight", "proj_out.weight")) else tensor
    return made


def _kept(weights: Mapping[str, Tensor], prefix: str) -> Weights:
    return {name: tensor for name, tensor in weights.items() if name.startswith(prefix)}


def _yaml(checkpoint: Path) -> str:
    return checkpoint.with_suffix(".yaml").read_text(encoding="utf-8")


def _changed(text: str, changes: Mapping[str, str]) -> str:
    for before, after in changes.items():
        assert before in text
        text = text.replace(before, after)
    return text


def _save(weights: Weights, path: Path, config: str) -> None:
    save_file({name: tensor.half().contiguous().clone() for name, tensor in weights.items()}, path)
    path.with_suffix(".yaml").write_text(config, encoding="utf-8")
