"""A tiny GAN and a tiny VAE of the playground world, to compare with its diffusion model.

Like the diffusion model they make latents [4, 16, 16], and the same decoder turns these into pictures. So all that
differs is how a latent comes from noise: in one pass of a network (GAN and VAE), or step by step. They read no prompts.

`python -m remix.client.playground.train_generators` trains both on drawn pictures and writes `generators.safetensors`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

KEPT: Path = Path(__file__).with_name("generators.safetensors")
"""The file of the trained networks."""

NUMBERS = 32
"""The length of the random vector from which both networks make a latent."""

CHANNELS = 4
_WIDTHS = (96, 64, 32)
_SLOPE = 0.2


class Generator(nn.Module):
    """Makes latents from random vectors: the generator of the GAN, and the decoder of the VAE."""

    def __init__(self) -> None:
        super().__init__()
        first, second, third = _WIDTHS
        self.begin = nn.Linear(NUMBERS, first * 16)
        self.at_4 = nn.Conv2d(first, first, 3, padding=1)
        self.at_8 = nn.Conv2d(first, second, 3, padding=1)
        self.at_16 = nn.Conv2d(second, third, 3, padding=1)
        self.last = nn.Conv2d(third, third, 3, padding=1)
        self.norms = nn.ModuleList(nn.GroupNorm(8, width) for width in (first, *_WIDTHS, third))
        self.out = nn.Conv2d(third, CHANNELS, 3, padding=1)

    def forward(self, vectors: Tensor) -> Tensor:
        """Returns scaled latents [B, 4, 16, 16] of vectors [B, 32], which are drawn with variance 1."""
        x = self.begin(vectors).view(-1, _WIDTHS[0], 4, 4)
        x = self.at_4(F.relu(self.norms[0](x)))
        x = F.interpolate(F.relu(self.norms[1](x)), scale_factor=2.0)
        x = F.interpolate(F.relu(self.norms[2](self.at_8(x))), scale_factor=2.0)
        x = F.relu(self.norms[3](self.at_16(x)))
        x = F.relu(self.norms[4](self.last(x)))
        made: Tensor = self.out(x)
        return made


class Reader(nn.Module):
    """Reads latents [B, 4, 16, 16] and returns `outputs` numbers of each: [B, outputs].

    It is the encoder of the VAE (means and log variances). The critic of the GAN is one, too, see the training.
    `extra` is the number of features that a subclass adds.
    """

    def __init__(self, outputs: int, *, extra: int = 0) -> None:
        super().__init__()
        first, second, third = _WIDTHS
        self.at_16 = nn.Conv2d(CHANNELS, third, 3, padding=1)
        self.to_8 = nn.Conv2d(third, second, 4, stride=2, padding=1)
        self.to_4 = nn.Conv2d(second, first, 4, stride=2, padding=1)
        self.at_4 = nn.Conv2d(first + extra, first, 3, padding=1)
        self.out = nn.Linear(first * 16, outputs)

    def forward(self, latents: Tensor) -> Tensor:
        """Returns the numbers that the network reads in scaled latents."""
        x = F.leaky_relu(self.at_4(self.features(latents)), _SLOPE)
        read: Tensor = self.out(x.flatten(1))
        return read

    def features(self, latents: Tensor) -> Tensor:
        """Returns the features of the places of 4x4."""
        x = latents
        for layer in (self.at_16, self.to_8, self.to_4):
            x = F.leaky_relu(layer(x), _SLOPE)
        return x


@dataclass(frozen=True)
class Generators:
    """The trained networks."""

    gan: Generator
    vae: Generator
    encoder: Reader

    @torch.inference_mode()
    def encoded(self, latents: Tensor) -> Tensor:
        """Returns the vectors [B, 32] that the VAE's encoder reads in scaled latents [B, 4, 16, 16]."""
        return self.encoder(latents)[:, :NUMBERS]


@lru_cache(1)
def trained() -> Generators:
    """Returns the bundled networks in float32."""
    weights = load_file(KEPT)
    made = Generators(Generator(), Generator(), Reader(2 * NUMBERS))
    for name in ("gan", "vae", "encoder"):
        network: nn.Module = getattr(made, name)
        network.load_state_dict(_below(weights, name))
        network.requires_grad_(False).eval()
    return made


def _below(weights: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    start = f"{name}."
    return {key.removeprefix(start): value.float() for key, value in weights.items() if key.startswith(start)}
