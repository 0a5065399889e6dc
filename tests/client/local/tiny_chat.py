"""Tiny random models whose text encoder is a language model, made in well under a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLFlux2,
    AutoencoderKLQwenImage,
    ChromaPipeline,
    ChromaTransformer2DModel,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
    Krea2Pipeline,
    Krea2Transformer2DModel,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3Model,
    Qwen3VLConfig,
    Qwen3VLModel,
)

from tests.client.local import tiny

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n{% if enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}"
)
"""Qwen3's chat template for messages without tools."""

WIDTH = 32


def z_image(folder: Path) -> Path:
    """Saves a random Z-Image pipeline into `folder` and returns it."""
    torch.manual_seed(0)
    words = tokenizer()
    pipeline = ZImagePipeline(
        vae=tiny.vae(0.3611, channels=16, shift=0.1159),
        text_encoder=Qwen3Model(qwen3(words, layers=3)),
        tokenizer=words,
        transformer=ZImageTransformer2DModel(
            dim=32,
            n_layers=1,
            n_refiner_layers=1,
            n_heads=2,
            n_kv_heads=2,
            cap_feat_dim=WIDTH,
            axes_dims=[4, 6, 6],
            axes_lens=[1024, 64, 64],
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    )
    torch.nn.init.normal_(pipeline.transformer.x_pad_token)
    torch.nn.init.normal_(pipeline.transformer.cap_pad_token)
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def qwen_image(folder: Path) -> Path:
    """Saves a random Qwen-Image pipeline into `folder` and returns it."""
    torch.manual_seed(0)
    words = tokenizer()
    seeing = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": WIDTH}
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}
    pipeline = QwenImagePipeline(
        vae=qwen_vae(),
        text_encoder=Qwen2_5_VLForConditionalGeneration(
            Qwen2_5_VLConfig(text_config={**decoder(words, layers=2), "rope_parameters": rope}, vision_config=seeing)
        ),
        tokenizer=words,
        transformer=QwenImageTransformer2DModel(
            in_channels=64,
            out_channels=16,
            num_layers=2,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=WIDTH,
            axes_dims_rope=(4, 6, 6),
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(
            use_dynamic_shifting=True, max_shift=0.9, max_image_seq_len=8192, shift_terminal=0.02
        ),
    )
    tiny.emphasize_prompt(pipeline.transformer)
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def flux2(folder: Path) -> Path:
    """Saves a random Flux.2 Klein pipeline into `folder` and returns it."""
    torch.manual_seed(0)
    words = tokenizer()
    pipeline = Flux2KleinPipeline(
        vae=AutoencoderKLFlux2(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(32, 32, 32, 32),
            layers_per_block=1,
            latent_channels=4,
        ),
        text_encoder=Qwen3ForCausalLM(qwen3(words, layers=28)),
        tokenizer=words,
        transformer=Flux2Transformer2DModel(
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=3 * WIDTH,
            timestep_guidance_channels=32,
            axes_dims_rope=(4, 4, 4, 4),
            guidance_embeds=False,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift=3.0),
    )
    torch.nn.init.normal_(pipeline.vae.bn.running_mean)
    torch.nn.init.uniform_(pipeline.vae.bn.running_var, 0.5, 2)
    tiny.emphasize_prompt(pipeline.transformer)
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def chroma(folder: Path) -> Path:
    """Saves a random Chroma pipeline into `folder` and returns it."""
    torch.manual_seed(0)
    pieces = tiny.t5_tokenizer()
    pipeline = ChromaPipeline(
        vae=tiny.vae(0.3611, channels=16, shift=0.1159),
        text_encoder=tiny.t5(pieces, WIDTH),
        tokenizer=pieces,
        transformer=ChromaTransformer2DModel(
            in_channels=64,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=WIDTH,
            axes_dims_rope=(4, 6, 6),
            approximator_num_channels=16,
            approximator_hidden_dim=32,
            approximator_layers=1,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift=3.0),
    )
    tiny.emphasize_prompt(pipeline.transformer)
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def krea2(folder: Path, *, distilled: bool = False) -> Path:
    """Saves a random Krea 2 pipeline into `folder` and returns it."""
    torch.manual_seed(0)
    words = tokenizer()
    seeing = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": WIDTH}
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0, "mrope_interleaved": True}
    text = {**decoder(words, layers=4), "head_dim": WIDTH // 2, "rope_parameters": rope}
    pipeline = Krea2Pipeline(
        vae=qwen_vae(),
        text_encoder=Qwen3VLModel(
            Qwen3VLConfig(text_config=text, vision_config={**seeing, "deepstack_visual_indexes": [0]})
        ),
        tokenizer=words,
        transformer=Krea2Transformer2DModel(
            in_channels=64,
            num_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            num_key_value_heads=1,
            intermediate_size=64,
            timestep_embed_dim=32,
            text_hidden_dim=WIDTH,
            num_text_layers=2,
            text_num_attention_heads=2,
            text_num_key_value_heads=2,
            text_intermediate_size=64,
            num_layerwise_text_blocks=1,
            num_refiner_text_blocks=1,
            axes_dims_rope=(4, 6, 6),
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, max_image_seq_len=6400),
        text_encoder_select_layers=(1, 3),
        is_distilled=distilled,
    )
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def qwen_vae() -> AutoencoderKLQwenImage:
    """Returns Qwen-Image's kind of VAE, with its own means and deviations of the 16 channels."""
    return AutoencoderKLQwenImage(base_dim=8, dim_mult=[1, 1, 1, 1], num_res_blocks=1)


def tokenizer() -> Qwen2Tokenizer:
    """Returns a tokenizer of Qwen's kind, which knows bytes instead of words."""
    vocabulary = {letter: number for number, letter in enumerate(sorted(ByteLevel.alphabet()))}
    made = Qwen2Tokenizer(vocab=vocabulary, merges=[], chat_template=TEMPLATE)
    made.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    return made


def qwen3(words: Qwen2Tokenizer, layers: int) -> Qwen3Config:
    """Returns the settings of a language model."""
    return Qwen3Config(**decoder(words, layers), head_dim=WIDTH // 2)


def decoder(words: Qwen2Tokenizer, layers: int) -> dict[str, Any]:
    """Returns the settings that all language models share."""
    return {
        "vocab_size": len(words),
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 2048,
        "pad_token_id": words.pad_token_id,
    }
