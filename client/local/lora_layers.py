"""The layers of a network by the names that LoRA files give them.

Files name layers as diffusers does, or as the authors of a model do, in whose code a layer may join several of those of
diffusers, or have its rows in another order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

BLOCK = "{}"
"""The number of a block in the names below."""

_FLUX, _SINGLE, _SD3 = "transformer_blocks.{}.", "single_transformer_blocks.{}.", "transformer_blocks.{}."
_IMAGE, _TEXT = ("attn.to_q", "attn.to_k", "attn.to_v"), ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj")
_Z_IMAGE = ("attention.to_q", "attention.to_k", "attention.to_v")

AUTHORS: Sequence[tuple[str, Sequence[str]]] = (
    # Flux.1, Flux.2 and Chroma
    ("double_blocks.{}.img_attn.qkv", [_FLUX + name for name in _IMAGE]),
    ("double_blocks.{}.txt_attn.qkv", [_FLUX + name for name in _TEXT]),
    ("double_blocks.{}.img_attn.proj", [_FLUX + "attn.to_out.0"]),
    ("double_blocks.{}.txt_attn.proj", [_FLUX + "attn.to_add_out"]),
    ("double_blocks.{}.img_mod.lin", [_FLUX + "norm1.linear"]),
    ("double_blocks.{}.txt_mod.lin", [_FLUX + "norm1_context.linear"]),
    ("double_blocks.{}.img_mlp.0", [_FLUX + "ff.net.0.proj"]),
    ("double_blocks.{}.img_mlp.2", [_FLUX + "ff.net.2"]),
    ("double_blocks.{}.txt_mlp.0", [_FLUX + "ff_context.net.0.proj"]),
    ("double_blocks.{}.txt_mlp.2", [_FLUX + "ff_context.net.2"]),
    ("double_blocks.{}.img_mlp.0", [_FLUX + "ff.linear_in"]),
    ("double_blocks.{}.img_mlp.2", [_FLUX + "ff.linear_out"]),
    ("double_blocks.{}.txt_mlp.0", [_FLUX + "ff_context.linear_in"]),
    ("double_blocks.{}.txt_mlp.2", [_FLUX + "ff_context.linear_out"]),
    ("single_blocks.{}.linear1", [*(_SINGLE + name for name in _IMAGE), _SINGLE + "proj_mlp"]),
    ("single_blocks.{}.linear1", [_SINGLE + "attn.to_qkv_mlp_proj"]),
    ("single_blocks.{}.linear2", [_SINGLE + "proj_out"]),
    ("single_blocks.{}.linear2", [_SINGLE + "attn.to_out"]),
    ("single_blocks.{}.modulation.lin", [_SINGLE + "norm.linear"]),
    ("img_in", ["x_embedder"]),
    ("txt_in", ["context_embedder"]),
    ("time_in.in_layer", ["time_text_embed.timestep_embedder.linear_1"]),
    ("time_in.out_layer", ["time_text_embed.timestep_embedder.linear_2"]),
    ("vector_in.in_layer", ["time_text_embed.text_embedder.linear_1"]),
    ("vector_in.out_layer", ["time_text_embed.text_embedder.linear_2"]),
    ("guidance_in.in_layer", ["time_text_embed.guidance_embedder.linear_1"]),
    ("guidance_in.out_layer", ["time_text_embed.guidance_embedder.linear_2"]),
    # SD3
    ("joint_blocks.{}.x_block.attn.qkv", [_SD3 + name for name in _IMAGE]),
    ("joint_blocks.{}.x_block.attn2.qkv", [_SD3 + name.replace("attn.", "attn2.") for name in _IMAGE]),
    ("joint_blocks.{}.context_block.attn.qkv", [_SD3 + name for name in _TEXT]),
    ("joint_blocks.{}.x_block.attn.proj", [_SD3 + "attn.to_out.0"]),
    ("joint_blocks.{}.x_block.attn2.proj", [_SD3 + "attn2.to_out.0"]),
    ("joint_blocks.{}.context_block.attn.proj", [_SD3 + "attn.to_add_out"]),
    ("joint_blocks.{}.x_block.adaLN_modulation.1", [_SD3 + "norm1.linear"]),
    ("joint_blocks.{}.context_block.adaLN_modulation.1", [_SD3 + "norm1_context.linear"]),
    ("joint_blocks.{}.x_block.mlp.fc1", [_SD3 + "ff.net.0.proj"]),
    ("joint_blocks.{}.x_block.mlp.fc2", [_SD3 + "ff.net.2"]),
    ("joint_blocks.{}.context_block.mlp.fc1", [_SD3 + "ff_context.net.0.proj"]),
    ("joint_blocks.{}.context_block.mlp.fc2", [_SD3 + "ff_context.net.2"]),
    ("t_embedder.mlp.0", ["time_text_embed.timestep_embedder.linear_1"]),
    ("t_embedder.mlp.2", ["time_text_embed.timestep_embedder.linear_2"]),
    ("y_embedder.mlp.0", ["time_text_embed.text_embedder.linear_1"]),
    ("y_embedder.mlp.2", ["time_text_embed.text_embedder.linear_2"]),
    ("final_layer.linear", ["proj_out"]),
    ("final_layer.adaLN_modulation.1", ["norm_out.linear"]),
    # Z-Image
    ("layers.{}.attention.qkv", ["layers.{}." + name for name in _Z_IMAGE]),
    ("layers.{}.attention.out", ["layers.{}.attention.to_out.0"]),
    ("noise_refiner.{}.attention.qkv", ["noise_refiner.{}." + name for name in _Z_IMAGE]),
    ("noise_refiner.{}.attention.out", ["noise_refiner.{}.attention.to_out.0"]),
    ("context_refiner.{}.attention.qkv", ["context_refiner.{}." + name for name in _Z_IMAGE]),
    ("context_refiner.{}.attention.out", ["context_refiner.{}.attention.to_out.0"]),
)
"""A layer of a transformer in its authors' code, and the layers of diffusers that it joins."""

SWAPPED = "AdaLayerNormContinuous"
"""The class of diffusers whose layer has scale before shift. Authors have shift before scale."""


@dataclass(frozen=True)
class Layer:
    """A layer that a LoRA can change. `rows` are the rows of the change that belong to it, None for all in order."""

    module: Any
    rows: Sequence[int] | None = None


def layers_of(network: Any) -> dict[str, list[Layer]]:
    """Returns the layers that a LoRA can change, by name with "_" for dots: those of diffusers and of the authors."""
    found: dict[str, list[Layer]] = {}
    modules = dict(network.named_modules())
    for name, module in modules.items():
        if isinstance(module, torch.nn.Linear | torch.nn.Conv2d):
            for known in (name.removeprefix("text_model."), *stability_names(name, network)):
                found[known.replace(".", "_")] = [Layer(module)]
    for authors, ours in AUTHORS:
        for name, joined in _joined(modules, authors, ours):
            found[name.replace(".", "_")] = joined
    return found


def _joined(modules: Mapping[str, Any], authors: str, ours: Sequence[str]) -> Iterator[tuple[str, list[Layer]]]:
    """Yields the authors' name of a layer and the layers that it joins, for each block of a network that has them."""
    pattern = re.compile(re.escape(ours[0]).replace(re.escape(BLOCK), r"(\d+)"))
    for name in modules:
        if match := pattern.fullmatch(name):
            names = [each.format(*match.groups()) for each in ours]
            if not all(each in modules for each in names):
                continue
            joined, start = [], 0
            for each in names:
                count = modules[each].out_features
                rows = range(start, start + count)
                joined.append(Layer(modules[each], _swapped(rows) if _is_swapped(modules, each) else rows))
                start += count
            yield authors.format(*match.groups()), joined


def _is_swapped(modules: Mapping[str, Any], name: str) -> bool:
    return type(modules[name.rpartition(".")[0]]).__name__ == SWAPPED


def _swapped(rows: Sequence[int]) -> Sequence[int]:
    half = len(rows) // 2
    return [*rows[half:], *rows[:half]]


def stability_names(name: str, network: Any) -> Iterator[str]:
    """Yields the names of a U-Net layer in Stability's own code, which kohya uses for SDXL."""
    blocks = re.match(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)", name)
    middle = re.match(r"mid_block\.(resnets|attentions)\.(\d+)\.(.+)", name)
    if blocks:
        side, kind, rest = blocks[1], blocks[3], _inner(blocks[5])
        level, place = int(blocks[2]), int(blocks[4])
        width = network.config.layers_per_block + 1
        if kind == "downsamplers":
            yield f"input_blocks.{width * (level + 1)}.0.op"
        elif kind == "upsamplers":
            attended = bool(getattr(network.up_blocks[level], "attentions", None))
            yield f"output_blocks.{width * level + width - 1}.{1 + attended}.conv"
        else:
            block = width * level + place + (1 if side == "down" else 0)
            yield f"{'input' if side == 'down' else 'output'}_blocks.{block}.{int(kind == 'attentions')}.{rest}"
    elif middle:
        place = 1 if middle[1] == "attentions" else 2 * int(middle[2])
        yield f"middle_block.{place}.{_inner(middle[3])}"
    elif name in OUTER:
        yield OUTER[name]


OUTER = {
    "conv_in": "input_blocks.0.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}

INNER = {
    "conv1": "in_layers.2",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}


def _inner(name: str) -> str:
    return INNER.get(name, name)
