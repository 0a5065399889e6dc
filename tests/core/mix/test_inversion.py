"""Inversion: the noise in a picture, next to the exact solution for a model that knows one normal distribution."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from remix.errors import MixError
from remix.mix.inversion import INVERSION_STEPS, inverted, inverted_noise

CLEAN = torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(1))
Noised = Callable[[Tensor, Tensor, Tensor], Tensor]


def diffusion(clean: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    return clean + sigma * noise


def flow(clean: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    return (1 - sigma) * clean + sigma * noise


def best(noised: Noised) -> Callable[[Tensor, Tensor], Tensor]:
    """The estimate of a perfect model of pictures with mean 0 and deviation 1."""

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        signal = noised(torch.ones(1), torch.zeros(1), sigma)
        return x * signal / (signal**2 + sigma**2)

    return denoise


def sampled(noise: Tensor, noised: Noised, levels: Tensor) -> Tensor:
    """What Euler's method draws from a noise, in very many steps."""
    denoise = best(noised)
    x = noised(torch.zeros_like(noise), noise, levels[0])
    for sigma, below in pairwise(levels):
        x = x + (below - sigma) * (x - denoise(x, sigma)) / sigma
    return x


@pytest.mark.parametrize(
    ("noised", "levels"),
    [
        (diffusion, torch.cat([torch.logspace(1.16, -1.5, INVERSION_STEPS), torch.zeros(1)])),
        (flow, torch.linspace(1, 0, INVERSION_STEPS + 1)),
    ],
)
def test_a_model_draws_a_picture_from_the_noise_found_in_it(noised: Noised, levels: Tensor) -> None:
    found = inverted(best(noised), CLEAN, levels, noised)
    assert found.levels.tolist() == levels.flip(0)[1:].tolist()
    for place in (-1, len(levels) // 2):
        sigma = found.levels[place]
        signal = noised(torch.ones(1), torch.zeros(1), sigma)
        exact = CLEAN * (signal**2 + sigma**2).sqrt()  # of the differential equation
        assert (noised(CLEAN, found.at(float(sigma)), sigma) - exact).abs().max() < 0.12 * exact.abs().max()
    if noised is flow:  # at the greatest level, only the noise is left
        drawn = sampled(found.at(1), flow, torch.linspace(1, 0, 1001))
        assert (drawn - CLEAN).abs().max() < 0.12 * CLEAN.abs().max()


def test_noise_between_two_levels_and_of_a_mix() -> None:
    levels = torch.tensor([8.0, 2.0, 0.5, 0])
    first, second = (inverted(best(diffusion), scale * CLEAN, levels, diffusion) for scale in (1, -3))
    assert torch.equal(first.at(2)[0], first.noise[1])
    assert torch.equal(first.at(100), first.at(8))
    assert torch.equal(first.at(0.001), first.at(0.5))
    torch.testing.assert_close(first.at(4), (first.at(2) + first.at(8)) / 2)
    films = {"a": first, "b": second}
    noise = inverted_noise(films.__getitem__, [[("a", 1.0)], [("a", 0.5), ("b", 0.5)]], [2, 2])
    assert torch.equal(noise[:1], first.at(2))
    between = (first.at(2).std((2, 3)) + second.at(2).std((2, 3))) / 2
    torch.testing.assert_close(noise[1:].std((2, 3)), between)  # a plain mean of the two would be dull


def test_levels_that_do_not_fall_are_refused() -> None:
    for levels in ([1.0, 0.0], [1.0, 2.0, 0.0]):
        with pytest.raises(MixError, match="levels"):
            inverted(best(diffusion), CLEAN, torch.tensor(levels), diffusion)
