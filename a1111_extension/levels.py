"""Sets the noise level at which the host starts from an init picture, also between whole steps.

The host takes the last steps of a schedule of int(steps / denoise) steps, so a traveling denoise would move in whole
steps. Its UniPC starts at a different level than its schedule.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any

import torch
from torch import Tensor

from remix.mix import levels_from

from . import host

UNI_PC_END = 0.001
"""The level at which ComfyUI's UniPC ends. The host's own ends at the model's lowest level, with visible noise."""


def begin_by_rule(sampler: Any, steps: int, denoise: float) -> None:
    """Makes a sampler take `steps` steps from the level of `denoise`. The host creates a sampler for each run.

    A sampler that uses the model's timesteps and cannot start between two of them is left unchanged.
    """
    if not host.is_of_times(sampler):
        _by_levels(sampler, steps, denoise)
    elif "is_img2img" in inspect.signature(sampler.func).parameters:  # UniPC, which accepts its first level
        _by_times(sampler, steps, denoise)


def _by_levels(sampler: Any, steps: int, denoise: float) -> None:
    schedule, sample = sampler.get_sigmas, sampler.sample_img2img

    def levels(p: Any) -> Tensor:
        return levels_from(functools.partial(schedule, p), steps, denoise)

    def get_sigmas(p: Any, total: int) -> Tensor:
        found = levels(p)
        # The host skips as many levels as its own schedule has extra steps.
        return torch.cat([found[:1].expand(total - steps), found])

    def sample_img2img(p: Any, x: Tensor, noise: Tensor, *args: Any, **kwargs: Any) -> Any:
        first = levels(p)[:1].view(1, 1, 1, 1)
        clean = host.noised(sampler)(torch.ones_like(first), torch.zeros_like(first), first)
        # A flow model's clean latent shrinks as noise is added; in other models it is unchanged.
        more = _excess(float(first), float(sampler.model_wrap.sigmas[-1])) if float(clean) == 1 else 1.0
        return sample(p, x, noise * more, *args, **kwargs)

    sampler.get_sigmas, sampler.sample_img2img = get_sigmas, sample_img2img


def _by_times(sampler: Any, steps: int, denoise: float) -> None:
    func, sample, timesteps = sampler.func, sampler.sample_img2img, sampler.get_timesteps
    denoiser = sampler.model_wrap_cfg
    forward = denoiser.forward

    def at_whole_times(x: Tensor, times: Tensor, *args: Any, **kwargs: Any) -> Any:
        return forward(x, times.round(), *args, **kwargs)  # the nearest time that the model knows, as in ComfyUI

    def sample_img2img(p: Any, x: Tensor, noise: Tensor, *args: Any, **kwargs: Any) -> Any:
        alphas = host.alphas().detach().cpu().double()
        levels = levels_from(functools.partial(_evenly, ((1 - alphas) / alphas).sqrt()), steps, denoise)
        share = 1 / (1 + levels[0] ** 2)
        more = _excess(float(levels[0]), float(((1 - alphas[-1]) / alphas[-1]).sqrt()))
        begun = share.sqrt().item() * x + (1 - share).sqrt().item() * more * noise
        times = _times(alphas, levels)

        @functools.wraps(func)
        def from_there(model: Any, _: Tensor, *, extra_args: Any, callback: Any, **named: Any) -> Any:
            return host.unipc(model, begun, times, extra_args, callback)

        sampler.func = from_there
        return sample(p, x, noise, *args, **kwargs)

    # The host divides its 1000 times by the steps; its own starting point is not used.
    sampler.get_timesteps = lambda p, total: timesteps(p, min(total, 1000))
    sampler.sample_img2img = sample_img2img
    denoiser.forward = at_whole_times


def _evenly(table: Tensor, steps: int) -> Tensor:
    """Returns the levels of ComfyUI's UniPC with "normal": at evenly spaced times, without the lowest."""
    times = torch.linspace(len(table) - 1, 0, steps + 1, dtype=torch.float64)[:-1]
    logs, before = table.log(), times.floor().long()
    after = (before + 1).clamp(max=len(table) - 1)
    return torch.cat([torch.lerp(logs[before], logs[after], times.frac()).exp(), table.new_zeros(1)])


def _times(alphas: Tensor, levels: Tensor) -> Tensor:
    """Returns the host's times, from 1 to 0, at which its noise has these levels, ending at `UNI_PC_END`.

    The host interpolates the logarithm of the signal's share linearly between the model's times, and below the first.
    """
    wanted = -torch.cat([levels[:-1], levels.new_tensor([UNI_PC_END])]).square().log1p()
    logs = alphas.log()
    after = torch.searchsorted(-logs, -wanted).clamp(1, len(logs) - 1)
    share = (wanted - logs[after - 1]) / (logs[after] - logs[after - 1])
    return ((after + share) / len(logs)).float()


def _excess(first: float, greatest: float) -> float:
    """Returns the factor of the extra noise with which a run starts at the highest level.

    There the noisy latent of the training, which has unit variance, is pure noise, as in ComfyUI.
    """
    return float((1 + first**-2) ** 0.5) if first >= greatest * (1 - 1e-5) else 1.0
