"""The same script in a real Forge: frames equal themselves alone, and the ends the host's own pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.real.a1111.films import ROUNDING, A, B, off, painted, plain, recipe, rendered
from tests.real.a1111.host import Host, encoded


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
    extra = {"hr_additional_modules": ["Use same choices"]} if "enable_hr" in fields else {}
    own = {name: value for name, value in plain(A, 1, **fields, **extra).items() if name not in ("prompt", "seed")}
    told = recipe({"prompt": first}, {"prompt": last})
    for name in ("size", "steps"):
        del told[name]
    frames = rendered(host, told, host_fields=own)
    for prompt, seed, frame in ((first, 1, frames[0]), (last, 2, frames[-1])):
        assert off(frame, host.plain(**plain(prompt, seed, **fields, **extra))) <= ROUNDING


def test_pictures_travel_from_one_to_another(host: Host) -> None:
    told = recipe({"prompt": A, "image": "a.png", "denoise": 0.5}, {"prompt": B, "image": "b.png"})
    pictures = [encoded(painted(1)), encoded(painted(2))]
    frames = rendered(host, told, kind="img2img", host_fields={"init_images": pictures})
    own = host.plain("img2img", **plain(A, 1, init_images=[pictures[0]], denoising_strength=0.5))
    assert off(frames[0], own) <= ROUNDING


def test_bad_input_is_one_sentence(host: Host) -> None:
    answer = host.remix("")
    assert (answer.status, answer.said) == (422, "recipe: is empty; write at least one keyframe")


def test_the_same_frames_come_from_the_job(host: Host) -> None:
    told = {"recipe": recipe({"prompt": A}, {"prompt": B}), "film": "gif"}
    some = host.remix({**told, "count": 1}).pictures
    whole = host.remix(told)
    assert np.array_equal(some[0], whole.pictures[0])
    assert whole.about["Remix film"] == "film.gif"
