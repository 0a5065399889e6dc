"""Diffusers' folders written as Stability's single files: the other way round of what diffusers reads."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from remix.client.playground import WEIGHTS

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
OUTER = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
PLACES = {
    "down_blocks.0.resnets.0": "input_blocks.1.0",
    "down_blocks.0.attentions.0": "input_blocks.1.1",
    "down_blocks.0.downsamplers.0.conv": "input_blocks.2.0.op",
    "down_blocks.1.resnets.0": "input_blocks.3.0",
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
    "up_blocks.0.resnets.0": "output_blocks.0.0",
    "up_blocks.0.resnets.1": "output_blocks.1.0",
    "up_blocks.0.upsamplers.0.conv": "output_blocks.1.1.conv",
    "up_blocks.1.resnets.0": "output_blocks.2.0",
    "up_blocks.1.attentions.0": "output_blocks.2.1",
    "up_blocks.1.resnets.1": "output_blocks.3.0",
    "up_blocks.1.attentions.1": "output_blocks.3.1",
}
"""The blocks of the tiny U-Net: two levels of one layer, written down one by one."""


def single_file(folder: Path, target: Path, family: str) -> Path:
    """Writes the pipeline in `folder` as one safetensors file with the playground's vocabulary next to it."""
    weights = {f"model.diffusion_model.{unet_name(k)}": v for k, v in part(folder, "unet").items()}
    weights |= {f"first_stage_model.{vae_name(k)}": as_convolution(k, v) for k, v in part(folder, "vae").items()}
    first = part(folder, "text_encoder")
    if family == "sd1":
        weights |= clip("cond_stage_model.transformer.", first)
    elif family == "sd2":
        weights |= open_clip("cond_stage_model.model.", first)
    else:
        weights |= clip("conditioner.embedders.0.transformer.", first)
        weights |= open_clip("conditioner.embedders.1.model.", part(folder, "text_encoder_2"))
    target.parent.mkdir(exist_ok=True)
    save_file({name: value.contiguous().clone() for name, value in weights.items()}, target)
    shutil.copytree(WEIGHTS / "tokenizer", target.parent / "tokenizer", dirs_exist_ok=True)
    return target


def part(folder: Path, name: str) -> dict[str, Tensor]:
    """Returns the weights of one network of a diffusers folder."""
    return load_file(next((folder / name).glob("*.safetensors")))


def unet_name(name: str) -> str:
    """Returns what Stability's code calls a weight of the tiny U-Net."""
    for ours, theirs in {**PLACES, **OUTER}.items():
        if name.startswith(ours + "."):
            rest = name[len(ours) + 1 :]
            layer, _, end = rest.rpartition(".")
            return f"{theirs}.{RESNET[layer]}.{end}" if layer in RESNET and "resnets" in ours else f"{theirs}.{rest}"
    raise KeyError(name)


def vae_name(name: str) -> str:
    """Returns what Stability's code calls a weight of the tiny VAE."""
    name = re.sub(r"encoder\.down_blocks\.(\d)\.resnets\.(\d)", r"encoder.down.\1.block.\2", name)
    name = re.sub(r"encoder\.down_blocks\.(\d)\.downsamplers\.0", r"encoder.down.\1.downsample", name)
    name = re.sub(r"up_blocks\.(\d)\.resnets\.(\d)", lambda m: f"up.{3 - int(m[1])}.block.{m[2]}", name)
    name = re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{3 - int(m[1])}.upsample", name)
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
    name = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    for ours, theirs in {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}.items():
        name = name.replace(f"mid_block.attentions.0.{ours}.", f"mid.attn_1.{theirs}.")
    return name


def as_convolution(name: str, weight: Tensor) -> Tensor:
    """Returns a weight of the VAE; its attention is written with convolutions of one pixel."""
    return weight[:, :, None, None] if ".attentions.0.to_" in name and weight.ndim == 2 else weight


def clip(prefix: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Returns the weights of OpenAI's CLIP, which are named as transformers names them."""
    return {f"{prefix}text_model.{name.removeprefix('text_model.')}": value for name, value in weights.items()}


def open_clip(prefix: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Returns the weights of OpenCLIP: queries, keys and values in one, the projection the other way round."""
    weights = {name.removeprefix("text_model."): value for name, value in weights.items()}
    found = {
        "positional_embedding": weights["embeddings.position_embedding.weight"],
        "token_embedding.weight": weights["embeddings.token_embedding.weight"],
        "ln_final.weight": weights["final_layer_norm.weight"],
        "ln_final.bias": weights["final_layer_norm.bias"],
    }
    if "text_projection.weight" in weights:
        found["text_projection"] = weights["text_projection.weight"].T
    inner = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}
    for layer in range(3):
        ours, theirs = f"encoder.layers.{layer}.", f"transformer.resblocks.{layer}."
        for end in ("weight", "bias"):
            for one, other in {**inner, "self_attn.out_proj": "attn.out_proj"}.items():
                found[f"{theirs}{other}.{end}"] = weights[f"{ours}{one}.{end}"]
            joined = [weights[f"{ours}self_attn.{which}_proj.{end}"] for which in "qkv"]
            found[f"{theirs}attn.in_proj_{end}"] = torch.cat(joined)
    return {prefix + name: value for name, value in found.items()}
