"""Keeps the masked part of init pictures in every step, as ComfyUI does when it samples with a noise mask.

In A1111 the host applies its own mask: it holds latents in the model's output but not in its input. Forge holds them in
both, with noise that does not depend on a seed, so its mask is applied here too, together with the frames' masks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from remix.mix import masked

Forward = Callable[..., Tensor]
"""The host's denoiser: takes latents, the noise level or time of each of them, and more."""


@dataclass(frozen=True)
class Kept:
    """The part of the clean latents [B, c, h, w] that `mask` [B, 1, h, w] keeps: all of it at 0, nothing at 1.

    `noise` returns the noise of the frames, once it has been drawn. `blend(clean, found, sigma)` combines the model's
    output with the clean latents in another way than by the mask alone.
    """

    clean: Tensor
    mask: Tensor
    noise: Callable[[], Tensor]
    blend: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None

    def of_sigmas(self, forward: Forward, noised: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Forward:
        """Returns a denoiser that returns clean latents, with the kept part held in its input and its output.

        `noised(clean, noise, sigma)` returns latents with the noise of a level.
        """

        def partly(x: Tensor, sigma: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            clean, noise = self.clean.to(x), self.noise().to(x)
            seen = masked(noised(clean, noise, sigma.view(-1, 1, 1, 1)), x, self.mask)
            return self._blended(clean, forward(seen, sigma, *args, **kwargs), sigma)

        return partly

    def of_times(self, forward: Forward, alphas: Callable[[], Tensor]) -> Forward:
        """Returns the same for a denoiser that takes times and returns the noise in latents of unit variance.

        `alphas` returns the signal's share of the variance at each time of the model.
        """

        def partly(x: Tensor, times: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            clean, noise = self.clean.to(x), self.noise().to(x)
            share = _at(alphas().to(x), times).view(-1, 1, 1, 1)
            signal, spread = share.sqrt(), (1 - share).sqrt()
            seen = masked(signal * clean + spread * noise, x, self.mask)
            found = (seen - spread * forward(seen, times, *args, **kwargs)) / signal
            return (x - signal * self._blended(clean, found, (spread / signal).flatten())) / spread

        return partly

    def _blended(self, clean: Tensor, found: Tensor, sigma: Tensor) -> Tensor:
        return masked(clean, found, self.mask) if self.blend is None else self.blend(clean, found, sigma)

    def put_back(self, x: Tensor) -> Tensor:
        """Returns x with the clean latents where masks keep all of them. Samplers may not end on their estimate."""
        return torch.where(self.mask.to(x.device) > 0, x, self.clean.to(x))


def _at(alphas: Tensor, times: Tensor) -> Tensor:
    """Returns the shares at any times, including those between the model's, interpolating logarithms as UniPC does."""
    times = times.to(alphas).clamp(0, len(alphas) - 1)
    before = times.floor()
    after = (before + 1).clamp(max=len(alphas) - 1)
    logs = alphas.log()
    return torch.lerp(logs[before.long()], logs[after.long()], times - before).exp()
