"""Samples frames with the host: from latents and noise, at the noise levels of their denoise, to latents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import comfy.sample
import comfy.samplers
import torch

from remix.engine.passes import calls_of
from remix.engine.pictures import masks_of, refuse_not_finite
from remix.mix import levels_from, mix_latents, weights_of
from remix.motion import Picture
from remix.motion.pictures import to_floats
from remix.plan import Frame, Recipe, Schedule
from remix.plan.denoise import LEAST_DENOISE, is_between

from .encoding import Entries
from .inversion import InitPictures
from .model import shrink_of
from .noise import with_noise
from .passes import is_timed, with_calls

OnStep = Callable[[int, int, int, Any], None]
"""(frames that are sampled together, steps done, total steps, the model's current estimate)."""


def encoded(vae: Any, picture: Picture) -> torch.Tensor:
    """Returns the latent of an init picture."""
    latent: torch.Tensor = vae.encode(torch.from_numpy(to_floats(picture))[None])
    return latent


def sampled(
    model: Any,
    schedule: Schedule,
    indices: Sequence[int],
    conditionings: tuple[Entries, Entries],
    given: InitPictures,
    inputs: Mapping[str, Picture],
    on_step: OnStep,
) -> torch.Tensor:
    """Returns the latents of frames with equal cfg and denoise, which a batch has only once.

    `conditionings` are the positive and the negative ones. `given` has the init pictures, and `inputs` maps names of
    masks to pictures. Raises BlankFrame for a latent that is not finite.
    """
    recipe, frames = schedule.recipe, [schedule[index] for index in indices]
    positive, negative = conditionings
    start = _clean_latents(model, recipe, frames, given.latents)
    mask = masks_of(frames, inputs, start.shape)
    denoise, sigmas = _noise_levels(model, recipe, frames[0])
    if is_timed([*positive, *negative]):
        model = with_calls(model, calls_of(recipe))
    inverts = recipe.invert and frames[0].image is not None and frames[0].denoise > 0
    begin = partial(given.noise, frames) if inverts else None
    samples = comfy.sample.sample(
        with_noise(model, schedule, indices, begin),
        torch.ones_like(start),  # the model replaces it with the noise of the frames
        recipe.steps,
        frames[0].cfg,
        recipe.sampler,
        recipe.scheduler,
        positive,
        negative,
        start,
        denoise=denoise,
        sigmas=sigmas,
        noise_mask=mask,
        callback=lambda step, x0, x, total: on_step(len(indices), step + 1, total, x0),
        disable_pbar=True,
        seed=frames[0].seed.values[0],
    )
    if mask is not None:
        # Restore the init picture's latent where the mask keeps it: not every sampler ends on its last estimate.
        samples = torch.where(mask.to(samples.device) > 0, samples, start.to(samples.device))
    refuse_not_finite(samples, indices)
    return samples


def _clean_latents(
    model: Any, recipe: Recipe, frames: Sequence[Frame], given: Mapping[str, torch.Tensor]
) -> torch.Tensor:
    """Returns the latents to which noise is added: mixed init pictures, or empty latents.

    Either all frames have init pictures, or none has one. `given` maps their names to latents.
    """
    if frames[0].image is not None:
        names, weights = weights_of([frame.image for frame in frames])
        mixed: torch.Tensor = mix_latents([given[name] for name in names], weights)
        return mixed
    shrink = shrink_of(model)
    empty = torch.zeros(len(frames), 4, recipe.height // shrink, recipe.width // shrink)
    return comfy.sample.fix_empty_latent_channels(model, empty)


def _noise_levels(model: Any, recipe: Recipe, frame: Frame) -> tuple[float, torch.Tensor | None]:
    """Returns the host's `denoise`, and the noise levels, or None if the host's own rule gives them.

    The host uses int(steps / denoise), so a traveling denoise would change in whole steps.
    """
    if frame.image is None or frame.denoise == 0:
        return frame.denoise, None
    if not is_between(recipe.steps, frame.denoise):
        return max(frame.denoise, LEAST_DENOISE), None
    device = model.load_device
    host = comfy.samplers.KSampler(model, recipe.steps, device, recipe.sampler, recipe.scheduler)
    return 1.0, levels_from(host.calculate_sigmas, recipe.steps, frame.denoise).to(device)
