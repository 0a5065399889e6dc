"""Samples latents from noise: noise levels (schedulers) and steps along them (samplers), with ComfyUI's names.

Axis 0 is the batch. Each row has its own noise levels and its own noise, so a frame does not depend on the rest of its
batch, and `denoise` and `cfg` may differ between rows.

Notation of Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models" (2022): a noisy
latent is x = x0 + sigma * noise; `denoise(x, sigma)` returns the model's estimate of x0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import torch
from numpy.polynomial.legendre import leggauss
from torch import Tensor

from remix.catalog.samplers import SAMPLERS as CATALOG
from remix.catalog.schedulers import require_scheduler
from remix.errors import Unsupported
from remix.mix import levels_from

Denoiser = Callable[[Tensor, Tensor], Tensor]
"""(x [B, c, h, w], sigma [B]) -> estimate of x0 [B, c, h, w]."""

Noise = Callable[[], Tensor]
"""() -> fresh noise for the next step, [B, c, h, w], each row from its own frame's seed."""

Report = Callable[[int, int], None]
"""(steps done, total steps)."""


class Levels(Protocol):
    """The noise levels of a model family.

    `table` [T] is ascending; `ends` are the t of its greatest and least level.
    """

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
        return latent + noise * _rows(sigma)

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


# --- samplers: (denoise, x, sigmas [B, n + 1], noise, report) -> x0; every row descends to 0 ----------------


def euler(denoise: Denoiser, x: Tensor, sigmas: Tensor, noise: Noise, report: Report) -> Tensor:
    """Euler's method along dx/dsigma = (x - x0) / sigma. On `ddim_uniform` levels this is DDIM with eta 0."""
    for now, after, _ in _steps(sigmas, report):
        x = _toward(denoise(x, now), x, now, after)
    return x


def heun(denoise: Denoiser, x: Tensor, sigmas: Tensor, noise: Noise, report: Report) -> Tensor:
    """Heun's method: Karras et al. 2022, algorithm 1; the last step, onto 0, is Euler's."""
    for now, after, last in _steps(sigmas, report):
        x0 = denoise(x, now)
        guess = _toward(x0, x, now, after)
        if last:
            x = guess
        else:
            slope = (x - x0) / _rows(now)
            slope_after = (guess - denoise(guess, after)) / _rows(after)
            x = x + (slope + slope_after) / 2 * _rows(after - now)
    return x


def euler_ancestral(denoise: Denoiser, x: Tensor, sigmas: Tensor, noise: Noise, report: Report) -> Tensor:
    """Euler's method down past the next level, then fresh noise up to it (DDPM: Song et al. 2020, eta 1)."""
    for now, after, last in _steps(sigmas, report):
        down = after**2 / now
        x = _toward(denoise(x, now), x, now, down)
        if not last:
            up = (after**2 - down**2).sqrt()
            x = x + noise() * _rows(up)
    return x


def dpmpp_2m(denoise: Denoiser, x: Tensor, sigmas: Tensor, noise: Noise, report: Report) -> Tensor:
    """DPM-Solver++(2M): Lu et al. 2022, algorithm 2; the first step and the last, onto 0, are of order 1."""
    past: tuple[Tensor, Tensor] | None = None
    for now, after, last in _steps(sigmas, report):
        x0 = denoise(x, now)
        estimate = x0 if past is None or last else _at_midpoint(x0, now, after, *past)
        x = _toward(estimate, x, now, after)
        past = x0, now
    return x


def dpmpp_2m_sde(denoise: Denoiser, x: Tensor, sigmas: Tensor, noise: Noise, report: Report) -> Tensor:
    """SDE-DPM-Solver++(2M) with eta 1, midpoint form: Lu et al. 2022, section 4 and appendix."""
    past: tuple[Tensor, Tensor] | None = None
    for now, after, last in _steps(sigmas, report):
        x0 = denoise(x, now)
        if last:
            x = x0
        else:
            estimate = x0 if past is None else _at_midpoint(x0, now, after, *past)
            kept = (after / now) ** 2
            x = estimate + (x - estimate) * _rows(kept) + noise() * _rows(after * (1 - kept).sqrt())
        past = x0, now
    return x


def lcm(denoise: Denoiser, x: Tensor, sigmas: Tensor, noise: Noise, report: Report) -> Tensor:
    """Consistency sampling (Luo et al. 2023, algorithm 3): jump to x0, then fresh noise of the next level."""
    for now, after, last in _steps(sigmas, report):
        x = denoise(x, now)
        if not last:
            x = x + noise() * _rows(after)
    return x


def uni_pc(denoise: Denoiser, x: Tensor, sigmas: Tensor, noise: Noise, report: Report) -> Tensor:
    """UniPC of order 3 with B(h) = h (`bh1`): Zhao et al. 2023, algorithms 5 and 6 (x0 prediction).

    With lambda = -log sigma, x follows dx/dlambda = m - x for the estimate m. A step integrates the polynomial in
    lambda through the last estimates (predictor), then again including the new one (corrector). One call of the model
    serves both. The last step ends at `UNI_PC_END` rather than 0, where lambda is infinite.
    """
    sigmas = torch.cat([sigmas[:, :-1], torch.full_like(sigmas[:, -1:], UNI_PC_END)], dim=1)
    lambdas = -sigmas.cpu().double().log()
    total = sigmas.shape[1] - 1
    past: list[Tensor] = []
    for k, (now, after, last) in enumerate(_steps(sigmas, report)):
        past = past or [denoise(x, now)]
        order = min(3, k + 1, total - k)
        m, *older = past[:order]
        h = lambdas[:, k + 1] - lambdas[:, k]
        nodes = [(lambdas[:, k - j] - lambdas[:, k]) / h for j in range(1, order)]
        plain = _toward(m, x, now, after)
        x = plain + _weighted([before - m for before in older], _unipc_weights(nodes, h))
        if not last:
            new = denoise(x, after)
            weights = _unipc_weights([torch.ones_like(h), *nodes], h)
            x = plain + _weighted([other - m for other in (new, *older)], weights)
            past = [new, *past[:2]]
    return x


UNI_PC_END = 0.001
"""Last level of ComfyUI's uni_pc. The remaining noise is invisible."""

QUADRATURE = tuple(torch.from_numpy(values) for values in leggauss(16))
"""Gauss-Legendre points in -1..1 and their weights: exact to float64 for steps in lambda up to 10."""


def _unipc_weights(nodes: Sequence[Tensor], h: Tensor) -> list[Tensor]:
    """Returns the weight of each change m_i - m of the estimate in a step of length h [B].

    Node r_i is the position of m_i: lambda_i = lambda + r_i h. The weights make sum_i w_i r_i^k the integral of e^(s -
    h) (s / h)^k over s in 0..h for k = 1, 2, ...; a single node takes h / (2 r), which the paper shows to be of the
    same order.
    """
    if len(nodes) < 2:
        return [h / (2 * r) for r in nodes]
    # By quadrature, since the closed form of these integrals suffers cancellation in short steps.
    u, shares = (1 + QUADRATURE[0]) / 2, QUADRATURE[1] / 2
    powers = range(1, len(nodes) + 1)
    density = h[:, None] * torch.exp(h[:, None] * (u - 1)) * shares
    integrals = torch.stack([(density * u**k).sum(1) for k in powers], dim=1)
    r = torch.stack(list(nodes), dim=1)
    return list(torch.linalg.solve(torch.stack([r**k for k in powers], dim=1), integrals).unbind(1))


def _weighted(changes: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor | float:
    return sum(_rows(weight.to(change)) * change for change, weight in zip(changes, weights, strict=True))


Sampler = Callable[[Denoiser, Tensor, Tensor, Noise, Report], Tensor]

SAMPLERS: dict[str, Sampler] = {
    "euler": euler,
    "euler_ancestral": euler_ancestral,
    "heun": heun,
    "dpmpp_2m": dpmpp_2m,
    "dpmpp_2m_sde": dpmpp_2m_sde,
    "ddim": euler,
    "uni_pc": uni_pc,
    "lcm": lcm,
}


def _steps(sigmas: Tensor, report: Report) -> Iterator[tuple[Tensor, Tensor, bool]]:
    """Yields (level now [B], level after [B], whether this is the last step)."""
    total = sigmas.shape[1] - 1
    for k in range(total):
        yield sigmas[:, k], sigmas[:, k + 1], k == total - 1
        report(k + 1, total)


def _toward(x0: Tensor, x: Tensor, now: Tensor, after: Tensor) -> Tensor:
    """Returns the point at level `after` on the line from x (at level `now`) to x0 (at level 0)."""
    return x0 + (x - x0) * _rows(after / now)


def _at_midpoint(x0: Tensor, now: Tensor, after: Tensor, x0_before: Tensor, before: Tensor) -> Tensor:
    """Returns the estimate half a step ahead in log sigma, on the line through the last two estimates."""
    half = (now / after).log() / 2
    return x0 + (x0 - x0_before) * _rows(half / (before / now).log())


def _rows(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)
