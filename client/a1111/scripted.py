"""With the Remix script on the server: a block of frames per request, rendered together and kept there too."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import groupby
from typing import Any

from remix.client.a1111.calls import Request
from remix.client.a1111.models import ResolvedModels, ServerModels
from remix.client.a1111.plain import seconds
from remix.client.a1111.server import API
from remix.digest import sha256
from remix.engine import Capabilities, Picture
from remix.engine.blocks import covering, frames_at_once
from remix.engine.parts import part_of, plain_part
from remix.motion.pictures import png_bytes
from remix.plan import Recipe, Schedule

NAME = "remix"
"""What the server calls the script."""

PICTURES_KEPT = 8
"""How many encoded init pictures stay in memory."""

MOST_AT_ONCE = 16
"""The most frames that are rendered together if nobody sets a batch."""

CAPABILITIES = Capabilities(
    who="the server's Remix script",
    recipe="width height sampler scheduler steps cfg mix lengths",
    model="checkpoint vae loras clip_skip",
    keyframe="prompt negative seed cfg denoise image mask loras",
    prompts=frozenset({"emphasis", "LoRA tags", "prompt editing"}),
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
    """Yields the requests for these frames, each for those of them that lie side by side in one block.

    A request carries the frames of its block and no others. The script renders them together, so that a frame's bytes
    do not depend on which are missing.
    """
    size = batch or frames_at_once(schedule.recipe.width, schedule.recipe.height, MOST_AT_ONCE)
    film = sha256(schedule.to_json().encode())[:10]

    @lru_cache(PICTURES_KEPT)
    def picture(name: str) -> str:
        return base64.b64encode(png_bytes(inputs[name])).decode("ascii")

    for run in _runs(frames, size):
        span = covering(run, len(schedule), size)
        part = part_of(schedule, span)
        plain = plain_part(replace(part, recipe=_named(part.recipe, resolved)))
        said = {"part": plain, "film": film, "start": span.start, "first": run[0] - span.start}
        # As many values as the script has fields: what is missing would be taken from the next script's.
        values = [{**said, "count": len(run), "batch": size}, *[None] * (models.scripts[NAME] - 1)]
        path, body = _body(part, resolved, settings, picture)
        yield Request(path, {**body, "script_args": values}, tuple(run), seconds(schedule, len(run)), keeps=True)


def _runs(frames: Sequence[int], size: int) -> Iterator[list[int]]:
    """The frames in runs without gaps, none of which goes from one block into the next."""
    numbered = enumerate(frames)
    for _, run in groupby(numbered, key=lambda pair: (pair[1] - pair[0], pair[1] // size)):
        yield [index for _, index in run]


def _named(recipe: Recipe, resolved: ResolvedModels) -> Recipe:
    """A recipe with the server's names of its model's files. The VAE is set for the request."""
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


def _body(
    part: Schedule, resolved: ResolvedModels, settings: Mapping[str, Any], picture: Callable[[str], str]
) -> tuple[str, dict[str, Any]]:
    """Where the request for a part goes, and what it says in the host's own fields. `picture` gives one in base64."""
    recipe = part.recipe
    body: dict[str, Any] = {
        "prompt": "",
        "negative_prompt": "",
        "seed": 0,
        "steps": recipe.steps,
        "cfg_scale": recipe.cfg,
        "width": recipe.width,
        "height": recipe.height,
        "sampler_name": resolved.sampler,
        "scheduler": resolved.scheduler,
        "script_name": NAME,
        "send_images": True,
        "save_images": False,
        "override_settings": dict(settings),
        "override_settings_restore_afterwards": True,
    }
    names = recipe.pictures()
    if not names:
        return f"{API}/txt2img", body
    # In this order, which is how the script tells them apart.
    pictures = [picture(name) for name in names]
    body |= {"init_images": pictures, "denoising_strength": part[0].denoise, "include_init_images": False}
    return f"{API}/img2img", body
