"""With the Remix script on the server: a block of frames in one request, rendered together and kept there too."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from remix.client.a1111.calls import Request
from remix.client.a1111.models import ResolvedModels, ServerModels
from remix.client.a1111.plain import seconds
from remix.client.a1111.server import API
from remix.engine import Capabilities, Picture
from remix.engine.blocks import frames_at_once
from remix.motion.pictures import png_bytes
from remix.plan import Recipe, Schedule

NAME = "remix"
"""What the server calls the script."""

FOLDER = "client"
"""How the names of the job folders begin that the server keeps."""

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

    The script renders fixed blocks of `batch` frames, so that a frame's bytes do not depend on which are missing.
    """
    size = batch or frames_at_once(schedule.recipe.width, schedule.recipe.height, MOST_AT_ONCE)
    body = _body(schedule, resolved, settings, inputs)
    for run in _runs(frames, size):
        said = {**_told(schedule.recipe, resolved), "first": run[0], "count": len(run), "batch": size}
        # As many values as the script has fields: what is missing would be taken from the next script's.
        values = [said, *[None] * (models.scripts[NAME] - 1)]
        yield Request(body[0], {**body[1], "script_args": values}, tuple(run), seconds(schedule, len(run)), keeps=True)


def _runs(frames: Sequence[int], size: int) -> Iterator[list[int]]:
    """The frames in runs without gaps, none of which goes from one block into the next."""
    numbered = enumerate(frames)
    for _, run in groupby(numbered, key=lambda pair: (pair[1] - pair[0], pair[1] // size)):
        yield [index for _, index in run]


def _told(recipe: Recipe, resolved: ResolvedModels) -> dict[str, Any]:
    """What the script is told: the recipe with the server's names in it, and to make no film."""
    model = replace(
        recipe.model,
        checkpoint=resolved.checkpoint.bare,
        vae=None,  # set for the request
        loras=tuple(replace(lora, name=resolved.loras[lora.name]) for lora in recipe.model.loras),
    )
    keyframes = [
        keyframe
        if keyframe.loras is None
        else replace(keyframe, loras=tuple(replace(lora, name=resolved.loras[lora.name]) for lora in keyframe.loras))
        for keyframe in recipe.keyframes
    ]
    named = recipe.replace(model=model, keyframes=tuple(keyframes))
    return {"recipe": named.to_dict(), "film": "", "name": FOLDER, "portable": True}


def _body(
    schedule: Schedule,
    resolved: ResolvedModels,
    settings: Mapping[str, Any],
    inputs: Mapping[str, Picture],
) -> tuple[str, dict[str, Any]]:
    """Where requests go, and what is the same in all of them. What a recipe leaves out the script takes from here."""
    recipe = schedule.recipe
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
    pictures = [base64.b64encode(png_bytes(inputs[name])).decode("ascii") for name in names]
    body |= {"init_images": pictures, "denoising_strength": schedule[0].denoise, "include_init_images": False}
    return f"{API}/img2img", body
