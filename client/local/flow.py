"""Shared by SD3 and Flux: a transformer that was trained on straight paths from latents to noise.

Liu et al., "Flow Straight and Fast" (2022), and Esser et al., "Scaling Rectified Flow Transformers for
High-Resolution Image Synthesis" (2024): a noisy latent is x = (1 - sigma) x0 + sigma * noise with sigma in 0..1, and
the network predicts the velocity noise - x0, so that x0 = x - sigma * velocity. The samplers' steps are the same as
with added noise: in both cases, x at another level is x0 + (x - x0) * after / now.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from remix.client.local.checkpoints import Checkpoint
from remix.client.local.devices import Place
from remix.client.local.latent_model import LatentModel
from remix.mix import Conditioning
from remix.plan import Model

PATCH = 2
"""The transformers of both families use patches of 2x2 latent positions."""


@dataclass(frozen=True)
class FlowLevels:
    """The levels of a flow: t in 0..1, shifted towards noise by `shift`, at `count` evenly spaced t."""

    flow = True

    shift: float
    count: int = 1000
    terminal: float | None = None
    """The last level before 0, to which every schedule is stretched."""

    @classmethod
    def from_config(cls, config: Mapping[str, Any], places: int) -> FlowLevels:
        """Returns the levels of a diffusers scheduler's config for a picture with this number of latent `places`.

        The shift is constant, or grows with the picture as e^(m places + b), as in ComfyUI's ModelSamplingFlux, whose
        table of levels is ten times as fine.
        """
        terminal = config.get("shift_terminal")
        if not config.get("use_dynamic_shifting", False):
            return cls(float(config.get("shift", 1.0)), terminal=terminal)
        fewest, most = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
        low, high = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
        return cls(math.exp(low + (high - low) * (places - fewest) / (most - fewest)), 10_000, terminal)

    @cached_property
    def table(self) -> Tensor:
        """The levels in ascending order up to 1: float64 [count]."""
        return self.sigma(torch.arange(1, self.count + 1, dtype=torch.float64) / self.count)

    @property
    def ends(self) -> tuple[float, float]:
        """The t between which `normal` spaces its steps: 1, and the least level instead of its t, as in ComfyUI."""
        return 1.0, float(self.table[0])

    def __len__(self) -> int:
        return self.count

    def sigma(self, t: Tensor) -> Tensor:
        """Returns the level at t."""
        return self.shift * t / (1 + (self.shift - 1) * t)

    def stretched(self, sigmas: Tensor) -> Tensor:
        """Returns a whole schedule whose last level before 0 is `terminal`, if there is one."""
        if self.terminal is None or sigmas[-2] == 1:
            return sigmas
        signal = 1 - sigmas[:-1]
        return torch.cat([1 - signal * (1 - self.terminal) / signal[-1], sigmas[-1:]])

    def noised(self, latent: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
        """Returns the clean `latent` [B, c, h, w] interpolated towards noise, at level sigma [B]."""
        share = sigma.view(-1, 1, 1, 1)
        return (1 - share) * latent + share * noise

    def begun(self, latent: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
        """Returns the start of sampling at level sigma [B]. At 1 it is pure noise."""
        return self.noised(latent, noise, sigma)


class FlowModel(LatentModel):
    """Base class of flow models. Subclasses add text encoders and the call of the transformer."""

    part = "transformer"

    def __init__(
        self, model: Model, checkpoint: Checkpoint, place: Place, kind: Any, packed: int = 1, patch: int = PATCH
    ) -> None:
        super().__init__(model, checkpoint, place, kind, packed=packed, patch=patch)
        self._noise = checkpoint.scheduler_config()
        self.levels_at(self.multiple, self.multiple, 1)  # raises for invalid settings before any sampling

    def levels_at(self, width: int, height: int, steps: int) -> FlowLevels:
        """Returns the noise levels for pictures of this size, in this many steps."""
        return FlowLevels.from_config(self._noise, (width // self.multiple) * (height // self.multiple))

    @abstractmethod
    def velocity(self, x: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        """Returns the transformer's output, [B, c, h, w], for x in its precision."""

    @torch.inference_mode()
    def estimate(self, x: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        """Returns the model's estimate of the clean latent, float32 [B, c, h, w].

        x [B, c, h, w] at noise level sigma [B]; `conditioning` has batch B.
        """
        velocity = self.velocity(x.to(self.place.dtype), sigma, conditioning)
        return x - velocity.float() * sigma.view(-1, 1, 1, 1)

    def placed(self, tensor: Tensor) -> Tensor:
        """Returns a tensor on the transformer's device, in its precision."""
        return tensor.to(self.place.device, self.place.dtype)


def packed(x: Tensor) -> Tensor:
    """Returns latents [B, c, 2 h, 2 w] as rows of patches [B, h w, 4 c]."""
    return torch.nn.functional.pixel_unshuffle(x, PATCH).flatten(2).transpose(1, 2)


def unpacked(rows: Tensor, height: int, width: int) -> Tensor:
    """Returns rows of patches [B, h w, 4 c] as latents [B, c, 2 h, 2 w]."""
    return torch.nn.functional.pixel_shuffle(rows.transpose(1, 2).unflatten(2, (height, width)), PATCH)


def positions(height: int, width: int, device: torch.device) -> Tensor:
    """Returns the position of each patch: [h w, 3]. The first of the three coordinates is unused."""
    down, across = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([torch.zeros_like(down), down, across], dim=-1).flatten(0, 1).to(device)
