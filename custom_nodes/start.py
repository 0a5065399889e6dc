"""Where sampling starts: the latents of frames before noise is added, and the noise levels of their denoise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import comfy.sample
import comfy.samplers
import torch

from remix.catalog.families import Family, family_of_classes
from remix.errors import Unsupported
from remix.mix import levels_from, mix_latents, weights_of
from remix.motion import Picture
from remix.motion.pictures import to_floats
from remix.plan import Frame, Recipe
from remix.plan.denoise import LEAST_DENOISE, is_between


def latent_format(model: Any) -> Any:
    """Returns the host's description of a model's latents."""
    return model.get_model_object("latent_format")


def family_of_model(model: Any) -> Family:
    """Returns a model's row in the catalog."""
    config = getattr(model.model, "model_config", None)
    return family_of_classes(base.__name__ for base in type(config).__mro__)


def refuse_size(model: Any, recipe: Recipe) -> None:
    """Raises Unsupported if a recipe's pictures do not fit the model's latents, or the squares that it reads."""
    step = math.lcm(_shrink(model), family_of_model(model).step)
    if recipe.width % step or recipe.height % step:
        kind = type(model.model).__name__
        raise Unsupported(f"size: {recipe.width}x{recipe.height} does not fit {kind}; use multiples of {step}")


def _shrink(model: Any) -> int:
    """Returns the number of pixels of a picture along one place of its latent."""
    return int(getattr(latent_format(model), "spacial_downscale_ratio", 8))


def encoded(vae: Any, picture: Picture) -> torch.Tensor:
    """Returns the latent of an init picture."""
    latent: torch.Tensor = vae.encode(torch.from_numpy(to_floats(picture))[None])
    return latent


def clean_latents(
    model: Any, recipe: Recipe, frames: Sequence[Frame], encoded: Mapping[str, torch.Tensor]
) -> torch.Tensor:
    """Returns the latents to which noise is added: mixed init pictures, or empty latents.

    Either all frames have init pictures, or none has one. `encoded` maps their names to latents.
    """
    if frames[0].image is not None:
        names, weights = weights_of([frame.image for frame in frames])
        mixed: torch.Tensor = mix_latents([encoded[name] for name in names], weights)
        return mixed
    shrink = _shrink(model)
    empty = torch.zeros(len(frames), 4, recipe.height // shrink, recipe.width // shrink)
    return comfy.sample.fix_empty_latent_channels(model, empty)


def noise_levels(model: Any, recipe: Recipe, frame: Frame) -> tuple[float, torch.Tensor | None]:
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
