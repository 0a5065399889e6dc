"""A small Flux of random weights in the layout that a real Forge loads, with the configurations of its parts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

from tests.real.comfyui.models import FLUX_LATENT, UNET, Weights, flux_transformer

WIDTH = 64
"""Of both text encoders."""

VAE, CLIP, T5 = "vae.", "text_encoders.clip_l.transformer.text_model.", "text_encoders.t5xxl.transformer."
CONFIGURATIONS = Path("backend/huggingface/black-forest-labs/FLUX.1-dev")

TEXT: dict[str, Any] = {"hidden_size": WIDTH, "intermediate_size": WIDTH, "num_attention_heads": 1}
TEXT |= {"num_hidden_layers": 1, "projection_dim": WIDTH}
TEXT_2: dict[str, Any] = {"d_model": WIDTH, "d_kv": WIDTH, "d_ff": WIDTH, "num_heads": 1, "num_layers": 2}
PICTURE: dict[str, Any] = {"block_out_channels": [32, 32, 32, 32], "layers_per_block": 1}


def flux(forge: Path, models: Path) -> str:
    """Writes a checkpoint, and the configurations of its parts next to it, into a folder of models. Returns its name.

    Its tokenizers, and everything that these do not set, are the host's own.
    """
    folder = models / "small-flux"
    shutil.copytree(forge / CONFIGURATIONS, folder)
    clip = CLIPTextConfig(**_changed(folder / "text_encoder" / "config.json", TEXT))
    t5 = T5Config(**_changed(folder / "text_encoder_2" / "config.json", TEXT_2))
    vae = _changed(folder / "vae" / "config.json", PICTURE)
    with torch.random.fork_rng():
        torch.manual_seed(11)
        made = {f"{UNET}{name}": tensor for name, tensor in flux_transformer(WIDTH, WIDTH).items()}
        text = CLIPTextModel(clip).state_dict()
        made |= {f"{CLIP}{name.removeprefix('text_model.')}": tensor for name, tensor in text.items()}
        made |= {f"{T5}{name}": tensor for name, tensor in T5EncoderModel(t5).state_dict().items()}
        made |= {f"{VAE}{name}": tensor for name, tensor in _decided(AutoencoderKL.from_config(vae)).items()}
    path = models / "Stable-diffusion" / "small-flux.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.half().contiguous().clone() for name, tensor in made.items()}, path)
    return path.stem


def _decided(vae: Any) -> Weights:
    """The weights of a VAE with strong colors, whose encoder draws almost no noise."""
    weights: dict[str, Tensor] = vae.state_dict()
    weights["decoder.conv_out.weight"] *= 4
    weights["encoder.conv_out.bias"][FLUX_LATENT:] = -30
    weights["encoder.conv_out.weight"][FLUX_LATENT:] = 0
    return weights


def _changed(path: Path, changes: dict[str, Any]) -> dict[str, Any]:
    """A configuration with changes, which it is written with."""
    config = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps(config), encoding="utf-8")
    return dict(config)
