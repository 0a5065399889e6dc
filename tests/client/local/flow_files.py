"""Transformers of diffusers' folders with the names of their authors' code: the inverse of what diffusers reads."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.client.local.stability import as_convolution, clip, part, vae_name

FLUX = {
    "time_text_embed.timestep_embedder.linear_1": "time_in.in_layer",
    "time_text_embed.timestep_embedder.linear_2": "time_in.out_layer",
    "time_text_embed.text_embedder.linear_1": "vector_in.in_layer",
    "time_text_embed.text_embedder.linear_2": "vector_in.out_layer",
    "time_text_embed.guidance_embedder.linear_1": "guidance_in.in_layer",
    "time_text_embed.guidance_embedder.linear_2": "guidance_in.out_layer",
    "context_embedder": "txt_in",
    "x_embedder": "img_in",
    "transformer_blocks.0.norm1.linear": "double_blocks.0.img_mod.lin",
    "transformer_blocks.0.norm1_context.linear": "double_blocks.0.txt_mod.lin",
    "transformer_blocks.0.ff.net.0.proj": "double_blocks.0.img_mlp.0",
    "transformer_blocks.0.ff.net.2": "double_blocks.0.img_mlp.2",
    "transformer_blocks.0.ff_context.net.0.proj": "double_blocks.0.txt_mlp.0",
    "transformer_blocks.0.ff_context.net.2": "double_blocks.0.txt_mlp.2",
    "transformer_blocks.0.attn.to_out.0": "double_blocks.0.img_attn.proj",
    "transformer_blocks.0.attn.to_add_out": "double_blocks.0.txt_attn.proj",
    "transformer_blocks.0.attn.norm_q": "double_blocks.0.img_attn.norm.query_norm",
    "transformer_blocks.0.attn.norm_k": "double_blocks.0.img_attn.norm.key_norm",
    "transformer_blocks.0.attn.norm_added_q": "double_blocks.0.txt_attn.norm.query_norm",
    "transformer_blocks.0.attn.norm_added_k": "double_blocks.0.txt_attn.norm.key_norm",
    "single_transformer_blocks.0.norm.linear": "single_blocks.0.modulation.lin",
    "single_transformer_blocks.0.proj_out": "single_blocks.0.linear2",
    "single_transformer_blocks.0.attn.norm_q": "single_blocks.0.norm.query_norm",
    "single_transformer_blocks.0.attn.norm_k": "single_blocks.0.norm.key_norm",
    "proj_out": "final_layer.linear",
}
"""The layers of the tiny Flux, which has one block of each kind, by their names in Black Forest Labs' code."""

JOINED_IN_FLUX = {
    "double_blocks.0.img_attn.qkv": [f"transformer_blocks.0.attn.to_{which}" for which in "qkv"],
    "double_blocks.0.txt_attn.qkv": [f"transformer_blocks.0.attn.add_{which}_proj" for which in "qkv"],
    "single_blocks.0.linear1": [
        *(f"single_transformer_blocks.0.attn.to_{which}" for which in "qkv"),
        "single_transformer_blocks.0.proj_mlp",
    ],
}

SD3 = {
    r"time_text_embed\.timestep_embedder\.linear_1": "t_embedder.mlp.0",
    r"time_text_embed\.timestep_embedder\.linear_2": "t_embedder.mlp.2",
    r"time_text_embed\.text_embedder\.linear_1": "y_embedder.mlp.0",
    r"time_text_embed\.text_embedder\.linear_2": "y_embedder.mlp.2",
    r"pos_embed\.proj": "x_embedder.proj",
    r"transformer_blocks\.(\d)\.norm1\.linear": r"joint_blocks.\1.x_block.adaLN_modulation.1",
    r"transformer_blocks\.(\d)\.norm1_context\.linear": r"joint_blocks.\1.context_block.adaLN_modulation.1",
    r"transformer_blocks\.(\d)\.attn\.to_out\.0": r"joint_blocks.\1.x_block.attn.proj",
    r"transformer_blocks\.(\d)\.attn\.to_add_out": r"joint_blocks.\1.context_block.attn.proj",
    r"transformer_blocks\.(\d)\.ff\.net\.0\.proj": r"joint_blocks.\1.x_block.mlp.fc1",
    r"transformer_blocks\.(\d)\.ff\.net\.2": r"joint_blocks.\1.x_block.mlp.fc2",
    r"transformer_blocks\.(\d)\.ff_context\.net\.0\.proj": r"joint_blocks.\1.context_block.mlp.fc1",
    r"transformer_blocks\.(\d)\.ff_context\.net\.2": r"joint_blocks.\1.context_block.mlp.fc2",
    r"proj_out": "final_layer.linear",
}
"""The layers of SD3 by their names in Stability's code."""

LAST = 1
"""The last of the two blocks of the tiny SD3."""


def flux_transformer(folder: Path) -> dict[str, Tensor]:
    """Returns the transformer of a tiny Flux with its authors' names."""
    weights, found = part(folder, "transformer"), {}
    for ours, theirs in FLUX.items():
        for end in ("weight", "bias"):
            if f"{ours}.{end}" in weights:
                found[f"{theirs}.{'scale' if '_norm' in theirs else end}"] = weights[f"{ours}.{end}"]
    for theirs, parts in JOINED_IN_FLUX.items():
        for end in ("weight", "bias"):
            found[f"{theirs}.{end}"] = torch.cat([weights[f"{ours}.{end}"] for ours in parts])
    for end in ("weight", "bias"):
        found[f"final_layer.adaLN_modulation.1.{end}"] = swapped(weights[f"norm_out.linear.{end}"])
    assert sum(value.numel() for value in found.values()) == sum(value.numel() for value in weights.values())
    return found


def sd3_transformer(folder: Path) -> dict[str, Tensor]:
    """Returns the transformer of a tiny SD3 with its authors' names."""
    weights, found = part(folder, "transformer"), {"pos_embed": part(folder, "transformer")["pos_embed.pos_embed"]}
    for name, value in weights.items():
        layer, _, end = name.rpartition(".")
        for ours, theirs in SD3.items():
            if re.fullmatch(ours, layer):
                found[re.sub(ours, theirs, layer) + f".{end}"] = value
        if layer == "context_embedder":
            found[name] = value
    for block in range(LAST + 1):
        for end in ("weight", "bias"):
            ours, theirs = f"transformer_blocks.{block}.attn", f"joint_blocks.{block}"
            joined = [[weights[f"{ours}.{each}.{end}"] for each in names] for names in (QKV, ADDED_QKV)]
            found[f"{theirs}.x_block.attn.qkv.{end}"] = torch.cat(joined[0])
            found[f"{theirs}.context_block.attn.qkv.{end}"] = torch.cat(joined[1])
    for end in ("weight", "bias"):
        found[f"final_layer.adaLN_modulation.1.{end}"] = swapped(weights[f"norm_out.linear.{end}"])
        last = f"joint_blocks.{LAST}.context_block.adaLN_modulation.1.{end}"
        found[last] = swapped(found[last])
    assert sum(value.numel() for value in found.values()) == sum(value.numel() for value in weights.values())
    return found


QKV, ADDED_QKV = [f"to_{which}" for which in "qkv"], [f"add_{which}_proj" for which in "qkv"]


def swapped(weight: Tensor) -> Tensor:
    """Returns a layer's scale and shift in the other order."""
    return torch.cat(list(weight.chunk(2))[::-1])


def whole(folder: Path, transformer: dict[str, Tensor], texts: dict[str, str]) -> dict[str, Tensor]:
    """Returns the weights of a file with all networks, as ComfyUI saves it. `texts` maps its names to our folders."""
    weights = {f"model.diffusion_model.{name}": value for name, value in transformer.items()}
    weights |= {f"first_stage_model.{vae_name(k)}": as_convolution(k, v) for k, v in part(folder, "vae").items()}
    for theirs, ours in texts.items():
        found, prefix = part(folder, ours), f"text_encoders.{theirs}.transformer."
        if theirs == "t5xxl":
            weights |= {prefix + name: value for name, value in found.items()}
            continue
        projection = found.pop("text_projection.weight", None)
        weights |= clip(prefix, found)
        if projection is not None:
            weights[prefix + "text_projection.weight"] = projection
    return weights


def written(weights: dict[str, Tensor], target: Path) -> Path:
    """Writes weights as a safetensors file and returns it."""
    save_file({name: value.contiguous().clone() for name, value in weights.items()}, target)
    return target


def written_gguf(weights: dict[str, Tensor], target: Path) -> Path:
    """Writes weights as a GGUF file and returns it: matrices in 8 bits, the rest in float32."""
    import gguf

    writer = gguf.GGUFWriter(str(target), "flux")
    kind = gguf.GGMLQuantizationType.Q8_0
    for name, value in weights.items():
        array = value.float().numpy()
        if array.ndim == 2 and array.shape[1] % 32 == 0:
            writer.add_tensor(name, gguf.quants.quantize(array, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target
