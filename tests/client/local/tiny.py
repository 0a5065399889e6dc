"""Tiny random models of the families that the local engine runs, made in well under a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5TokenizerFast,
)

from remix.client.playground import WEIGHTS
from remix.client.playground import words as vocabulary

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


def stable_diffusion_3(folder: Path, *, seed: int = 0, without_t5: bool = False) -> Path:
    """Saves a random SD3 pipeline into `folder` and returns it."""
    torch.manual_seed(seed)
    first, second, pieces = tokenizer(), tokenizer("!"), t5_tokenizer()
    widest = 4 * WIDTH
    pipeline = StableDiffusion3Pipeline(
        vae=vae(1.5305, channels=16, shift=0.0609),
        text_encoder=CLIPTextModelWithProjection(text(first, WIDTH, "quick_gelu")),
        tokenizer=first,
        text_encoder_2=CLIPTextModelWithProjection(text(second, 2 * WIDTH, "gelu")),
        tokenizer_2=second,
        text_encoder_3=None if without_t5 else t5(pieces, widest),
        tokenizer_3=None if without_t5 else pieces,
        transformer=SD3Transformer2DModel(
            sample_size=8,
            patch_size=2,
            in_channels=16,
            out_channels=16,
            num_layers=2,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=widest,
            caption_projection_dim=32,
            pooled_projection_dim=3 * WIDTH,
            pos_embed_max_size=16,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    )
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def flux(folder: Path, *, seed: int = 0, distilled: bool = True) -> Path:
    """Saves a random Flux pipeline into `folder` and returns it; `distilled` as dev is, else as schnell."""
    torch.manual_seed(seed)
    first, pieces = tokenizer(), t5_tokenizer()
    shift = {"use_dynamic_shifting": True, "shift": 3.0, "base_shift": 0.5, "max_shift": 1.15}
    pipeline = FluxPipeline(
        vae=vae(0.3611, channels=16, shift=0.1159),
        text_encoder=CLIPTextModel(text(first, WIDTH, "quick_gelu")),
        tokenizer=first,
        text_encoder_2=t5(pieces, 2 * WIDTH),
        tokenizer_2=pieces,
        transformer=FluxTransformer2DModel(
            in_channels=64,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=2 * WIDTH,
            pooled_projection_dim=WIDTH,
            guidance_embeds=distilled,
            axes_dims_rope=(4, 6, 6),
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(**shift if distilled else {"shift": 1.0}),
    )
    emphasize_prompt(pipeline.transformer)  # most of T5's tokens are padding
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


@torch.no_grad()
def emphasize_prompt(transformer: Any) -> None:
    """Changes a random transformer with joint attention so that the prompt shows in its pictures."""
    transformer.transformer_blocks[0].attn.add_v_proj.weight *= 50


def t5_tokenizer() -> T5TokenizerFast:
    """Returns a tokenizer of T5's kind: the playground's words; letters and brackets for what they do not cover."""
    whole = sorted({word for known in vocabulary().values() for word in known})
    letters = "▁abcdefghijklmnopqrstuvwxyz()\\"
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -10.0)]
    pieces += [(f"▁{word}", -2.0) for word in whole if len(word) > 1] + [(letter, -5.0) for letter in letters]
    return T5TokenizerFast(vocab=pieces, extra_ids=0)


def t5(pieces: T5TokenizerFast, width: int) -> T5EncoderModel:
    """Returns a T5 encoder of 2 layers."""
    config = T5Config(
        vocab_size=len(pieces), d_model=width, d_kv=16, d_ff=2 * width, num_layers=2, num_heads=2, pad_token_id=0
    )
    return T5EncoderModel(config)


def tokenizer(pad: str | None = None) -> CLIPTokenizer:
    """Returns the playground's tokenizer, padding with `pad` or with its end token."""
    return CLIPTokenizer.from_pretrained(WEIGHTS / "tokenizer", **({"pad_token": pad} if pad else {}))


def text(words: CLIPTokenizer, width: int, activation: str, *, layers: int = 3, wider: int = 2) -> CLIPTextConfig:
    """Returns the settings of a text encoder, between whose layers rows are `wider` times as wide."""
    return CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=width,
        intermediate_size=wider * width,
        num_hidden_layers=layers,
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


def vae(scale: float, channels: int = 4, shift: float | None = None) -> AutoencoderKL:
    """Returns a VAE that makes latents 8 times smaller."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(32, 32, 32, 32),
        layers_per_block=1,
        latent_channels=channels,
        scaling_factor=scale,
        shift_factor=shift,
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
