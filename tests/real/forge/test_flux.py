"""Films of a small Flux in a real Forge, whose model loaded before is another one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from remix.client.a1111 import A1111
from remix.engine import render
from remix.errors import OtherRecipe
from remix.motion import load_picture
from remix.plan import Keyframe, Model, Recipe
from tests.real.a1111.films import ROUNDING, A, B, off, painted, plain, recipe, rendered
from tests.real.a1111.host import Host, encoded
from tests.real.forge.models import flux

LONG = ", ".join(["a quiet lake at dawn with tall reeds and a small wooden boat"] * 20)
"""Over 256 tokens, which all shorter prompts have."""


GUIDANCE = 2.0


def film(last: str, checkpoint: str) -> Recipe:
    """A short film for the client, of a checkpoint."""
    keyframes = (Keyframe(prompt=A, seed=1, cfg=1), Keyframe(prompt=last))
    how: dict[str, Any] = {"width": 64, "height": 64, "steps": 4, "scheduler": "simple"}
    return Recipe(frames=3, keyframes=keyframes, model=Model(checkpoint), **how)


@pytest.fixture(scope="module")
def model(host: Host) -> dict[str, Any]:
    """The fields of requests that are for a Flux, after another model was in use."""
    host.plain(**plain(A, 1))
    name = flux(host.program, host.base / "models")
    host.post("refresh-checkpoints")
    settings = {"sd_model_checkpoint": name, "forge_additional_modules": []}
    return {"override_settings": settings, "distilled_cfg_scale": GUIDANCE, "cfg_scale": 1, "scheduler": "Simple"}


def test_prompts_of_unlike_length_meet_by_the_empty_one(host: Host, model: dict[str, Any]) -> None:
    frames = rendered(host, recipe({"prompt": A}, {"prompt": LONG}), host_fields=model)
    assert off(frames[-1], host.plain(**plain(LONG, 2, **model))) <= ROUNDING


def test_each_text_encoder_reads_its_own_text(host: Host, model: dict[str, Any]) -> None:
    own = f"fog TE(l={A}) TE(t5xxl={A})"
    frames = rendered(host, recipe({"prompt": own}, {"prompt": f"{B} TE(t5xxl={A})"}), host_fields=model)
    assert off(frames[0], host.plain(**plain(A, 1, **model))) <= ROUNDING
    assert off(frames[-1], host.plain(**plain(B, 2, **model))) > ROUNDING


@pytest.mark.parametrize("cfg", [1, 3])
def test_the_ends_are_the_hosts_own_with_its_guidance(host: Host, model: dict[str, Any], cfg: float) -> None:
    fields = {**model, "cfg_scale": cfg}
    frames = rendered(host, recipe({"prompt": A}, {"prompt": B}), host_fields=fields)
    for prompt, seed, frame in ((A, 1, frames[0]), (B, 2, frames[-1])):
        assert off(frame, host.plain(**plain(prompt, seed, **fields))) <= ROUNDING
    stronger = {**fields, "distilled_cfg_scale": 4 * GUIDANCE}
    assert off(frames[0], host.plain(**plain(A, 1, **stronger))) > 5


def test_the_prompts_alone_make_other_pictures(host: Host, model: dict[str, Any]) -> None:
    travel = recipe({"prompt": A}, {"prompt": B, "seed": 1})
    first, between, last = rendered(host, travel, portable=True, host_fields=model)
    assert off(first, between) > 5
    assert off(between, last) > 5


def test_pictures_travel_from_one_to_another(host: Host, model: dict[str, Any]) -> None:
    pictures = [encoded(painted(1)), encoded(painted(2))]
    travel = recipe({"prompt": A, "image": "a.png", "denoise": 0.5}, {"prompt": B, "image": "b.png"})
    frames = rendered(host, travel, kind="img2img", host_fields={**model, "init_images": pictures})
    for prompt, seed, picture, frame in ((A, 1, pictures[0], frames[0]), (B, 2, pictures[1], frames[-1])):
        fields = {**model, "init_images": [picture], "denoising_strength": 0.5}
        assert off(frame, host.plain("img2img", **plain(prompt, seed, **fields))) <= ROUNDING


def test_hires_fix_has_a_guidance_of_its_own(host: Host, model: dict[str, Any]) -> None:
    hires = {"enable_hr": True, "hr_scale": 2, "hr_upscaler": "Latent", "hr_cfg": 1, "denoising_strength": 0.6}
    fields = {**model, **hires, "hr_distilled_cfg": 4 * GUIDANCE, "hr_additional_modules": ["Use same choices"]}
    own = {name: value for name, value in plain(A, 1, **fields).items() if name not in ("prompt", "seed")}
    travel = recipe({"prompt": A}, {"prompt": B})
    for name in ("size", "steps"):
        del travel[name]
    frames = rendered(host, travel, host_fields=own)
    for prompt, seed, frame in ((A, 1, frames[0]), (B, 2, frames[-1])):
        assert off(frame, host.plain(**plain(prompt, seed, **fields))) <= ROUNDING


def test_a_job_of_the_client_keeps_frames_only_among_the_same_prompts(
    host: Host, model: dict[str, Any], tmp_path: Path
) -> None:
    flux = model["override_settings"]["sd_model_checkpoint"]
    with A1111(host.url) as engine:
        render(film(B, flux), engine, tmp_path / "flux", film=None)
        with pytest.raises(OtherRecipe, match="another set of prompts, on which every frame depends"):
            render(film(LONG, flux), engine, tmp_path / "flux", film=None)
        render(film(LONG, flux), engine, tmp_path / "long", film=None)
        render(film(B, "tiny-sd15"), engine, tmp_path / "unet", film=None, frames=[0])
        assert render(film(LONG, "tiny-sd15"), engine, tmp_path / "unet", film=None).rendered == 2
    first, padded = (load_picture(tmp_path / name / "frames" / "000000.png") for name in ("flux", "long"))
    assert off(first, padded) > ROUNDING  # so the first frame of the one film is none of the other
