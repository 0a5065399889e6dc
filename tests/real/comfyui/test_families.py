"""On a real ComfyUI: conditionings of each model family by the host's own encoders, and frames of SDXL and Flux."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from remix import __version__
from remix.catalog.families import FAMILIES
from remix.client.comfyui.server import Server
from remix.client.http import Http
from remix.motion import load_picture
from tests.real.comfyui import models
from tests.real.comfyui.films import folder, mixed, name, pictures, travelling
from tests.real.comfyui.graphs import Builder, Link
from tests.real.comfyui.host import CHECKPOINT, Host

SHORT = "a red apple"
LONG = "the deep blue sea and the snow and the wind " * 12

LAYOUTS = {
    # family: width of tokens, rows of the short and of the long prompt, width of pooled
    "sd1": (768, 77, 154, 768),
    "sdxl": (2048, 77, 154, 1280),
    "sd3": (4096, 77 + 77, 154 + 121, 2048),
    "flux": (4096, 256, 256, 768),
    "wan": (4096, 512, 512, None),
    "qwen": (3584, 8, 126, None),
}


def described(host: Host, builder: Builder, conditionings: dict[str, Link]) -> dict[str, dict[str, Any]]:
    """What these conditionings hold, by name: shapes, and a mark of each row that is linear in its numbers."""
    nodes = {what: builder.add("TestTell", conditioning=link)[0][0] for what, link in conditionings.items()}
    outputs = host.run(builder.graph)
    return {what: json.loads(outputs[node]["text"][0])[0] for what, node in nodes.items()}


def test_the_catalog_has_the_latents_of_the_host(host: Host) -> None:
    builder = Builder()
    builder.add("TestFormats")
    formats = json.loads(host.run(builder.graph)["1"]["text"][0])
    own = {"Playground"}  # a class of these nodes
    rows = {kind: row for row in FAMILIES.values() for kind in row.comfyui if kind not in own}
    assert {kind: formats[kind] for kind in rows} == {kind: [row.channels, row.axes] for kind, row in rows.items()}


@pytest.mark.parametrize("family", LAYOUTS)
def test_prompts_of_each_family_travel_in_its_layout(host: Host, family: str) -> None:
    width, few, many, pooled = LAYOUTS[family]
    builder = Builder()
    clip = builder.add("TestTextEncoder", family=family)[0]
    empty, short, long = (builder.add("CLIPTextEncode", text=text, clip=clip)[0] for text in ("", SHORT, LONG))
    keyframes = "".join(f'[[keyframes]]\nprompt = "{prompt}"\n' for prompt in (SHORT, LONG))
    schedule = builder.recipe(f"frames = 3\nsize = [64, 64]\n{keyframes}")
    widgets = {"batch_size": 0, "how": "recipe", "lengths": "recipe"}
    found = described(
        host,
        builder,
        {
            "short": short,
            "long": long,
            "mixed": mixed(builder, [short, long], empty=empty, **travelling(3)),
            "travel": builder.add("RemixPromptTravel", 2, clip=clip, schedule=schedule, **widgets)[0],
        },
    )
    assert found["short"]["tokens"]["shape"] == [1, few, width]
    assert found["long"]["tokens"]["shape"] == [1, many, width]
    assert found["travel"] == found["mixed"]
    assert found["travel"].keys() >= found["long"].keys()
    assert found["travel"]["tokens"]["shape"] == [3, many, width]
    if pooled is None:
        assert found["travel"]["pooled_output"] is None
    else:
        assert found["travel"]["pooled_output"]["shape"] == [3, pooled]
    for key in ("tokens", "pooled_output") if pooled else ("tokens",):
        first, between, last = found["travel"][key]["marks"]
        assert last == found["long"][key]["marks"][0]
        assert between == pytest.approx((first + last) / 2, rel=1e-3, abs=1e-2)
        if few == many or key == "pooled_output":
            assert first == found["short"][key]["marks"][0]
        assert first != last


@pytest.mark.parametrize(("family", "cfg"), [("sdxl", 5.0), ("flux", 1.0)])
def test_frames_of_a_family_are_what_single_runs_give(host: Host, family: str, cfg: float) -> None:
    """The ends of a travel are the host's own runs of their prompts and seeds; between them lies another picture."""
    checkpoints = host.base / "models" / "checkpoints"
    getattr(models, family)(checkpoints / CHECKPOINT, checkpoints / f"{family}.ckpt")
    ends = (("a red apple", 1), ("the sea", 2))
    builder = Builder()
    model, _, vae = builder.add("CheckpointLoaderSimple", 3, ckpt_name=f"{family}.ckpt")
    clip = builder.add("TestTextEncoder", family=family)[0]
    keyframes = "".join(f'[[keyframes]]\nprompt = "{prompt}"\nseed = {seed}\n' for prompt, seed in ends)
    schedule = builder.recipe(f"frames = 3\nsize = [64, 64]\nsteps = 2\ncfg = {cfg}\n{keyframes}")
    prefix = name(family)
    wires = {"model": model, "clip": clip, "vae": vae, "schedule": schedule}
    builder.add("RemixRender", **wires, filename_prefix=prefix, batch_size=3)
    negative = builder.add("CLIPTextEncode", text="", clip=clip)[0]
    latent = builder.add("EmptyLatentImage", width=64, height=64, batch_size=1)[0]
    for prompt, seed in ends:
        positive = builder.add("CLIPTextEncode", text=prompt, clip=clip)[0]
        sampled = builder.sampled(model, positive, negative, latent, seed=seed, steps=2, cfg=cfg)
        image = builder.add("VAEDecode", samples=sampled, vae=vae)[0]
        builder.add("SaveImage", images=image, filename_prefix=f"{family}_alone{seed}")
    host.run(builder.graph)
    found = pictures(folder(host, prefix)).astype(int)
    first, last = (load_picture(next(host.output.glob(f"{family}_alone{seed}*"))) for _, seed in ends)
    assert np.abs(found[0] - first).max() <= 1
    assert np.abs(found[2] - last).max() <= 1
    assert np.abs(found[1] - found[0]).mean() > 5
    assert np.abs(found[1] - found[2]).mean() > 5


def test_the_server_reports_which_models_pad_prompts(host: Host) -> None:
    checkpoints = host.base / "models" / "checkpoints"
    for family in ("sdxl", "flux"):
        if not (checkpoints / f"{family}.ckpt").exists():
            getattr(models, family)(checkpoints / CHECKPOINT, checkpoints / f"{family}.ckpt")
    server = Server(Http(host.url), "test")
    found = [server.pack(checkpoint) for checkpoint in (CHECKPOINT, "sdxl.ckpt", "flux.ckpt", "")]
    assert [pack.plain_attention for pack in found] == [True, True, False, None]
    assert {pack.version for pack in found} == {__version__}


@pytest.mark.parametrize("batch_size", [1, 3])
def test_frames_of_a_model_with_a_time_axis_are_what_single_runs_give(host: Host, batch_size: int) -> None:
    """Qwen-Image: latents with a time axis of length 1, and prompts whose unequal lengths meet behind a mask."""
    ends = (("a red apple", 1), ("the deep blue sea and the snow", 2))
    builder = Builder()
    model, vae = builder.add("TestQwenImage", 2)
    clip = builder.add("TestTextEncoder", family="qwen")[0]
    keyframes = "".join(f'[[keyframes]]\nprompt = "{prompt}"\nseed = {seed}\n' for prompt, seed in ends)
    schedule = builder.recipe(f"frames = 3\nsize = [64, 64]\nsteps = 2\ncfg = 3\n{keyframes}")
    prefix = name(f"qwen{batch_size}")
    wires = {"model": model, "clip": clip, "vae": vae, "schedule": schedule}
    builder.add("RemixRender", **wires, filename_prefix=prefix, batch_size=batch_size)
    negative = builder.add("CLIPTextEncode", text="", clip=clip)[0]
    latent = builder.add("EmptyLatentImage", width=64, height=64, batch_size=1)[0]
    for prompt, seed in ends:
        positive = builder.add("CLIPTextEncode", text=prompt, clip=clip)[0]
        sampled = builder.sampled(model, positive, negative, latent, seed=seed, steps=2, cfg=3.0)
        image = builder.add("VAEDecode", samples=sampled, vae=vae)[0]
        builder.add("SaveImage", images=image, filename_prefix=f"qwen{batch_size}_alone{seed}")
    host.run(builder.graph)
    found = pictures(folder(host, prefix)).astype(int)
    assert found.shape == (3, 64, 64, 3)
    first, last = (load_picture(next(host.output.glob(f"qwen{batch_size}_alone{seed}*"))) for _, seed in ends)
    assert np.abs(found[0] - first).max() <= 1
    assert np.abs(found[2] - last).max() <= 1
    assert np.abs(found[1] - found[0]).mean() > 5
    assert np.abs(found[1] - found[2]).mean() > 5
