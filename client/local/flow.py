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

    shift: float
    count: int = 1000

    @classmethod
    def from_config(cls, config: Mapping[str, Any], places: int) -> FlowLevels:
        """Returns the levels of a diffusers scheduler's config for a picture with this number of latent `places`.

        The shift is constant, or grows with the picture as e^(m places + b), as in ComfyUI's ModelSamplingFlux, whose
        table of levels is ten times as fine.
        """
        if not config.get("use_dynamic_shifting", False):
            return cls(float(config.get("shift", 1.0)))
        fewest, most = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
        low, high = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
        return cls(math.exp(low + (high - low) * (places - fewest) / (most - fewest)), 10_000)

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

    def __init__(self, model: Model, checkpoint: Checkpoint, place: Place, kind: Any, packed: int = 1) -> None:
        super().__init__(model, checkpoint, place, kind, packed=packed, patch=PATCH)
        self._noise = checkpoint.scheduler_config()
        self.levels_at(self.multiple, self.multiple)  # raises for invalid settings before any sampling

    def levels_at(self, width: int, height: int) -> FlowLevels:
        """Returns the noise levels for pictures of this size."""
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
