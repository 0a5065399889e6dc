"""LoRAs of random numbers for checkpoints in SD 1.5's layout, written where a host looks for them."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

MIDDLE = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_out_0"
LAYERS = {
    MIDDLE: 320,
    "lora_te_text_model_encoder_layers_0_self_attn_q_proj": 768,
}
"""A layer of the U-Net and one of the text encoder of `tiny-sd15.safetensors`, and their widths."""


def write_lora(path: Path, layers: dict[str, int] | None = None, scale: float = 0.1) -> None:
    """Writes a LoRA that changes these layers."""
    noise, lora = torch.Generator().manual_seed(1), dict[str, torch.Tensor]()
    for layer, width in (LAYERS if layers is None else layers).items():
        lora[f"{layer}.alpha"] = torch.tensor(4.0)
        lora[f"{layer}.lora_up.weight"] = torch.randn((width, 4), generator=noise) * scale
        lora[f"{layer}.lora_down.weight"] = torch.randn((4, width), generator=noise) * scale
    save_file(lora, path)


def write_broken_lora(folder: Path, layer: str) -> None:
    """Writes broken.safetensors, after which this layer, 320 wide, gives no finite number."""
    folder.mkdir(exist_ok=True)
    write_lora(folder / "broken.safetensors", {layer: 320}, float("nan"))
