"""The client's engine against a real A1111: the same pictures as the host's own, and nothing lost on the way."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix import __version__
from remix.client.a1111 import A1111, scripted
from remix.client.a1111.server import Server
from remix.client.http import Http
from remix.client.timeouts import Timeouts
from remix.engine import Event, render
from remix.errors import BlankFrame, HostRefused, HostSilent, Interrupted, OutOfMemory, RemixError, Unsupported
from remix.hosts.a1111.settings import PORTABLE
from remix.motion import load_picture
from remix.plan import Keyframe, Recipe, plan
from tests.fakes.proxy import Proxy, Toxic
from tests.real.a1111.host import Host
from tests.real.a1111.record import kept, replies
from tests.real.loras import MIDDLE, write_broken_lora

TIMEOUTS = Timeouts(poll=0.2, idle=5, offline=3)
PLAIN = {
    "frames": 3,
    "size": [64, 64],
    "steps": 3,
    "model": "both-sd15",
    "keyframes": [{"prompt": "a red apple", "negative": "blue", "seed": 5, "cfg": 4}, {"cfg": 8}],
}
TRAVEL = {**PLAIN, "keyframes": [{"prompt": "a red apple", "seed": 5}, {"prompt": "the sea", "seed": 7}]}


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine passes over the script, as where it is not installed."""
    monkeypatch.setattr(scripted, "NAME", "not there")


def frames(folder: Path) -> list[np.ndarray]:
    """The frames of a job."""
    return [load_picture(path) for path in sorted((folder / "frames").iterdir())]


def shape(value: Any) -> Any:
    """What a reply is made of: names and kinds, of a list its first."""
    if isinstance(value, Mapping):
        return {name: shape(part) for name, part in value.items()}
    if isinstance(value, list):
        return [shape(part) for part in value[:1]]
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def test_the_recorded_replies_are_what_the_host_says(host: Host) -> None:
    found = replies(host.url)
    found["progress"]["textinfo"] = kept()["progress"]["textinfo"]  # what earlier work has left there, or nothing
    for name, reply in kept().items():
        if name == "options":
            assert set(PORTABLE) <= found[name].keys()
        elif name in ("samplers", "schedulers", "refused"):
            assert found[name] == reply
        elif name in ("loras", "sd-vae"):  # which earlier tests have put there, or nobody
            assert all(isinstance(each.get("name", each.get("model_name")), str) for each in found[name])
        elif name != "scripts":
            assert shape(found[name]) == shape(reply), name


def test_the_script_reports_which_models_pad_prompts(host: Host) -> None:
    server = Server(partial(Http, host.url), TIMEOUTS)
    found = [server.pack(name) for name in ("both-sd15", "nobody's")]
    server.close()
    assert [pack.plain_attention for pack in found] == [True, None]
    assert {pack.version for pack in found} == {__version__}


def test_the_host_does_not_put_back_a_setting_that_was_never_saved(host: Host) -> None:
    name, other = "grid_text_active_color", "#123456"
    host.post("txt2img", prompt="", steps=1, width=64, height=64, override_settings={name: other})
    assert host.get("/sdapi/v1/options")[name] == other


def test_alone_its_frames_are_the_hosts_own_pictures_and_its_settings_stay(
    host: Host, tmp_path: Path, alone: None
) -> None:
    before = host.get("/sdapi/v1/options")
    outcome = render(Recipe.from_dict(PLAIN), A1111(host.url, timeouts=TIMEOUTS), tmp_path / "job")
    # The host computes the checkpoint's hash when it loads it.
    after = host.get("/sdapi/v1/options")
    assert {name for name in after if after[name] != before[name]} <= {"sd_checkpoint_hash"}
    for cfg, frame in zip((4, 6, 8), frames(outcome.folder), strict=True):
        names = ("emphasis", "comma_padding_backtrack", "sgm_noise_multiplier", "enable_quantization")
        settings = {name: PORTABLE[name] for name in names}
        asked = {"prompt": "a red apple", "negative_prompt": "blue", "seed": 5, "cfg_scale": cfg, "steps": 3}
        own = host.plain(
            **asked, width=64, height=64, sampler_name="Euler", scheduler="Uniform", override_settings=settings
        )
        assert frame.std() > 5
        assert np.array_equal(frame, own)


def test_through_the_script_the_ends_of_a_travel_are_the_frames_alone(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe.from_dict(TRAVEL)
    travelled = frames(render(recipe, A1111(host.url, timeouts=TIMEOUTS), tmp_path / "job").folder)
    monkeypatch.setattr(scripted, "NAME", "not there")
    for index, keyframe in ((0, recipe.keyframes[0]), (2, recipe.keyframes[1])):
        still = recipe.replace(frames=1, keyframes=(dataclasses.replace(keyframe, at=0),))
        (single,) = frames(render(still, A1111(host.url, timeouts=TIMEOUTS), tmp_path / str(index)).folder)
        assert single.std() > 5
        assert np.abs(single.astype(int) - travelled[index]).max() <= 1
    assert np.abs(travelled[1].astype(int) - travelled[0]).mean() > 1


def test_a_connection_that_is_reset_in_the_middle_costs_nothing(host: Host, tmp_path: Path) -> None:
    recipe = Recipe.from_dict({**TRAVEL, "frames": 4})
    whole = frames(render(recipe, A1111(host.url, batch=2, timeouts=TIMEOUTS), tmp_path / "whole").folder)
    with Proxy(host.url, Toxic("reset_peer", 700, "GET /sdapi/v1/sd-models", most=1)).started() as proxy:
        folder = render(recipe, A1111(proxy.url, batch=2, timeouts=TIMEOUTS), tmp_path / "job").folder
    assert all(np.array_equal(a, b) for a, b in zip(whole, frames(folder), strict=True))


def test_a_picture_that_somebody_interrupts_is_not_kept(host: Host, tmp_path: Path, alone: None) -> None:
    recipe = Recipe.from_dict({**PLAIN, "steps": 8})

    def listen(event: Event) -> None:
        if event.stage == "steps" and event.frame == 1:
            host.post("interrupt")

    with pytest.raises(Interrupted, match=r"frame 1: somebody at the server interrupted it"):
        render(recipe, A1111(host.url, timeouts=TIMEOUTS), tmp_path / "job", listen=listen)
    assert len(frames(tmp_path / "job")) == 1
    assert render(recipe, A1111(host.url, timeouts=TIMEOUTS), tmp_path / "job").rendered == 2


def test_a_server_that_is_killed_and_started_again_goes_on_with_what_is_missing(
    host: Host, tmp_path: Path, alone: None
) -> None:
    recipe = Recipe.from_dict({**PLAIN, "steps": 8})

    def listen(event: Event) -> None:
        if event.stage == "steps" and event.frame == 1:
            host.stop()

    with pytest.raises(HostSilent, match="finished frames are kept"):
        render(recipe, A1111(host.url, timeouts=TIMEOUTS), tmp_path / "job", listen=listen)
    host.start()
    again = render(recipe, A1111(host.url, timeouts=TIMEOUTS), tmp_path / "job")
    whole = render(recipe, A1111(host.url, timeouts=TIMEOUTS), tmp_path / "whole")
    assert (again.rendered, whole.rendered) == (2, 3)
    for one, other in zip(frames(again.folder), frames(whole.folder), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ("a full memory", OutOfMemory, r"frame 2: the server ran out of memory; .*--medvram \(.*CUDA out of memory"),
        ("a wrong turn", HostRefused, r"frame 2, sent 3 times: .*500: .*no such thing"),
    ],
)
def test_what_the_host_says_went_wrong_is_told_and_what_is_finished_kept(
    host: Host, tmp_path: Path, alone: None, words: str, error: type[RemixError], message: str
) -> None:
    recipe = Recipe.from_dict({**PLAIN, "keyframes": [{"prompt": words, "seed": 5, "cfg": 4}, {"cfg": 8}]})
    with pytest.raises(error, match=message):
        render(recipe, A1111(host.url, timeouts=TIMEOUTS), tmp_path / "job", film=None)
    assert len(frames(tmp_path / "job")) == 2


@pytest.mark.parametrize("way", ["script", "alone"])
def test_a_model_that_gives_no_numbers_is_an_error_that_names_the_switch(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    write_broken_lora(host.base / "models" / "Lora", MIDDLE)
    host.post("refresh-loras")
    if way == "alone":
        monkeypatch.setattr(scripted, "NAME", "not there")
    model = {"checkpoint": "both-sd15", "loras": [{"name": "broken"}]}
    recipe = Recipe.from_dict({**PLAIN, "model": model})
    with pytest.raises(BlankFrame, match=r"frames? 0.*: .*--no-half"):
        render(recipe, A1111(host.url, timeouts=TIMEOUTS), tmp_path / "job", film=None)
    assert not frames(tmp_path / "job")
    # The host itself is well again.
    assert host.plain(prompt="a red apple", steps=1, width=64, height=64).std() > 5


def test_fields_of_a_payload_travel_and_names_are_those_of_the_hosts_api(host: Host, tmp_path: Path) -> None:
    payload = {"prompt": "a red apple", "seed": 5, "steps": 3, "width": 64, "height": 64, "sampler_name": "Euler"}
    ends = [{"inputs": {"cfg_scale": 4}}, {"inputs": {"cfg_scale": 8}}]
    with A1111(host.url, timeouts=TIMEOUTS) as engine:
        asked = Recipe.from_dict({"frames": 2, "size": [64, 64], "payload": payload, "keyframes": ends})
        render(asked, engine, tmp_path, film=None, report=False)
        with pytest.raises(Unsupported, match="cfg_scale"):
            engine.check(plan(asked.replace(keyframes=(Keyframe(inputs={"cfg_scal": 4}),))))
    for cfg, frame in zip((4, 8), frames(tmp_path), strict=True):
        assert np.array_equal(frame, host.post("txt2img", **payload, cfg_scale=cfg).pictures[0])
