"""What SD3 and Flux share: a transformer that was trained on straight ways from latents to noise.

Liu et al., "Flow Straight and Fast" (2022), and Esser et al., "Scaling Rectified Flow Transformers for
High-Resolution Image Synthesis" (2024): a noisy latent is x = (1 - sigma) x0 + sigma * noise with sigma in 0..1, and
the network gives the velocity noise - x0, so that x0 = x - sigma * velocity. Along that way the samplers' steps are
the same as with noise added: x at another level is x0 + (x - x0) * after / now in both.
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
"""The transformers of both families take squares of 2x2 latent places for one."""


@dataclass(frozen=True)
class FlowLevels:
    """The levels of a flow: t in 0..1 moved towards noise by `shift`, at `count` evenly spaced t."""

    shift: float
    count: int = 1000

    @classmethod
    def from_config(cls, config: Mapping[str, Any], places: int) -> FlowLevels:
        """Returns the levels that a diffusers scheduler's config means for a picture of so many `places`.

        One shift for all sizes, or one that grows with the picture, e^(m places + b), as ComfyUI's ModelSamplingFlux
        has it; its table of levels is ten times as fine.
        """
        if not config.get("use_dynamic_shifting", False):
            return cls(float(config.get("shift", 1.0)))
        fewest, most = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
        low, high = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
        return cls(math.exp(low + (high - low) * (places - fewest) / (most - fewest)), 10_000)

    @cached_property
    def table(self) -> Tensor:
        """The levels, rising to 1: float64 [count]."""
        return self.sigma(torch.arange(1, self.count + 1, dtype=torch.float64) / self.count)

    @property
    def ends(self) -> tuple[float, float]:
        """The t between which `normal` spaces its steps: 1, and the least level in place of its t, as in ComfyUI."""
        return 1.0, float(self.table[0])

    def __len__(self) -> int:
        return self.count

    def sigma(self, t: Tensor) -> Tensor:
        """Returns the level at t."""
        return self.shift * t / (1 + (self.shift - 1) * t)

    def noised(self, latent: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
        """Returns the clean `latent` [B, c, h, w] on its way to noise, at level sigma [B]."""
        share = sigma.view(-1, 1, 1, 1)
        return (1 - share) * latent + share * noise

    def begun(self, latent: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
        """Returns what sampling starts from at level sigma [B]: at 1 there is nothing but noise."""
        return self.noised(latent, noise, sigma)


class FlowModel(LatentModel):
    """A family adds its text encoders and the call of its transformer."""

    part = "transformer"

    def __init__(self, model: Model, checkpoint: Checkpoint, place: Place, kind: Any, packed: int = 1) -> None:
        super().__init__(model, checkpoint, place, kind, packed=packed, patch=PATCH)
        self._noise = checkpoint.scheduler_config()
        self.levels_at(self.multiple, self.multiple)  # which raises for settings that are none, before any sampling

    def levels_at(self, width: int, height: int) -> FlowLevels:
        """Returns the noise levels for pictures of this size."""
        return FlowLevels.from_config(self._noise, (width // self.multiple) * (height // self.multiple))

    @abstractmethod
    def velocity(self, x: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        """Returns what the transformer gives, [B, c, h, w], for x in its precision."""

    @torch.inference_mode()
    def estimate(self, x: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        """Returns the model's estimate of the clean latent, float32 [B, c, h, w].

        x [B, c, h, w] at noise level sigma [B]; `conditioning` has batch B.
        """
        velocity = self.velocity(x.to(self.place.dtype), sigma, conditioning)
        return x - velocity.float() * sigma.view(-1, 1, 1, 1)

    def placed(self, tensor: Tensor) -> Tensor:
        """Returns a tensor where the transformer is, in its precision."""
        return tensor.to(self.place.device, self.place.dtype)
