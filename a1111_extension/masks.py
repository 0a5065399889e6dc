"""What a recipe's masks keep of the init pictures, in every step: as ComfyUI samples with a noise mask.

The host's own mask covers a picture in another way: A1111 keeps latents in what the model makes and not in what it
sees, and Forge draws noise for that which no seed decides.
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

    `noise` gives that of the frames, once it has been drawn.
    """

    clean: Tensor
    mask: Tensor
    noise: Callable[[], Tensor]

    def of_sigmas(self, forward: Forward, noised: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Forward:
        """Returns a denoiser that gives clean latents, with the kept part held in what it sees and in what it gives.

        `noised(clean, noise, sigma)` gives latents with the noise of a level.
        """

        def partly(x: Tensor, sigma: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            clean, noise = self.clean.to(x), self.noise().to(x)
            seen = masked(noised(clean, noise, sigma.view(-1, 1, 1, 1)), x, self.mask)
            return masked(clean, forward(seen, sigma, *args, **kwargs), self.mask)

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
            return (x - signal * masked(clean, found, self.mask)) / spread

        return partly

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
