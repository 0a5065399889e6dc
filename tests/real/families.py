"""Checkpoints of random weights that ComfyUI, A1111 and the local engine all load: in SDXL's layout and in SD 2's.

One safetensors file each, and a yaml next to it for A1111. Parts whose sizes hosts assume are complete: the text
encoders, and the VAE of a checkpoint in SD 1.5's layout. The U-Net, whose sizes hosts read from the weights, is as
small as possible: each level is as wide as the first.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.real.comfyui.models import (
    CHANNELS,
    SDXL_LABEL,
    TIMES,
    UNET,
    VAE,
    Weights,
    layer,
    norm,
    residual,
    transformer,
)

TEXT, ENCODERS = "cond_stage_model.", "conditioner.embedders."
BLOCKS = 2
"""Residual blocks of a level of the U-Net on its way down."""
WORDS, PLACES = 49408, 77


@dataclass(frozen=True)
class OpenClip:
    """A text encoder of OpenCLIP by its name there: its width, and how many layers it has."""

    name: str
    width: int
    layers: int


VIT_H, VIT_BIG_G = OpenClip("ViT-H-14", 1024, 24), OpenClip("ViT-bigG-14", 1280, 32)


def sd2(checkpoint: Path, path: Path) -> None:
    """Writes a checkpoint that predicts velocity, as SD 2.1 does, of the VAE of `checkpoint`."""
    depths = (1, 1, 1, 0)
    made = {f"{UNET}{name}": tensor for name, tensor in unet(depths, VIT_H.width).items()}
    # The spread of this norm is how ComfyUI tells velocity from noise.
    norm = f"{UNET}output_blocks.11.1.transformer_blocks.0.norm1.bias"
    made[norm] = torch.linspace(-0.3, 0.3, CHANNELS)
    made |= open_clip(f"{TEXT}model.", VIT_H)
    _write(checkpoint, made, path, SD2_YAML.format(unet=_shape(depths, VIT_H.width), arch=VIT_H.name, vae=VAE_YAML))


def sdxl(checkpoint: Path, path: Path) -> None:
    """Writes a checkpoint as small as Segmind Vega in its depth, of the VAE and the first encoder of `checkpoint`."""
    depths, width = (0, 1, 2), 768 + VIT_BIG_G.width
    made = unet(depths, width) | layer("label_emb.0.0", TIMES, SDXL_LABEL) | layer("label_emb.0.2", TIMES, TIMES)
    made = {f"{UNET}{name}": tensor for name, tensor in made.items()}
    clip = {name: tensor for name, tensor in load_file(checkpoint).items() if name.startswith(TEXT)}
    made |= {f"{ENCODERS}0.{name.removeprefix(TEXT)}": tensor for name, tensor in clip.items()}
    made |= open_clip(f"{ENCODERS}1.model.", VIT_BIG_G)
    folder = checkpoint.with_suffix(".yaml").read_text(encoding="utf-8").rpartition("version:")[2].strip(" }\n")
    config = f"{_shape(depths, width)}, adm_in_channels: {SDXL_LABEL}, num_classes: sequential"
    about = {"scale": 0.13025, "unet": config, "clip": folder, "arch": VIT_BIG_G.name, "vae": VAE_YAML}
    _write(checkpoint, made, path, SDXL_YAML.format(**about))


def unet(depths: Sequence[int], text: int) -> Weights:
    """A U-Net with linear projections, by the depth of the transformers at each level; `text` wide is what it reads."""
    made = layer("time_embed.0", TIMES, CHANNELS) | layer("time_embed.2", TIMES, TIMES)
    made |= layer("input_blocks.0.0", CHANNELS, 4, 3, 3)
    at = 1
    for level, depth in enumerate(depths):
        for _ in range(BLOCKS):
            made |= _block(f"input_blocks.{at}", CHANNELS, depth, text)
            at += 1
        if level < len(depths) - 1:
            made |= layer(f"input_blocks.{at}.0.op", CHANNELS, CHANNELS, 3, 3)
            at += 1
    deepest = depths[-1] or depths[-2]
    made |= residual("middle_block.0", CHANNELS) | residual("middle_block.2", CHANNELS)
    made |= transformer("middle_block.1", deepest, text)
    at = 0
    for level, depth in reversed(list(enumerate(depths))):
        for block in range(BLOCKS + 1):
            made |= _block(f"output_blocks.{at}", 2 * CHANNELS, depth, text)
            if level and block == BLOCKS:
                made |= layer(f"output_blocks.{at}.{2 if depth else 1}.conv", CHANNELS, CHANNELS, 3, 3)
            at += 1
    return made | norm("out.0", CHANNELS) | layer("out.2", 4, CHANNELS, 3, 3)


def _block(name: str, before: int, depth: int, text: int) -> Weights:
    return residual(f"{name}.0", before) | (transformer(f"{name}.1", depth, text) if depth else {})


def open_clip(prefix: str, of: OpenClip) -> Weights:
    """A text encoder in OpenCLIP's layout."""
    width = of.width
    made = {
        "token_embedding.weight": random("tokens", WORDS, width) * width**0.5,
        "positional_embedding": random("places", PLACES, width) * 0.1 * width**0.5,
        "text_projection": random("text_projection", width, width),
        "logit_scale": torch.tensor(1.0),
    }
    for block in (f"transformer.resblocks.{at}" for at in range(of.layers)):
        for name, after, before in (
            ("attn.in_proj_", 3, 1),
            ("attn.out_proj.", 1, 1),
            ("mlp.c_fc.", 4, 1),
            ("mlp.c_proj.", 1, 4),
        ):
            made[f"{block}.{name}weight"] = random(f"{block}.{name}", after * width, before * width)
            made[f"{block}.{name}bias"] = torch.zeros(after * width)
        made |= norm(f"{block}.ln_1", width) | norm(f"{block}.ln_2", width)
    # A1111 divides by the mean of what comes out: it must not be 0.
    made |= norm("ln_final", width) | {"ln_final.bias": torch.full((width,), 0.15)}
    return {f"{prefix}{name}": tensor for name, tensor in made.items()}


def random(name: str, *shape: int) -> Tensor:
    """Numbers that the name decides, of a layer that keeps the size of what goes through it."""
    spread = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    return torch.randn(shape, generator=spread) * shape[-1] ** -0.5


def _write(checkpoint: Path, made: Mapping[str, Tensor], path: Path, config: str) -> None:
    whole = {name: tensor for name, tensor in load_file(checkpoint).items() if name.startswith(VAE)} | made
    save_file({name: tensor.half().contiguous().clone() for name, tensor in whole.items()}, path)
    path.with_suffix(".yaml").write_text(config, encoding="utf-8")


def _shape(depths: Sequence[int], text: int) -> str:
    """The settings of a U-Net, as A1111's code wants them."""
    at = [2**level for level, depth in enumerate(depths) if depth]
    return (
        f"in_channels: 4, out_channels: 4, model_channels: {CHANNELS}, num_res_blocks: {BLOCKS}, "
        f"channel_mult: {[1] * len(depths)}, attention_resolutions: {at}, num_head_channels: 64, legacy: False, "
        f"use_spatial_transformer: True, use_linear_in_transformer: True, use_checkpoint: False, context_dim: {text}, "
        f"transformer_depth: {max(depths) if len(set(depths) - {0}) == 1 else list(depths)}"
    )


VAE_YAML = (
    "{double_z: true, z_channels: 4, resolution: 256, in_channels: 3, out_ch: 3, ch: 128, ch_mult: [1, 2, 4, 4], "
    "num_res_blocks: 2, attn_resolutions: [], dropout: 0.0}"
)

SD2_YAML = """model:
  target: ldm.models.diffusion.ddpm.LatentDiffusion
  params:
    parameterization: v
    linear_start: 0.00085
    linear_end: 0.0120
    num_timesteps_cond: 1
    timesteps: 1000
    first_stage_key: jpg
    cond_stage_key: txt
    image_size: 64
    channels: 4
    conditioning_key: crossattn
    scale_factor: 0.18215
    use_ema: False
    unet_config:
      target: ldm.modules.diffusionmodules.openaimodel.UNetModel
      params: {{image_size: 32, {unet}}}
    first_stage_config:
      target: ldm.models.autoencoder.AutoencoderKL
      params: {{embed_dim: 4, ddconfig: {vae}, lossconfig: {{target: torch.nn.Identity}}}}
    cond_stage_config:
      target: ldm.modules.encoders.modules.FrozenOpenCLIPEmbedder
      params: {{arch: {arch}, freeze: True, layer: penultimate}}
"""

SDXL_YAML = """model:
  target: sgm.models.diffusion.DiffusionEngine
  params:
    scale_factor: {scale}
    disable_first_stage_autocast: True
    denoiser_config:
      target: sgm.modules.diffusionmodules.denoiser.DiscreteDenoiser
      params:
        num_idx: 1000
        weighting_config: {{target: sgm.modules.diffusionmodules.denoiser_weighting.EpsWeighting}}
        scaling_config: {{target: sgm.modules.diffusionmodules.denoiser_scaling.EpsScaling}}
        discretization_config: {{target: sgm.modules.diffusionmodules.discretizer.LegacyDDPMDiscretization}}
    network_config:
      target: sgm.modules.diffusionmodules.openaimodel.UNetModel
      params: {{{unet}, spatial_transformer_attn_type: softmax-xformers}}
    conditioner_config:
      target: sgm.modules.GeneralConditioner
      params:
        emb_models:
          - is_trainable: False
            input_key: txt
            target: sgm.modules.encoders.modules.FrozenCLIPEmbedder
            params: {{version: {clip}, layer: hidden, layer_idx: 11}}
          - is_trainable: False
            input_key: txt
            target: sgm.modules.encoders.modules.FrozenOpenCLIPEmbedder2
            params: {{arch: {arch}, version: "", freeze: True, layer: penultimate, always_return_pooled: True,
                     legacy: False}}
          - is_trainable: False
            input_key: original_size_as_tuple
            target: sgm.modules.encoders.modules.ConcatTimestepEmbedderND
            params: {{outdim: 256}}
          - is_trainable: False
            input_key: crop_coords_top_left
            target: sgm.modules.encoders.modules.ConcatTimestepEmbedderND
            params: {{outdim: 256}}
          - is_trainable: False
            input_key: target_size_as_tuple
            target: sgm.modules.encoders.modules.ConcatTimestepEmbedderND
            params: {{outdim: 256}}
    first_stage_config:
      target: sgm.models.autoencoder.AutoencoderKLInferenceWrapper
      params:
        embed_dim: 4
        monitor: val/rec_loss
        ddconfig: {vae}
        lossconfig: {{target: torch.nn.Identity}}
"""


def main() -> None:
    """`python -m tests.real.families sdxl tiny-sd15.safetensors whole-sdxl.safetensors` writes a checkpoint."""
    family, checkpoint, path = sys.argv[1:]
    {"sd2": sd2, "sdxl": sdxl}[family](Path(checkpoint), Path(path))


if __name__ == "__main__":
    main()
