"""Options that change a recipe for one run: prompt, seed, steps, cfg, sampler, checkpoint, variant."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import click

from remix.catalog.samplers import SAMPLERS
from remix.catalog.schedulers import SCHEDULERS
from remix.client.cli.completion import among
from remix.plan import Keyframe, Recipe

OPTIONS = (
    click.option("--prompt", help="Prompt of the whole film, in place of those of the keyframes."),
    click.option("--negative", help="Negative prompt of the whole film."),
    click.option("--seed", type=int, help="Seed of the whole film."),
    click.option("--steps", type=int, help="Sampling steps."),
    click.option("--cfg", type=float, help="Guidance scale of the whole film."),
    click.option("--sampler", metavar="NAME", shell_complete=among(SAMPLERS), help="Sampler, as ComfyUI calls it."),
    click.option("--scheduler", metavar="NAME", shell_complete=among(SCHEDULERS), help="Scheduler."),
    click.option("--checkpoint", metavar="NAME", help="Checkpoint."),
    click.option("--variant", type=int, metavar="N", help="Number that the choices in prompts are drawn with."),
)

OF_KEYFRAMES = ("prompt", "negative", "seed")
OF_RECIPE = ("steps", "cfg", "sampler", "scheduler", "variant")


@dataclass(frozen=True)
class Overrides:
    """Values that replace those of a recipe: only the options on the command line."""

    given: Mapping[str, Any]

    def options(self) -> list[str]:
        """Returns the options on the command line."""
        return [f"--{name}" for name in self.given]

    def apply(self, recipe: Recipe) -> Recipe:
        """Returns the recipe with these values, each constant over the film."""
        changes: dict[str, Any] = {name: self.given[name] for name in OF_RECIPE if name in self.given}
        keyframes = recipe.keyframes
        for name in OF_KEYFRAMES:
            if name in self.given:
                keyframes = _held(keyframes, name, self.given[name])
        if "cfg" in self.given:
            keyframes = tuple(replace(keyframe, cfg=None) for keyframe in keyframes)
        if keyframes != recipe.keyframes:
            changes["keyframes"] = keyframes
        if "checkpoint" in self.given:
            changes["model"] = replace(recipe.model, checkpoint=self.given["checkpoint"])
        return recipe.replace(**changes) if changes else recipe


def _held(keyframes: tuple[Keyframe, ...], field: str, value: Any) -> tuple[Keyframe, ...]:
    """Returns the keyframes with a constant value of a field, set by the first keyframe."""
    first, *rest = keyframes
    return (replace(first, **{field: value}), *(replace(keyframe, **{field: None}) for keyframe in rest))


def override_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds these options to a verb, which receives them as `overrides`."""

    @functools.wraps(command)
    def packed(**options: Any) -> None:
        given = {name: options.pop(name) for name in (*OF_KEYFRAMES, *OF_RECIPE, "checkpoint")}
        overrides = Overrides({name: value for name, value in given.items() if value is not None})
        command(**options, overrides=overrides)

    for option in reversed(OPTIONS):
        packed = option(packed)
    return packed
