"""Tiny random models whose text encoder is a language model, made in well under a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, ZImagePipeline, ZImageTransformer2DModel
from tokenizers.pre_tokenizers import ByteLevel
from transformers import Qwen2Tokenizer, Qwen3Config, Qwen3Model

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
