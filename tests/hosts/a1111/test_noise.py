"""The noise of the frames at the steps of the host's samplers."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

import torch

from a1111_extension.noise import FrameNoise, take_step_noise
from remix.mix import StepNoise
from remix.plan import Mix

SHAPE = (4, 8, 8)
MIXES = [Mix.one(1), Mix(((1, 0.5), (2, 0.5))), Mix.one(2)]
NOTHING = torch.zeros(3, *SHAPE)


def no_noise(model: Any, x: Any, sigmas: Any, s_churn: float = 0.0) -> Any:
    """A sampler that asks for no noise."""
    return x


def own_noise(model: Any, x: Any, sigmas: Any, noise_sampler: Any = None) -> Any:
    """Forge's DDPM: without a noise sampler, it takes noise from the whole process."""
    return torch.randn_like(x) if noise_sampler is None else noise_sampler(2.0, 1.0)


def sampler_of_host(func: Any, source: Any = None) -> tuple[Any, Any]:
    """A sampler and the noise of the frames that it takes."""
    sampler = SimpleNamespace(func=func, create_noise_sampler=lambda x, sigmas, p: None)
    noise = FrameNoise(MIXES, SHAPE, "cpu", source)
    take_step_noise(sampler, lambda: noise, source is None)
    return sampler, noise


def test_overlapping_steps_share_their_noise() -> None:
    sampler, noise = sampler_of_host(no_noise)
    expected = StepNoise(MIXES, SHAPE)
    assert torch.equal(noise.next(), expected.next())
    draw = sampler.create_noise_sampler(NOTHING, torch.ones(2), None)
    for levels in ((10.0, 7.0), (10.0, 4.0), (4.0, 2.0)):
        assert torch.equal(draw(*map(torch.tensor, levels)), expected.between(*levels))


def test_a_sampler_with_noise_of_its_own_takes_that_of_the_frames() -> None:
    sampler, noise = sampler_of_host(own_noise)
    expected = StepNoise(MIXES, SHAPE)
    assert torch.equal(noise.next(), expected.next())
    assert torch.equal(sampler.func(None, NOTHING, None), expected.next())
    assert "noise_sampler" in inspect.signature(sampler.func).parameters


def test_a_sampler_that_asks_for_no_noise_stays_what_it_is() -> None:
    assert sampler_of_host(no_noise)[0].func is no_noise


def test_the_host_may_refuse_trees_of_each_seed() -> None:
    sampler, _ = sampler_of_host(no_noise, source=lambda shape, seeds: None)
    assert sampler.create_noise_sampler(NOTHING, torch.ones(2), None) is None
