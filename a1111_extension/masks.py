"""What a recipe's masks keep of the init pictures, in every step: as ComfyUI samples with a noise mask.

The host's own mask is the host's to keep in A1111, which holds latents in what the model makes and not in what it sees.
Forge holds them in both, with noise that no seed decides; so its mask is kept here too, with the frames' own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from remix.mix import masked

Forward = Callable[..., Tensor]
"""The host's denoiser: of latents, and for each of them how far its noise is taken away, and more."""


@dataclass(frozen=True)
class Kept:
    """The part of the clean latents [B, c, h, w] that `mask` [B, 1, h, w] keeps: all of it at 0, nothing at 1.

    `noise` gives that of the frames, once it has been drawn. `blend(clean, found, sigma)` lays what the model made over
    the clean latents in another way than by the mask alone.
    """

    clean: Tensor
    mask: Tensor
    noise: Callable[[], Tensor]
    blend: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None

    def of_sigmas(self, forward: Forward, noised: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Forward:
        """Returns a denoiser that gives clean latents, with the kept part held in what it sees and in what it gives.

        `noised(clean, noise, sigma)` gives latents with the noise of a level.
        """

        def partly(x: Tensor, sigma: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            clean, noise = self.clean.to(x), self.noise().to(x)
            seen = masked(noised(clean, noise, sigma.view(-1, 1, 1, 1)), x, self.mask)
            return self._blended(clean, forward(seen, sigma, *args, **kwargs), sigma)

        return partly

    def of_times(self, forward: Forward, alphas: Callable[[], Tensor]) -> Forward:
        """Returns the same for a denoiser that is told times and gives the noise in latents of unit variance.

        `alphas` gives the share of the signal's variance at each time of the model.
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
        """Returns x with the clean latents where all of them is kept: not every sampler ends on its last estimate."""
        return torch.where(self.mask.to(x.device) > 0, x, self.clean.to(x))


def _at(alphas: Tensor, times: Tensor) -> Tensor:
    """The shares at times between those of the model too, as UniPC takes them: straight in their logarithm."""
    times = times.to(alphas).clamp(0, len(alphas) - 1)
    before = times.floor()
    after = (before + 1).clamp(max=len(alphas) - 1)
    logs = alphas.log()
    return torch.lerp(logs[before.long()], logs[after.long()], times - before).exp()
