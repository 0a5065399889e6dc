"""The host's samplers, its noise, and how its models take latents."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import modules.scripts as scripts  # the module: importing Script by name would register it again
import torch
from modules import devices, prompt_parser, rng, sd_samplers, sd_samplers_timesteps, shared

from .settings import FORGE, option


def noise_source(shape: Sequence[int], seeds: Sequence[int]) -> Any:
    """Returns the host's own noise for these seeds."""
    return rng.ImageRNG(tuple(shape), list(seeds), subseeds=None, subseed_strength=0.0)


def device() -> Any:
    """Returns the device of the host's latents."""
    return shared.device


def has_sampler(label: str) -> bool:
    """Returns whether the host has a sampler with this label."""
    return sd_samplers.find_sampler_config(label) is not None


def has_scheduler(label: str) -> bool:
    """Returns whether the host has a schedule with this label."""
    try:
        from modules import sd_schedulers
    except ImportError:  # in older hosts the schedule is part of the sampler
        return label == "Automatic"
    return label in sd_schedulers.schedulers_map


def is_of_times(sampler: Any) -> bool:
    """Returns whether a sampler works with times and predicted noise, and not with noise levels."""
    return isinstance(sampler, sd_samplers_timesteps.CompVisSampler)


def euler(p: Any) -> Any:
    """Returns a new sampler of the host for a processing object: Euler's method along noise levels."""
    return sd_samplers.create_sampler("Euler", p.sd_model)


def levels_of_model(sampler: Any, steps: int) -> Any:
    """Returns the noise levels of the model at evenly spaced times without the last, as "SGM Uniform", and 0."""
    wrap = sampler.model_wrap
    first, last = (float(wrap.sigma_to_t(wrap.sigmas[place])) for place in (-1, 0))
    times = torch.linspace(first, last, steps + 1)[:-1].to(wrap.sigmas.device)
    levels = torch.stack([wrap.t_to_sigma(time) for time in times]).float().cpu()
    return torch.cat([levels, torch.zeros(1)])


def empty_prompts(p: Any) -> tuple[Any, Any]:
    """Returns the host's conditionings of no prompt for one picture: as a prompt, and as a negative prompt.

    They are the same, so that the guidance of a run has no effect.
    """
    texts = prompt_parser.SdConditioning([""], width=p.width, height=p.height)
    with torch.no_grad(), devices.autocast():
        positive = prompt_parser.get_multicond_learned_conditioning(p.sd_model, texts, p.steps)
        negative = prompt_parser.get_learned_conditioning(p.sd_model, texts, p.steps)
    return positive, negative


def alphas() -> Any:
    """Returns the signal's share of the variance at each time of the model."""
    return shared.sd_model.alphas_cumprod


def unipc(model: Any, x: Any, times: Any, extra_args: Any, callback: Any) -> Any:
    """Returns the latents that the host's UniPC samples from `x` at these times, which fall from 1 to 0."""
    from modules.sd_samplers_timesteps_impl import UniPCCFG, uni_pc

    schedule, steps = uni_pc.NoiseScheduleVP("discrete", alphas_cumprod=alphas()), len(times) - 1
    way = {"predict_x0": True, "thresholding": False, "variant": option("uni_pc_variant", "bh1")}
    walk = UniPCCFG(model, extra_args, callback, schedule, **way)
    walk.get_time_steps = lambda **_: times.to(x.device)
    order = min(option("uni_pc_order", 3), steps)
    return walk.sample(x, steps=steps, method="multistep", order=order, lower_order_final=True)


def noised(sampler: Any) -> Callable[[Any, Any, Any], Any]:
    """Returns the function that adds noise to the model's latents: clean latents, noise, and its level."""
    if FORGE:
        return lambda clean, noise, sigma: sampler.model_wrap.predictor.noise_scaling(sigma, noise, clean)
    flowing = getattr(shared.sd_model, "add_noise_to_latent", None)
    return flowing or (lambda clean, noise, sigma: clean + noise * sigma)


def unmasked(denoiser: Any) -> Callable[..., Any]:
    """Returns a denoiser's forward without the host's own mask."""
    own = denoiser.forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        denoiser.mask = None
        return own(*args, **kwargs)

    return forward


def blend_of_mask(p: Any) -> Callable[[Any, Any, Any], Any] | None:
    """Returns the function by which Forge blends the model's output with clean latents, using the host's own mask.

    Returns None without a mask, and in A1111, which blends without drawing noise.
    """
    if not FORGE or getattr(p, "mask", None) is None:
        return None

    def blended(clean: Any, found: Any, sigma: Any) -> Any:
        plain = found * p.nmask + clean * p.mask
        given = scripts.MaskBlendArgs(found, p.nmask, clean, p.mask, plain, p.sampler.model_wrap_cfg, sigma)
        if p.scripts is not None:
            p.scripts.on_mask_blend(p, given)
        return given.blended_latent

    return blended


@contextmanager
def repeatable() -> Iterator[None]:
    """Makes random numbers that the host draws without a seed, such as in a VAE encoder, repeatable."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def free() -> None:
    """Frees memory that the host holds but does not need."""
    devices.torch_gc()
