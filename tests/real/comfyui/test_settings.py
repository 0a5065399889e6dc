"""On a real ComfyUI: Remix Recipe's outputs are what its table shows, and samplers take them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.real.comfyui.films import saved
from tests.real.comfyui.graphs import Builder, Link
from tests.real.comfyui.host import Failed, Host

TEXT = """
frames = 3
size = [64, 64]
sampler = "heun"
scheduler = "karras"
steps = 4
[[keyframes]]
prompt = "a red apple"
seed = 5
cfg = 3
[[keyframes]]
prompt = "the sea"
cfg = 3
"""
SLOTS = {"steps": 5, "cfg": 6, "seed": 7, "sampler_name": 8, "scheduler": 9, "denoise": 10}
VALUES = {"steps": 4, "cfg": 3.0, "seed": 5, "sampler_name": "heun", "scheduler": "karras", "denoise": 1.0}


def film(text: str, connected: dict[str, int], **widgets: Any) -> tuple[Builder, Link]:
    """A film whose KSampler is connected to outputs of the recipe."""
    builder = Builder()
    model, clip, _ = builder.checkpoint()
    schedule = builder.recipe(text)
    size = {"schedule": schedule, "batch_size": 0}
    prompts = builder.add("RemixPromptTravel", 2, clip=clip, how="recipe", lengths="recipe", **size)
    _, latent, model = builder.add("RemixNoiseTravel", 3, model=model, **size)
    links = {name: [schedule[0], slot] for name, slot in connected.items()}
    return builder, builder.sampled(model, *prompts, latent, **{**widgets, **links})


def test_a_sampler_takes_all_its_settings_from_the_recipe(host: Host) -> None:
    builder, latent = film(TEXT, SLOTS)
    connected = saved(host, builder, {"x": latent})["x"]
    builder, latent = film(TEXT, {}, **VALUES)
    assert torch.equal(connected, saved(host, builder, {"x": latent})["x"])


def test_the_parts_of_a_custom_sampler_take_them_too(host: Host) -> None:
    builder = Builder()
    model, clip, _ = builder.checkpoint()
    schedule = builder.recipe(TEXT)
    of = {name: [schedule[0], slot] for name, slot in SLOTS.items()}
    size = {"schedule": schedule, "batch_size": 0}
    positive, negative = builder.add("RemixPromptTravel", 2, clip=clip, how="recipe", lengths="recipe", **size)
    noise, latent, noisy = builder.add("RemixNoiseTravel", 3, model=model, **size)
    sigmas = {name: of[name] for name in ("scheduler", "steps", "denoise")}
    parts = {
        "noise": noise,
        "guider": builder.add("CFGGuider", model=model, positive=positive, negative=negative, cfg=of["cfg"])[0],
        "sampler": builder.add("KSamplerSelect", sampler_name=of["sampler_name"])[0],
        "sigmas": builder.add("BasicScheduler", model=model, **sigmas)[0],
    }
    custom = builder.add("SamplerCustomAdvanced", 2, **parts, latent_image=latent)[0]
    found = saved(
        host, builder, {"custom": custom, "plain": builder.sampled(noisy, positive, negative, latent, **VALUES)}
    )
    assert torch.equal(found["custom"], found["plain"])


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        (
            "cfg",
            ("cfg = 3\n", "cfg = 9\n"),
            r'cfg: it travels from \d \(frame 0\) to \d \(frame 2\), and the output "cfg"',
        ),
        ("seed", ('"the sea"', '"the sea"\nseed = 6'), r"seed: it travels from 5 \(frame 0\) to 6 \(frame 2\)"),
    ],
)
def test_a_setting_that_travels_is_refused_where_it_is_connected(
    host: Host, name: str, change: tuple[str, str], sentence: str
) -> None:
    """Also after a run in which it was not connected, of which the host keeps what came out."""
    text = TEXT.replace(*change, 1)
    builder, latent = film(text, {})
    saved(host, builder, {"x": latent})
    builder, latent = film(text, {name: SLOTS[name]})
    with pytest.raises(Failed, match=sentence):
        saved(host, builder, {"x": latent})


def test_a_pasted_schedule_of_cfg_is_what_the_table_shows(host: Host) -> None:
    text = (
        '{"prompts": {"0": "a cat", "3": "a dog"}, "max_frames": 4, "cfg_scale_schedule": "0: (3)", '
        '"seed": 7, "W": 64, "H": 64, "steps": 2}'
    )
    builder, latent = film(text, {"cfg": SLOTS["cfg"]}, steps=2)
    connected = saved(host, builder, {"x": latent})["x"]
    builder, latent = film(text, {}, steps=2, cfg=3.0)
    assert torch.equal(connected, saved(host, builder, {"x": latent})["x"])


def test_the_node_says_how_a_text_was_read_and_what_a_sampler_does_otherwise(host: Host) -> None:
    builder, latent = film(TEXT, {"cfg": SLOTS["cfg"]}, steps=9)
    builder.add("SaveLatent", samples=latent, filename_prefix="settings/x")
    (recipe,) = (number for number, node in builder.graph.items() if node["class_type"] == "RemixRecipe")
    (sampler,) = (number for number, node in builder.graph.items() if node["class_type"] == "KSampler")
    assert host.run(builder.graph)[recipe]["remarks"] == [
        "Read as a recipe of this toolkit (toml).",
        f'steps: the recipe says 4, but KSampler (node {sampler}) has 9; connect the output "steps"',
        f'sampler: the recipe says heun, but KSampler (node {sampler}) has euler; connect the output "sampler"',
        f'scheduler: the recipe says karras, but KSampler (node {sampler}) has normal; connect the output "scheduler"',
    ]
