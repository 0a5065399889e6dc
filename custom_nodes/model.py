"""What a connected model is, and whether it can render a schedule."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from remix.catalog.families import TOKEN_IDS, Family, family_of_classes
from remix.engine.passes import OUTPUT, Passes
from remix.errors import Unsupported
from remix.plan import Recipe, Schedule


def latent_format(model: Any) -> Any:
    """Returns the host's description of a model's latents."""
    return model.get_model_object("latent_format")


def shrink_of(model: Any) -> int:
    """Returns the number of pixels of a picture along one place of its latent."""
    return int(getattr(latent_format(model), "spacial_downscale_ratio", 8))


def family_of_model(model: Any) -> Family:
    """Returns a model's row in the catalog."""
    config = getattr(model.model, "model_config", None)
    return family_of_classes(base.__name__ for base in type(config).__mro__)


def is_unet(model: Any) -> bool:
    """Returns whether a model is a U-Net. Transformers attend to padding."""
    return "model_channels" in getattr(getattr(model.model, "model_config", None), "unet_config", {})


def check_model(model: Any, vae: Any, schedule: Schedule, connected: Collection[str]) -> list[str]:
    """Returns remarks on a model. Raises Unsupported if a schedule cannot be rendered with it and this VAE.

    `connected` are the names of the conditionings that replace the recipe's prompts.
    """
    kind, family = type(model.model).__name__, family_of_model(model)
    if family.sound or latent_format(model).latent_dimensions == 1:
        raise Unsupported(f"model: {kind} makes sound; connect a model that makes pictures")
    if vae is None:
        raise Unsupported("vae: is None; this checkpoint holds none, connect a VAE loader")
    _refuse_size(model, schedule.recipe)
    if schedule.recipe.mix != OUTPUT and any(key in TOKEN_IDS for key in family.keys):
        _refuse_mixed_prompts(schedule, family, connected)
    if family.film:
        return [f"model: {kind} is trained on films; every frame is rendered as a film of one picture"]
    return []


def _refuse_size(model: Any, recipe: Recipe) -> None:
    """Raises Unsupported if a recipe's pictures do not fit the model's latents, or the squares that it reads."""
    step = math.lcm(shrink_of(model), family_of_model(model).step)
    if recipe.width % step or recipe.height % step:
        kind = type(model.model).__name__
        raise Unsupported(f"size: {recipe.width}x{recipe.height} does not fit {kind}; use multiples of {step}")


def _refuse_mixed_prompts(schedule: Schedule, family: Family, connected: Collection[str]) -> None:
    """Raises Unsupported if a frame mixes prompts, for a model that reads the ids of words."""
    for index, frame in enumerate(schedule):
        passes = Passes.of(frame, schedule.recipe)
        for name, own in (("positive", passes.positive), ("negative", passes.negative)):
            if name not in connected and any(len(each.prompt.values) > 1 for each in own):
                raise Unsupported(
                    f"frame {index}: mixes two prompts, and {family.title} reads the ids of words, which cannot be "
                    'mixed; set mix = "output", or ease = "hold" so that prompts change at once'
                )
