"""What a model does at each step of sampling a frame, as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from remix.client.local.batch import Call
from remix.client.local.engine import Local
from remix.client.local.models import LoadedModel
from remix.client.local.pictures import to_picture
from remix.engine import Listener
from remix.motion import Picture
from remix.plan import Schedule
from remix.show.steps import Step

AT_ONCE = 4
"""Number of latents that are decoded together."""


def steps_of(
    engine: Local,
    schedule: Schedule,
    frame: int,
    inputs: Mapping[str, Picture],
    listen: Listener = lambda event: None,
) -> tuple[list[Step], Picture]:
    """Returns the steps of sampling a frame, one for each call of the model, and the picture.

    There are none for a frame without sampling, such as an init picture with denoise 0. Calls `listen` with each step
    while it is sampled. Raises the errors of `render`.
    """
    picture, calls, model = engine.watched(schedule, frame, inputs, listen)
    recipe, total = schedule.recipe, schedule.recipe.steps
    scaled = not model.levels_at(recipe.width, recipe.height, total).flow
    seen = [_as_seen(call) if scaled else call.x for call in calls]
    noisy = _decoded(model, seen)
    estimates = _decoded(model, [call.estimate for call in calls])
    guided = [index for index, call in enumerate(calls) if call.unwanted is not None]
    plain = dict(zip(guided, _decoded(model, [calls[index].wanted for index in guided]), strict=True))
    per_step = max(1, round(len(calls) / total))
    before: Tensor | None = None
    steps = list[Step]()
    for index, call in enumerate(calls):
        guidance = None
        if index in plain:
            guidance = to_picture((estimates[index] - plain[index]) / 2 + 0.5)
        step = Step(
            done=min(index // per_step, total - 1),
            level=float(call.sigma[0]),
            noisy=to_picture(noisy[index]),
            estimate=to_picture(estimates[index]),
            guidance=guidance,
            strength=_size(call.estimate - call.wanted),
            change=0.0 if before is None else _size(call.estimate - before),
        )
        steps.append(step)
        before = call.estimate
    return steps, picture


def _as_seen(call: Call) -> Tensor:
    """Returns a noisy latent at the scale in which a model with added noise sees it: Karras et al. 2022, c_in."""
    return call.x / (1 + call.sigma.view(-1, 1, 1, 1) ** 2).sqrt()


def _size(change: Tensor) -> float:
    return float(change.square().mean().sqrt())


def _decoded(model: LoadedModel, latents: Sequence[Tensor]) -> list[Tensor]:
    """Returns pictures [3, H, W] in 0..1 of latents [1, c, h, w]."""
    parts = [latents[at : at + AT_ONCE] for at in range(0, len(latents), AT_ONCE)]
    return [picture for part in parts for picture in model.to_pictures(torch.cat(list(part)))]
