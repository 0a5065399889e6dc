"""Conditionings with weights, or for some calls of the model only: AND, `mix = "output"` and prompt editing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import comfy.patcher_extension
import comfy.samplers
import torch

from remix.engine.passes import calls_of
from remix.errors import BadInput
from remix.plan import Recipe

from .encoding import Entries

CALLS = "remix_calls"
"""The key of an entry that applies to some calls of the model: the first and the last of them, counted from 0."""


def weighted(entries: Entries, weights: Sequence[float], dimensions: int) -> Entries:
    """Returns entries whose predictions count with these weights, one for each frame of the batch.

    The host divides the sum of predictions by the sum of their strengths, which is 1 for all entries together. It takes
    one strength for a batch. Different ones are a mask with one value for each frame, of a latent with this many
    `dimensions`.
    """
    if all(math.isclose(weight, weights[0], rel_tol=1e-9) for weight in weights):
        return [[tokens, _stronger(options, weights[0])] for tokens, options in entries]
    rows = torch.tensor(weights, dtype=torch.float32).view(-1, *[1] * dimensions)
    return [[tokens, {**options, "mask": rows * options.get("mask", 1.0)}] for tokens, options in entries]


def _stronger(options: Mapping[str, Any], weight: float) -> dict[str, Any]:
    return dict(options) if weight == 1 else {**options, "strength": options.get("strength", 1.0) * weight}


def during(entries: Entries, first: int, last: int) -> Entries:
    """Returns entries that apply from one call of the model to another."""
    return [[tokens, {**options, CALLS: (first, last)}] for tokens, options in entries]


def is_timed(entries: Entries) -> bool:
    """Returns whether some entries apply to some calls of the model only."""
    return any(CALLS in options for _, options in entries)


def with_calls(model: Any, calls: int) -> Any:
    """Returns a copy of a model that applies entries at their calls of the `calls` for one picture.

    Each run of a sampler counts from 0. Calls after the last count as the first, as in A1111.
    """
    copied, counted = model.clone(), itertools.count()

    def sample(executor: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal counted
        counted = itertools.count()
        return executor(*args, **kwargs)

    def predict(executor: Any, *args: Any, **kwargs: Any) -> Any:
        guider, number = executor.class_obj, next(counted)
        call = number if number <= calls else 0
        whole = guider.conds
        guider.conds = {name: [entry for entry in entries if _applies(entry, call)] for name, entries in whole.items()}
        try:
            return executor(*args, **kwargs)
        finally:
            guider.conds = whole

    kinds = comfy.patcher_extension.WrappersMP
    copied.add_wrapper_with_key(kinds.OUTER_SAMPLE, "remix_calls", sample)
    copied.add_wrapper_with_key(kinds.PREDICT_NOISE, "remix_calls", predict)
    return copied


def for_samplers(model: Any, recipe: Recipe) -> Any:
    """Returns the model of `with_calls` for any node that samples with the steps of a recipe.

    It raises BadInput when it is sampled with another number of steps.
    """
    copied = with_calls(model, calls_of(recipe))

    def sample(
        executor: Any, noise: Any, latent: Any, sampler: Any, sigmas: torch.Tensor, *args: Any, **more: Any
    ) -> Any:
        steps = len(sigmas) - 1
        if steps != recipe.steps and steps != _steps_of(model, recipe):
            raise BadInput(
                f"steps: the prompts change over {recipe.steps} steps, as the recipe says, and the sampler takes "
                f"{steps}; connect steps, sampler and scheduler of Remix Recipe to it"
            )
        return executor(noise, latent, sampler, sigmas, *args, **more)

    copied.add_wrapper_with_key(comfy.patcher_extension.WrappersMP.OUTER_SAMPLE, "remix_steps", sample)
    return copied


def _steps_of(model: Any, recipe: Recipe) -> int:
    """Returns the number of steps of a recipe's schedule, which a few schedulers change."""
    host = comfy.samplers.KSampler(model, recipe.steps, model.load_device, recipe.sampler, recipe.scheduler)
    return len(host.calculate_sigmas(recipe.steps)) - 1


def _applies(entry: Mapping[str, Any], call: int) -> bool:
    first, last = entry.get(CALLS, (0, call))
    return bool(first <= call <= last)
