"""The settings of a real Forge during a film, by Forge's own names: what is chosen meanwhile comes after the film."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from tests.real.a1111 import models
from tests.real.a1111.films import A, B, off, plain, recipe
from tests.real.a1111.host import Host
from tests.real.a1111.running import in_background, until
from tests.real.browser import browser

FRAMES = 4
TOLD = {"recipe": recipe({"prompt": A}, {"prompt": B}, frames=FRAMES, steps=8), "film": "", "batch": 1}
"""A film of four calls, slow enough for a click between two of them."""

DEFAULTS: dict[str, Any] = {
    "forge_additional_modules": [],
    "forge_unet_storage_dtype": "Automatic",
    "CLIP_stop_at_last_layers": 1,
}


@pytest.fixture(scope="module")
def first(host: Host) -> Iterator[dict[str, Any]]:
    """The settings before a film, in a host with another checkpoint, a VAE as a module, and a quicksetting."""
    for name, write in (("Stable-diffusion", models.second), ("VAE", models.vae)):
        folder = host.base / "models" / name
        folder.mkdir(parents=True, exist_ok=True)
        write(host.checkpoint, folder / "other.safetensors")
    host.post("options", quick_setting_list=["randn_source"])
    host.stop()
    host.start()
    before = {**DEFAULTS, "sd_model_checkpoint": host.checkpoint.name}
    yield before
    host.post("options", **before)


def saved(host: Host) -> dict[str, Any]:
    """What a server would begin with if it were started now."""
    return dict(json.loads((host.base / "config.json").read_text(encoding="utf-8")))


def during(host: Host, name: str, setting: str, value: Any) -> list[np.ndarray]:
    """The frames of a film, while whose first frames a setting is changed."""
    with ThreadPoolExecutor(1) as thread:
        film = thread.submit(host.remix, {**TOLD, "name": name})
        end = time.monotonic() + 60
        while not [*host.jobs.glob(f"{name}_*/frames/000000.png")]:
            assert time.monotonic() < end
            time.sleep(0.01)
        assert host.post("options", **{setting: value}).status == 200
        assert len([*host.jobs.glob(f"{name}_*/frames/*.png")]) < FRAMES, "it came after the film"
        return film.result().pictures


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("sd_model_checkpoint", "other.safetensors"),
        ("forge_additional_modules", ["other.safetensors"]),
        ("forge_unet_storage_dtype", "float8-e4m3fn"),
        ("CLIP_stop_at_last_layers", 2),
    ],
)
def test_what_is_chosen_during_a_film_holds_after_it_and_not_in_it(
    host: Host, first: dict[str, Any], setting: str, value: Any
) -> None:
    host.post("options", **first)
    before = host.plain(**plain(A, 1))
    calm = host.remix({**TOLD, "name": "calm", "new": True}).pictures
    film = during(host, f"clicked-{setting}".lower(), setting, value)
    assert all(np.array_equal(one, two) for one, two in zip(calm, film, strict=True))
    assert off(calm[0], calm[-1]) > 5
    config = saved(host)
    held = config[setting][0].rpartition("/")[2] if isinstance(value, list) else config[setting]
    assert held == (value[0] if isinstance(value, list) else value)
    assert {"randn_source": "CPU", "emphasis": "Original"}.items() <= {"emphasis": "Original", **config}.items()
    assert host.get("/sdapi/v1/options")[setting] == config[setting]
    assert not np.array_equal(host.plain(**plain(A, 1)), before)  # the user's choice is loaded
    again = host.remix({**TOLD, "name": "calm"}).pictures
    assert not np.array_equal(again[0], calm[0])


def test_what_is_clicked_in_the_page_during_a_film_holds_after_it_and_not_in_it(
    host: Host, first: dict[str, Any]
) -> None:
    """The box of checkpoints and *Clip skip*, which are Forge's own and no quicksettings, and a quicksetting."""
    with browser() as started:
        page = started.new_page(viewport={"width": 1300, "height": 900})
        host.post("options", **first, randn_source="CPU")
        before = host.plain(**plain(A, 1))
        page.goto(host.url)
        checkpoint = page.locator("#quicksettings").get_by_label("Checkpoint", exact=True)
        checkpoint.wait_for(timeout=60_000)
        calm = host.remix({**TOLD, "name": "calm-page", "new": True}).pictures
        with ThreadPoolExecutor(1) as thread:
            film = thread.submit(host.remix, {**TOLD, "name": "clicked-page"})
            until(lambda: [*host.jobs.glob("clicked-page_*/frames/000000.png")])
            checkpoint.click()
            page.locator("ul.options li").filter(has_text="other").click()
            page.get_by_label("number input for Clip skip").fill("3")
            page.locator("#setting_randn_source").get_by_label("NV").check()
            chosen = {"sd_model_checkpoint": "other.safetensors", "CLIP_stop_at_last_layers": 3, "randn_source": "NV"}
            until(lambda: chosen.items() <= saved(host).items(), 60)
            assert len([*host.jobs.glob("clicked-page_*/frames/*.png")]) < FRAMES, "it came after the film"
            clicked = film.result().pictures
    assert all(np.array_equal(one, two) for one, two in zip(calm, clicked, strict=True))
    assert chosen.items() <= saved(host).items()
    assert chosen.items() <= host.get("/sdapi/v1/options").items()
    assert not np.array_equal(host.plain(**plain(A, 1)), before)  # the user's choice is loaded
    host.post("options", randn_source="CPU")


def test_a_killed_server_has_the_users_settings_and_makes_the_same_pictures(host: Host, first: dict[str, Any]) -> None:
    host.post("options", **first, n_rows=3)
    config, picture = saved(host), host.plain(**plain(A, 1))
    slow = {**TOLD, "recipe": recipe({"prompt": A}, {"prompt": B}, frames=FRAMES, steps=30), "name": "ended"}
    thread, _ = in_background(lambda: host.remix(slow))
    until(lambda: [*host.jobs.glob("ended_*/frames/000000.png")])
    host.post("options", n_rows=2)
    host.stop(signal.SIGKILL)
    thread.join()
    assert len([*host.jobs.glob("ended_*/frames/*.png")]) < FRAMES
    assert saved(host) == {**config, "n_rows": 2}
    host.start()
    assert np.array_equal(host.plain(**plain(A, 1)), picture)
