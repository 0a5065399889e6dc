"""Films of a real A1111 with other extensions, a refiner, a VAE, and models of other families."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.real.a1111 import models
from tests.real.a1111.films import ROUNDING, A, B, off, plain, recipe, rendered
from tests.real.a1111.host import CHECKPOINT, Host

LONG = ", ".join(["a quiet lake at dawn with tall reeds and a small wooden boat"] * 8)


def first_line(text: str) -> str:
    return text.partition("\n")[0]


def test_wildcards_are_filled_in_for_each_keyframe_alike_in_every_batch(host: Host) -> None:
    """Also by a script that reads the prompt of the first picture alone."""
    wild = {"alwayson_scripts": {"fills in": {"args": [True]}}}
    travel = recipe({"prompt": "a __colour__ apple"}, {"prompt": "the __thing__ by the sea"})
    frames = rendered(host, travel, host_fields=wild)
    texts = host.remix({"recipe": travel, "film": ""}, **wild).info["infotexts"]
    ends = first_line(texts[0]), first_line(texts[-1])
    assert re.fullmatch(r"a (red|green|blue|yellow) apple", ends[0])
    assert re.fullmatch(r"the (lamp|boat|tree|house) by the sea", ends[1])
    for prompt, seed, frame in zip(ends, (1, 2), (frames[0], frames[-1]), strict=True):
        assert off(frame, host.plain(**plain(prompt, seed))) <= ROUNDING


def test_a_script_that_leads_each_picture_by_a_hint_leads_each_frame(host: Host) -> None:
    hinted = {"alwayson_scripts": {"hints": {"args": [0.5]}}}
    travel = recipe({"prompt": A}, {"prompt": B})
    frames = rendered(host, travel, host_fields=hinted)
    for prompt, seed, frame in ((A, 1, frames[0]), (B, 2, frames[-1])):
        assert off(frame, host.plain(**plain(prompt, seed, **hinted))) <= ROUNDING
        assert off(frame, host.plain(**plain(prompt, seed))) > 20
    saw = host.remix({"recipe": travel, "film": "", "new": True}, **hinted).info["infotexts"][0]
    assert 'Hints saw: "(3, [1, 1, 2]) (3, [1, 1, 2]) [1, 1, 2] 3"' in saw


@pytest.fixture(scope="module")
def made(host: Host) -> Iterator[Callable[[str, Callable[..., None]], str]]:
    """Writes a checkpoint of a name for the host, once; when all are done the host has its own again."""
    folder = host.base / "models" / "Stable-diffusion"

    def make(name: str, write: Callable[..., None]) -> str:
        path = folder / f"{name}.safetensors"
        if path.exists():
            return name
        folder.mkdir(parents=True, exist_ok=True)
        write(host.checkpoint, path)
        assert host.post("refresh-checkpoints").status == 200
        return name

    yield make
    host.post("options", sd_model_checkpoint=CHECKPOINT, sd_checkpoints_limit=1)


def test_the_vae_of_the_recipe_holds_for_the_run_alone(host: Host, made: Any) -> None:
    folder = host.base / "models" / "VAE"
    folder.mkdir(parents=True, exist_ok=True)
    models.vae(host.checkpoint, folder / "other.safetensors")
    host.post("refresh-vae")
    before = host.plain(**plain(A, 1))
    model = {"checkpoint": "both-sd15", "vae": "other.safetensors"}
    frames = rendered(host, {**recipe({"prompt": A}, {"prompt": B}), "model": model})
    assert off(frames[0], before[..., ::-1]) <= ROUNDING
    assert off(host.plain(**plain(A, 1)), before) <= ROUNDING


def test_the_refiner_takes_over_with_prompts_of_its_own(host: Host, made: Any) -> None:
    host.post("options", sd_checkpoints_limit=2)
    name = made("second", models.second)
    fields = {"refiner_checkpoint": name, "refiner_switch_at": 0.5}
    travel = recipe({"prompt": A}, {"prompt": B}, steps=4, frames=2)
    frames = rendered(host, travel, host_fields=fields)
    for prompt, seed, frame in ((A, 1, frames[0]), (B, 2, frames[-1])):
        asked = {**plain(prompt, seed), "steps": 4}
        assert off(frame, host.plain(**asked, **fields)) <= ROUNDING
    assert off(frames[0], host.plain(**{**plain(A, 1), "steps": 4})) > 5


def test_an_empty_negative_is_what_the_host_makes_of_it_by_itself(host: Host, made: Any) -> None:
    """For an SDXL that is zeros, even in a film that travels to a written one."""
    name = made("small-sdxl", models.sdxl)
    assert host.post("options", sd_model_checkpoint=name).status == 200
    frames = rendered(host, recipe({"prompt": A, "negative": ""}, {"prompt": A, "negative": "dull"}, frames=2))
    for negative, seed, frame in (("", 1, frames[0]), ("dull", 2, frames[-1])):
        assert off(frame, host.plain(**{**plain(A, seed), "negative_prompt": negative})) <= ROUNDING


@pytest.mark.parametrize("family", ["sd2", "sdxl"])
def test_models_of_other_families_travel(host: Host, made: Any, family: str) -> None:
    name = made(f"small-{family}", getattr(models, family))
    assert host.post("options", sd_model_checkpoint=name).status == 200
    travel = recipe({"prompt": A}, {"prompt": LONG}, frames=2)
    frames = rendered(host, travel)
    assert f"Model: {name}" in host.remix({"recipe": travel, "film": ""}).info["infotexts"][0]
    for prompt, seed, frame in ((A, 1, frames[0]), (LONG, 2, frames[-1])):
        assert off(frame, host.plain(**plain(prompt, seed))) <= ROUNDING


def test_each_text_encoder_of_sdxl_reads_its_own_text(host: Host, made: Any) -> None:
    name = made("small-sdxl", models.sdxl)
    assert host.post("options", sd_model_checkpoint=name).status == 200
    travel = recipe({"prompt": f"fog TE(l={A}) TE(g={A})"}, {"prompt": f"{B} TE(l={A})"}, frames=2)
    frames = rendered(host, travel)
    assert off(frames[0], host.plain(**plain(A, 1))) <= ROUNDING
    for both in (A, B):
        assert off(frames[-1], host.plain(**plain(both, 2))) > 5
    refused = host.remix({"recipe": recipe({"prompt": "a TE(t5xxl=b)"}, {"prompt": B}, frames=2), "film": ""})
    assert refused.status != 200
    assert "no text encoder 't5xxl', which TE names; it has l, g" in str(refused.body)


def test_no_negative_is_an_empty_prompt_on_sdxl_too(host: Host, made: Any) -> None:
    """Then guidance from one empty prompt to another changes nothing. Left to itself the host takes zeros."""
    name = made("small-sdxl", models.sdxl)
    assert host.post("options", sd_model_checkpoint=name).status == 200

    def moved_by_guidance(**settings: bool) -> int:
        weak, strong = (
            host.remix(
                {"recipe": recipe({"prompt": "", "negative": ""}, {}, frames=2, cfg=cfg), "film": "", **settings}
            ).pictures[0]
            for cfg in (1.5, 9)
        )
        return off(weak, strong)

    assert moved_by_guidance() <= ROUNDING
    assert moved_by_guidance(portable=False) > 20


def test_what_sdxl_takes_of_clip_skip_by_the_hosts_settings_is_not_portable(host: Host, made: Any) -> None:
    name = made("small-sdxl", models.sdxl)
    assert host.post("options", sd_model_checkpoint=name).status == 200

    def frame(**settings: Any) -> Any:
        host.plain(**plain(B, 1))  # the host keeps what it encoded last, whatever this setting is
        travel = recipe({"prompt": A}, {}, frames=2)
        return host.remix({"recipe": travel, "film": "", "new": True, **settings}).pictures[0]

    before, own = frame(), frame(portable=False)
    host.post("options", sdxl_clip_l_skip=True)
    try:
        assert off(frame(), before) <= ROUNDING
        assert off(frame(portable=False), own) > 5
    finally:
        host.post("options", sdxl_clip_l_skip=False)
