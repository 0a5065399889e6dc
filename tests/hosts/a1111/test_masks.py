"""What masks keep of clean latents, in denoisers of either kind that the host has."""

from __future__ import annotations

import torch
from torch import Tensor

from a1111_extension.masks import Kept

CLEAN, NOISE = (torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
FOUND = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(3))
MASK = torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1, 1).expand(3, 1, 8, 8)
ALPHAS = torch.linspace(0.999, 0.01, 1000)


def kept() -> Kept:
    return Kept(CLEAN, MASK, lambda: NOISE)


def noised(clean: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    return clean + noise * sigma


def test_what_is_kept_is_seen_with_its_own_noise_and_comes_back_clean() -> None:
    seen: list[Tensor] = []

    def forward(x: Tensor, sigma: Tensor, scale: float) -> Tensor:
        seen.append(x)
        return FOUND * scale

    x, sigma = torch.full_like(CLEAN, 7.0), torch.full((3,), 2.0)
    given = kept().of_sigmas(forward, noised)(x, sigma, scale=2.0)
    level = CLEAN + 2 * NOISE
    assert torch.equal(seen[0][0], level[0])
    assert torch.allclose(seen[0][1], (level[1] + x[1]) / 2)
    assert torch.equal(seen[0][2], x[2])
    assert torch.equal(given[0], CLEAN[0])
    assert torch.allclose(given[1], (CLEAN[1] + 2 * FOUND[1]) / 2)
    assert torch.equal(given[2], 2 * FOUND[2])


def test_a_denoiser_of_times_keeps_the_same_as_one_of_sigmas() -> None:
    """The same model twice: called with sigma it returns clean latents, called with time the noise of unit variance."""
    time = 400
    share = ALPHAS[time]
    sigma = ((1 - share) / share).sqrt()

    def model(x: Tensor, sigma: Tensor) -> Tensor:
        return torch.tanh(x) * 0.3

    def of_noise(x: Tensor, times: Tensor) -> Tensor:
        wide = x / share.sqrt()
        return (wide - model(wide, sigma)) / sigma

    x = CLEAN + sigma * torch.roll(NOISE, 1, dims=-1)
    one = kept().of_sigmas(model, noised)(x, sigma.expand(3))
    noise = kept().of_times(of_noise, lambda: ALPHAS)(x * share.sqrt(), torch.full((3,), float(time)))
    assert torch.allclose(x - sigma * noise, one, atol=1e-4)


def test_times_between_those_of_the_model_lie_between_their_shares() -> None:
    given = []

    def of_noise(x: Tensor, times: Tensor) -> Tensor:
        given.append(x)
        return x

    for time in (400.0, 400.5, 401.0):
        kept().of_times(of_noise, lambda: ALPHAS)(CLEAN, torch.full((3,), time))
    first, between, last = (part[0] for part in given)
    assert torch.allclose(between, (first + last) / 2, atol=1e-4)
    assert not torch.equal(first, last)


def test_another_way_to_blend_is_told_the_level_by_either_kind() -> None:
    levels: list[Tensor] = []

    def blend(clean: Tensor, found: Tensor, sigma: Tensor) -> Tensor:
        levels.append(sigma)
        return clean

    args = Kept(CLEAN, MASK, lambda: NOISE, blend)
    share = ALPHAS[400]
    sigma = ((1 - share) / share).sqrt().expand(3)
    assert torch.equal(args.of_sigmas(lambda x, sigma: x, noised)(FOUND, sigma), CLEAN)
    args.of_times(lambda x, times: x, lambda: ALPHAS)(FOUND, torch.full((3,), 400.0))
    assert torch.allclose(levels[0], levels[1], rtol=1e-4)


def test_what_is_kept_whole_is_put_back_whatever_the_sampler_ends_on() -> None:
    back = kept().put_back(FOUND)
    assert torch.equal(back[0], CLEAN[0])
    assert torch.equal(back[1:], FOUND[1:])
