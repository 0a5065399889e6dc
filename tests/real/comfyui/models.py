"""Tiny models with random weights, in layouts that a real ComfyUI detects, loads and runs on a processor in seconds."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

Weights = dict[str, Tensor]

UNET, VAE = "model.diffusion_model.", "first_stage_model."
CHANNELS, TIMES = 320, 1280
HINT = (3, 16, 16, 32, 32, 96, 96, 256, CHANNELS)
"""The channels on a ControlNet's way from a picture to the first block."""

VEGA = (0, 0, 1, 1, 2, 2)
"""Depths of the transformers on the way down, two blocks for a level, by which the host tells Segmind Vega: an SDXL
with the fewest."""
SDXL_TEXT, SDXL_LABEL = 2048, 2816

WIDTH = 128
"""Of Flux's blocks: one head of attention."""
FLUX_LATENT, FLUX_TEXT, FLUX_POOLED = 16, 4096, 768


def control_net(checkpoint: Path, path: Path) -> None:
    """Writes a ControlNet for the U-Net of a checkpoint of one level: its way down, and joints that are not zero."""
    unet = dict(part(checkpoint, UNET))
    made = {name: tensor for name, tensor in unet.items() if name.startswith(("time_embed.", "input_blocks."))}
    for name, tensor in unet.items():
        block, _, rest = name.removeprefix("input_blocks.1.").partition(".")
        if name.startswith("input_blocks.1."):
            for place in {"0": ("0", "2"), "1": ("1",)}[block]:
                made[f"middle_block.{place}.{rest}"] = tensor
    for name in ("zero_convs.0.0", "zero_convs.1.0", "middle_block_out.0"):
        made |= layer(name, CHANNELS, CHANNELS, 1, 1)
    for at, (before, after) in enumerate(pairwise(HINT)):
        made |= layer(f"input_hint_block.{2 * at}", after, before, 3, 3)
    save_file({name: tensor.float().contiguous().clone() for name, tensor in made.items()}, path)


def sdxl(checkpoint: Path, path: Path) -> None:
    """Writes a checkpoint of SDXL's layout without text encoders, as narrow as can be; its VAE is `checkpoint`'s."""
    made = layer("time_embed.0", TIMES, CHANNELS) | layer("time_embed.2", TIMES, TIMES)
    made |= layer("label_emb.0.0", TIMES, SDXL_LABEL) | layer("label_emb.0.2", TIMES, TIMES)
    made |= layer("input_blocks.0.0", CHANNELS, 4, 3, 3)
    at = 1
    for block, depth in enumerate(VEGA):
        made |= residual(f"input_blocks.{at}.0", CHANNELS)
        if depth:
            made |= transformer(f"input_blocks.{at}.1", depth)
        if block in (1, 3):
            at += 1
            made |= layer(f"input_blocks.{at}.0.op", CHANNELS, CHANNELS, 3, 3)
        at += 1
    for at in range(9):
        made |= residual(f"output_blocks.{at}.0", 2 * CHANNELS)
        if at in (2, 5):
            made |= layer(f"output_blocks.{at}.1.conv", CHANNELS, CHANNELS, 3, 3)
    made |= norm("out.0", CHANNELS) | layer("out.2", 4, CHANNELS, 3, 3)
    whole = {f"{UNET}{name}": tensor for name, tensor in made.items()}
    whole |= {f"{VAE}{name}": tensor for name, tensor in part(checkpoint, VAE)}
    torch.save(whole, path)  # views of one pool are stored once


def flux(checkpoint: Path, path: Path) -> None:
    """Writes a checkpoint of Flux's layout with one block of each kind; its VAE is `checkpoint`'s for 16 channels."""
    vae = dict(part(checkpoint, VAE))
    for name, axis in (("taesd_encoder.14.weight", 0), ("taesd_encoder.14.bias", 0), ("taesd_decoder.1.weight", 1)):
        room = list(vae[name].shape)
        room[axis] = FLUX_LATENT - room[axis]
        vae[name] = torch.cat([vae[name], vae[name].new_zeros(room)], dim=axis)
    whole = {f"{UNET}{name}": tensor for name, tensor in flux_transformer().items()}
    torch.save(whole | {f"vae.{name}": tensor for name, tensor in vae.items()}, path)


def flux_transformer(text: int = FLUX_TEXT, pooled: int = FLUX_POOLED) -> Weights:
    """Flux's transformer with one block of each kind, for prompts so wide."""
    made = layer("img_in", WIDTH, 4 * FLUX_LATENT) | layer("txt_in", WIDTH, text)
    for name, seen in (("time_in", 256), ("vector_in", pooled), ("guidance_in", 256)):
        made |= layer(f"{name}.in_layer", WIDTH, seen) | layer(f"{name}.out_layer", WIDTH, WIDTH)
    for stream in ("double_blocks.0.img", "double_blocks.0.txt"):
        made |= layer(f"{stream}_mod.lin", 6 * WIDTH, WIDTH)
        made |= layer(f"{stream}_attn.qkv", 3 * WIDTH, WIDTH) | layer(f"{stream}_attn.proj", WIDTH, WIDTH)
        made |= layer(f"{stream}_mlp.0", 4 * WIDTH, WIDTH) | layer(f"{stream}_mlp.2", WIDTH, 4 * WIDTH)
        made |= scales(f"{stream}_attn.norm")
    made |= layer("single_blocks.0.linear1", 7 * WIDTH, WIDTH) | layer("single_blocks.0.linear2", WIDTH, 5 * WIDTH)
    made |= layer("single_blocks.0.modulation.lin", 3 * WIDTH, WIDTH) | scales("single_blocks.0.norm")
    return (
        made
        | layer("final_layer.linear", 4 * FLUX_LATENT, WIDTH)
        | layer("final_layer.adaLN_modulation.1", 2 * WIDTH, WIDTH)
    )


def part(checkpoint: Path, prefix: str) -> Iterator[tuple[str, Tensor]]:
    """Yields the weights of a checkpoint whose names begin so, without that beginning."""
    loaded = torch.load(checkpoint, weights_only=True)
    for name, tensor in loaded.get("state_dict", loaded).items():
        if name.startswith(prefix):
            yield name.removeprefix(prefix), tensor


def residual(name: str, before: int) -> Weights:
    """A residual block, to CHANNELS."""
    made = norm(f"{name}.in_layers.0", before) | layer(f"{name}.in_layers.2", CHANNELS, before, 3, 3)
    made |= layer(f"{name}.emb_layers.1", CHANNELS, TIMES) | norm(f"{name}.out_layers.0", CHANNELS)
    made |= layer(f"{name}.out_layers.3", CHANNELS, CHANNELS, 3, 3)
    return made if before == CHANNELS else made | layer(f"{name}.skip_connection", CHANNELS, before, 1, 1)


def transformer(name: str, depth: int, text: int = SDXL_TEXT) -> Weights:
    """Transformer blocks with linear projections, which attend to prompts of so many channels."""
    made = norm(f"{name}.norm", CHANNELS)
    made |= layer(f"{name}.proj_in", CHANNELS, CHANNELS) | layer(f"{name}.proj_out", CHANNELS, CHANNELS)
    for block in (f"{name}.transformer_blocks.{at}" for at in range(depth)):
        for attention, seen in (("attn1", CHANNELS), ("attn2", text)):
            made |= layer(f"{block}.{attention}.to_q", CHANNELS, CHANNELS, bias=False)
            made |= layer(f"{block}.{attention}.to_k", CHANNELS, seen, bias=False)
            made |= layer(f"{block}.{attention}.to_v", CHANNELS, seen, bias=False)
            made |= layer(f"{block}.{attention}.to_out.0", CHANNELS, CHANNELS)
        made |= layer(f"{block}.ff.net.0.proj", 8 * CHANNELS, CHANNELS)
        made |= layer(f"{block}.ff.net.2", CHANNELS, 4 * CHANNELS)
        for at in (1, 2, 3):
            made |= norm(f"{block}.norm{at}", CHANNELS)
    return made


def scales(name: str) -> Weights:
    """What queries and keys of Flux's attention are scaled by."""
    return {f"{name}.{seen}_norm.scale": torch.ones(WIDTH) for seen in ("query", "key")}


def norm(name: str, channels: int) -> Weights:
    return {f"{name}.weight": torch.ones(channels), f"{name}.bias": torch.zeros(channels)}


def layer(name: str, *shape: int, bias: bool = True) -> Weights:
    """A linear layer [after, before] or a convolution [after, before, h, w], which keeps the size of its numbers."""
    made = {f"{name}.weight": random(name, *shape)}
    return made | {f"{name}.bias": torch.zeros(shape[0])} if bias else made


def random(name: str, *shape: int) -> Tensor:
    """Numbers that the name decides: a view of a pool."""
    size, start = torch.Size(shape).numel(), zlib.crc32(name.encode()) % 4096
    return pool(torch.Size(shape[1:]).numel())[start : start + size].view(shape)


@cache
def pool(fan_in: int) -> Tensor:
    return torch.randn(1 << 22, generator=torch.Generator().manual_seed(fan_in)).mul(fan_in**-0.5).half()
