"""GPU memory that the weights of models need with --offload and --quantize. Run: python -m tests.bench weights

Computed from the models' own sizes, which are the defaults of their classes in diffusers and transformers, without
loading any. Latents and the layers that run come on top: 1 to 3 GB for pictures of 1024x1024.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

BITS = {"half": 16.0, "8bit": 8.0, "4bit": 4.5}
"""Bits for each weight. The four of NF4, like GGUF's Q4_K, have scales for each block."""

T5_XXL = {"d_model": 4096, "d_kv": 64, "d_ff": 10240, "num_layers": 24, "num_heads": 64, "vocab_size": 32128}


def table() -> str:
    """Returns the table as Markdown. "group" needs a layer and the next one, "sequential" one layer."""
    columns = [*(f"model, {name}" for name in BITS), "group, half", "sequential, half"]
    heads = ["Model", "all, half", *columns]
    rows = [heads, ["---"] * len(heads)]
    for title, networks in models():
        weights = [sum(weight.numel() for weight in network.parameters()) for network in networks]
        layer = max(max(layers(network)) for network in networks)
        cells = [*(in_gb(max(weights), bits) for bits in BITS.values()), in_gb(2 * layer, 16.0), in_gb(layer, 16.0)]
        rows.append([title, in_gb(sum(weights), 16.0), *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def in_gb(weights: float, bits: float) -> str:
    """Returns the size of a number of weights."""
    return f"{weights * bits / 8 / 1e9:.1f} GB"


def models() -> Iterator[tuple[str, list[Any]]]:
    """Yields the name of each model, and its large networks, without memory."""
    import diffusers
    import transformers

    t5 = transformers.T5EncoderModel, transformers.T5Config(**T5_XXL, feed_forward_proj="gated-gelu")
    qwen3 = (
        transformers.Qwen3Model,
        transformers.Qwen3Config(
            hidden_size=2560,
            intermediate_size=9728,
            num_hidden_layers=36,
            num_attention_heads=32,
            num_key_value_heads=8,
        ),
    )
    qwen2 = (
        transformers.Qwen2Model,
        transformers.Qwen2Config(
            vocab_size=152064, hidden_size=3584, intermediate_size=18944, num_hidden_layers=28, num_attention_heads=28
        ),
    )
    large = {"num_layers": 38, "num_attention_heads": 38, "caption_projection_dim": 2432, "pooled_projection_dim": 2048}
    klein = {"num_layers": 5, "num_single_layers": 20, "num_attention_heads": 24, "joint_attention_dim": 7680}
    yield "Stable Diffusion 3.5 large", made((diffusers.SD3Transformer2DModel, large), t5)
    yield "Flux.1", made((diffusers.FluxTransformer2DModel, {"guidance_embeds": True}), t5)
    yield "Flux.2 Klein 4B", made((diffusers.Flux2Transformer2DModel, klein), qwen3)
    yield "Z-Image", made((diffusers.ZImageTransformer2DModel, {}), qwen3)
    yield "Qwen-Image", made((diffusers.QwenImageTransformer2DModel, {}), qwen2)


def made(*networks: tuple[Any, Any]) -> list[Any]:
    """Returns networks, made of their classes and settings, without memory."""
    with torch.device("meta"):
        return [kind(**given) if isinstance(given, dict) else kind(given) for kind, given in networks]


def layers(network: Any) -> list[int]:
    """Returns the number of weights of each layer."""
    return [sum(weight.numel() for weight in layer.parameters(recurse=False)) for layer in network.modules()]
