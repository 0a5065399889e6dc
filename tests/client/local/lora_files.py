"""LoRA files in the layouts of kohya and PEFT."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from remix.client.local import Local
from remix.plan import Lora, Model

RANK = 2


LAYERS = {
    "unet": (
        "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q",
        "mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0",
        "up_blocks.1.attentions.1.proj_in",
        "down_blocks.0.resnets.0.conv1",
        "up_blocks.0.upsamplers.0.conv",
        "down_blocks.0.downsamplers.0.conv",
        "mid_block.resnets.1.time_emb_proj",
        "time_embedding.linear_1",
        "conv_out",
    ),
    "text_encoder": ("encoder.layers.1.self_attn.q_proj", "encoder.layers.0.mlp.fc1"),
}


def load(folder: str, *loras: Lora) -> Mapping[str, Any]:
    return Local(device="cpu")._loaded._open(Model(folder, loras=loras), ()).parts()


def weight(parts: Mapping[str, Any], part: str, layer: str) -> Tensor:
    network = parts[part]
    inner = getattr(network, "text_model", network) if part != "unet" else network
    return inner.get_submodule(layer).weight


def factors(parts: Mapping[str, Any], part: str, layer: str) -> tuple[Tensor, Tensor, Tensor]:
    """A random down and up for a layer, and what they come to."""
    shape = weight(parts, part, layer).shape
    torch.manual_seed(len(layer))
    down, up = torch.randn(RANK, *shape[1:]), torch.randn(shape[0], RANK, *[1] * (len(shape) - 2))
    return down, up, torch.einsum("or,r...->o...", up.flatten(1), down)


def kohya(part: str, layer: str) -> tuple[str, str, str]:
    start = {"unet": "lora_unet_", "text_encoder": "lora_te_text_model_", "text_encoder_2": "lora_te2_text_model_"}
    name = start[part] + layer.replace(".", "_")
    return f"{name}.lora_down.weight", f"{name}.lora_up.weight", f"{name}.alpha"


def peft(part: str, layer: str) -> tuple[str, str, None]:
    name = f"{part}.{'' if part == 'unet' else 'text_model.'}{layer}"
    return f"{name}.lora_A.weight", f"{name}.lora_B.weight", None


def write(path: Path, parts: Mapping[str, Any], naming: Any, alpha: float | None = None, **metadata: str) -> Lora:
    tensors = {}
    for part, layers in LAYERS.items():
        for layer in layers:
            names = naming(part, layer)
            tensors[names[0]], tensors[names[1]], _ = factors(parts, part, layer)
            if names[2] and alpha is not None:
                tensors[names[2]] = torch.tensor(alpha)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata=metadata or None)
    return Lora(str(path), 0.5)
