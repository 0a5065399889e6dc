"""The same script in a real Forge and Forge Neo: frames equal themselves alone, the ends the host's own pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix.client import A1111, render
from remix.job import frame_path, read_metadata
from remix.motion import load_picture
from remix.plan import Recipe
from tests.real.a1111.films import ROUNDING, SIDE, A, B, off, painted, plain, recipe, rendered
from tests.real.a1111.host import FORGE, FORGE_NEO, Host, encoded

BOTH = {"ids": ["forge", "neo"], "indirect": True, "scope": "session"}
pytestmark = pytest.mark.parametrize("host", [FORGE, FORGE_NEO], **BOTH)


@pytest.mark.parametrize(
    ("first", "last", "fields"),
    [
        (A, B, {"sampler_name": "Euler a"}),
        (f"{A} AND a table :0.5", f"{B} AND a boat :1.2", {}),
        (A, B, {"enable_hr": True, "hr_scale": 2, "hr_upscaler": "Latent", "hr_cfg": 7, "denoising_strength": 0.6}),
        (A, B, {"cfg_scale": 1}),
    ],
    ids=["ancestral", "AND", "hires", "cfg 1"],
)
def test_the_ends_are_the_hosts_own(host: Host, first: str, last: str, fields: dict[str, Any]) -> None:
    if "enable_hr" in fields and host.name == FORGE_NEO.name:
        pytest.skip("Forge Neo has no upscaler with the name Latent")
    extra = {"hr_additional_modules": ["Use same choices"]} if "enable_hr" in fields else {}
    own = {name: value for name, value in plain(A, 1, **fields, **extra).items() if name not in ("prompt", "seed")}
    travel = recipe({"prompt": first}, {"prompt": last})
    for name in ("size", "steps"):
        del travel[name]
    frames = rendered(host, travel, host_fields=own)
    for prompt, seed, frame in ((first, 1, frames[0]), (last, 2, frames[-1])):
        assert off(frame, host.plain(**plain(prompt, seed, **fields, **extra))) <= ROUNDING


def test_pictures_travel_from_one_to_another(host: Host) -> None:
    travel = recipe({"prompt": A, "image": "a.png", "denoise": 0.5}, {"prompt": B, "image": "b.png"})
    pictures = [encoded(painted(1)), encoded(painted(2))]
    frames = rendered(host, travel, kind="img2img", host_fields={"init_images": pictures})
    own = host.plain("img2img", **plain(A, 1, init_images=[pictures[0]], denoising_strength=0.5))
    assert off(frames[0], own) <= ROUNDING


def test_a_mask_of_the_recipe_keeps_all_where_it_is_black_and_nothing_where_it_is_white(host: Host) -> None:
    black, white = (encoded(np.full((SIDE, SIDE, 3), value, np.uint8)) for value in (0, 255))
    begin = {"prompt": A, "image": "a.png", "denoise": 0.8}
    travel = recipe({**begin, "mask": "black.png"}, {"mask": "white.png", "seed": 1})
    given = {"init_images": [encoded(painted(1)), black, white]}
    first, between, last = rendered(host, travel, kind="img2img", host_fields=given)
    plain_ones = recipe({**begin, "denoise": 0}, {"denoise": 0.8, "seed": 1})
    decoded, _, whole = rendered(host, plain_ones, kind="img2img", host_fields=given)
    assert off(first, decoded) == 0
    assert off(last, whole) <= ROUNDING
    assert min(off(first, between), off(between, last)) > 5


def test_a_mask_of_the_hosts_holds_for_all_frames(host: Host) -> None:
    mask = np.zeros((SIDE, SIDE, 3), np.uint8)
    mask[:, SIDE // 2 :] = 255
    fields = {"init_images": [encoded(painted(1))], "mask": encoded(mask), "mask_blur": 2, "inpainting_fill": 1}
    fields |= {"inpaint_full_res": False, "denoising_strength": 0.8}
    frames = rendered(host, recipe({"prompt": A}, {"prompt": B}), kind="img2img", host_fields=fields)
    for frame in frames:
        assert off(frame[:, : SIDE // 3], painted(1)[:, : SIDE // 3]) <= ROUNDING


def test_fields_and_settings_of_a_payload_travel(host: Host, tmp_path: Path) -> None:
    skip = "CLIP_stop_at_last_layers"
    before = host.get("/sdapi/v1/options")[skip]
    ends = ({"cfg_scale": 3, f"override_settings.{skip}": 1}, {"cfg_scale": 7, f"override_settings.{skip}": 2})
    about = {"frames": 2, "payload": plain(A, 1), "keyframes": [{"inputs": end} for end in ends]}
    with A1111(host.url) as engine:
        render(Recipe.from_dict(about), tmp_path, engine=engine, film=None, report=False)
    assert host.get("/sdapi/v1/options")[skip] == before
    frames = [load_picture(frame_path(tmp_path, index)) for index in range(2)]
    for number, frame in enumerate(frames, 1):
        own = plain(A, 1, cfg_scale=4 * number - 1, override_settings={skip: number})
        assert off(frame, host.plain(**own)) <= ROUNDING
    made = read_metadata(frame_path(tmp_path, 1)).a1111
    assert made is not None
    assert float(made.settings["CFG scale"]) == 7


def test_frames_start_with_the_noise_of_their_picture(host: Host) -> None:
    travel = recipe({"prompt": A, "image": "a.png", "denoise": 0}, {"denoise": 0.5}, invert=True, restore=True)
    given = {"init_images": [encoded(painted(1))]}
    frames = rendered(host, travel, kind="img2img", host_fields=given, portable=True)
    assert np.array_equal(frames[0], painted(1))
    of_seeds = rendered(host, {**travel, "invert": False}, kind="img2img", host_fields=given, portable=True)
    assert off(frames[-1], of_seeds[-1]) > 5


def test_bad_input_is_one_sentence(host: Host) -> None:
    answer = host.remix("")
    assert (answer.status, answer.message) == (422, "recipe: is empty; write at least one keyframe")


def test_the_same_frames_come_from_the_job(host: Host) -> None:
    travel = {"recipe": recipe({"prompt": A}, {"prompt": B}), "film": "gif"}
    some = host.remix({**travel, "count": 1}).pictures
    whole = host.remix(travel)
    assert np.array_equal(some[0], whole.pictures[0])
    assert whole.about["Remix film"] == "film.gif"
