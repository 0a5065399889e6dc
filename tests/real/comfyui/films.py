"""What the tests of several files have rendered by a real ComfyUI, and how they read it back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from remix.motion import load_picture
from tests.real.comfyui.graphs import Builder, Link, new_folder
from tests.real.comfyui.host import Host

FRAMES = 4
STEPS = 3
RECIPE = f"""
frames = {FRAMES}
size = [64, 64]
steps = {STEPS}
mix = "MIX"
[[keyframes]]
prompt = "a red apple"
negative = "grey"
seed = 5
[[keyframes]]
prompt = "a very long story about the sea and the wind {"and the waves " * 40}"
seed = SEED
"""


def recipe(seed: int = 5, mix: str = "lerp") -> str:
    return RECIPE.replace("SEED", str(seed)).replace("MIX", mix)


def saved(host: Host, builder: Builder, samples: dict[str, Link]) -> dict[str, torch.Tensor]:
    """The latents that the graph makes, by name, in order of their batches."""
    folder = new_folder()
    for name, link in samples.items():
        builder.add("SaveLatent", samples=link, filename_prefix=f"{folder}/{name}/x")
    host.run(builder.graph)
    return {
        name: torch.cat([_read(path) for path in sorted((host.output / folder / name).iterdir())]) for name in samples
    }


def _read(path: Path) -> torch.Tensor:
    return load_file(path)["latent_tensor"]


def text(frames: int = 6, *, cfg: float = 7, sampler: str = "euler", steps: int = 3, size: int = 64) -> str:
    return f"""
frames = {frames}
size = [{size}, {size}]
steps = {steps}
sampler = "{sampler}"
[[keyframes]]
prompt = "a red apple"
negative = "grey"
seed = 5
cfg = 7
[[keyframes]]
prompt = "the sea"
seed = 6
cfg = {cfg}
"""


def name(what: str) -> str:
    return f"{what}{new_folder()}/job"


def rendering(recipe: str, prefix: str, batch_size: int = 2) -> Builder:
    """A prompt that renders a recipe, and loads its frames; nodes 3 and 4."""
    builder = Builder()
    model, clip, vae = builder.checkpoint()
    schedule = builder.recipe(recipe)
    wires = {"model": model, "clip": clip, "vae": vae, "schedule": schedule}
    builder.add("RemixRender", **wires, filename_prefix=prefix, batch_size=batch_size)
    return builder


def folder(host: Host, prefix: str) -> Path:
    """The one job folder of a prefix."""
    (found,) = (host.output / prefix).parent.iterdir()
    return found


def pictures(job: Path) -> np.ndarray:
    return np.stack([load_picture(path) for path in sorted((job / "frames").iterdir())])


def of_parts(
    host: Host,
    recipe: str,
    batch_size: int,
    *,
    dressed: Callable[[Builder], Builder] = lambda builder: builder,
    **settings: Any,
) -> np.ndarray:
    builder = Builder()
    model, clip, vae = builder.checkpoint()
    schedule = builder.recipe(recipe)
    widgets = {"batch_size": batch_size, "how": "recipe", "lengths": "recipe"}
    *prompts, counting = builder.add("RemixPromptTravel", 3, clip=clip, schedule=schedule, model=model, **widgets)
    _, latent, noisy = builder.add("RemixNoiseTravel", 3, schedule=schedule, model=counting, batch_size=batch_size)
    images = builder.add("VAEDecode", samples=builder.sampled(noisy, *prompts, latent, **settings), vae=vae)[0]
    prefix = name("parts")
    builder.add("SaveImage", images=images, filename_prefix=prefix)
    host.run(dressed(builder).graph)
    return np.stack([load_picture(path) for path in sorted((host.output / prefix).parent.iterdir())])


def travelling(frames: int = 4) -> dict[str, object]:
    return {"weights": "travel", "weights.frames": frames, "weights.ease": "linear", "weights.loop": False}


def mixed(builder: Builder, sources: list[Link], batch_size: int = 0, **inputs: object) -> Link:
    sockets = {f"conditionings.conditioning{index}": source for index, source in enumerate(sources)}
    widgets = {"weights": "equal", "how": "lerp", "lengths": "auto", "batch_size": batch_size}
    return builder.add("RemixConditioningMix", **sockets, **{**widgets, **inputs})[0]


def frames_of(builder: Builder, shades: list[float], size: int = 64) -> list[Link]:
    return [
        builder.add("MaskToImage", mask=builder.add("SolidMask", value=shade, width=size, height=size)[0])[0]
        for shade in shades
    ]


def batch(builder: Builder, images: list[Link]) -> Link:
    joined = images[0]
    for image in images[1:]:
        joined = builder.add("ImageBatch", image1=joined, image2=image)[0]
    return joined
