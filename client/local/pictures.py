"""Converts pictures to tensors and back, and keeps the masked parts of init pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from remix.client.local.samplers import Denoiser
from remix.client.local.sampling import Levels
from remix.engine import Picture
from remix.mix import masked
from remix.motion.pictures import to_bytes


def to_tensor(picture: Picture) -> Tensor:
    """Returns a picture as float32 [1, 3, H, W] in 0..1."""
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255


def to_picture(tensor: Tensor) -> Picture:
    """Returns float32 [3, H, W] in 0..1 as a picture. Values are truncated, not rounded, as in both hosts."""
    return np.ascontiguousarray(to_bytes(tensor.permute(1, 2, 0).numpy()))


@dataclass(frozen=True)
class Kept:
    """The part of clean latents that a mask keeps, as when ComfyUI samples with a noise mask.

    Where `mask` [B, 1, h, w] is 0, the model sees the clean latents with the noise of the step's level, and its output
    is replaced by the clean latents. Between 0 and 1, both are mixed.
    """

    clean: Tensor
    noise: Tensor
    mask: Tensor
    levels: Levels

    def denoiser(self, denoise: Denoiser) -> Denoiser:
        """Returns `denoise` with the kept part restored in its input and output."""

        def partly(x: Tensor, sigma: Tensor) -> Tensor:
            seen = masked(self.levels.noised(self.clean, self.noise, sigma), x, self.mask)
            return masked(self.clean, denoise(seen, sigma), self.mask)

        return partly

    def put_back(self, x: Tensor) -> Tensor:
        """Returns x with the clean latents where the mask is 0, since not every sampler ends on its last estimate."""
        return torch.where(self.mask > 0, x, self.clean)
