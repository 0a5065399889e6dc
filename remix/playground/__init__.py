"""The bundled model: a tiny text-to-image model in diffusers' format, and its networks in plain torch.

It makes pictures of 128x128 pixels from prompts of simple words, on a CPU in about a second. `remix.client.playground`
has its vocabulary and its training. Importing this package loads no torch.
"""

from __future__ import annotations

from pathlib import Path

from remix.catalog.families import FAMILIES

__all__ = ["TOKENS", "VAE_SCALE", "WEIGHTS"]

WEIGHTS: Path = Path(__file__).with_name("weights")
"""The folder of the model, for `StableDiffusionPipeline.from_pretrained`."""

TOKENS = 32
"""Positions of its text encoder; a prompt has two fewer tokens per chunk."""

VAE_SCALE = FAMILIES["playground"].vae_scale
"""Scaling factor of the latents of its VAE."""
