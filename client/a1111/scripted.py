"""Rendering with the Remix script on the server: a block of frames per request, which the server also keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import groupby
from typing import Any

from remix.client.a1111.calls import Request
from remix.client.a1111.models import ResolvedModels, ServerModels
from remix.client.a1111.plain import host_fields, in_base64, seconds
from remix.digest import sha256
from remix.engine import Capabilities, Picture
from remix.engine.blocks import covering, frames_at_once
from remix.engine.pack import COMPOSITION, EMPHASIS, ENCODERS, FRACTIONAL_DENOISE, LATER_FIELDS, Pack
from remix.engine.parts import part_of, plain_part
from remix.engine.passes import OF_CONDITIONINGS
from remix.engine.prompts import COMPOSED, EVERY
from remix.hosts.a1111.settings import READINGS
from remix.plan import Recipe, Schedule

NAME = "remix"
"""Name of the script on the server."""

PICTURES_KEPT = 8
"""Number of encoded init pictures that stay in memory."""

MOST_AT_ONCE = 16
"""Largest default batch."""

MAY_ROUND = "the server's Remix script may round to whole steps, because it is older (update it there)"


RENDERED = "width height sampler scheduler steps cfg mix lengths emphasis chunks restore"

MAY_NOT = "the server's Remix script is older and cannot do that: update it there, or leave it out"


def capabilities(pack: Pack) -> Capabilities:
    """Returns the capabilities of the server's Remix script."""
    return Capabilities(
        who="the server's Remix script",
        recipe=f"{RENDERED} {pack.fields()}",
        model="checkpoint vae loras clip_skip",
        keyframe="prompt negative seed cfg denoise image mask loras",
        fractional_denoise=FRACTIONAL_DENOISE in pack.supports,
        prompts=EVERY if ENCODERS in pack.supports else COMPOSED,
        mixings=None if COMPOSITION in pack.supports else OF_CONDITIONINGS,
        readings=None if EMPHASIS in pack.supports else READINGS,
        reasons={"denoise": MAY_ROUND, **dict.fromkeys(LATER_FIELDS, MAY_NOT)},
    )


def requests(
    schedule: Schedule,
    frames: Sequence[int],
    models: ServerModels,
    resolved: ResolvedModels,
    settings: Mapping[str, Any],
    inputs: Mapping[str, Picture],
    batch: int | None,
) -> Iterator[Request]:
    """Yields the requests for these frames. Each request covers consecutive frames within one block.

    A request contains exactly the frames of its block. The script renders them together, so a frame's bytes do not
    depend on which frames are missing.
    """
    size = batch or frames_at_once(schedule.recipe.width, schedule.recipe.height, MOST_AT_ONCE)
    film = sha256(schedule.to_json().encode())[:10]

    @lru_cache(PICTURES_KEPT)
    def picture(name: str) -> str:
        return in_base64(inputs[name])

    for run in _runs(frames, size):
        span = covering(run, len(schedule), size)
        part = part_of(schedule, span)
        plain = plain_part(replace(part, recipe=_named(part.recipe, resolved)))
        about = {"part": plain, "film": film, "start": span.start, "first": run[0] - span.start}
        # One value per field of the script: A1111 would fill missing ones from the next script's arguments.
        values = [{**about, "count": len(run), "batch": size}, *[None] * (models.scripts[NAME] - 1)]
        pictures = [picture(name) for name in part.recipe.pictures()]  # the script distinguishes them by this order
        path, body = host_fields(part.recipe, resolved, settings, pictures, part[0].denoise)
        body |= {"prompt": "", "negative_prompt": "", "seed": 0, "cfg_scale": part.recipe.cfg}
        body |= {"script_name": NAME, "script_args": values}
        yield Request(path, body, tuple(run), seconds(schedule, len(run)), keeps=True)


def _runs(frames: Sequence[int], size: int) -> Iterator[list[int]]:
    """Yields runs of consecutive frames. No run crosses a block boundary."""
    numbered = enumerate(frames)
    for _, run in groupby(numbered, key=lambda pair: (pair[1] - pair[0], pair[1] // size)):
        yield [index for _, index in run]


def _named(recipe: Recipe, resolved: ResolvedModels) -> Recipe:
    """Returns a recipe with the server's names of its model files. The VAE is set in the request instead."""
    model = replace(
        recipe.model,
        checkpoint=resolved.checkpoint.bare,
        vae=None,
        loras=tuple(replace(lora, name=resolved.loras[lora.name]) for lora in recipe.model.loras),
    )
    keyframes = [
        keyframe
        if keyframe.loras is None
        else replace(keyframe, loras=tuple(replace(lora, name=resolved.loras[lora.name]) for lora in keyframe.loras))
        for keyframe in recipe.keyframes
    ]
    return recipe.replace(model=model, keyframes=tuple(keyframes))
