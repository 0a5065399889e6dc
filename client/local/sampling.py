"""Noise levels of models, and schedules of them for sampling (schedulers), with ComfyUI's names.

Each frame has its own levels, so `denoise` may differ between the rows of a batch.

Notation of Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models" (2022): a noisy
latent is x = x0 + sigma * noise; `denoise(x, sigma)` returns the model's estimate of x0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor

from remix.catalog.samplers import SAMPLERS as CATALOG
from remix.catalog.schedulers import require_scheduler
from remix.errors import Unsupported
from remix.mix import levels_from


class Levels(Protocol):
    """The noise levels of a model family.

    `table` [T] is ascending; `ends` are the t of its greatest and least level. `flow`: noisy latents are those of a
    flow model.
    """

    @property
    def flow(self) -> bool: ...

    @property
    def table(self) -> Tensor: ...

    @property
    def ends(self) -> tuple[float, float]: ...

    def __len__(self) -> int: ...

    def sigma(self, t: Tensor) -> Tensor: ...

    def stretched(self, sigmas: Tensor) -> Tensor: ...

    def noised(self, latent: Tensor, noise: Tensor, sigma: Tensor) -> Tensor: ...

    def begun(self, latent: Tensor, noise: Tensor, sigma: Tensor) -> Tensor: ...


TERMINAL_ALPHA = 4.8973451890853435e-08
"""Smallest share of signal in a noisy latent, as in ComfyUI. At 0, the noise level would be infinite."""

BETA_POWERS = {"linear": 1, "scaled_linear": 2}
"""Diffusers beta schedule -> p. Its betas to the power 1 / p are evenly spaced."""


@dataclass(frozen=True)
class NoiseLevels:
    """The noise levels of a model's training: `table` [T], ascending sigmas, float64."""

    table: Tensor
    flow = False

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> NoiseLevels:
        """Returns the training noise levels in a diffusers scheduler's config.

        Computed in float64, as in ComfyUI: with diffusers' float32 table, one timestep in a hundred differs from
        ComfyUI's. Raises `Unsupported` for an unknown `beta_schedule`, and ValueError if there are no levels.
        """
        alphas = (1 - _betas(config)).cumprod(0)
        if not len(alphas):
            raise ValueError("the model was trained on no levels of noise")
        if config.get("rescale_betas_zero_snr", False):
            root = alphas.sqrt()
            alphas = ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2
        return cls.from_alphas_cumprod(alphas)

    @classmethod
    def from_alphas_cumprod(cls, alphas_cumprod: Tensor) -> NoiseLevels:
        """Returns the levels of a variance-preserving model: sigma = sqrt((1 - a) / a).

        a is at least `TERMINAL_ALPHA`, so that zero-terminal-SNR models keep a finite greatest level.
        """
        a = alphas_cumprod.double().clamp(min=TERMINAL_ALPHA)
        return cls(((1 - a) / a).sqrt())

    def stretched(self, sigmas: Tensor) -> Tensor:
        """Returns a whole schedule as it is."""
        return sigmas

    def noised(self, latent: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
        """Returns the clean `latent` [B, c, h, w] with noise of level sigma [B]."""
        return latent + noise * sigma.view(-1, 1, 1, 1)

    def begun(self, latent: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
        """Returns the start of sampling at level sigma [B].

        At the greatest level, the noise has strength sqrt(1 + sigma^2) instead of sigma, as in ComfyUI: there the noisy
        latent of the training, which has unit variance, is pure noise.
        """
        full = sigma >= self.table[-1].to(sigma) * (1 - 1e-5)
        return self.noised(latent, noise, torch.where(full, (1 + sigma**2).sqrt(), sigma))

    @property
    def ends(self) -> tuple[float, float]:
        """The greatest and the least timestep."""
        return len(self) - 1, 0

    @cached_property
    def logs(self) -> Tensor:
        """log sigma [T], float32 like ComfyUI's, so that a value halfway between two levels rounds to the same one."""
        return self.table.log().float()

    def __len__(self) -> int:
        return len(self.table)

    def sigma(self, t: Tensor) -> Tensor:
        """Returns the level at timestep t, float32. Fractions are interpolated linearly in log sigma."""
        t = t.float().clamp(0, len(self) - 1)
        share = t.frac()
        return ((1 - share) * self.logs[t.floor().long()] + share * self.logs[t.ceil().long()]).exp()

    def timestep(self, sigma: Tensor) -> Tensor:
        """Returns the timestep whose level is nearest in log sigma, int64, shaped like `sigma`."""
        distance = (sigma.float().log()[..., None] - self.logs.to(sigma.device)).abs()
        return distance.argmin(-1)


def _betas(config: Mapping[str, Any]) -> Tensor:
    """Returns the noise variance of each training step, float64 [T]."""
    if config.get("trained_betas") is not None:
        return torch.tensor(config["trained_betas"], dtype=torch.float64)
    kind = config.get("beta_schedule", "linear")
    if kind not in BETA_POWERS:
        raise Unsupported(
            f"scheduler.beta_schedule: the local engine does not know {kind!r}; "
            f"use a checkpoint with one of {', '.join(BETA_POWERS)}"
        )
    power = BETA_POWERS[kind]
    first, last = config.get("beta_start", 1e-4) ** (1 / power), config.get("beta_end", 0.02) ** (1 / power)
    return torch.linspace(first, last, config.get("num_train_timesteps", 1000), dtype=torch.float64) ** power


# --- schedulers: (levels, steps) -> falling sigmas [steps + 1] that end in 0 --------------------------------


def normal(levels: Levels, steps: int) -> Tensor:
    """Returns levels at evenly spaced timesteps, both ends included."""
    return _and_zero(levels.sigma(torch.linspace(*levels.ends, steps)))


def sgm_uniform(levels: Levels, steps: int) -> Tensor:
    """Returns levels at evenly spaced timesteps without the last (the spacing of Stability's generative-models)."""
    return _and_zero(levels.sigma(torch.linspace(*levels.ends, steps + 1)[:-1]))


def simple(levels: Levels, steps: int) -> Tensor:
    """Returns every (T / steps)-th level of the table from its greatest. Levels repeat if steps > T."""
    stride = len(levels) / steps
    behind = (torch.arange(steps, dtype=torch.float64) * stride).long()
    return _and_zero(levels.table[len(levels) - 1 - behind])


def ddim_uniform(levels: Levels, steps: int) -> Tensor:
    """Returns every (T // steps)-th level from the second least. There may be more than `steps`."""
    stride = max(len(levels) // steps, 1)
    return _and_zero(levels.table[1::stride].flip(0))


def karras(levels: Levels, steps: int, rho: float = 7.0) -> Tensor:
    """Returns levels evenly spaced in sigma^(1/rho): Karras et al. 2022, equation 5."""
    least, greatest = float(levels.table[0]) ** (1 / rho), float(levels.table[-1]) ** (1 / rho)
    ramp = torch.linspace(0, 1, steps, dtype=torch.float64)
    return _and_zero((greatest + ramp * (least - greatest)) ** rho)


def exponential(levels: Levels, steps: int) -> Tensor:
    """Returns levels evenly spaced in log sigma."""
    least, greatest = math.log(levels.table[0]), math.log(levels.table[-1])
    return _and_zero(torch.linspace(greatest, least, steps, dtype=torch.float64).exp())


def _and_zero(sigmas: Tensor) -> Tensor:
    return torch.cat([sigmas, sigmas.new_zeros(1)])


SCHEDULERS: dict[str, Callable[[Levels, int], Tensor]] = {
    "normal": normal,
    "karras": karras,
    "exponential": exponential,
    "simple": simple,
    "sgm_uniform": sgm_uniform,
    "ddim_uniform": ddim_uniform,
}


def sigmas_for(levels: Levels, scheduler: str, steps: int, denoise: float = 1.0, sampler: str = "euler") -> Tensor:
    """Returns the descending noise levels of a frame, float32 [n + 1]. The last is 0.

    With `denoise` d below 1, these are the last `steps` steps of a schedule of steps / d steps, which need not be an
    integer: see `remix.mix.levels_from`. d = 0 returns the single level 0, so there are no steps. Repeated levels are
    removed: a step between equal levels changes nothing, and multistep samplers divide by its length. `sampler` matters
    if it skips the least level. Raises `Unsupported` for a scheduler that is not in `SCHEDULERS`.
    """
    require_scheduler(scheduler, SCHEDULERS, "the local engine")

    def schedule(total: int) -> Tensor:
        if not CATALOG[sampler].skips_least:
            return levels.stretched(SCHEDULERS[scheduler](levels, total)).float()
        sigmas = levels.stretched(SCHEDULERS[scheduler](levels, total + 1)).float()
        return torch.cat([sigmas[:-2], sigmas[-1:]])

    return torch.unique_consecutive(levels_from(schedule, steps, denoise))
