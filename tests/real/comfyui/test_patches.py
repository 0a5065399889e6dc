"""On a real ComfyUI: what people combine with travels, ControlNets and patches of the model, frame by frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from remix.motion import load_picture
from tests.real.comfyui import models
from tests.real.comfyui.films import FRAMES, folder, frames_of, name, of_parts, pictures, recipe, rendering, saved, text
from tests.real.comfyui.films import batch as joined
from tests.real.comfyui.graphs import Builder, Link
from tests.real.comfyui.host import CHECKPOINT, Failed, Host

TOLERANCE = 2e-3
"""Of latents whose spread is about 1, sampled in batches of different sizes: the host's own sums round by batch."""

CONTROL = "tiny.safetensors"
SHADES = [0.1, 0.4, 0.7, 1.0]


@pytest.fixture(scope="module")
def control(host: Host) -> str:
    """The name of a ControlNet for the host's checkpoint."""
    base = host.base / "models"
    models.control_net(base / "checkpoints" / CHECKPOINT, base / "controlnet" / CONTROL)
    return CONTROL


def controlled(builder: Builder, control: str, batch_size: int, hints: Link, rebatch: bool = True) -> Link:
    """The latents of a travel in batches, with a ControlNet on both of its prompts."""
    model, clip, _ = builder.checkpoint()
    schedule = builder.recipe(recipe(seed=9))
    widgets = {"batch_size": batch_size, "how": "recipe", "lengths": "recipe"}
    prompts = builder.add("RemixPromptTravel", 2, clip=clip, schedule=schedule, **widgets)
    if rebatch:
        hints = builder.add("RebatchImages", images=hints, batch_size=batch_size or FRAMES)[0]
    net = builder.add("ControlNetLoader", control_net_name=control)[0]
    settings = {"strength": 0.8, "start_percent": 0.0, "end_percent": 0.9}
    prompts = builder.add(
        "ControlNetApplyAdvanced",
        2,
        positive=prompts[0],
        negative=prompts[1],
        control_net=net,
        image=hints,
        **settings,
    )
    travel = builder.add("RemixNoiseTravel", 3, schedule=schedule, model=model, batch_size=batch_size)
    return builder.sampled(travel[2], *prompts, travel[1])


@pytest.mark.parametrize("hints", ["each", "one"])
def test_frames_under_a_controlnet_are_single_runs(host: Host, control: str, hints: str) -> None:
    builder = Builder()
    each = joined(builder, frames_of(builder, SHADES))
    given = each if hints == "each" else frames_of(builder, SHADES[1:2])[0]
    found = saved(
        host,
        builder,
        {
            "whole": controlled(builder, control, 0, given),
            "parts": controlled(builder, control, 3, given, rebatch=hints == "each"),
            "single": controlled(builder, control, 1, given),
            # The same picture for all frames: what a single run of its frame sees.
            **{f"shade{at}": controlled(builder, control, 1, frames_of(builder, [SHADES[at]])[0]) for at in (0, 3)},
        },
    )
    assert found["whole"].shape == (FRAMES, 4, 8, 8)
    for way in ("parts", "single"):
        torch.testing.assert_close(found[way], found["whole"], atol=TOLERANCE, rtol=0)
    for at in (0, 3):
        alike = (found[f"shade{at}"][at] - found["whole"][at]).abs().max() <= TOLERANCE
        assert alike == (hints == "each")


def test_a_film_under_a_controlnet_is_rendered_as_in_wired_parts(host: Host, control: str) -> None:
    """Remix Render takes the prompts of a whole film, with a ControlNet that has a picture for each frame."""
    builder, prefix = Builder(), name("controlled")
    hints = joined(builder, frames_of(builder, SHADES))
    wired = controlled(builder, control, 3, hints)
    whole = controlled(builder, control, 0, hints)
    model, clip, vae = builder.checkpoint()
    inputs = builder.graph[whole[0]]["inputs"]
    wires = {"model": model, "clip": clip, "vae": vae, "schedule": builder.recipe(recipe(seed=9))}
    prompts = {side: inputs[side] for side in ("positive", "negative")}
    rendered = builder.add("RemixRender", **wires, **prompts, filename_prefix=prefix, batch_size=3)[0]
    images = builder.add("VAEDecode", samples=wired, vae=vae)[0]
    builder.add("SaveImage", images=images, filename_prefix=f"{prefix}_wired")
    builder.graph.pop(whole[0])
    outputs = host.run(builder.graph)
    (sheet,) = outputs[rendered[0]]["images"]
    found = pictures(host.output / sheet["subfolder"])
    parts = np.stack([load_picture(path) for path in sorted(host.output.glob(f"{prefix}_wired*"))])
    assert np.abs(found.astype(int) - parts).max() <= 1
    assert np.abs(found[0].astype(int) - found[-1]).max() > 10


def test_pictures_of_a_controlnet_for_another_batch_are_refused(host: Host, control: str) -> None:
    builder = Builder()
    hints = joined(builder, frames_of(builder, SHADES))
    sentence = "positive: 4 pictures of its ControlNet for 3 latents; cut them by Rebatch Images"
    with pytest.raises(Failed, match=sentence):
        saved(host, builder, {"x": controlled(builder, control, 3, hints, rebatch=False)})


def prompted(builder: Builder, batch_size: int, shown: int, first: int) -> Link:
    """The latents of a travel in batches, by a model that attends to a picture for each frame."""
    model, clip, _ = builder.checkpoint()
    schedule = builder.recipe(recipe(seed=9))
    widgets = {"batch_size": batch_size, "how": "recipe", "lengths": "recipe"}
    prompts = builder.add("RemixPromptTravel", 2, clip=clip, schedule=schedule, **widgets)
    patched = builder.add("TestImagePrompt", model=model, pictures=shown, first=first)[0]
    travel = builder.add("RemixNoiseTravel", 3, schedule=schedule, model=patched, batch_size=batch_size)
    return builder.sampled(travel[2], *prompts, travel[1])


def test_a_picture_for_each_frame_finds_its_frame_in_every_batch(host: Host) -> None:
    """Patches with a value for each frame know their batch only if Remix sets it."""
    builder = Builder()
    found = saved(
        host,
        builder,
        {
            "whole": prompted(builder, 0, FRAMES, 0),
            "parts": prompted(builder, 3, FRAMES, 0),
            "one": prompted(builder, 3, 1, 0),
            **{f"single{at}": prompted(builder, 1, 1, at) for at in range(FRAMES)},
        },
    )
    single = torch.stack([found[f"single{at}"][at] for at in range(FRAMES)])
    for way in ("whole", "parts"):
        torch.testing.assert_close(found[way], single, atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(found["one"], found["single0"], atol=TOLERANCE, rtol=0)
    assert (found["single0"][3] - found["single3"][3]).abs().max() > 0.05


Patch = Callable[[Builder, Link], Link]


def node(kind: str, **widgets: Any) -> Patch:
    return lambda builder, model: builder.add(kind, model=model, **widgets)[0]


PATCHES = {
    "image prompt": node("TestImagePrompt", pictures=4, first=0),
    "more words": node("TestMoreWords"),
    "RescaleCFG": node("RescaleCFG", multiplier=0.7),
    "FreeU_V2": node("FreeU_V2", b1=1.3, b2=1.4, s1=0.9, s2=0.2),
    "PatchModelAddDownscale": node(
        "PatchModelAddDownscale",
        block_number=1,
        downscale_factor=2.0,
        start_percent=0.0,
        end_percent=0.35,
        downscale_after_skip=True,
        downscale_method="bicubic",
        upscale_method="bicubic",
    ),
    "ModelSamplingDiscrete": node("ModelSamplingDiscrete", sampling="eps", zsnr=True),
}
WITHOUT_EFFECT = ("FreeU_V2",)
"""What these change, the smallest model does not have."""


@pytest.fixture(scope="module")
def plain(host: Host) -> np.ndarray:
    """The frames without a patch."""
    return of_parts(host, text(4), 3)


@pytest.mark.parametrize("patch", PATCHES)
def test_a_patched_model_renders_frames_as_in_wired_parts_and_in_single_runs(
    host: Host, plain: np.ndarray, patch: str
) -> None:
    def dressed(builder: Builder) -> Builder:
        changed = PATCHES[patch](builder, ["1", 0])
        for number, about in builder.graph.items():
            if number != changed[0] and about["inputs"].get("model") == ["1", 0]:
                about["inputs"]["model"] = changed
        return builder

    prefix = name("patched")
    host.run(dressed(rendering(text(4), prefix, batch_size=3)).graph)
    found = pictures(folder(host, prefix))
    assert np.array_equal(found, of_parts(host, text(4), 3, dressed=dressed))
    alone = of_parts(host, text(4), 1, dressed=dressed)
    assert np.abs(found.astype(int) - alone).max() <= 1
    effect = np.abs(found.astype(int) - plain).max()
    assert effect <= 1 if patch in WITHOUT_EFFECT else effect > 3
