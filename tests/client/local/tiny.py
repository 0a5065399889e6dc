"""Tiny random models of the families that the local engine runs, made in well under a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from remix.client.playground import WEIGHTS

WIDTH = 64
"""Of the first text encoder; heads of 64 channels, as in the real ones, so that shapes tell their number."""


def stable_diffusion(folder: Path, *, prediction: str = "epsilon", seed: int = 0, second: bool = False) -> Path:
    """Saves a random SD1 pipeline, or with `second` an SD2 one, into `folder` and returns it: 8x smaller latents."""
    torch.manual_seed(seed)
    words = tokenizer("!" if second else None)
    pipeline = StableDiffusionPipeline(
        vae=vae(0.18215),
        text_encoder=CLIPTextModel(text(words, WIDTH, "gelu" if second else "quick_gelu")),
        tokenizer=words,
        unet=unet(WIDTH, linear=second),
        scheduler=scheduler(prediction),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def stable_diffusion_xl(folder: Path, *, seed: int = 0) -> Path:
    """Saves a random SDXL pipeline into `folder` and returns it."""
    torch.manual_seed(seed)
    words, others = tokenizer(), tokenizer("!")
    second = 2 * WIDTH
    pipeline = StableDiffusionXLPipeline(
        vae=vae(0.13025),
        text_encoder=CLIPTextModel(text(words, WIDTH, "quick_gelu")),
        text_encoder_2=CLIPTextModelWithProjection(text(others, second, "gelu")),
        tokenizer=words,
        tokenizer_2=others,
        unet=unet(
            WIDTH + second,
            linear=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=256,
            projection_class_embeddings_input_dim=second + 6 * 256,
        ),
        scheduler=scheduler("epsilon"),
        add_watermarker=False,
    )
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def tokenizer(pad: str | None = None) -> CLIPTokenizer:
    """Returns the playground's tokenizer, padding with `pad` or with its end token."""
    return CLIPTokenizer.from_pretrained(WEIGHTS / "tokenizer", **({"pad_token": pad} if pad else {}))


def text(words: CLIPTokenizer, width: int, activation: str) -> CLIPTextConfig:
    """Returns the settings of a text encoder of 3 layers."""
    return CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=3,
        num_attention_heads=width // 64,
        max_position_embeddings=words.model_max_length,
        projection_dim=width,
        hidden_act=activation,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )


def unet(cross: int, *, linear: bool, **more: Any) -> UNet2DConditionModel:
    """Returns a U-Net of 2 levels, the first with attention; `linear`: SD2's and SDXL's kind of attention."""
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=(64, 128) if linear else (32, 64),
        layers_per_block=1,
        cross_attention_dim=cross,
        attention_head_dim=(1, 2) if linear else 8,
        use_linear_projection=linear,
        **more,
    )


def vae(scale: float) -> AutoencoderKL:
    """Returns a VAE that makes latents 8 times smaller."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(32, 32, 32, 32),
        layers_per_block=1,
        latent_channels=4,
        scaling_factor=scale,
    )


def scheduler(prediction: str) -> DDIMScheduler:
    """Returns SD's noise, and the steps that agree with ComfyUI's ddim on `simple` levels."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type=prediction,
        clip_sample=False,
        set_alpha_to_one=True,
        timestep_spacing="trailing",
        steps_offset=1,
    )
