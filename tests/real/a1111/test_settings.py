"""The settings of a real A1111 during a film: what the user changes meanwhile, and what is saved of both."""

from __future__ import annotations

import json
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from remix.job import read_metadata
from tests.real.a1111 import models
from tests.real.a1111.films import A, B, off, painted, plain, recipe
from tests.real.a1111.host import CHECKPOINT, OPTIONS, Answer, Host, encoded
from tests.real.a1111.running import choose_in_page, frames_of, in_background, job, until

FRAMES = 4
TOLD = {"recipe": recipe({"prompt": A}, {"prompt": B}, frames=FRAMES, steps=8), "film": "", "batch": 1}
"""A film of four calls, slow enough for a click between two of them."""


CHOICE = "sd_model_checkpoint"
"""The one quicksetting of a new host."""


def saved(host: Host) -> dict[str, Any]:
    """What a server would begin with if it were started now."""
    return dict(json.loads((host.base / "config.json").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def second(host: Host) -> Iterator[str]:
    """Another checkpoint and another VAE; the host has its own again when all are done."""
    folder = host.base / "models"
    models.second(host.checkpoint, _in(folder / "Stable-diffusion") / "second.safetensors")
    models.vae(host.checkpoint, _in(folder / "VAE") / "other.safetensors")
    host.post("refresh-checkpoints")
    host.post("refresh-vae")
    yield "second"
    host.post("options", sd_model_checkpoint=CHECKPOINT, sd_vae="Automatic", CLIP_stop_at_last_layers=1)


def _in(folder: Any) -> Any:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def during(host: Host, name: str, call: Callable[[], Answer], **request: Any) -> tuple[Answer, Answer]:
    """The answers to a film, and to a call that begins once its first frame is there."""
    with ThreadPoolExecutor(2) as threads:
        film: Future[Answer] = threads.submit(host.remix, {**TOLD, "name": name, **request})
        until(lambda: [*host.jobs.glob(f"{name}_*/frames/000000.png")])
        other = threads.submit(call)
        answers = film.result(), other.result()
    made = [*host.jobs.glob(f"{name}_*/frames/*.png")]
    assert len(made) == FRAMES
    return answers


@pytest.mark.parametrize(
    ("setting", "value", "portable"),
    [
        (setting, value, portable)
        for portable in (True, False)
        for setting, value in (
            ("sd_model_checkpoint", "second.safetensors"),
            ("sd_vae", "other.safetensors"),
            ("Clip skip", 2),
        )
    ],
)
def test_what_is_chosen_during_a_film_holds_after_it_and_not_in_it(
    host: Host, second: str, setting: str, value: Any, portable: bool
) -> None:
    name = "CLIP_stop_at_last_layers" if setting == "Clip skip" else setting
    host.post("options", sd_model_checkpoint=CHECKPOINT, sd_vae="Automatic", CLIP_stop_at_last_layers=1)
    before = host.plain(**plain(A, 1))
    calm = host.remix({**TOLD, "name": "calm", "portable": portable, "new": True}).pictures
    film, answer = during(
        host, f"clicked-{name}-{portable}".lower(), lambda: host.post("options", **{name: value}), portable=portable
    )
    assert answer.status == 200
    assert all(np.array_equal(a, b) for a, b in zip(calm, film.pictures, strict=True))
    assert off(calm[0], calm[-1]) > 20
    assert saved(host)[name] == value
    assert host.get("/sdapi/v1/options")[name] == value
    assert off(host.plain(**plain(A, 1)), before) > 5  # the user's choice is loaded
    changed = host.remix({**TOLD, "name": "calm", "portable": portable})
    assert not np.array_equal(changed.pictures[0], calm[0])


def test_a_quicksetting_that_is_chosen_during_a_film_holds_after_it_and_not_in_it(host: Host, second: str) -> None:
    host.post("options", sd_model_checkpoint=CHECKPOINT, sd_vae="Automatic", CLIP_stop_at_last_layers=1)
    before = host.plain(**plain(A, 1))
    calm = host.remix({**TOLD, "name": "calm", "new": True}).pictures
    film, _ = during(
        host,
        "quick",
        lambda: choose_in_page(host, "second.safetensors", elem_id=f"setting_{CHOICE}") or Answer(200, {}),
    )
    assert all(np.array_equal(a, b) for a, b in zip(calm, film.pictures, strict=True))
    assert saved(host)[CHOICE] == "second.safetensors"
    assert saved(host)["randn_source"] == OPTIONS["randn_source"]
    assert off(host.plain(**plain(A, 1)), before) > 5  # the user's choice is loaded


def test_another_request_with_settings_of_its_own_waits_and_changes_nothing(host: Host) -> None:
    calm = host.remix({**TOLD, "name": "calm-alone", "new": True}).pictures
    own = {"CLIP_stop_at_last_layers": 3, "randn_source": "NV"}
    film, answer = during(host, "company", lambda: host.post("txt2img", **plain(B, 2), override_settings=own))
    assert all(np.array_equal(a, b) for a, b in zip(calm, film.pictures, strict=True))
    assert off(answer.pictures[0], host.plain(**plain(B, 2), override_settings=own)) == 0


def test_what_is_saved_during_a_film_is_the_users(host: Host) -> None:
    host.post("options", s_noise=1.0)
    before = saved(host)
    during(host, "saved", lambda: host.post("options", s_noise=0.9))
    assert saved(host) == {**before, "s_noise": 0.9}
    assert host.get("/sdapi/v1/options")["emphasis"] == "Original"
    host.post("options", s_noise=1.0)


def test_a_killed_server_has_the_users_settings_and_makes_the_same_pictures(host: Host) -> None:
    """Also where something was saved just before."""
    chosen = {"sd_model_checkpoint": CHECKPOINT, "sd_vae": "Automatic", "CLIP_stop_at_last_layers": 1}
    host.post("options", samples_save=False, **chosen)  # a started host has this checkpoint, whatever was chosen
    config, picture = saved(host), host.plain(**plain(A, 1))
    assert config["randn_source"] == OPTIONS["randn_source"]
    slow = {**TOLD, "recipe": recipe({"prompt": A}, {"prompt": B}, frames=FRAMES, steps=30), "name": "ended"}
    thread, _ = in_background(lambda: host.remix(slow))
    until(lambda: [*host.jobs.glob("ended_*/frames/000000.png")])
    assert host.get("/sdapi/v1/options")["emphasis"] == "Original"  # the film has another
    host.post("options", n_rows=2)
    host.stop(signal.SIGKILL)
    thread.join()
    assert len([*host.jobs.glob("ended_*/frames/*.png")]) < FRAMES
    assert saved(host) == {**config, "n_rows": 2}
    host.start()
    assert np.array_equal(host.plain(**plain(A, 1)), picture)


NEWCOMER = """
import gradio as gr
import modules.scripts as scripts

class Newcomer(scripts.Script):
    def title(self):
        return "Newcomer 2.1"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def ui(self, is_img2img):
        return [gr.Checkbox(False, label="Enabled"), gr.Slider(0, 1, value=0.5, label="Amount")]
"""
"""An always-on script that nobody asks for anything."""


@contextmanager
def newcomer(host: Host) -> Iterator[None]:
    """Adds an extension that the host finds when it starts; a later start finds it no more."""
    folder = host.base / "extensions" / "newcomer"
    (folder / "scripts").mkdir(parents=True)
    (folder / "scripts" / "newcomer.py").write_text(NEWCOMER, encoding="utf-8")
    try:
        yield
    finally:
        shutil.rmtree(folder)


def test_a_drawn_seed_from_which_others_follow_is_found_again_after_a_kill(host: Host) -> None:
    """Also by a host with one more always-on extension."""
    request = {"max_frames": 6, "W": 64, "H": 64, "prompts": {"0": A, "5": B}, "seed_behavior": "iter"}
    fields = {"recipe": json.dumps(request), "film": "", "batch": 2, "name": "drawn-iter"}
    thread, _ = in_background(lambda: host.remix(fields, steps=12))
    until(lambda: [*host.jobs.glob("drawn-iter_*/frames/000001.png")])
    host.stop(signal.SIGKILL)
    thread.join()
    (folder,) = host.jobs.glob("drawn-iter_*")
    before = frames_of(folder)
    assert 2 <= len(before) < 6
    with newcomer(host):
        host.start()
    assert "newcomer 2.1" in host.get("/sdapi/v1/scripts")["txt2img"]
    assert job(host, host.remix(fields, steps=12)) == folder
    after = frames_of(folder)
    assert len(after) == 6
    assert {name: after[name] for name in before} == before
    seeds = [seed_of(folder / "frames" / name) for name in after]
    assert seeds == list(range(seeds[0], seeds[0] + 6))


def seed_of(path: Any) -> int:
    made = read_metadata(path).a1111
    assert made is not None
    return int(made.settings["Seed"])


def test_a_setting_that_the_host_reads_when_a_request_comes_is_portable_too(host: Host) -> None:
    request = {**TOLD, "recipe": recipe({"prompt": A, "image": "a.png", "denoise": 0.6}, {"prompt": B}, frames=2)}
    given = {"kind": "img2img", "init_images": [encoded(painted(1))]}
    before = host.remix({**request, "name": "noise"}, **given)
    host.post("options", initial_noise_multiplier=0.5)
    try:
        after = host.remix({**request, "name": "noise-set", "new": True}, **given)
        own = host.remix({**request, "name": "noise-own", "portable": False}, **given)
    finally:
        host.post("options", initial_noise_multiplier=1.0)
    assert all(off(a, b) == 0 for a, b in zip(before.pictures, after.pictures, strict=True))
    assert off(own.pictures[0], before.pictures[0]) > 5


def test_a_frame_that_an_extension_failed_at_is_not_served(host: Host) -> None:
    """The host itself continues, and answers with pictures that lack what the extension does."""
    request = {**recipe({"prompt": "a shy extension", "cfg": 3}, {"prompt": "a shy extension", "cfg": 9}), "frames": 2}
    answer = host.remix({"recipe": request, "film": "", "batch": 1, "name": "shy"})
    assert answer.status == 500
    message = r"frame 1: the always-on script 'Trouble' failed in process \(ValueError: not today\)"
    assert re.search(message, answer.message), answer.body
    assert [path.name for path in host.jobs.glob("shy_*/frames/*.png")] == ["000000.png"]
    assert host.plain(**{**plain("a shy extension", 1), "cfg_scale": 9}).std() > 5
