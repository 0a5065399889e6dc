"""On a real ComfyUI: conditionings of each model family by the host's own encoders, and frames of SDXL and Flux."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from remix import __version__
from remix.catalog.families import FAMILIES, TOKEN_IDS, family_of_shapes
from remix.client.comfyui.server import Server
from remix.client.http import Http
from remix.motion import load_picture
from tests.real.comfyui import models
from tests.real.comfyui.films import folder, mixed, name, pictures, travelling
from tests.real.comfyui.graphs import Builder, Link
from tests.real.comfyui.host import CHECKPOINT, Failed, Host
from tests.real.comfyui.rendered import RUN

SHORT = "a red apple"
LONG = "the deep blue sea and the snow and the wind " * 12

ENDS = ((0, "a red apple", 1), (2, "the deep blue sea and the snow", 2))
"""The first and the last keyframe of a film: frame, prompt and seed."""

LAYOUTS = {
    # family: width of tokens, rows of the short and of the long prompt, width of pooled
    "sd1": (768, 77, 154, 768),
    "sdxl": (2048, 77, 154, 1280),
    "sd3": (4096, 77 + 77, 154 + 121, 2048),
    "flux": (4096, 256, 256, 768),
    "wan": (4096, 512, 512, None),
    "qwen_image": (3584, 8, 126, None),
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
    found = {kind: formats[kind][:2] for kind in rows}
    assert found == {kind: [row.channels, row.axes] for kind, row in rows.items()}
    assert all(row.step % formats[kind][2] == 0 for kind, row in rows.items() if not row.sound)


def test_the_catalog_has_the_loaders_of_the_host(host: Host) -> None:
    server = Server(Http(host.url), "test")
    types = {each for loader in ("CLIPLoader", "DualCLIPLoader") for each in server.choices(loader, "type")}
    assert {row.loader for row in FAMILIES.values() if row.loader} <= types


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


WEIGHS = {"sdxl": True, "sd3": True, "flux": True, "lumina2": True, "z_image": False, "qwen_image": False}
"""Families, and whether the host applies weights to all of their text encoders or to none."""


def test_weights_are_those_of_the_host_in_every_text_encoder(host: Host) -> None:
    builder, links = Builder(), dict[str, Link]()
    weighted = "a (red:1.6) apple, ((fog:0.4) and snow)"
    schedule = builder.recipe(f'frames = 1\nsize = [64, 64]\n[[keyframes]]\nprompt = "{weighted}"\n')
    for family in WEIGHS:
        clip = builder.add("TestTextEncoder", family=family)[0]
        widgets = {"clip": clip, "schedule": schedule, "batch_size": 0, "how": "recipe", "lengths": "recipe"}
        links[f"{family} film"] = builder.add("RemixPromptTravel", 2, **widgets)[0]
        links[f"{family} host"] = builder.add("CLIPTextEncode", text=weighted, clip=clip)[0]
        letters = weighted.replace("1.6", "1.0").replace("0.4", "1.0").replace("((", "(").replace("snow)", "snow")
        links[f"{family} even"] = builder.add("CLIPTextEncode", text=letters, clip=clip)[0]
    found = {what: each["tokens"]["marks"] for what, each in described(host, builder, links).items()}
    for family, weighs in WEIGHS.items():
        assert found[f"{family} film"] == pytest.approx(found[f"{family} host"], rel=1e-4, abs=1e-3), family
        if weighs:
            assert found[f"{family} film"] != pytest.approx(found[f"{family} even"], rel=1e-2, abs=1e-2), family


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
    assert found[0].families >= {*RUN.values()} - {"unknown"}


BY_CLASS = ("krea2", "longcat")
"""Families that only the model's class tells here: a text encoder that is narrow in tests, tokens like another's."""


@pytest.mark.parametrize("family", RUN)
def test_a_film_of_a_family(host: Host, family: str) -> None:
    """Keyframes are the host's own runs, bit for bit. Frames in between change, alone or together. A job resumes."""
    row = FAMILIES[RUN[family]]
    # Ids of words are not mixed, so prompts change at once there, and seeds travel.
    ease = 'ease = "hold"\n' if set(row.keys) & set(TOKEN_IDS) else ""
    seeds = "[[keyframes]]\nat = 1\nseed = 3\n" if ease else ""
    builder = Builder()
    model, clip, vae = builder.add("TestFamily", 3, family=family)
    keyframes = [f'[[keyframes]]\nat = {at}\nprompt = "{prompt}"\nseed = {seed}\n{ease}' for at, prompt, seed in ENDS]
    schedule = builder.recipe(f"frames = 3\nsize = [64, 64]\nsteps = 2\ncfg = 3\n{keyframes[0]}{seeds}{keyframes[1]}")
    wires = {"model": model, "clip": clip, "vae": vae, "schedule": schedule}
    prefixes = {size: name(f"{family}{size}") for size in (1, 3)}
    for size, prefix in prefixes.items():
        builder.add("RemixRender", **wires, filename_prefix=prefix, batch_size=size)
    negative = builder.add("CLIPTextEncode", text="", clip=clip)[0]
    latent = builder.add("EmptyLatentImage", width=64, height=64, batch_size=1)[0]
    for _, prompt, seed in ENDS:
        positive = builder.add("CLIPTextEncode", text=prompt, clip=clip)[0]
        sampled = builder.sampled(model, positive, negative, latent, seed=seed, steps=2, cfg=3.0)
        image = builder.add("VAEDecode", samples=sampled, vae=vae)[0]
        builder.add("SaveImage", images=image, filename_prefix=f"{family}_end{seed}")
    layout_node = builder.add("TestTell", conditioning=positive)[0][0]
    outputs = host.run(builder.graph)
    layout = json.loads(outputs[layout_node]["text"][0])[0]
    pooled = layout["pooled_output"] and layout["pooled_output"]["shape"][1]
    _, rows, width = layout["tokens"]["shape"]
    if family not in BY_CLASS:
        found = family_of_shapes(width, pooled, rows, layout.keys())
        assert found is row or (not row.widths and found.lengths == row.lengths)
    ends = [load_picture(next(host.output.glob(f"{family}_end{seed}*"))) for *_, seed in ENDS]
    alone, together = (pictures(folder(host, prefix)) for prefix in prefixes.values())
    assert np.array_equal(alone[0], ends[0])
    assert np.array_equal(alone[2], ends[1])
    # A product of a matrix is rounded otherwise for another number of rows, here by less than a shade.
    assert np.abs(alone.astype(int) - together).max() <= 1
    assert all(np.abs(one.astype(int) - other).mean() > 5 for one, other in pairwise(alone))
    (folder(host, prefixes[1]) / "frames" / "000001.png").unlink()
    host.run(builder.graph)
    assert np.array_equal(pictures(folder(host, prefixes[1])), alone)


READ_IDS = tuple(name for name, row in RUN.items() if set(FAMILIES[row].keys) & set(TOKEN_IDS))


# The first and the last case run in CI.
@pytest.mark.parametrize("family", [READ_IDS[0], *(name for name in RUN if name not in READ_IDS), *READ_IDS[1:]])
def test_predictions_are_mixed(host: Host, family: str) -> None:
    """Keyframes are the host's own runs, bit for bit. Between them is the host's sum of two predictions, half way."""
    prompts, cfg = [prompt for _, prompt, _ in ENDS], 90.0  # guidance so strong that prompts show in a random model
    builder = Builder()
    model, clip, vae = builder.add("TestFamily", 3, family=family)
    keyframes = "".join(f'[[keyframes]]\nprompt = "{prompt}"\nseed = 1\n' for prompt in prompts)
    about = f'frames = 3\nsize = [64, 64]\nsteps = 1\ncfg = {cfg}\nmix = "output"\n'
    wires = {"model": model, "clip": clip, "vae": vae, "schedule": builder.recipe(about + keyframes)}
    prefixes = {size: name(f"{family}_output{size}") for size in (1, 3)}
    for size, prefix in prefixes.items():
        builder.add("RemixRender", **wires, filename_prefix=prefix, batch_size=size)
    negative = builder.add("CLIPTextEncode", text="", clip=clip)[0]
    latent = builder.add("EmptyLatentImage", width=64, height=64, batch_size=1)[0]
    first, last = (builder.add("CLIPTextEncode", text=prompt, clip=clip)[0] for prompt in prompts)
    halves = [builder.add("ConditioningSetAreaStrength", conditioning=each, strength=0.5)[0] for each in (first, last)]
    both = builder.add("ConditioningCombine", conditioning_1=halves[0], conditioning_2=halves[1])[0]
    for number, positive in enumerate((first, both, last)):
        sampled = builder.sampled(model, positive, negative, latent, seed=1, steps=1, cfg=cfg)
        image = builder.add("VAEDecode", samples=sampled, vae=vae)[0]
        builder.add("SaveImage", images=image, filename_prefix=f"{family}_prompt{number}")
    host.run(builder.graph)
    own = [load_picture(next(host.output.glob(f"{family}_prompt{number}*"))).astype(int) for number in range(3)]
    alone, together = (pictures(folder(host, prefix)).astype(int) for prefix in prefixes.values())
    assert np.array_equal(alone, own)
    assert np.abs(alone - together).max() <= 1
    way = np.abs(own[0] - own[2]).mean()
    assert way > 0.1
    # Shades of the other families reach black and white, so that half way in latents is not half way in pictures.
    near = 0.15 if family in READ_IDS else 0.6
    assert [np.abs(one - other).mean() / way for one, other in pairwise(alone)] == pytest.approx([1 / 2] * 2, rel=near)


def test_ids_of_words_are_refused_by_name(host: Host) -> None:
    builder = Builder()
    model, clip, vae = builder.add("TestFamily", 3, family="hidream_o1")
    keyframes = "".join(f'[[keyframes]]\nprompt = "{prompt}"\n' for _, prompt, _ in ENDS)
    schedule = builder.recipe(f"frames = 3\nsize = [64, 64]\nsteps = 2\n{keyframes}")
    wires = {"model": model, "clip": clip, "vae": vae, "schedule": schedule}
    builder.add("RemixRender", **wires, filename_prefix=name("ids"), batch_size=1)
    with pytest.raises(Failed, match=r'frame 1: mixes two prompts, and HiDream O1 reads the ids of words.*"output"'):
        host.run(builder.graph)


def test_a_size_that_does_not_fit_a_family_is_refused(host: Host) -> None:
    builder = Builder()
    model, clip, vae = builder.add("TestFamily", 3, family="hidream_o1")
    schedule = builder.recipe('frames = 1\nsize = [80, 64]\n[[keyframes]]\nprompt = "a red apple"\n')
    builder.add("RemixRender", model=model, clip=clip, vae=vae, schedule=schedule, filename_prefix="s", batch_size=1)
    with pytest.raises(Failed, match="size: 80x64 does not fit HiDreamO1; use multiples of 32"):
        host.run(builder.graph)
