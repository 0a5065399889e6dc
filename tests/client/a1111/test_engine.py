"""Frames over A1111's own API: what is asked, what is left alone, and what is refused before the first frame."""

from __future__ import annotations

import base64
import io
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix.client import open_engine
from remix.client.a1111 import A1111
from remix.client.auth import Auth
from remix.engine import Event, render
from remix.errors import (
    BadReply,
    BlankFrame,
    HostError,
    HostRefused,
    Interrupted,
    OutOfMemory,
    Unsupported,
    WrongModel,
    WrongSize,
)
from remix.hosts.a1111.settings import FRESH, PORTABLE
from remix.motion import load_picture, save_picture
from remix.plan import Recipe, plan
from tests.client.a1111.conftest import QUICK, Serve, engine, recipe
from tests.fakes.a1111_server import A1111Server, png
from tests.fakes.comfyui_server import ComfyServer
from tests.fakes.faults import Answer, Fault
from tests.fakes.later import later

SENTINEL = "SENTINEL-77d1"


def still(**changes: Any) -> Recipe:
    """A recipe of one frame."""
    return recipe(frames=1, keyframes=[{"prompt": "a red apple"}], **changes)


def frames_asked(server: A1111Server) -> list[Any]:
    """The requests for frames, without the trials."""
    return [body for body in server.requests if body.get("send_images", True)]


def test_each_frame_is_one_request_with_its_numbers(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    render(recipe(), engine(server), tmp_path / "job", film=None)
    asked = frames_asked(server)
    assert [body["cfg_scale"] for body in asked] == [3, 4.5, 6, 7.5, 9]
    same = {"prompt": "a red apple", "seed": 5, "steps": 4, "width": 64, "height": 64, "batch_size": 1, "n_iter": 1}
    same |= {"sampler_name": "Euler", "scheduler": "Uniform", "subseed_strength": 0, "save_images": False}
    for body in asked:
        assert {key: body[key] for key in same} == same
    assert len({body["force_task_id"] for body in server.requests}) == 6


def test_the_pictures_are_those_of_the_server(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    outcome = render(recipe(), engine(server), tmp_path / "job", film=None)
    first = load_picture(outcome.folder / "frames" / "000000.png")
    body = frames_asked(server)[0]
    sent = server.pictures(body, ["Euler", "Uniform", "both-sd15"])[0]
    assert np.array_equal(first, load_picture(io.BytesIO(base64.b64decode(sent))))
    assert len(set(server.rendered)) == 5


def test_settings_that_decide_pictures_are_set_for_each_request_and_put_back(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    before = dict(server.options)
    render(recipe(model={"checkpoint": "tiny-sd15", "clip_skip": 2}), engine(server), tmp_path / "job", film=None)
    sent = frames_asked(server)[0]["override_settings"]
    # Also those that are so already: a request of somebody else may have set them for the moment.
    assert sent == {
        **{name: value for name, value in PORTABLE.items() if name in server.options},
        "sd_model_checkpoint": "tiny-sd15.safetensors",
        "CLIP_stop_at_last_layers": 2,
        "sd_vae": "None",
    }
    assert sent.items() >= {"randn_source": "CPU", "enable_quantization": True, "sgm_noise_multiplier": True}.items()
    # Also those that the server's config file does not know, which it would not put back by itself.
    assert server.options == before


@pytest.mark.parametrize(("scheduler", "begins_with_all_noise"), [("karras", True), ("ddim_uniform", False)])
def test_a_walk_begins_with_the_noise_of_comfyui(
    scheduler: str, begins_with_all_noise: bool, serve: Serve, tmp_path: Path
) -> None:
    server = serve()
    render(recipe(scheduler=scheduler), engine(server), tmp_path / "job", film=None)
    sent = frames_asked(server)[0]["override_settings"]
    assert sent.get("sgm_noise_multiplier", server.options["sgm_noise_multiplier"]) is begins_with_all_noise


def test_a_setting_that_the_server_does_not_have_is_not_sent(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    del server.options["sgm_noise_multiplier"]
    render(recipe(), engine(server), tmp_path / "job", film=None)
    assert all("sgm_noise_multiplier" not in body["override_settings"] for body in server.requests)


def test_an_init_picture_goes_by_img2img(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    picture = np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3)
    save_picture(tmp_path / "in.png", picture)
    # Of 4 steps: 10, 8 and 5 whole ones. Between whole steps the server's own means are another picture.
    keyframes = [{"image": "in.png", "denoise": 0.4}, {"denoise": 0.5}, {"denoise": 0.8}]
    wanted = recipe(frames=3, steps=4, keyframes=keyframes).replace(folder=str(tmp_path))
    render(wanted, engine(server), tmp_path / "job", film=None)
    asked = frames_asked(server)
    assert [round(body["denoising_strength"], 6) for body in asked] == [0.4, 0.5, 0.8]
    sent = load_picture(io.BytesIO(base64.b64decode(asked[0]["init_images"][0])))
    assert np.array_equal(sent, picture)


def test_an_empty_negative_is_sent_as_a_space_of_which_no_host_makes_zeros(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    for negative in ("", "dull"):
        render(
            recipe(frames=1, keyframes=[{"prompt": "a", "negative": negative}]),
            engine(server),
            tmp_path / "job",
            new=True,
        )
    assert [body["negative_prompt"] for body in frames_asked(server)] == [" ", "dull"]


@pytest.mark.parametrize("script", [False, True])
def test_a_clip_skip_that_not_every_family_has_here_is_told_of(serve: Serve, script: bool) -> None:
    server = serve(script=script)
    for clip_skip, forge, expected in ((1, {}, 0), (2, {}, 0), (3, {}, 1), (3, {"forge_preset": "sd"}, 0)):
        server.options |= forge
        asked = plan(recipe(model={"checkpoint": "both-sd15", "clip_skip": clip_skip}))
        remarks = engine(server).check(asked)
        assert (
            len(
                [
                    remark
                    for remark in remarks
                    if remark.startswith("model.clip_skip: this server applies 3 to Stable Diffusion 1 only")
                ]
            )
            == expected
        )


def test_loras_go_into_the_prompt_by_the_servers_names(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    server.lists["loras"] = [{"name": "film grain"}, {"name": "ink"}]
    model = {"checkpoint": "both-sd15", "loras": [{"name": "styles/film grain.safetensors", "strength": 0.5}]}
    keyframes = [{"prompt": "a", "loras": {"ink": {"strength": 0, "text": 0.5}}}, {"loras": {"ink": 1}}]
    render(recipe(frames=3, model=model, keyframes=keyframes), engine(server), tmp_path / "job", film=None)
    grain = "a <lora:film grain:0.5>"
    assert [body["prompt"] for body in frames_asked(server)] == [
        f"{grain} <lora:ink:0.5:0>",
        f"{grain} <lora:ink:0.75:0.5>",
        f"{grain} <lora:ink:1>",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "both-sd16"}, r"model.checkpoint: http.* does not have 'both-sd16'; did you mean .both-sd15"),
        (
            {"model": "playground"},
            r"'playground', .* --playground`, .* --checkpoint NAME, such as 'both-sd15.safetensors', which",
        ),
        ({"model": {"checkpoint": "both-sd15", "vae": "x"}}, r"model.vae: .*does not have 'x'; it has none"),
        ({"model": {"checkpoint": "both-sd15", "loras": [{"name": "ink"}]}}, r"model.loras: .*'ink'"),
        (
            {"sampler": "uni_pc", "scheduler": "karras"},
            r'scheduler: A1111.s UniPC ignores .karras..*write "normal"',
        ),
        ({"keyframes": [{"prompt": "a <lora:ink:1>"}]}, r"prompt: .* does not have 'ink'; it has none"),
        (
            {"sampler": "dpmpp_2m_sde", "scheduler": "karras"},
            r"sampler: 'dpmpp_2m_sde', and it draws noise.*install Remix",
        ),
        (
            {"keyframes": [{"prompt": "a"}, {"prompt": "b"}]},
            r"prompt: frame 1 mixes 2, .*cannot mix prompts.*install Remix Toolkit there",
        ),
        (
            {"keyframes": [{"negative": "a"}, {"negative": "b"}]},
            r"negative: frame 1 mixes 2, .*cannot mix negative prompts",
        ),
        ({"keyframes": [{"seed": 1}, {"seed": 2}]}, r"seed: frame 1 mixes 2, .*row by row"),
        ({"keyframes": [{"image": "a.png"}, {"image": "b.png"}]}, r"image: frame 1 mixes 2, .*cannot mix pictures"),
        (
            {"sampler": "lcm", "keyframes": [{"image": "a.png"}]},
            r"sampler: frame 0 starts from a picture, which the server does in other steps .*'lcm'",
        ),
        ({"keyframes": [{"image": "a.png", "mask": "b.png"}]}, r"mask: .*the server's own masks"),
        (
            {"steps": 4, "keyframes": [{"image": "a.png", "denoise": 0.5}, {"denoise": 0.6}]},
            r"denoise: frame 1 has 0.52\d*, which the server rounds to whole steps; use 0.5 throughout, or install",
        ),
    ],
)
def test_what_the_server_cannot_do_is_refused_by_name(serve: Serve, change: dict[str, Any], message: str) -> None:
    server = serve()
    with pytest.raises(Unsupported, match=message):
        engine(server).check(plan(recipe(**change)))
    assert server.requests == []


def test_a_name_of_two_models_is_refused(serve: Serve) -> None:
    server = serve()
    server.lists["sd-models"] = [
        {"title": f"{folder}/cat.safetensors [{number}]", "model_name": f"{folder}_cat", "hash": number, "sha256": None}
        for folder, number in (("a", "0123456789"), ("b", "abcdef0123"))
    ]
    with pytest.raises(Unsupported, match=r"may be any of a/cat.* b/cat"):
        engine(server).check(plan(recipe(model="cat.safetensors")))
    for name in ("a/cat.safetensors", "a/cat", "a_cat", "0123456789", "a/cat.safetensors [0123456789]"):
        checked = engine(server)
        checked.check(plan(recipe(model=name)))
        assert checked.identity(plan(recipe(model=name))) == {"engine": "a1111", "checkpoint": "a_cat"}


def test_a_server_that_sends_jpegs_is_refused(serve: Serve) -> None:
    server = serve()
    server.options["samples_format"] = "jpg"
    with pytest.raises(Unsupported, match=r"sends pictures as 'jpg'.*set its option samples_format"):
        engine(server).check(plan(recipe()))


def test_a_server_without_its_api_is_told_how_to_have_one(serve: Serve) -> None:
    with pytest.raises(Unsupported, match="start the server with --api"):
        engine(serve(without=["sd-models"])).check(plan(recipe()))
    with pytest.raises(Unsupported, match=r"A1111 1\.9 or newer"):
        engine(serve(without=["schedulers"])).check(plan(recipe()))
    engine(serve(without=["loras", "sd-vae"])).check(plan(recipe()))


def test_a_comfyui_is_told_by_name() -> None:
    with ComfyServer().started() as server, pytest.raises(Unsupported, match="is a ComfyUI; use --engine comfyui"):
        A1111(server.url, timeouts=QUICK).check(plan(recipe()))


def test_another_model_is_told_before_the_first_frame(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    server.other = "v1-5-pruned"
    with pytest.raises(WrongModel, match=r"'v1-5-pruned' rendered in place of 'both-sd15'"):
        render(recipe(), engine(server), tmp_path / "job", film=None)
    assert frames_asked(server) == []


def test_settings_that_the_server_passes_over_are_told(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    server.passes_over_settings = True
    with pytest.raises(HostError, match=r"frame 0: its noise was drawn by GPU, though CPU was asked for"):
        render(recipe(), engine(server), tmp_path / "job", film=None)
    assert not list((tmp_path / "job" / "frames").iterdir())


@pytest.mark.parametrize(
    ("gone", "message"),
    [("samplers", r"sampler was 'DPM\+\+ 2M' in place of 'Euler'"), ("schedulers", "schedule type was")],
)
def test_what_the_server_replaces_without_a_word_is_told(serve: Serve, tmp_path: Path, gone: str, message: str) -> None:
    server = serve()
    checked = engine(server)
    checked.check(plan(recipe()))
    server.lists[gone] = [each for each in server.lists[gone] if each["name"] not in ("Euler", "uniform")]
    pictures = checked.render(plan(recipe()), [0], {}, lambda event: None)
    with pytest.raises(HostError, match=message):
        next(pictures)


RED = np.uint8([255, 0, 0])


def test_a_picture_of_one_colour_is_rendered_once_more_and_then_an_error(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve()
    red: list[bool] = [True]

    def painted(*about: Any) -> Any:
        picture, expected = A1111Server.painted(server, *about)
        return (picture * 0 + RED if red and red.pop() else picture), expected

    monkeypatch.setattr(server, "painted", painted)
    render(still(), engine(server), tmp_path / "job", film=None)
    assert len(server.rendered) == 2
    red += [True] * 9
    with pytest.raises(BlankFrame, match=r"frame 0: every pixel of the picture is \(255, 0, 0\); .*--no-half-vae"):
        render(still(steps=5), engine(server), tmp_path / "other", film=None)
    assert len(server.rendered) == 4


@pytest.mark.parametrize(
    ("failing", "error", "message"),
    [
        ("OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", OutOfMemory, r"frame 0: .*--medvram"),
        ("NansException: A tensor with NaNs was produced in VAE", BlankFrame, r"frame 0: .*--no-half-vae"),
    ],
)
def test_what_the_server_says_of_itself_is_translated(
    serve: Serve, tmp_path: Path, failing: str, error: type[Exception], message: str
) -> None:
    server = serve()
    server.failing = [failing]
    with pytest.raises(error, match=message):
        render(recipe(), engine(server), tmp_path / "job", film=None)


def test_an_error_of_the_server_is_tried_again_and_then_told(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    server.failing = ["ZeroDivisionError: integer division or modulo by zero"] * 2
    render(still(), engine(server), tmp_path / "job", film=None)
    server.failing = ["ZeroDivisionError: integer division or modulo by zero"] * 9
    with pytest.raises(HostRefused, match=r"frame 0, sent 3 times: .* 500: .*ZeroDivisionError"):
        render(still(), engine(server), tmp_path / "other", film=None)


def test_cancel_ends_after_the_frames_at_hand(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    running = engine(server)

    def listen(event: Event) -> None:
        if event.stage == "frames" and event.done == 1:
            running.cancel()

    with pytest.raises(Interrupted, match="stopped with 3 of 5 frames left"):
        render(recipe(), running, tmp_path / "job", film=None, listen=listen)
    assert (len(server.rendered), server.interrupts) == (2, 0)
    render(recipe(), engine(server), tmp_path / "job", film=None)
    assert len(server.rendered) == len(set(server.rendered)) == 5


def test_the_next_request_is_sent_before_the_frames_of_the_last_are_taken(serve: Serve) -> None:
    server = serve()
    pictures = engine(server).render(plan(recipe()), range(5), {}, lambda event: None)
    next(pictures)
    server.begun.clear()
    assert server.begun.wait(30) or len(server.rendered) == 2
    pictures.close()  # type: ignore[attr-defined]


def test_a_picture_that_somebody_interrupted_is_not_kept(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    checked = engine(server)
    original = server._made

    def made(name: str, body: dict[str, Any]) -> Any:
        if len(server.rendered) == 2:
            server.state["interrupted"] = True
        return original(name, body)

    server._made = made  # type: ignore[method-assign]
    with pytest.raises(Interrupted, match="frame 2: somebody at the server interrupted it"):
        render(recipe(), checked, tmp_path / "job", film=None)
    assert len(list((tmp_path / "job" / "frames").iterdir())) == 2


def test_the_steps_of_a_frame_are_told_while_it_renders(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    heard: list[Event] = []

    def listen(event: Event) -> None:
        heard.append(event)
        server.gate.set()

    checked = engine(server)
    checked.check(plan(recipe()))
    held = server._made

    def made(name: str, body: dict[str, Any]) -> Any:
        if body.get("send_images", True):  # the frame is not ready until its steps are heard of
            server.gate.clear()
            assert server.gate.wait(30)
        return held(name, body)

    server._made = made  # type: ignore[method-assign]
    next(checked.render(plan(recipe()), [2], {}, listen))
    assert Event("steps", 3, 4, frame=2) in heard
    assert all(event.preview is None for event in heard)


def test_previews_come_with_the_steps_where_they_are_asked_for(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    server.preview = base64.b64encode(png(np.full((8, 8, 3), 7, np.uint8))).decode()
    heard: list[Event] = []

    def listen(event: Event) -> None:
        heard.append(event)
        server.gate.set()

    checked = engine(server, previews=True)
    pictures = checked.render(plan(recipe()), [0], {}, listen)
    made = server._made

    def hold(name: str, body: dict[str, Any]) -> Any:
        if body.get("send_images", True):
            server.gate.clear()
            assert server.gate.wait(30)
        return made(name, body)

    server._made = hold  # type: ignore[method-assign]
    next(pictures)
    assert heard[0].preview is not None
    assert (heard[0].preview == 7).all()


def test_secrets_reach_the_server_alone(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    server = serve(auth=f"me:{SENTINEL}")
    monkeypatch.setenv("REMIX_TEST_AUTH", f"me:{SENTINEL}")
    checked = open_engine("a1111", url=server.url, auth="env:REMIX_TEST_AUTH")
    render(recipe(), checked, tmp_path / "job", film="film.mp4")
    wrong = A1111(server.url, Auth("wrong" + SENTINEL, "me"))
    with pytest.raises(HostRefused, match=r"401: the server refused the credentials") as caught:
        wrong.check(plan(recipe()))
    assert SENTINEL not in repr(caught.value) + repr(checked) + caplog.text
    for path in (tmp_path / "job").rglob("*"):
        assert not path.is_file() or SENTINEL.encode() not in path.read_bytes()


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        ("not base64 at all!", "not base64"),
        (base64.b64encode(b"GIF89a and what not").decode(), "not a whole picture"),
        ("http://127.0.0.1:9/x.png", "not base64"),
        ("../../.bashrc", "not base64|not a whole picture"),
        (None, "NoneType where a picture"),
    ],
)
def test_a_picture_that_is_none_is_not_kept(serve: Serve, tmp_path: Path, picture: Any, message: str) -> None:
    server = serve()
    server.pictures = lambda body, made_by: [picture]  # type: ignore[method-assign]
    with pytest.raises(BadReply, match=rf"frame 0, sent 3 times: frame 0: .*({message})"):
        render(still(), engine(server), tmp_path / "job", film=None)
    assert not list((tmp_path / "job" / "frames").iterdir())


def test_a_picture_of_another_size_is_not_kept_and_not_rendered_again(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    picture = base64.b64encode(png(np.ones((64, 72, 3), np.uint8))).decode()
    server.pictures = lambda body, made_by: [picture]  # type: ignore[method-assign]
    with pytest.raises(WrongSize, match=r"^frame 0: picture: 72x64; expected 64x64"):
        render(still(), engine(server), tmp_path / "job", film=None)
    assert not list((tmp_path / "job" / "frames").iterdir())
    assert len(frames_asked(server)) == 1


def test_what_a_reply_calls_a_picture_is_never_fetched(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    server.pictures = lambda body, made_by: [f"{server.url}/elsewhere.png"]  # type: ignore[method-assign]
    with pytest.raises(BadReply, match="not base64"):
        render(still(), engine(server), tmp_path / "job", film=None)
    assert not [line for line in server.asked if "elsewhere" in line]


def test_a_reply_that_would_fill_the_memory_is_not_read(serve: Serve, tmp_path: Path) -> None:
    server = serve([Fault("/sdapi/v1/txt2img", nth, "lie_length", at=2**28) for nth in range(1, 9)])
    with pytest.raises(BadReply, match=r"a trial, sent 3 times: .* bytes were announced; at most 16777216 are read"):
        render(still(), engine(server), tmp_path / "job", film=None)


def test_prompts_go_as_they_are_into_the_request_and_nowhere_else(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    hostile = '$(touch x); -vf "drawtext" ../../x \n--api'
    outcome = render(
        recipe(frames=1, keyframes=[{"prompt": hostile, "negative": hostile}], emphasis="a1111"),
        engine(server),
        tmp_path / "job",
    )
    body = frames_asked(server)[0]
    assert (body["prompt"], body["negative_prompt"]) == (hostile, hostile)
    assert {path.name for path in outcome.folder.rglob("*")} == {
        *("frames", "000000.png", "film.mp4", "sheet.png", "report.html", "recipe.json", "schedule.json", "job.json"),
        *("journal.jsonl", "job.lock"),
    }


@pytest.mark.parametrize(
    ("prompt", "rule", "settings"),
    [
        ("a cat", "comfy", ("No norm", 0)),
        (r"a \(cat\)", "comfy", ("No norm", 0)),
        ("a [cat]", "comfy", ("None", 0)),
        ("a (cat:1.2)", "a1111", ("Original", 20)),
        ("a (cat:1.2)", "a1111-no-norm", ("No norm", 20)),
        ("a (cat:1.2)", "a1111-ignore", ("Ignore", 20)),
        ("a (cat:1.2)", "none", ("None", 0)),
    ],
)
def test_the_host_reads_emphasis_by_its_settings(
    serve: Serve, tmp_path: Path, prompt: str, rule: str, settings: tuple[str, int]
) -> None:
    server = serve()
    render(recipe(frames=1, keyframes=[{"prompt": prompt}], emphasis=rule), engine(server), tmp_path / "job")
    asked = frames_asked(server)[0]["override_settings"]
    assert (asked["emphasis"], asked["comma_padding_backtrack"]) == settings


def test_without_the_script_comfyuis_emphasis_is_refused_with_what_to_do(serve: Serve) -> None:
    asked = recipe(frames=1, keyframes=[{"prompt": "a (cat:1.2)"}])
    with pytest.raises(
        Unsupported, match=r"'a \(cat:1.2\)' is read by the rule 'comfy'.*install Remix Toolkit.*'a1111'"
    ):
        engine(serve()).check(plan(asked))
    engine(serve(script=True)).check(plan(asked))


def test_without_the_script_a_remark_says_that_files_of_embeddings_are_not_reported(serve: Serve) -> None:
    for prompt, negative, script, expected in (
        ("a embedding:ink", "", False, "'ink'"),
        ("a", "(embedding:fog:1)", False, "'fog'"),
        ("an embedding: ink", "", False, ""),
        ("a embedding:ink", "", True, ""),
    ):
        keyframes = [{"prompt": prompt, "negative": negative}]
        found = engine(serve(script=script)).check(plan(recipe(frames=1, keyframes=keyframes, emphasis="a1111")))
        about = [remark for remark in found if "does not report the file of the embedding" in remark]
        assert len(about) == bool(expected), prompt
        assert expected in "".join(about), prompt


def test_a_trial_is_of_a_sampler_that_can_do_one_step(serve: Serve, tmp_path: Path) -> None:
    """A1111's DPM++ 2M SDE cannot."""
    server = serve(script=True)
    keyframes = [{"prompt": "a red apple", "seed": 5}]
    render(recipe(sampler="dpmpp_2m_sde", keyframes=keyframes), engine(server), tmp_path / "job", film=None)
    trial, *rest = server.requests
    assert (trial["steps"], trial["sampler_name"]) == (1, "Euler")
    assert {body["sampler_name"] for body in rest} == {"DPM++ 2M SDE"}


@pytest.mark.parametrize("name", ["SD15/win.safetensors", "SD15\\win.safetensors", "SD15/win", "win"])
def test_names_of_a_server_on_windows_are_found_with_either_slash(serve: Serve, name: str) -> None:
    server = serve()
    row = {**server.lists["sd-models"][0], "title": "SD15\\win.safetensors", "model_name": "SD15_win"}
    server.lists["sd-models"] = [row]
    server.lists["loras"] = [{"name": "win"}]
    server.lists["sd-vae"] = [{"model_name": "vae\\win.pt"}]
    asked = plan(recipe(model={"checkpoint": name, "vae": "vae/win.pt", "loras": [{"name": name}]}))
    found = engine(server).identity(asked)
    assert (found["checkpoint"], found["vae"], found["lora 1"]) == ("SD15_win", "vae\\win.pt", "win")


def test_a_server_reads_its_folders_again_before_a_name_is_refused(serve: Serve) -> None:
    server = serve()
    new = {**server.lists["sd-models"][0], "title": "new.safetensors", "model_name": "new"}
    server.found_later = {"sd-models": [new]}
    engine(server).check(plan(recipe(model="new")))
    with pytest.raises(Unsupported, match=r"does not have 'flux1-dev.safetensors'; it has .*only full checkpoints"):
        engine(server).check(plan(recipe(model="flux1-dev.safetensors")))


def test_settings_that_break_the_servers_own_schema_are_read_from_its_error(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    server.broken["options"] = Answer({"error": "ResponseValidationError", "body": server.options, "errors": ""}, 500)
    (remark, *_) = engine(server).check(plan(recipe()))
    assert "the server fails to list its settings, probably because of an extension (" in remark
    render(recipe(), engine(server), tmp_path / "job", film=None)
    assert frames_asked(server)[0]["override_settings"]["randn_source"] == "CPU"


def test_settings_that_cannot_be_listed_are_those_of_a_fresh_server(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    fresh = dict(server.options)
    server.broken["options"] = Answer(b"Internal Server Error", 500, "text/plain")
    (remark, *_) = engine(server).check(plan(recipe()))
    assert "those of a fresh server are assumed" in remark
    render(recipe(), engine(server), tmp_path / "job", film=None)
    assert frames_asked(server)[0]["override_settings"]["randn_source"] == "CPU"
    assert server.options == fresh


def test_settings_come_from_the_page_for_bug_reports_if_their_list_fails(serve: Serve) -> None:
    server = serve()
    server.options["samples_format"] = "jpg"
    server.broken["options"] = Answer(b"Internal Server Error", 500, "text/plain")
    server.sysinfo = {"Config": server.options}
    with pytest.raises(Unsupported, match="it sends pictures as 'jpg'"):
        engine(server).check(plan(recipe()))


@pytest.mark.parametrize("named", [True, False])
def test_scripts_that_cannot_be_described_are_known_by_their_names(serve: Serve, tmp_path: Path, named: bool) -> None:
    server = serve(script=True)
    server.broken["script-info"] = Answer({"error": "AttributeError", "errors": "x"}, 500)
    if not named:
        server.broken["scripts"] = Answer(b"", 500)
    (remark, *_) = engine(server).check(plan(recipe()))
    assert ("rendered without the Remix script" in remark) is not named
    render(recipe(), engine(server), tmp_path / "job", film=None)
    assert (frames_asked(server)[0].get("script_name") == "remix") is named


@pytest.mark.parametrize("name", ["loras", "sd-vae"])
def test_a_list_of_files_that_fails_costs_only_these_files(serve: Serve, tmp_path: Path, name: str) -> None:
    server = serve()
    server.broken[name] = Answer({"error": "KeyError", "errors": "x"}, 500)
    (remark, *_) = engine(server).check(plan(recipe()))
    assert f"{name}: 500" in remark
    render(recipe(), engine(server), tmp_path / "job", film=None)
    model = {"checkpoint": recipe().model.checkpoint, "vae": "a", "loras": [{"name": "a"}]}
    with pytest.raises(Unsupported, match="does not have 'a'"):
        engine(server).check(plan(recipe(model=model)))


def test_the_first_settings_of_fresh_hosts_are_those_that_were_recorded(serve: Serve) -> None:
    options = serve().options
    assert {name: options[name] for name in PORTABLE} == {name: FRESH.get(name, PORTABLE[name]) for name in PORTABLE}
    assert {name: options[name] for name in FRESH} == dict(FRESH)


@pytest.mark.parametrize("script", [True, False])
def test_a_field_that_the_engine_does_not_know_is_refused(serve: Serve, script: bool) -> None:
    with engine(serve(script=script)) as running:
        running.check(plan(later(recipe(), 0.0)))
        with pytest.raises(Unsupported, match=r"^tilt: 0.5 is set, and the server"):
            running.check(plan(later(recipe())))
