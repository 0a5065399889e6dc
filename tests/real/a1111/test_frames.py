"""Frames that a real A1111 renders in batches: each is what it is alone, and the ends are the host's own pictures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from remix.hosts.a1111.settings import PORTABLE
from tests.real.a1111.films import ROUNDING, SIDE, STEPS, A, B, off, painted, plain, recipe, rendered
from tests.real.a1111.host import Host, encoded


@pytest.mark.parametrize(
    ("sampler", "scheduler", "label", "schedule"),
    [
        ("euler", "normal", "Euler", "Automatic"),
        ("euler_ancestral", "normal", "Euler a", "Automatic"),
        ("heun", "normal", "Heun", "Automatic"),
        ("dpmpp_2m", "karras", "DPM++ 2M", "Automatic"),
        ("dpm_2_ancestral", "sgm_uniform", "DPM2 a", "SGM Uniform"),
        ("uni_pc", "normal", "UniPC", "Automatic"),
        ("lcm", "normal", "LCM", "Automatic"),
        ("lms", "exponential", "LMS", "Exponential"),
    ],
)
def test_a_frame_does_not_depend_on_its_batch_and_the_ends_are_the_hosts_own(
    host: Host, sampler: str, scheduler: str, label: str, schedule: str
) -> None:
    travel = recipe({"prompt": A}, {"prompt": B}, sampler=sampler, scheduler=scheduler)
    before = host.get("/sdapi/v1/options")
    frames = rendered(host, travel, portable=True)
    after = host.get("/sdapi/v1/options")
    assert [name for name in PORTABLE if after[name] != before[name]] == []
    # The host takes back what a request sets only where it was ever saved.
    host.post("options", **{name: before[name] for name in PORTABLE})
    settings = {"scheduler": schedule, "override_settings": dict(PORTABLE)}
    for prompt, seed, frame in ((A, 1, frames[0]), (B, 2, frames[-1])):
        own = host.plain(**plain(prompt, seed, sampler_name=label, **settings))
        assert off(frame, own) <= ROUNDING


@pytest.mark.parametrize("sampler", ["DPM++ 2M SDE", "DPM++ SDE", "DDIM"])
def test_told_so_samplers_are_the_hosts_own_with_all_of_their_noise(host: Host, sampler: str) -> None:
    travel = recipe({"prompt": A}, {"prompt": B})
    frames = rendered(host, travel, host_fields={"sampler_name": sampler})
    own = host.plain(**plain(A, 1, sampler_name=sampler))
    assert off(frames[0], own) <= ROUNDING


def test_samplers_that_draw_noise_of_stretches_draw_each_frames_own(host: Host) -> None:
    travel = recipe({"prompt": A}, {"prompt": B}, sampler="dpmpp_2m_sde", scheduler="karras")
    rendered(host, travel, portable=True)


@pytest.mark.parametrize("upscaler", ["Latent", "None"])
def test_hires_fix_travels_too(host: Host, upscaler: str) -> None:
    hires = {"enable_hr": True, "hr_scale": 2, "hr_upscaler": upscaler, "denoising_strength": 0.6}
    own = {**hires, "width": SIDE, "height": SIDE, "steps": STEPS, "cfg_scale": 7, "sampler_name": "Euler a"}
    travel = recipe({"prompt": A}, {"prompt": B})
    for name in ("size", "steps"):
        del travel[name]
    frames = rendered(host, travel, host_fields=own)
    assert frames[0].shape == (2 * SIDE, 2 * SIDE, 3)
    for prompt, seed, frame in ((A, 1, frames[0]), (B, 2, frames[-1])):
        assert off(frame, host.plain(**plain(prompt, seed, sampler_name="Euler a", **hires))) <= ROUNDING


def test_pictures_travel_from_one_to_another(host: Host) -> None:
    travel = recipe({"prompt": A, "image": "a.png", "denoise": 0.5}, {"prompt": B, "image": "b.png"})
    pictures = [encoded(painted(1)), encoded(painted(2))]
    frames = rendered(host, travel, kind="img2img", host_fields={"init_images": pictures})
    for prompt, seed, picture, frame in ((A, 1, pictures[0], frames[0]), (B, 2, pictures[1], frames[-1])):
        own = host.plain("img2img", **plain(prompt, seed, init_images=[picture], denoising_strength=0.5))
        assert off(frame, own) <= ROUNDING


def test_a_restored_travel_has_its_picture_unchanged(host: Host) -> None:
    travel = recipe({"prompt": A, "image": "a.png", "denoise": 0}, {"denoise": 0.5}, restore=True)
    frames = rendered(host, travel, kind="img2img", host_fields={"init_images": [encoded(painted(1))]})
    assert np.array_equal(frames[0], painted(1))
    assert off(frames[-1], frames[0]) > 20


@pytest.mark.parametrize("only_masked", [False, True])
def test_a_mask_of_the_hosts_holds_for_all_frames(host: Host, only_masked: bool) -> None:
    mask = np.zeros((SIDE, SIDE, 3), np.uint8)
    mask[:, SIDE // 2 :] = 255
    fields = {"init_images": [encoded(painted(1))], "mask": encoded(mask), "mask_blur": 2, "inpainting_fill": 1}
    fields |= {"inpaint_full_res": only_masked, "denoising_strength": 0.8}
    travel = recipe({"prompt": A}, {"prompt": B})
    frames = rendered(host, travel, kind="img2img", host_fields=fields)
    for prompt, seed, frame in ((A, 1, frames[0]), (B, 2, frames[-1])):
        assert off(frame, host.plain("img2img", **plain(prompt, seed, **fields))) <= ROUNDING
        assert off(frame[:, : SIDE // 3], painted(1)[:, : SIDE // 3]) <= ROUNDING


@pytest.mark.parametrize(
    ("sampler", "scheduler"), [("euler_ancestral", "normal"), ("ddim", "ddim_uniform"), ("uni_pc", "normal")]
)
def test_a_mask_of_the_recipe_keeps_all_where_it_is_black_and_nothing_where_it_is_white(
    host: Host, sampler: str, scheduler: str
) -> None:
    black, white = (encoded(np.full((SIDE, SIDE, 3), value, np.uint8)) for value in (0, 255))
    begin = {"prompt": A, "image": "a.png", "denoise": 0.8}
    fields = {"sampler": sampler, "scheduler": scheduler, "steps": 5}
    travel = recipe({**begin, "mask": "black.png"}, {"mask": "white.png", "seed": 1}, **fields)
    given = {"init_images": [encoded(painted(1)), black, white]}
    first, between, last = rendered(host, travel, kind="img2img", portable=True, host_fields=given)
    plain_ones = recipe({**begin, "denoise": 0}, {"denoise": 0.8, "seed": 1}, **fields)
    decoded, _, whole = rendered(host, plain_ones, kind="img2img", portable=True, host_fields=given)
    assert off(first, decoded) == 0
    assert off(last, whole) <= ROUNDING
    assert min(off(first, between), off(between, last)) > 5


def test_cfg_and_denoise_travel(host: Host) -> None:
    travel = recipe({"prompt": A, "denoise": 0.4, "cfg": 3}, {"prompt": A, "denoise": 0.9, "cfg": 9, "seed": 1})
    fields = {"init_images": [encoded(painted(1))]}
    frames = rendered(host, travel, kind="img2img", host_fields=fields)
    for denoise, cfg, frame in ((0.4, 3, frames[0]), (0.9, 9, frames[-1])):
        changes = {**plain(A, 1, denoising_strength=denoise), **fields, "cfg_scale": cfg}
        assert off(frame, host.plain("img2img", **changes)) <= ROUNDING


LONG = ", ".join(["a quiet lake at dawn with tall reeds and a small wooden boat"] * 8)
"""Over 75 tokens: two chunks."""


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (A, LONG),
        (f"{A} BREAK on a table", B),
        ("a [red:green:0.5] apple", "the [blue:black:1] sea"),
        (f"{A} AND a table :0.5", f"{B} AND a boat :1.2"),
        (f"{A} AND a table :0.5", B),
        ("a (red:1.4) apple", "the [blue] sea"),
    ],
    ids=["long", "BREAK", "over steps", "AND", "AND of unequal number", "emphasis"],
)
def test_the_hosts_syntax_in_prompts_is_the_hosts_to_read(host: Host, first: str, last: str) -> None:
    frames = rendered(host, recipe({"prompt": first}, {"prompt": last}))
    for prompt, seed, frame in ((first, 1, frames[0]), (last, 2, frames[-1])):
        assert off(frame, host.plain(**plain(prompt, seed))) <= ROUNDING


@pytest.fixture(scope="module")
def lora(host: Host) -> Callable[[str], str]:
    """Puts a small LoRA where the host looks for it."""
    folder = host.base / "models" / "Lora"
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(7)
    layers = {
        "lora_te_text_model_encoder_layers_0_mlp_fc1": (768, 3072),
        "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_v": (768, 320),
    }
    tensors = {}
    for name, (width, height) in layers.items():
        tensors |= {f"{name}.lora_down.weight": torch.randn(4, width) / 4, f"{name}.alpha": torch.tensor(4.0)}
        tensors |= {f"{name}.lora_up.weight": torch.randn(height, 4) / 4}
    save_file(tensors, folder / "warm.safetensors")
    host.post("refresh-loras")
    return lambda strength: f"<lora:warm:{strength}>"


def test_the_strength_of_a_lora_travels_with_its_tags(host: Host, lora: Callable[[str], str]) -> None:
    frames = rendered(host, recipe({"prompt": A + lora("0")}, {"prompt": A + lora("1"), "seed": 1}))
    for strength, frame in (("0", frames[0]), ("0.5", frames[1]), ("1", frames[2])):
        assert off(frame, host.plain(**plain(A + lora(strength), 1))) <= ROUNDING


def test_loras_of_the_recipe_are_the_hosts_tags(host: Host, lora: Callable[[str], str]) -> None:
    travel = recipe({"prompt": A, "loras": {"warm": 0.5}}, {"prompt": A, "loras": {"warm": 1}, "seed": 1})
    frames = rendered(host, travel)
    assert off(frames[0], host.plain(**plain(A + lora("0.5"), 1))) <= ROUNDING
    with_model = {**recipe({"prompt": A}, {"prompt": B}), "model": {"loras": [{"name": "warm", "strength": 0.5}]}}
    with_model["model"]["checkpoint"] = "both-sd15"
    assert off(rendered(host, with_model)[0], frames[0]) <= ROUNDING
