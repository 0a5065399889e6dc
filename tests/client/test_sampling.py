"""Noise levels and samplers against references worked out here, in plain float64 loops, from their definitions.

The data of the analytic tests is normal, N(MEAN, SPREAD^2). There the best denoiser is known in closed form, and
so is where the probability flow carries every point.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from remix import catalog
from remix.client.local.samplers import SAMPLERS, UNI_PC_END
from remix.client.local.sampling import SCHEDULERS, NoiseLevels, sigmas_for
from remix.errors import Unsupported

MEAN, SPREAD = 0.3, 0.8
SD15 = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
PLAYGROUND = {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02}
POWERS_OF_TWO = NoiseLevels(torch.tensor([2.0**k for k in range(-3, 7)], dtype=torch.float64))
"""Ten levels, 1/8 to 64, evenly spaced in log sigma: every schedule on them can be written down."""

ODE = ("euler", "heun", "dpmpp_2m", "uni_pc")


def levels_of(config):
    return NoiseLevels.from_config(config)


def best_denoiser(x, sigma):
    """The mean of the data given a noisy value, for numbers and for tensors [B, c, h, w] with sigma [B]."""
    if torch.is_tensor(x):
        sigma = sigma.view(-1, 1, 1, 1)
    return (MEAN * sigma**2 + x * SPREAD**2) / (SPREAD**2 + sigma**2)


def flow(x, sigma, after=0.0):
    """Where the probability flow carries x from one level to another."""
    return MEAN + (x - MEAN) * math.sqrt((SPREAD**2 + after**2) / (SPREAD**2 + sigma**2))


def bent_denoiser(x, sigma):
    """No best denoiser of anything: not linear in x, so that wrong weights cannot cancel."""
    if torch.is_tensor(x):
        return torch.tanh(x / (1 + sigma.view(-1, 1, 1, 1))) + 0.1 * x / (1 + sigma.view(-1, 1, 1, 1) ** 2)
    return math.tanh(x / (1 + sigma)) + 0.1 * x / (1 + sigma**2)


def geometric(greatest, least, steps):
    """`steps` levels evenly spaced in log sigma, then 0."""
    ratio = (least / greatest) ** (1 / max(steps - 1, 1))
    return [greatest * ratio**k for k in range(steps)] + [0.0]


def draws(count, shape, seed=7, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator).to(dtype) for _ in range(count)]


def sample(name, denoise, x, sigmas, noises=()):
    """The sampler's output for x [B, c, h, w]; sigmas is one list for all rows or a tensor [B, n + 1]."""
    if not torch.is_tensor(sigmas):
        sigmas = torch.tensor([sigmas] * len(x), dtype=x.dtype)
    left = iter(noises)
    return SAMPLERS[name](denoise, x, sigmas, lambda: next(left), lambda done, total: None)


# --- noise levels


@pytest.mark.parametrize(
    ("config", "least", "greatest"), [(SD15, 0.029167, 14.614641), (PLAYGROUND, 0.01000050, 157.407)]
)
def test_levels_are_those_of_the_forward_process(config, least, greatest):
    betas = {
        "scaled_linear": lambda a, b, share: (math.sqrt(a) + share * (math.sqrt(b) - math.sqrt(a))) ** 2,
        "linear": lambda a, b, share: a + share * (b - a),
    }[config["beta_schedule"]]
    kept, expected = 1.0, []
    for t in range(1000):
        kept *= 1 - betas(config["beta_start"], config["beta_end"], t / 999)
        expected.append(math.sqrt((1 - kept) / kept))
    table = levels_of(config).table
    assert table.dtype == torch.float64
    torch.testing.assert_close(table, torch.tensor(expected, dtype=torch.float64), rtol=1e-11, atol=0)
    assert table[0].item() == pytest.approx(least, rel=1e-4)
    assert table[-1].item() == pytest.approx(greatest, rel=1e-5)


def test_levels_of_trained_betas_and_another_length():
    table = levels_of({"trained_betas": [0.5, 0.5], "beta_schedule": "linear"}).table
    torch.testing.assert_close(table, torch.tensor([1.0, 3.0], dtype=torch.float64).sqrt())
    assert len(levels_of({**SD15, "num_train_timesteps": 100})) == 100
    assert torch.equal(levels_of({}).table, levels_of(PLAYGROUND).table)


def test_an_unknown_beta_schedule_is_refused_by_name():
    with pytest.raises(Unsupported, match=r"squaredcos_cap_v2.*scaled_linear"):
        levels_of({"beta_schedule": "squaredcos_cap_v2"})


def test_zero_terminal_snr_keeps_the_least_level_and_ends_finite():
    plain, rescaled = levels_of(SD15).table, levels_of({**SD15, "rescale_betas_zero_snr": True}).table
    assert rescaled[0].item() == pytest.approx(plain[0].item(), rel=1e-12)
    assert rescaled[-1].item() == pytest.approx(math.sqrt(1 / 4.8973451890853435e-08 - 1), rel=1e-12)
    roots = [1 / math.sqrt(1 + sigma**2) for sigma in plain.tolist()]
    for t in (1, 250, 500, 998):
        root = (roots[t] - roots[-1]) * roots[0] / (roots[0] - roots[-1])
        assert rescaled[t].item() == pytest.approx(math.sqrt(1 / root**2 - 1), rel=1e-9)
    assert bool((rescaled.diff() > 0).all())


def test_alphas_that_reach_zero_give_a_finite_level():
    assert NoiseLevels.from_alphas_cumprod(torch.tensor([0.5, 0.0])).table.isfinite().all()


def test_sigma_is_linear_in_log_sigma_between_entries_and_clamped():
    t = torch.tensor([-1.0, 0.0, 0.5, 3.25, 9.0, 12.0])
    expected = torch.tensor([2.0**k for k in (-3, -3, -2.5, 0.25, 6, 6)])
    torch.testing.assert_close(POWERS_OF_TWO.sigma(t), expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("config", [SD15, PLAYGROUND, {**SD15, "rescale_betas_zero_snr": True}])
def test_every_level_has_its_own_timestep(config):
    levels = levels_of(config)
    assert torch.equal(levels.timestep(levels.table.float()), torch.arange(1000))
    assert torch.equal(levels.timestep(levels.sigma(torch.arange(1000))), torch.arange(1000))


def test_timestep_is_the_nearest_in_log_sigma_and_shaped_like_sigma():
    powers = torch.tensor([[-9.0, -2.6, -2.4], [0.49, 0.51, 9.0]])
    expected = torch.tensor([[0, 0, 1], [3, 4, 9]])
    assert torch.equal(POWERS_OF_TWO.timestep(2**powers), expected)


# --- schedulers


@pytest.mark.parametrize(
    ("scheduler", "steps", "expected"),
    [
        ("normal", 4, [64, 8, 1, 1 / 8]),
        ("normal", 3, [64, 2**1.5, 1 / 8]),
        ("normal", 1, [64]),
        ("sgm_uniform", 3, [64, 8, 1]),
        ("sgm_uniform", 1, [64]),
        ("simple", 4, [64, 16, 2, 1 / 2]),
        ("simple", 10, [64, 32, 16, 8, 4, 2, 1, 1 / 2, 1 / 4, 1 / 8]),
        ("simple", 1, [64]),
        ("ddim_uniform", 3, [16, 2, 1 / 4]),
        ("ddim_uniform", 4, [64, 16, 4, 1, 1 / 4]),
        ("ddim_uniform", 1, [1 / 4]),
        ("ddim_uniform", 99, [64, 32, 16, 8, 4, 2, 1, 1 / 2, 1 / 4]),
        ("exponential", 4, [64, 8, 1, 1 / 8]),
        ("exponential", 1, [64]),
        ("karras", 3, [64, ((64 ** (1 / 7) + (1 / 8) ** (1 / 7)) / 2) ** 7, 1 / 8]),
        ("karras", 1, [64]),
    ],
)
def test_schedules_worked_out_by_hand(scheduler, steps, expected):
    sigmas = sigmas_for(POWERS_OF_TWO, scheduler, steps)
    assert sigmas.dtype == torch.float32
    torch.testing.assert_close(sigmas, torch.tensor([*expected, 0.0]), rtol=2e-6, atol=0)


def reference_schedule(scheduler, table, steps):
    """The definition of each scheduler over a table of levels, as a list without the final 0."""
    last = len(table) - 1
    logs = [math.log(sigma) for sigma in table]

    def at(t):
        low = min(int(t), last - 1)
        return math.exp(logs[low] + (t - low) * (logs[low + 1] - logs[low]))

    shares = [k / max(steps - 1, 1) for k in range(steps)]
    least, greatest = table[0], table[-1]
    return {
        "normal": lambda: [at(last * (1 - share)) for share in shares],
        "sgm_uniform": lambda: [at(last * (1 - k / steps)) for k in range(steps)],
        "simple": lambda: [table[last - math.floor(k * len(table) / steps)] for k in range(steps)],
        "ddim_uniform": lambda: list(reversed(table[1 :: len(table) // steps])),
        "exponential": lambda: [greatest * (least / greatest) ** share for share in shares],
        "karras": lambda: [((1 - s) * greatest ** (1 / 7) + s * least ** (1 / 7)) ** 7 for s in shares],
    }[scheduler]()


@pytest.mark.parametrize("config", [SD15, PLAYGROUND, {**SD15, "rescale_betas_zero_snr": True}])
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_schedules_of_real_tables_follow_their_definition(scheduler, config):
    levels = levels_of(config)
    for steps in (1, 2, 7, 20, 30, 150):
        expected = reference_schedule(scheduler, levels.table.tolist(), steps)
        torch.testing.assert_close(
            sigmas_for(levels, scheduler, steps), torch.tensor([*expected, 0.0]), rtol=2e-5, atol=0
        )


def test_ddim_uniform_has_a_level_more_where_the_steps_do_not_divide_the_table():
    lengths = {steps: len(sigmas_for(levels_of(SD15), "ddim_uniform", steps)) - 1 for steps in (20, 25, 30, 60)}
    assert lengths == {20: 20, 25: 25, 30: 31, 60: 63}


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize(("steps", "denoise", "total"), [(2, 0.5, 4), (5, 5 / 7, 7), (20, 20 / 57, 57), (1, 1 / 3, 3)])
def test_denoise_keeps_the_last_steps_of_a_longer_schedule(scheduler, steps, denoise, total):
    levels = levels_of(SD15)
    tail = sigmas_for(levels, scheduler, steps, denoise)
    assert len(tail) == steps + 1
    assert torch.equal(tail, sigmas_for(levels, scheduler, total)[-(steps + 1) :])


@pytest.mark.parametrize("sampler", ["euler", "uni_pc"])
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_denoise_between_whole_steps_begins_between_their_levels(scheduler, sampler):
    levels = levels_of(SD15)
    shorter, longer = (sigmas_for(levels, scheduler, 8, 8 / total, sampler)[:-1].log() for total in (13, 14))
    between = sigmas_for(levels, scheduler, 8, 8 / 13.25, sampler)
    torch.testing.assert_close(between[:-1].log(), 0.75 * shorter + 0.25 * longer, rtol=0, atol=2e-6)


@pytest.mark.parametrize("sampler", ["euler", "uni_pc"])
@pytest.mark.parametrize("steps", [8, 20, 30])
@pytest.mark.parametrize("config", [SD15, PLAYGROUND])
@pytest.mark.parametrize("scheduler", sorted(SCHEDULERS.keys() - {"ddim_uniform"}))
def test_a_denoise_that_travels_neither_stands_nor_jumps(scheduler, config, steps, sampler):
    travel = [0.2 + 0.7 * k / 47 for k in range(48)]
    walks = torch.stack([sigmas_for(levels_of(config), scheduler, steps, denoise, sampler) for denoise in travel])
    moves = walks[:, :-1].log().diff(dim=0)
    assert walks.shape == (48, steps + 1)
    assert bool((moves >= -1e-5).all())
    assert float(moves[:, 0].min()) > 0
    assert float(moves[:, 0].max()) < 3 * float(moves[:, 0].median())


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_denoise_above_the_last_ten_thousandth_is_the_whole_schedule(scheduler):
    levels = levels_of(SD15)
    assert torch.equal(sigmas_for(levels, scheduler, 30, 0.99995), sigmas_for(levels, scheduler, 30))


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_denoise_zero_walks_nowhere(scheduler):
    assert sigmas_for(levels_of(SD15), scheduler, 20, 0.0).tolist() == [0.0]


@pytest.mark.parametrize("sampler", ["euler", "uni_pc"])
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_the_least_denoise_of_a_recipe_walks_at_the_least_level(scheduler, sampler):
    sigmas = sigmas_for(levels_of(SD15), scheduler, 20, 1e-9, sampler)
    reach = 0.25 if scheduler == "ddim_uniform" else 0.0303
    assert sigmas[-1] == 0
    assert 1 <= len(sigmas) - 1 <= 20
    assert sigmas[0] < reach


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_levels_always_fall(scheduler, sampler):
    for levels in (levels_of(SD15), levels_of(PLAYGROUND), POWERS_OF_TWO):
        for steps, denoise in ((1, 1.0), (2, 1.0), (9, 0.5), (15, 0.01), (1000, 1.0)):
            sigmas = sigmas_for(levels, scheduler, steps, denoise, sampler)
            assert bool((sigmas.diff() < 0).all()), (steps, denoise)
            assert sigmas[-1] == 0


def test_levels_that_repeat_are_walked_once():
    expected = [64, 32, 16, 8, 4, 2, 1, 1 / 2, 1 / 4, 1 / 8, 0]
    assert sigmas_for(POWERS_OF_TWO, "simple", 25).tolist() == expected
    assert sigmas_for(POWERS_OF_TWO, "simple", 6, denoise=0.2).tolist() == [1 / 4, 1 / 8, 0]


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_uni_pc_leaves_out_the_least_level_of_a_schedule_one_step_longer(scheduler):
    levels = levels_of(SD15)
    longer = sigmas_for(levels, scheduler, 11)
    expected = torch.cat([longer[:-2], longer[-1:]])
    assert torch.equal(sigmas_for(levels, scheduler, 10, sampler="uni_pc"), expected)
    assert torch.equal(sigmas_for(levels, scheduler, 4, 0.4, sampler="uni_pc"), expected[-5:])
    assert torch.equal(sigmas_for(levels, scheduler, 10, sampler="heun"), sigmas_for(levels, scheduler, 10))


def test_an_unknown_scheduler_is_refused_by_name():
    with pytest.raises(Unsupported, match=r"^scheduler: .*'bogus'; use one of normal, karras"):
        sigmas_for(levels_of(SD15), "bogus", 20)


# --- the start


def test_start_scales_the_noise_by_the_first_level_of_each_row():
    latent, noise = draws(2, (3, 4, 2, 2))
    greatest = POWERS_OF_TWO.table[-1].item()
    sigmas = torch.tensor([[greatest, 1.0, 0.0], [8.0, 1.0, 0.0], [greatest * (1 - 1e-4), 1.0, 0.0]]).double()
    started = POWERS_OF_TWO.begun(latent, noise, sigmas[:, 0])
    for row, scale in enumerate((math.sqrt(1 + greatest**2), 8.0, greatest * (1 - 1e-4))):
        torch.testing.assert_close(started[row], latent[row] + scale * noise[row])


@pytest.mark.parametrize("config", [SD15, PLAYGROUND, {**SD15, "rescale_betas_zero_snr": True}])
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_whole_schedules_start_at_unit_variance_but_ddim_uniform(scheduler, config):
    levels = levels_of(config)
    sigmas = sigmas_for(levels, scheduler, 20)[None]
    started = levels.begun(torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1), sigmas[:, 0]).item()
    first = sigmas[0, 0].item()
    assert started == pytest.approx(first if scheduler == "ddim_uniform" else math.sqrt(1 + first**2), rel=1e-6)


# --- samplers against their definitions, number by number


def reference_euler(denoise, x, sigmas, noises):
    for now, after in pairwise(sigmas):
        x += (after - now) * (x - denoise(x, now)) / now
    return x


def reference_heun(denoise, x, sigmas, noises):
    """Karras et al. 2022, algorithm 2 without churn."""
    for now, after in pairwise(sigmas):
        slope = (x - denoise(x, now)) / now
        ahead = x + (after - now) * slope
        if after:
            slope = (slope + (ahead - denoise(ahead, after)) / after) / 2
        x += (after - now) * slope
    return x


def reference_euler_ancestral(denoise, x, sigmas, noises):
    """A draw from the posterior q(x_after | x_now, x0) of Ho et al. 2020, equations 6 and 7, on x = x0 + sigma z."""
    for (now, after), noise in zip(pairwise(sigmas), [*noises, 0.0], strict=True):
        x0 = denoise(x, now)
        mean = (after**2 * x + (now**2 - after**2) * x0) / now**2
        x = mean + math.sqrt(after**2 * (now**2 - after**2) / now**2) * noise
    return x


def preserving(sigma):
    """(alpha, sigma) of the variance-preserving form that the DPM-Solver papers use."""
    alpha = 1 / math.sqrt(1 + sigma**2)
    return alpha, sigma * alpha


def reference_dpmpp_2m(denoise, x, sigmas, noises):
    """Lu et al. 2022 (DPM-Solver++), algorithm 2, in the paper's variables; order 1 onto the end."""
    x, before, x0_before = x * preserving(sigmas[0])[0], None, None
    for now, after in pairwise(sigmas[:-1]):
        (alpha, level), (alpha_after, level_after) = preserving(now), preserving(after)
        x0 = denoise(x / alpha, now)
        h = math.log(alpha_after / level_after) - math.log(alpha / level)
        estimate = x0
        if before is not None:
            r = math.log(before / now) / h
            estimate = (1 + 1 / (2 * r)) * x0 - x0_before / (2 * r)
        x = level_after / level * x - alpha_after * math.expm1(-h) * estimate
        before, x0_before = now, x0
    return denoise(x / preserving(sigmas[-2])[0], sigmas[-2])


def reference_dpmpp_2m_sde(denoise, x, sigmas, noises):
    """SDE-DPM-Solver++(2M) of the same paper, in the paper's variables; the last step is the estimate."""
    x, before, x0_before = x * preserving(sigmas[0])[0], None, None
    for (now, after), noise in zip(pairwise(sigmas[:-1]), noises, strict=True):
        (alpha, level), (alpha_after, level_after) = preserving(now), preserving(after)
        x0 = denoise(x / alpha, now)
        h = math.log(alpha_after / level_after) - math.log(alpha / level)
        pull = alpha_after * (1 - math.exp(-2 * h))
        fresh = level_after * math.sqrt(1 - math.exp(-2 * h)) * noise
        x = level_after / level * math.exp(-h) * x + pull * x0 + fresh
        if before is not None:
            x += pull / 2 * (x0 - x0_before) / (math.log(before / now) / h)
        before, x0_before = now, x0
    return denoise(x / preserving(sigmas[-2])[0], sigmas[-2])


def reference_lcm(denoise, x, sigmas, noises):
    """Luo et al. 2023, algorithm 3."""
    for (now, after), noise in zip(pairwise(sigmas), [*noises, 0.0], strict=True):
        x = denoise(x, now) + after * noise
    return x


def reference_uni_pc(denoise, x, sigmas, noises):
    """Zhao et al. 2023: UniP and UniC in data prediction with B(h) = h, in the paper's variables.

    The vector g(h) has g_k = k! h phi_(k+1)(-h), by the recursion phi_(k+1)(z) = (phi_k(z) - 1 / k!) / z.
    """
    sigmas = [*sigmas[:-1], UNI_PC_END]
    steps = len(sigmas) - 1
    lambdas = [-math.log(sigma) for sigma in sigmas]
    x *= preserving(sigmas[0])[0]
    found = [denoise(x / preserving(sigmas[0])[0], sigmas[0])]

    def weights(ratios, h):
        """a_p, solving R a = g / B, for the differences D_i / r_i."""
        if len(ratios) == 1:
            return [0.5]
        phi, g = math.expm1(-h) / -h, []
        for k in range(1, len(ratios) + 1):
            phi = (phi - 1 / math.factorial(k)) / -h if k > 1 else (phi - 1) / -h
            g.append(h * phi * math.factorial(k))
        matrix = [[r ** (k - 1) for r in ratios] for k in range(1, len(ratios) + 1)]
        return list(np.linalg.solve(np.array(matrix), np.array(g) / h))

    for k in range(1, steps + 1):
        order = min(3, k, steps + 1 - k)
        h = lambdas[k] - lambdas[k - 1]
        (_, level), (alpha_after, level_after) = preserving(sigmas[k - 1]), preserving(sigmas[k])
        newest = found[-1]
        ratios = [(lambdas[k - 1 - i] - lambdas[k - 1]) / h for i in range(1, order)]
        slopes = [(found[-1 - i] - newest) / ratios[i - 1] for i in range(1, order)]
        plain = level_after / level * x - alpha_after * math.expm1(-h) * newest
        a = weights(ratios, h) if ratios else []
        x = plain + alpha_after * h * sum(p * q for p, q in zip(a, slopes, strict=True))
        if k < steps:
            found.append(denoise(x / alpha_after, sigmas[k]))
            a = weights([*ratios, 1.0], h)
            x = plain + alpha_after * h * sum(p * q for p, q in zip(a, [*slopes, found[-1] - newest], strict=True))
    return x / preserving(sigmas[-1])[0]


def reference_res_multistep(denoise, x, sigmas, noises):
    """Zhang et al. 2023, equation 16, with b1 = phi1 - phi2 / c, b2 = phi2 / c and c = -h_before / h."""
    before = None
    for now, after in pairwise(sigmas):
        m = denoise(x, now)
        if before is None or after == 0:
            x = m + (x - m) * after / now
        else:
            h, c = math.log(now / after), -math.log(before[1] / now) / math.log(now / after)
            phi1 = math.expm1(-h) / -h
            phi2 = (phi1 - 1) / -h
            x = math.exp(-h) * x + h * ((phi1 - phi2 / c) * m + phi2 / c * before[0])
        before = m, now
    return x


def reference_er_sde(denoise, x, sigmas, noises):
    """Cui et al. 2023, algorithm 3 with phi(s) = s (e^(s^0.3) + 10), its integrals as sums over 200 levels."""

    def phi(level):
        return level * (math.exp(level**0.3) + 10)

    left, found = iter(noises), []
    for now, after in pairwise(sigmas):
        m = denoise(x, now)
        if after == 0:
            return m
        kept, step = phi(after) / phi(now), after - now
        points = [after - step * k / 200 for k in range(200)]
        x = kept * x + (1 - kept) * m
        slope = (m - found[-1][0]) / (now - found[-1][1]) if found else None
        if found:
            x += (step - step / 200 * sum(1 / phi(each) for each in points) * phi(after)) * slope
        if len(found) > 1:
            bend = (slope - found[-1][2]) / ((now - found[-2][1]) / 2)
            x += (step**2 / 2 - step / 200 * sum((each - now) / phi(each) for each in points) * phi(after)) * bend
        x += next(left) * math.sqrt(max(after**2 - now**2 * kept**2, 0))
        found.append((m, now, slope))
    return x


REFERENCES = {
    "euler": reference_euler,
    "ddim": reference_euler,
    "heun": reference_heun,
    "euler_ancestral": reference_euler_ancestral,
    "dpmpp_2m": reference_dpmpp_2m,
    "dpmpp_2m_sde": reference_dpmpp_2m_sde,
    "lcm": reference_lcm,
    "uni_pc": reference_uni_pc,
    "res_multistep": reference_res_multistep,
    "er_sde": reference_er_sde,
}


def assert_equals_reference(name, sigmas, tolerance, dtype=torch.float64):
    shape = (1, 2, 3, 1)
    (x,) = draws(1, shape, seed=len(sigmas))
    x = x * sigmas[0]
    noises = draws(len(sigmas) - 2, shape)
    out = sample(name, bent_denoiser, x.to(dtype), sigmas, [noise.to(dtype) for noise in noises])
    assert out.dtype == dtype
    for index in np.ndindex(shape):
        alone = [noise[index].item() for noise in noises]
        expected = REFERENCES[name](bent_denoiser, x[index].item(), list(sigmas), alone)
        assert out[index].item() == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 12])
@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers_equal_their_definition_in_float64(name, steps):
    assert_equals_reference(name, geometric(12.0, 0.05, steps), tolerance=1e-9)
    uneven = [14.6 * (1 - k / steps) ** 3 + 0.02 for k in range(steps)] + [0.0]
    assert_equals_reference(name, uneven, tolerance=1e-9)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers_on_real_schedules_stay_with_their_definition_in_float32(name, scheduler):
    for steps, denoise in ((6, 1.0), (25, 1.0), (8, 0.3)):
        sigmas = sigmas_for(levels_of(SD15), scheduler, steps, denoise, name).tolist()
        assert_equals_reference(name, sigmas, tolerance=3e-5, dtype=torch.float32)


def test_ddim_equals_the_update_of_its_paper():
    """Song et al. 2020, equation 12 with sigma_t = 0, in the variance-preserving variables."""
    sigmas = sigmas_for(levels_of(SD15), "ddim_uniform", 10).double().tolist()
    x = 3.0 * preserving(sigmas[0])[0]
    for now, after in pairwise(sigmas):
        (alpha, level), (alpha_after, level_after) = preserving(now), preserving(after)
        eps = (x / alpha - bent_denoiser(x / alpha, now)) / now
        x = alpha_after * (x - level * eps) / alpha + level_after * eps
    out = sample("ddim", bent_denoiser, torch.full((1, 1, 1, 1), 3.0).double(), sigmas)
    assert out.item() == pytest.approx(x, abs=1e-12)


# --- samplers on data whose answer is known


def flow_error(name, steps):
    """How far a sampler lands from the exact flow, on levels fine enough at their end to count nothing there."""
    end = UNI_PC_END if name == "uni_pc" else 0.0
    least = UNI_PC_END * 1.0001 if name == "uni_pc" else 1e-5
    x = torch.full((1, 1, 1, 1), 9.0, dtype=torch.float64)
    out = sample(name, best_denoiser, x, geometric(10.0, least, steps))
    return abs(out.item() - flow(9.0, 10.0, end))


@pytest.mark.parametrize(("name", "order"), [("euler", 1), ("heun", 2), ("dpmpp_2m", 2), ("uni_pc", 4)])
def test_order_of_convergence(name, order):
    """UniPC of order 3 gains one by its corrector: Zhao et al. 2023, theorem 3.1."""
    coarse, fine = flow_error(name, 20), flow_error(name, 160)
    assert math.log2(coarse / fine) / 3 == pytest.approx(order, abs=0.2)


@pytest.mark.parametrize("name", ODE)
def test_samplers_carry_every_point_along_the_flow(name):
    x = torch.linspace(-20, 20, 9, dtype=torch.float64).view(1, 1, 3, 3)
    sigmas = sigmas_for(levels_of(SD15), "karras", 400, sampler=name).double()[None]
    expected = MEAN + (x - MEAN) * (flow(MEAN + 1, sigmas[0, 0].item()) - MEAN)
    torch.testing.assert_close(sample(name, best_denoiser, x, sigmas), expected, atol=0.01, rtol=0)


def variance_left(name, denoise, sigmas):
    """The exact variance of what a sampler makes of noisy data, with no draw at all.

    With a linear denoiser the output is a weighted sum of the start and of each noise. Row 0 starts at one unit
    from the mean and draws nothing, row k + 1 starts at the mean and draws one unit in step k: the outputs are
    the weights.
    """
    steps = len(sigmas) - 1
    x = torch.full((steps, 1, 1, 1), MEAN, dtype=torch.float64)
    x[0] += 1
    noises = [torch.zeros_like(x) for _ in range(steps - 1)]
    for k, noise in enumerate(noises):
        noise[k + 1] = 1
    weights = (sample(name, denoise, x, sigmas, noises) - MEAN).flatten()
    variances = torch.ones_like(weights)
    variances[0] = SPREAD**2 + sigmas[0] ** 2
    return float((weights**2 * variances).sum())


@pytest.mark.parametrize(("name", "order"), [("euler_ancestral", 1), ("dpmpp_2m_sde", 2)])
def test_fresh_noise_leaves_the_variance_of_the_data(name, order):
    wrong = [abs(variance_left(name, best_denoiser, geometric(20.0, 1e-3, n)) - SPREAD**2) for n in (50, 200)]
    assert wrong[1] < 0.04
    assert math.log2(wrong[0] / wrong[1]) / 2 == pytest.approx(order, abs=0.2)


def test_lcm_leaves_the_variance_of_the_data_after_any_steps():
    """Exactly, given the consistency function itself: the flow's end from every point."""

    def consistency(x, sigma):
        return MEAN + (x - MEAN) * SPREAD / (SPREAD**2 + sigma.view(-1, 1, 1, 1) ** 2).sqrt()

    for steps in (1, 2, 4, 9):
        assert variance_left("lcm", consistency, geometric(14.0, 0.1, steps)) == pytest.approx(SPREAD**2)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_picture_known_for_sure_is_what_comes_out(name):
    picture, x, *noises = draws(12, (2, 4, 3, 3))
    out = sample(name, lambda x, sigma: picture, x * 14, geometric(14.0, 0.03, 10), noises)
    left = (x - picture / 14) * UNI_PC_END if name == "uni_pc" else torch.zeros_like(x)
    torch.testing.assert_close(out, picture + left, atol=1e-12, rtol=0)


# --- what every sampler owes to its caller


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 7])
@pytest.mark.parametrize("name", SAMPLERS)
def test_calls_draws_and_reports_are_counted(name, steps):
    calls, drawn, reports = [], [], []

    def denoise(x, sigma):
        calls.append(sigma.tolist())
        return best_denoiser(x, sigma)

    def noise():
        drawn.append(1)
        return torch.zeros(2, 1, 2, 2)

    x = torch.ones(2, 1, 2, 2)
    sigmas = torch.tensor([geometric(9.0, 0.1, steps)] * 2) if steps else torch.zeros(2, 1)
    out = SAMPLERS[name](denoise, x, sigmas, noise, lambda *report: reports.append(report))
    assert reports == [(k + 1, steps) for k in range(steps)]
    assert len(calls) == (max(2 * steps - 1, 0) if name == "heun" else steps)
    assert all(sigma in sigmas.T.tolist() for sigma in calls)
    assert len(drawn) == (max(steps - 1, 0) if catalog.samplers.SAMPLERS[name].stochastic else 0)
    assert steps or torch.equal(out, x)


@pytest.mark.parametrize("name", SAMPLERS)
def test_inputs_are_left_as_they_were(name):
    x, *noises = draws(6, (2, 1, 2, 2), dtype=torch.float32)
    sigmas = torch.tensor([geometric(9.0, 0.1, 5)] * 2)
    before = x.clone(), sigmas.clone()
    sample(name, best_denoiser, x, sigmas, noises)
    assert torch.equal(x, before[0])
    assert torch.equal(sigmas, before[1])


def a_batch_of_unlike_rows(name, size):
    levels = levels_of(SD15)
    amounts = [(k + 1) / size for k in range(size)]
    sigmas = torch.stack([sigmas_for(levels, "normal", 6, amount, name) for amount in amounts])
    x, *noises = draws(7, (size, 4, 3, 5), dtype=torch.float32)
    return x * sigmas[:, :1, None, None], sigmas, noises


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_row_is_the_same_bit_for_bit_whatever_stands_beside_it(name):
    x, sigmas, noises = a_batch_of_unlike_rows(name, 5)
    together = sample(name, bent_denoiser, x, sigmas, noises)
    for row in range(5):
        alone = sample(
            name,
            bent_denoiser,
            x[row].expand(5, -1, -1, -1),
            sigmas[row].expand(5, -1),
            [noise[row].expand(5, -1, -1, -1) for noise in noises],
        )
        assert torch.equal(alone, together[row].expand(5, -1, -1, -1))


@pytest.mark.parametrize("name", SAMPLERS)
def test_rows_may_stand_in_any_order(name):
    x, sigmas, noises = a_batch_of_unlike_rows(name, 4)
    order = torch.tensor([2, 0, 3, 1])
    shuffled = sample(name, bent_denoiser, x[order], sigmas[order], [noise[order] for noise in noises])
    assert torch.equal(shuffled, sample(name, bent_denoiser, x, sigmas, noises)[order])


@pytest.mark.parametrize("config", [SD15, PLAYGROUND, {**SD15, "rescale_betas_zero_snr": True}])
@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("name", SAMPLERS)
def test_every_walk_that_a_recipe_can_ask_for_ends_in_finite_numbers(name, scheduler, config):
    levels = levels_of(config)
    for steps, denoise in ((1, 1.0), (2, 1.0), (3, 0.9), (12, 1.0), (15, 0.004), (4, 1e-9)):
        sigmas = sigmas_for(levels, scheduler, steps, denoise, name)[None]
        x, *noises = draws(sigmas.shape[1], (1, 1, 4, 4), dtype=torch.float32)
        x = levels.begun(torch.zeros_like(x), x, sigmas[:, 0])
        out = sample(name, best_denoiser, x, sigmas, noises)
        assert bool(out.isfinite().all()), (steps, denoise)


def test_names_are_those_that_recipes_know():
    assert set(SCHEDULERS) <= set(catalog.schedulers.SCHEDULERS)
    assert set(SAMPLERS) <= set(catalog.samplers.SAMPLERS)
    assert {name for name in SAMPLERS if catalog.samplers.SAMPLERS[name].skips_least} == {"uni_pc"}
