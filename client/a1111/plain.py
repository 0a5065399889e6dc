"""Rendering frame by frame with the server's own API, if the Remix script is not installed."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from remix.catalog.samplers import SAMPLERS
from remix.client.a1111.calls import Request
from remix.client.a1111.models import ResolvedModels
from remix.client.a1111.server import API
from remix.engine import Capabilities, Picture
from remix.engine.prompts import COMPOSED, unreported_embeddings
from remix.hosts.a1111.settings import EMPTY, READINGS
from remix.motion.pictures import png_bytes
from remix.plan import Frame, Lora, Recipe, Schedule
from remix.prompt.composition import with_literal_end
from remix.prompt.embeddings import without_prefixes
from remix.prompt.tags import without_tags

INSTALL = "install Remix Toolkit there (Extensions, Install from URL, then restart the server), and its script does it"

SECONDS, SECONDS_PER_STEP, PIXELS = 600.0, 30.0, 512 * 512
"""Timeout of a request: a base, plus a time per step for this many pixels, enough for a slow CPU."""

TRIAL_SIDE = 64
TRIAL_SAMPLER = SAMPLERS["euler"].label
"""Sampler of the trial, regardless of the recipe: DPM++ 2M SDE fails with a single step."""


CAPABILITIES = Capabilities(
    who="the server",
    recipe="width height sampler scheduler steps cfg emphasis chunks restore",
    model="checkpoint vae loras clip_skip",
    keyframe="prompt negative seed cfg denoise image loras",
    samplers=[name for name, sampler in SAMPLERS.items() if not sampler.own_noise],
    from_pictures=[name for name, sampler in SAMPLERS.items() if not sampler.starts_elsewhere],
    most_mixed={"prompt": 1, "negative": 1, "seed": 1, "image": 1},
    fractional_denoise=False,
    prompts=COMPOSED,
    readings=READINGS,
    instead=INSTALL,
    reasons={
        "sampler": "it draws noise of its own at each step on this server",
        "prompt": "the server's own API cannot mix prompts (AND puts them together in another way)",
        "negative": "the server's own API cannot mix negative prompts",
        "seed": "the server mixes its own variation seeds row by row, which is another noise",
        "image": "the server's own API cannot mix pictures in latent space",
        "mask": "the server's own masks cover a picture in another way",
    },
)
"""Capabilities of the server's own API, without the Remix script."""


def remarks(schedule: Schedule) -> list[str]:
    """Returns remarks about frames that the server's own API renders."""
    noise = "image: the server adds a little noise of its own to init pictures, if the model's VAE does"
    starts = any(frame.image is not None for frame in schedule)
    return [*([noise] if starts else []), *unreported_embeddings(schedule)]


def _prompt(frame: Frame, schedule: Schedule) -> str:
    """Returns the prompt of a frame, for a host that reads a number at its end as its weight."""
    prompt = without_prefixes(frame.prompt.values[0])
    if schedule.recipe.reading.emphasis.startswith("a1111"):
        return prompt
    bare = without_tags(prompt)
    return prompt + with_literal_end(bare)[len(bare) :]


def request(
    schedule: Schedule, index: int, resolved: ResolvedModels, settings: Mapping[str, Any], inputs: Mapping[str, Picture]
) -> Request:
    """Returns the request that renders one frame with txt2img, or with img2img if it has an init picture."""
    frame = schedule[index]
    pictures = [] if frame.image is None else [in_base64(inputs[frame.image.values[0]])]
    path, body = host_fields(schedule.recipe, resolved, settings, pictures, frame.denoise)
    body |= {
        "prompt": _prompt(frame, schedule) + lora_tags(frame, schedule, resolved),
        "negative_prompt": without_prefixes(frame.negative.values[0]) or EMPTY,
        "seed": frame.seed.values[0],
        "subseed_strength": 0,
        "cfg_scale": frame.cfg,
        "batch_size": 1,
        "n_iter": 1,
    }
    return Request(path, body, (index,), seconds(schedule, 1))


def host_fields(
    recipe: Recipe, resolved: ResolvedModels, settings: Mapping[str, Any], pictures: Sequence[str], denoise: float
) -> tuple[str, dict[str, Any]]:
    """Returns the path and the host's own fields of a request. `pictures` are the init pictures, in base64."""
    body: dict[str, Any] = {
        "steps": recipe.steps,
        "width": recipe.width,
        "height": recipe.height,
        "sampler_name": resolved.sampler,
        "scheduler": resolved.scheduler,
        "send_images": True,
        "save_images": False,
        "override_settings": dict(settings),
        "override_settings_restore_afterwards": True,
    }
    if not pictures:
        return f"{API}/txt2img", body
    body |= {"init_images": list(pictures), "denoising_strength": denoise, "include_init_images": False}
    return f"{API}/img2img", body


def in_base64(picture: Picture) -> str:
    """Returns a picture as PNG in base64."""
    return base64.b64encode(png_bytes(picture)).decode("ascii")


def trial(settings: Mapping[str, Any], within: float) -> Request:
    """Returns the request for a discarded picture that loads the model and reports its name."""
    body = {
        "prompt": "",
        "steps": 1,
        "cfg_scale": 1,  # one call of the model instead of two
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
    """Returns the LoRA tags of a frame in A1111's syntax, for the end of a prompt."""
    loras = {lora.name: lora for lora in (*schedule.recipe.model.loras, *frame.loras)}
    return "".join(
        f" <lora:{resolved.loras[name]}:{_tagged(lora)}>" for name, lora in loras.items() if lora.strength or lora.text
    )


def _tagged(lora: Lora) -> str:
    """Returns the strengths of a LoRA as a tag has them: one, or that of the text encoder and that of the U-Net."""
    return f"{lora.strength:.9g}" if lora.text is None else f"{lora.text:.9g}:{lora.strength:.9g}"


def seconds(schedule: Schedule, frames: int) -> float:
    """Returns the timeout in seconds of a request for this number of frames."""
    recipe = schedule.recipe
    return SECONDS + SECONDS_PER_STEP * recipe.steps * frames * max(1.0, recipe.width * recipe.height / PIXELS)
