"""Flux.2 Klein: 512 rows of three layers of Qwen3, and latents in patches of a batch-normalized VAE."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from remix.client.local.chat import USER, ChatModel, ChatText
from remix.client.local.checkpoints import Checkpoint
from remix.client.local.devices import Place
from remix.client.local.flow import PATCH, FlowLevels
from remix.mix import Conditioning
from remix.plan import Model

ROWS = 512
LAYERS = (9, 18, 27)
WITHOUT_THOUGHT = USER[0], USER[1] + "<think>\n\n</think>\n\n"
"""The chat template of an answer without thinking."""

LARGE = 4300
"""Number of patches from which the shift does not depend on the steps."""


class Flux2Klein(ChatModel):
    """Flux.2 Klein models. Latents are 16 times smaller than pictures, and padding is attended to."""

    family = "flux2"
    masked = False

    def __init__(self, model: Model, checkpoint: Checkpoint, place: Place) -> None:
        from diffusers.models.transformers.transformer_flux2 import Flux2Transformer2DModel
        from transformers import Qwen2Tokenizer, Qwen3Model

        place = place.in_wide_half()
        super().__init__(model, checkpoint, place, Flux2Transformer2DModel, patch=1)
        self.text = ChatText(
            checkpoint.tokenizer("tokenizer", Qwen2Tokenizer),
            checkpoint.component("text_encoder", Qwen3Model, place),
            place,
            template=WITHOUT_THOUGHT,
            layers=LAYERS,
            most=ROWS,
            fewest=ROWS,
        )

    def vae_class(self) -> Any:
        """Returns the class of the VAE."""
        from diffusers.models.autoencoders.autoencoder_kl_flux2 import AutoencoderKLFlux2

        return AutoencoderKLFlux2

    def latent_size(self) -> tuple[int, int]:
        """Returns the channels of a latent, and how many times smaller than a picture it is."""
        channels, factor = super().latent_size()
        return channels * PATCH**2, factor * PATCH

    def levels_at(self, width: int, height: int, steps: int) -> FlowLevels:
        """Returns the noise levels, whose shift depends on the size of the picture and the number of steps."""
        if not self._noise.get("use_dynamic_shifting", False):
            return super().levels_at(width, height, steps)
        return FlowLevels(math.exp(shift_exponent((width // self.factor) * (height // self.factor), steps)), 10_000)

    def normalized(self, latents: Tensor) -> Tensor:
        """Returns the VAE's output as the latents that the network knows: patches of unit variance."""
        mean, deviation = self._statistics(latents)
        return (functional.pixel_unshuffle(latents, PATCH) - mean) / deviation

    def denormalized(self, latents: Tensor) -> Tensor:
        """Returns the network's latents as the VAE's input."""
        mean, deviation = self._statistics(latents)
        return functional.pixel_shuffle(latents * deviation + mean, PATCH)

    def velocity(self, x: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        """Returns the transformer's output, [B, c, h, w], for x in its precision."""
        height, width = x.shape[2:]
        tokens = self.placed(conditioning.tokens)
        out = self.network(
            hidden_states=x.flatten(2).transpose(1, 2),
            timestep=sigma,
            encoder_hidden_states=tokens,
            txt_ids=_positions(1, 1, tokens.shape[1]).to(x.device),
            img_ids=_positions(height, width, 1).to(x.device),
            return_dict=False,
        )[0]
        return out.transpose(1, 2).unflatten(2, (height, width))

    def _statistics(self, like: Tensor) -> tuple[Tensor, Tensor]:
        norm = self.vae.bn
        variance = norm.running_var + self.vae.config.batch_norm_eps
        mean, deviation = (each.view(1, -1, 1, 1).to(like) for each in (norm.running_mean, variance.sqrt()))
        return mean, deviation


def shift_exponent(places: int, steps: int) -> float:
    """Returns the exponent of the shift, which its makers fitted to numbers of patches and of steps.

    >>> round(shift_exponent(4096, 4), 4), round(shift_exponent(5000, 4), 4)
    (2.2912, 1.303)
    """
    many = 0.00016927 * places + 0.45666666  # of 200 steps
    if places > LARGE:
        return many
    few = 8.73809524e-05 * places + 1.89833333  # of 10 steps
    return few + (many - few) * (steps - 10) / 190


def _positions(height: int, width: int, rows: int) -> Tensor:
    """Returns four coordinates for each patch or token, of which the first is unused."""
    axes = (torch.arange(count) for count in (1, height, width, rows))
    return torch.cartesian_prod(*axes)
