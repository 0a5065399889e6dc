"""Inversion: the noise from which a model draws a given picture.

Sampling without new noise follows an ordinary differential equation from noise to a picture. Followed backwards, it
leads from the picture to the noise that gives it: DDIM inversion (Song et al. 2021), and for flow models the inversion
of a rectified flow (Liu et al. 2023). Each step is implicit, so that the way back does not drift from the way there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from remix.errors import MixError
from remix.mix.latents import mix_latents
from remix.mix.weights import weights_of

INVERSION_STEPS = 16
"""The number of steps from a picture to its noise."""

REFINED = 2
"""The number of times that the model is called in a step. Each call corrects the end of the step."""

Denoiser = Callable[[Tensor, Tensor], Tensor]
"""(x [1, c, ...], sigma [1]) -> the model's estimate of the clean latent."""


@dataclass(frozen=True)
class Inversion:
    """The noise of a picture at each noise level: `levels` [n], ascending, and `noise` [n, c, ...]."""

    levels: Tensor
    noise: Tensor

    def at(self, sigma: float) -> Tensor:
        """Returns the noise at a level, [1, c, ...], interpolated linearly in log sigma between the nearest two."""
        logs, wanted = self.levels.double().log(), torch.tensor(max(sigma, 1e-30), dtype=torch.float64).log()
        after = int(torch.searchsorted(logs, wanted).clamp(1, len(logs) - 1))
        share = float(((wanted - logs[after - 1]) / (logs[after] - logs[after - 1])).clamp(0, 1))
        return torch.lerp(self.noise[after - 1], self.noise[after], share)[None]


@torch.no_grad()
def inverted(
    denoise: Denoiser, clean: Tensor, levels: Tensor, noised: Callable[[Tensor, Tensor, Tensor], Tensor]
) -> Inversion:
    """Returns the noise from which `denoise` draws the latent `clean` [1, c, ...].

    `levels` are those of a schedule, descending, the last of them 0. `noised(clean, noise, sigma)` returns a latent
    with noise of a level, as the model was trained. Raises `MixError` for fewer than two levels above 0.
    """
    rising = levels.flip(0).to(clean.device, torch.float32)
    if len(rising) < 3 or not bool((rising.diff() > 0).all()):
        raise MixError(f"levels: {levels.tolist()}; give at least two that fall, and 0.")
    x, before, way, given = clean.float(), rising[0], torch.zeros_like(clean, dtype=torch.float32), clean.dtype
    noise = []
    for sigma in rising[1:]:
        for _ in range(REFINED):
            end = x + (sigma - before) * way
            way = (end - denoise(end.to(given), sigma.expand(1).to(given)).float()) / sigma
        x, before = x + (sigma - before) * way, sigma
        kept = noised(clean.float(), torch.zeros_like(x), sigma.expand(1))
        noise.append((x - kept) / sigma)
    return Inversion(rising[1:].cpu(), torch.cat(noise).cpu())


def inverted_noise(inversion: Callable[[str], Inversion], mixes: Sequence[Any], sigmas: Sequence[float]) -> Tensor:
    """Returns the noise with which each frame starts, [F, c, ...] float32 on the CPU.

    `inversion` returns that of a picture by name, `mixes` has the pictures of each frame with weights, and `sigmas` the
    noise level at which it starts. Each channel of a mix has the mean and deviation between those of its pictures.
    """
    rows = []
    for mix, sigma in zip(mixes, sigmas, strict=True):
        names, weights = weights_of([mix])
        rows.append(mix_latents([inversion(name).at(sigma) for name in names], weights, adain=True))
    return torch.cat(rows)
