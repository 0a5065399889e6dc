"""What the server's own API can do of a recipe, frame by frame, when the Remix script is not there."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from remix.catalog.samplers import SAMPLERS
from remix.client.a1111.calls import Request
from remix.client.a1111.models import ResolvedModels
from remix.client.a1111.server import API
from remix.engine import Picture
from remix.errors import Unsupported
from remix.hosts.a1111.settings import EMPTY
from remix.motion.pictures import png_bytes
from remix.plan import Frame, Mix, Schedule
from remix.plan.denoise import nearest_whole

INSTALL = "install Remix Toolkit there (Extensions, Install from URL, then restart the server), and its script does it"

SECONDS, SECONDS_PER_STEP, PIXELS = 600.0, 30.0, 512 * 512
"""What a request may take: a base, and for each step of so many pixels; a slow processor needs about that."""

TRIAL_SIDE = 64
TRIAL_SAMPLER = SAMPLERS["euler"].label
"""Whatever the recipe's is: DPM++ 2M SDE fails where there is only one step."""


def check(schedule: Schedule) -> list[str]:
    """Returns remarks; raises `Unsupported`, with the first frame, for what needs the Remix script."""
    recipe = schedule.recipe
    sampler = SAMPLERS[recipe.sampler]
    if sampler.brownian:
        raise Unsupported(
            f"sampler: {recipe.sampler!r} draws noise of its own at each step on this server; use another, or {INSTALL}"
        )
    for frame in schedule:
        _check_mixes(frame)
        if frame.image is not None and sampler.starts_elsewhere:
            raise Unsupported(
                f"frame {frame.index}: the server starts {recipe.sampler!r} from a picture with other steps than a "
                f"recipe means; use another sampler, or {INSTALL}"
            )
        whole = None if frame.image is None else nearest_whole(recipe.steps, frame.denoise)
        if whole is not None:
            raise Unsupported(
                f"denoise: frame {frame.index} has {frame.denoise:g}, which the server rounds to whole steps; "
                f"use {whole:.12g} throughout, or {INSTALL}"
            )
    if any(frame.image is not None for frame in schedule):
        return ["image: the server adds a little noise of its own to init pictures, if the model's VAE does"]
    return []


def _check_mixes(frame: Frame) -> None:
    mixes: dict[str, Mix[Any] | None] = {
        "prompt": frame.prompt,
        "negative": frame.negative,
        "seed": frame.seed,
        "image": frame.image,
    }
    for field, mix in mixes.items():
        if mix is not None and len(mix.items) > 1:
            raise Unsupported(f"frame {frame.index}: {_MIXED[field]}; {INSTALL}")
    if frame.mask is not None:
        raise Unsupported(f"frame {frame.index}: the server's own masks cover a picture in another way; {INSTALL}")


_MIXED = {
    "prompt": "it mixes prompts, which the server's own API cannot (AND puts them together in another way)",
    "negative": "it mixes negative prompts, which the server's own API cannot",
    "seed": "it mixes seeds, and the server's own variation seeds are mixed row by row, which is another noise",
    "image": "it mixes pictures, which the server's own API cannot do in latent space",
}


def request(
    schedule: Schedule, index: int, resolved: ResolvedModels, settings: Mapping[str, Any], inputs: Mapping[str, Picture]
) -> Request:
    """Returns the request that renders one frame by txt2img, or img2img where it has an init picture."""
    recipe, frame = schedule.recipe, schedule[index]
    body: dict[str, Any] = {
        "prompt": frame.prompt.values[0] + lora_tags(frame, schedule, resolved),
        "negative_prompt": frame.negative.values[0] or EMPTY,
        "seed": frame.seed.values[0],
        "subseed_strength": 0,
        "steps": recipe.steps,
        "cfg_scale": frame.cfg,
        "width": recipe.width,
        "height": recipe.height,
        "sampler_name": resolved.sampler,
        "scheduler": resolved.scheduler,
        "batch_size": 1,
        "n_iter": 1,
        "send_images": True,
        "save_images": False,
        "override_settings": dict(settings),
        "override_settings_restore_afterwards": True,
    }
    where = "txt2img"
    if frame.image is not None:
        where = "img2img"
        picture = base64.b64encode(png_bytes(inputs[frame.image.values[0]])).decode("ascii")
        body |= {"init_images": [picture], "denoising_strength": frame.denoise, "include_init_images": False}
    return Request(f"{API}/{where}", body, (index,), seconds(schedule, 1))


def trial(settings: Mapping[str, Any], within: float) -> Request:
    """Returns the request for a picture that nobody keeps: it loads the model, and shows which one that is."""
    body = {
        "prompt": "",
        "steps": 1,
        "cfg_scale": 1,  # one call of the model in place of two
        "width": TRIAL_SIDE,
        "height": TRIAL_SIDE,
        "sampler_name": TRIAL_SAMPLER,
        "send_images": False,
        "save_images": False,
        "override_settings": dict(settings),
        "override_settings_restore_afterwards": True,
    }
    return Request(f"{API}/txt2img", body, (), within)


def lora_tags(frame: Frame, schedule: Schedule, resolved: ResolvedModels) -> str:
    """The LoRAs of a frame as A1111 reads them, at the end of a prompt."""
    strengths = {lora.name: lora.strength for lora in (*schedule.recipe.model.loras, *frame.loras)}
    return "".join(f" <lora:{resolved.loras[name]}:{strength:.9g}>" for name, strength in strengths.items() if strength)


def seconds(schedule: Schedule, frames: int) -> float:
    """Returns how long a request for so many frames may take."""
    recipe = schedule.recipe
    return SECONDS + SECONDS_PER_STEP * recipe.steps * frames * max(1.0, recipe.width * recipe.height / PIXELS)
