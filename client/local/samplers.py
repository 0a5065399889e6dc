"""Samplers: the steps from noise to a clean latent along falling noise levels, with ComfyUI's names.

Axis 0 is the batch. Each row has its own noise levels and its own noise, so a frame does not depend on the rest of its
batch. Notation as in `sampling`. Flow models have x = (1 - sigma) x0 + sigma * noise instead of x = x0 + sigma * noise.
Methods without noise are the same for both, since dx/dsigma = (x - x0) / sigma holds for both. Those that add noise
have a form of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from numpy.polynomial.legendre import leggauss
from torch import Tensor

from remix.catalog.samplers import SAMPLERS as CATALOG
from remix.client.local.sampling import Levels

Denoiser = Callable[[Tensor, Tensor], Tensor]
"""(x [B, c, h, w], sigma [B]) -> estimate of x0 [B, c, h, w]."""

Noise = Callable[[], Tensor]
"""() -> fresh noise for the next step, [B, c, h, w], each row from its own frame's seed."""

Report = Callable[[int, int], None]
"""(steps done, total steps)."""

Sampler = Callable[[Denoiser, Tensor, Tensor, Noise, Report], Tensor]
"""(denoise, x, sigmas [B, n + 1], noise, report) -> x0; every row descends to 0."""


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


def res_multistep(denoise: Denoiser, x: Tensor, sigmas: Tensor, noise: Noise, report: Report) -> Tensor:
    """RES multistep of order 2: Zhang et al. 2023, "Improved Order Analysis and Design of Exponential Integrator".

    A step integrates the line in lambda = -log sigma through the last two estimates. The last, onto 0, is of order 1.
    """
    past: tuple[Tensor, Tensor] | None = None
    for now, after, last in _steps(sigmas, report):
        x0 = denoise(x, now)
        stepped = _toward(x0, x, now, after)
        if past is not None and not last:
            h, h_before = (now / after).log(), (past[1] / now).log()
            stepped = stepped + (x0 - past[0]) * _rows((h - 1 + (-h).exp()) / h_before)
        x, past = stepped, (x0, now)
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


def er_sde(
    denoise: Denoiser, x: Tensor, sigmas: Tensor, noise: Noise, report: Report, signal: Signal = lambda sigma: 1.0
) -> Tensor:
    """ER-SDE of order 3: Cui et al. 2023, "Elucidating the solution space of extended reverse-time SDE".

    `signal` is the share alpha of x0 in x, and a level is sigma / alpha. Each step is algorithm 3, with the integrals
    of 1 / phi as sums over `POINTS` levels.
    """
    past: list[tuple[Tensor, Tensor]] = []  # of estimates and their levels, the latest first
    slope_before: Tensor | None = None
    for now, after, last in _steps(sigmas, report):
        x0 = denoise(x, now)
        if last:
            x = x0
            continue
        level, next_level = now / signal(now), after / signal(after)
        kept = _phi(next_level) / _phi(level)
        step = next_level - level
        points = next_level[:, None] - step[:, None] * POINTS.to(now) / len(POINTS)
        weight = -step / len(POINTS) * _phi(next_level)
        change = _rows(kept) * (x / _rows(_like(now, signal(now)))) + _rows(1 - kept) * x0
        if past:
            slope = (x0 - past[0][0]) / _rows(level - past[0][1])
            change = change + slope * _rows(step + weight * (1 / _phi(points)).sum(1))
            if slope_before is not None:
                bend = (slope - slope_before) / _rows((level - past[1][1]) / 2)
                area = ((points - level[:, None]) / _phi(points)).sum(1)
                change = change + bend * _rows(step**2 / 2 + weight * area)
            slope_before = slope
        spread = (next_level**2 - level**2 * kept**2).clamp(min=0).sqrt()
        x = (change + noise() * _rows(spread)) * _rows(_like(after, signal(after)))
        past = [(x0, level), *past[:1]]
    return x


Signal = Callable[[Tensor], Tensor | float]
"""sigma -> the share of x0 in x: 1, or 1 - sigma in flow models."""

POINTS = torch.arange(200)


def _phi(level: Tensor) -> Tensor:
    """Returns the noise scale of ER-SDE-Solver-3 at a level."""
    return level * ((level**0.3).exp() + 10)


def _like(sigma: Tensor, signal: Tensor | float) -> Tensor:
    return signal * torch.ones_like(sigma)


# --- the forms for flow models


def flow_euler_ancestral(denoise: Denoiser, x: Tensor, sigmas: Tensor, noise: Noise, report: Report) -> Tensor:
    """Euler's method down to sigma' = after^2 / now, then fresh noise up to the next level, with the signal scaled."""
    for now, after, last in _steps(sigmas, report):
        x0 = denoise(x, now)
        if last:
            x = x0
            continue
        down = after**2 / now
        scale = (1 - after) / (1 - down)
        up = (after**2 - (down * scale) ** 2).sqrt()
        x = _toward(x0, x, now, down) * _rows(scale) + noise() * _rows(up)
    return x


def flow_dpmpp_2m_sde(denoise: Denoiser, x: Tensor, sigmas: Tensor, noise: Noise, report: Report) -> Tensor:
    """SDE-DPM-Solver++(2M) with eta 1, midpoint form, in lambda = log((1 - sigma) / sigma)."""
    past: tuple[Tensor, Tensor] | None = None  # the last estimate and the length of its step
    for now, after, last in _steps(sigmas, report):
        x0 = denoise(x, now)
        if last:
            x = x0
            continue
        h = now.logit() - after.logit()
        estimate = x0 if past is None else x0 + (x0 - past[0]) * _rows(h / past[1] / 2)
        fresh = -(-2 * h).expm1()
        x = x * _rows(after / now * (-h).exp()) + estimate * _rows((1 - after) * fresh)
        x = x + noise() * _rows(after * fresh.sqrt())
        past = x0, h
    return x


def flow_lcm(denoise: Denoiser, x: Tensor, sigmas: Tensor, noise: Noise, report: Report) -> Tensor:
    """Consistency sampling: jump to x0, then interpolate it with fresh noise to the next level."""
    for now, after, last in _steps(sigmas, report):
        x = denoise(x, now)
        if not last:
            x = x * _rows(1 - after) + noise() * _rows(after)
    return x


def flow_er_sde(denoise: Denoiser, x: Tensor, sigmas: Tensor, noise: Noise, report: Report) -> Tensor:
    """ER-SDE with the signal 1 - sigma."""
    return er_sde(denoise, x, sigmas, noise, report, lambda sigma: 1 - sigma)


SAMPLERS: dict[str, Sampler] = {
    "euler": euler,
    "euler_ancestral": euler_ancestral,
    "heun": heun,
    "dpmpp_2m": dpmpp_2m,
    "dpmpp_2m_sde": dpmpp_2m_sde,
    "ddim": euler,
    "uni_pc": uni_pc,
    "lcm": lcm,
    "res_multistep": res_multistep,
    "er_sde": er_sde,
}

FLOW_SAMPLERS: Mapping[str, Sampler] = {
    "euler_ancestral": flow_euler_ancestral,
    "dpmpp_2m_sde": flow_dpmpp_2m_sde,
    "lcm": flow_lcm,
    "er_sde": flow_er_sde,
}
"""The samplers that differ for flow models."""

FIRST = 1 - 1e-4
"""The t of the first level of samplers that divide by the share of x0, as in ComfyUI."""


def sampler_for(name: str, levels: Levels) -> Sampler:
    """Returns the sampler of this name for the noise levels of a model."""
    if not levels.flow or name not in FLOW_SAMPLERS:
        return SAMPLERS[name]
    sampler = FLOW_SAMPLERS[name]
    if not CATALOG[name].divides_by_signal:
        return sampler

    def from_signal(denoise: Denoiser, x: Tensor, sigmas: Tensor, noise: Noise, report: Report) -> Tensor:
        first = levels.sigma(torch.tensor(FIRST, dtype=torch.float64)).to(sigmas)
        begun = torch.where(sigmas[:, :1] >= 1, first, sigmas[:, :1])
        return sampler(denoise, x, torch.cat([begun, sigmas[:, 1:]], dim=1), noise, report)

    return from_signal


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
