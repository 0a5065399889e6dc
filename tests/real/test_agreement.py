"""The same frames from a real ComfyUI, a real A1111 and the local engine, and jobs that move between them."""

from __future__ import annotations

import base64
import io
import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import requests
from PIL import Image

from remix import __version__
from remix.client import A1111, ComfyUI, Local, cli
from remix.client.pictures_travel import travel
from remix.client.workflows import model_files, run_workflow
from remix.engine import render
from remix.errors import Interrupted, OtherRecipe
from remix.hosts.a1111.infotext import parse_infotext
from remix.hosts.a1111.origin import origin_of
from remix.hosts.a1111.settings import PORTABLE
from remix.hosts.comfyui.graph import Graph
from remix.hosts.converting import Available, graph_of_origin, infotext_of_origin
from remix.job import frame_path, read_metadata
from remix.motion import load_picture, save_picture
from remix.motion.pictures import difference
from remix.plan import Keyframe, Model, Recipe, plan
from tests.real.a1111 import host as a1111
from tests.real.comfyui import host as comfyui

ALIKE, UNLIKE = "tiny-sd15.safetensors", "both-sd15.safetensors"
"""A checkpoint that all read alike, and one that has two VAEs, of which each host takes another."""

FRAMES, STEPS = 3, 4
LONG = "tall reeds, a small wooden boat, low mist over the water, " * 9


class Hosts(NamedTuple):
    comfyui: str
    a1111: str


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """Both hosts, started, with both checkpoints, which the current folder has too, for the local engine."""
    places = comfyui.installed(), a1111.A1111.installed()
    for place, variable in zip(places, ("COMFYUI_DIR", "WEBUI_DIR"), strict=True):
        if place is None:
            pytest.skip(f"two hosts are needed: set {variable} to the folder of one")
    assert places[0] is not None
    assert places[1] is not None
    models = places[0] / "models" / "checkpoints"
    for name in (ALIKE, UNLIKE):
        if not (models / name).is_file() or not (places[1] / "models" / "Stable-diffusion" / name).is_file():
            pytest.skip(f"no checkpoint to test with: put {name} into both hosts")
    one = comfyui.Host(places[0], tmp_path_factory.mktemp("comfyui"))
    other = a1111.Host(a1111.A1111, places[1], tmp_path_factory.mktemp("a1111"), ALIKE)
    here = tmp_path_factory.mktemp("models")
    for name in (ALIKE, UNLIKE):
        (one.base / "models" / "checkpoints" / name).symlink_to(models / name)
        (here / name).symlink_to(models / name)
    (here / "tokenizer").mkdir()
    for name in ("vocab.json", "merges.txt", "tokenizer_config.json"):
        shutil.copy(places[0] / "comfy" / "sd1_tokenizer" / name, here / "tokenizer")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        try:
            one.start()
            other.start()
            yield Hosts(one.url, other.url)
        finally:
            one.stop()
            other.stop()


def recipe(sampler: str = "euler", scheduler: str = "normal", prompt: str = "a red apple", **changes: Any) -> Recipe:
    """Three prompts and seeds, a negative."""
    keyframes = (
        Keyframe(prompt=prompt, negative="blurry", seed=1),
        Keyframe(prompt="the blue sea", seed=2),
        Keyframe(prompt="snow at night", seed=3),
    )
    given = {"width": 64, "height": 64, "steps": STEPS, "model": Model(ALIKE), "keyframes": keyframes, **changes}
    return Recipe(frames=FRAMES, sampler=sampler, scheduler=scheduler, **given)


def compare(hosts: Hosts, asked: Recipe, folder: Path) -> int:
    """Runs `remix compare`; returns its exit code."""
    asked.save(folder / "recipe.toml")
    words = [
        "compare",
        str(folder / "recipe.toml"),
        "--engines",
        "comfyui,a1111,local",
        "-o",
        str(folder / "out"),
        "-q",
    ]
    return cli.main([*words, "--comfyui-url", hosts.comfyui, "--a1111-url", hosts.a1111, "--device", "cpu"])


@pytest.mark.parametrize(
    "asked",
    [
        recipe("dpmpp_2m", "karras"),
        recipe("ddim", "ddim_uniform"),
        recipe("euler_ancestral", "normal"),
        recipe("heun", "normal", LONG),
        recipe("heun", "normal", "a [red:green:0.5] apple AND fog :0.5", mix="output"),
        recipe(prompt=LONG, variety=0.3),
    ],
    ids=["dpmpp_2m-karras", "ddim-ddim_uniform", "euler_ancestral-normal", "heun-over-75-tokens", "passes", "variety"],
)
def test_one_recipe_gives_the_same_frames_in_three_tools(
    asked: Recipe, hosts: Hosts, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = compare(hosts, asked, tmp_path)
    output = capsys.readouterr()
    assert code == 0, output.out + output.err
    assert output.out.count(": agree") == 3


@pytest.mark.parametrize(("sampler", "scheduler"), [("dpmpp_2m", "karras"), ("euler", "normal"), ("uni_pc", "normal")])
def test_a_denoise_that_travels_gives_the_same_frames_in_three_tools(
    sampler: str, scheduler: str, hosts: Hosts, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    save_picture(tmp_path / "in.png", np.stack(np.broadcast_arrays(ramp, ramp[:, None], 255 - ramp), axis=2))
    keyframes = (
        Keyframe(prompt="a red apple", negative="blurry", seed=1, image="in.png", denoise=0.3),
        Keyframe(seed=2, denoise=0.9),
    )
    code = compare(hosts, recipe(sampler, scheduler, keyframes=keyframes), tmp_path)
    output = capsys.readouterr()
    assert code == 0, output.out + output.err
    assert output.out.count(": agree") == 3


def test_a_travel_from_picture_to_picture_gives_the_same_frames_in_three_tools(
    hosts: Hosts, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    first = np.stack(np.broadcast_arrays(ramp, ramp[:, None], 255 - ramp), axis=2)
    save_picture(tmp_path / "a.png", first)
    save_picture(tmp_path / "b.png", 255 - first[::-1])
    asked = travel([tmp_path / "a.png", tmp_path / "b.png"], folder=tmp_path, frames=FRAMES, width=64, height=64).recipe
    assert asked.invert
    assert asked.restore
    compare(hosts, asked.replace(pace="linear", steps=STEPS, cfg=2, model=Model(ALIKE)), tmp_path)
    output = capsys.readouterr()
    films = [
        [load_picture(frame_path(tmp_path / "out" / engine, index)) for index in range(FRAMES)]
        for engine in ("local", "comfyui", "a1111")
    ]
    for film in films[1:]:
        for index, picture in enumerate(film):
            assert difference(picture, films[0][index]).psnr > 65, output.out + output.err
    assert difference(films[0][1], films[0][0]).psnr < 30


WEIGHED = "a (red:1.4) apple on a [wooden] table, ((morning)) light"
REEDS = "tall (reeds:1.3), a small [wooden] boat, low mist over the (water), " * 7 + "BREAK a (red:0.6) apple"


def rendered_by_comfyui(hosts: Hosts, prompt: str) -> np.ndarray:
    """The picture of ComfyUI's own nodes."""
    graph = Graph()
    model, clip, vae = graph.several("CheckpointLoaderSimple", 3, ckpt_name=ALIKE)
    positive, negative = (graph.one("CLIPTextEncode", clip=clip, text=text) for text in (prompt, "(blurry:1.2)"))
    sampled = graph.one(
        "KSampler",
        **{"model": model, "positive": positive, "negative": negative, "seed": 1, "steps": STEPS, "cfg": 7.0},
        **{"sampler_name": "euler", "scheduler": "normal", "denoise": 1.0},
        latent_image=graph.one("EmptyLatentImage", width=64, height=64, batch_size=1),
    )
    decoded = graph.one("VAEDecode", samples=sampled, vae=vae)
    saved = graph.one("SaveImage", images=decoded, filename_prefix="own")
    asked = requests.post(f"{hosts.comfyui}/prompt", json={"prompt": graph.nodes}, timeout=60).json()["prompt_id"]
    while not (done := requests.get(f"{hosts.comfyui}/history/{asked}", timeout=60).json()):
        time.sleep(0.05)
    (shown,) = done[asked]["outputs"][saved.node]["images"]
    picture = requests.get(f"{hosts.comfyui}/view", params=shown, timeout=60).content
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))


def rendered_by_a1111(hosts: Hosts, prompt: str) -> np.ndarray:
    """The picture of A1111's own page, with its own settings for prompts."""
    settings = {**PORTABLE, "emphasis": "Original", "comma_padding_backtrack": 20}
    body = {"prompt": prompt, "negative_prompt": "(blurry:1.2)", "seed": 1, "steps": STEPS, "cfg_scale": 7, "width": 64}
    body |= {"height": 64, "sampler_name": "Euler", "override_settings": settings, "save_images": False}
    answer = requests.post(f"{hosts.a1111}/sdapi/v1/txt2img", json=body, timeout=300).json()
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(answer["images"][0]))).convert("RGB"))


@pytest.mark.parametrize(
    ("rule", "own", "prompt"),
    [
        ("comfy", rendered_by_comfyui, WEIGHED),
        ("comfy", rendered_by_comfyui, REEDS),
        ("a1111", rendered_by_a1111, WEIGHED),
        ("a1111", rendered_by_a1111, REEDS),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 10 else "",
)
def test_weights_are_those_of_the_host_whose_rule_it_is(
    rule: str, own: Callable[[Hosts, str], np.ndarray], prompt: str, hosts: Hosts
) -> None:
    keyframes = (Keyframe(prompt=prompt, negative="(blurry:1.2)", seed=1), Keyframe(prompt="the (sea:0.5)", seed=2))
    asked, wanted = plan(recipe(keyframes=keyframes, emphasis=rule)), own(hosts, prompt)
    for engine in (ComfyUI(hosts.comfyui), A1111(hosts.a1111), Local(device="cpu")):
        with engine:
            assert engine.check(asked) == []
            first, *_ = engine.render(asked, range(FRAMES), {}, lambda event: None)
        assert difference(first, wanted).agrees(), engine.name


def begun(hosts: Hosts, asked: Recipe, folder: Path) -> None:
    """Leaves a job of ComfyUI's that has its first frame alone: a stop would let the server finish all of so few."""
    render(asked, ComfyUI(hosts.comfyui, batch=1), folder, film=None)
    for later in sorted((folder / "frames").iterdir())[1:]:
        later.unlink()


def test_a_job_begun_on_one_goes_on_on_the_others(
    hosts: Hosts, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asked = recipe()
    begun(hosts, asked, tmp_path)
    with pytest.raises(Interrupted):
        render(asked, Local(device="cpu", batch=1), tmp_path, film=None, stop=frame_path(tmp_path, 1).exists)
    assert render(asked, A1111(hosts.a1111), tmp_path, film=None).frames == FRAMES
    assert "begun on comfyui, continues on local; frame 0, rendered again to compare" in caplog.text
    assert "begun on local, continues on a1111" in caplog.text
    earlier = json.loads((tmp_path / "job.json").read_text(encoding="utf-8"))["earlier"]
    assert [one["engine"]["engine"] for one in earlier] == ["comfyui", "local"]


def test_a_job_does_not_go_on_where_a_checkpoint_of_the_same_name_paints_otherwise(
    hosts: Hosts, tmp_path: Path
) -> None:
    asked = recipe(model=Model(UNLIKE))
    begun(hosts, asked, tmp_path)
    with pytest.raises(OtherRecipe, match="frame 0, rendered again, is not the same"):
        render(asked, A1111(hosts.a1111), tmp_path, film=None)


def test_doctor_tells_both_apart(hosts: Hosts, capsys: pytest.CaptureFixture[str]) -> None:
    for url, name, there in ((hosts.comfyui, "ComfyUI", "nodes"), (hosts.a1111, "A1111", "script")):
        assert cli.main(["doctor", "--url", url]) == 0
        output = " ".join(capsys.readouterr().out.split())
        assert output.startswith(name)
        assert f"Remix {there} installed, version {__version__} ok" in output


HIRES = {"enable_hr": True, "hr_scale": 1.5, "hr_upscaler": "Latent", "denoising_strength": 0.6}


@pytest.mark.parametrize("hires", [{}, HIRES], ids=["one pass", "two passes"])
def test_settings_go_both_ways_and_give_the_same_picture(hosts: Hosts, tmp_path: Path, hires: dict[str, Any]) -> None:
    asked = {"prompt": "a red apple", "negative_prompt": "blurry", "seed": 5, "steps": 4, "cfg_scale": 3, **hires}
    asked |= {"width": 64, "height": 64, "sampler_name": "DPM++ 2M", "scheduler": "Karras"}
    reply = _txt2img(hosts, {**asked, "override_settings": {"randn_source": "CPU", "sd_model_checkpoint": ALIKE}})
    infotext = json.loads(reply["info"])["infotexts"][0]
    nodes, notes = graph_of_origin(origin_of(parse_infotext(infotext)), Available(model_files(hosts.comfyui)))
    assert notes == []
    (path,) = run_workflow(nodes, tmp_path, url=hosts.comfyui)
    assert difference(_picture_of(reply), load_picture(path)).agrees()
    if hires:  # A1111's own API cannot read what it writes for the second pass
        return
    origin = read_metadata(path).origin
    assert origin is not None
    back, notes = infotext_of_origin(origin)
    assert notes == []
    assert difference(_picture_of(_txt2img(hosts, {"infotext": back})), load_picture(path)).agrees()


def _txt2img(hosts: Hosts, body: dict[str, Any]) -> dict[str, Any]:
    reply = requests.post(f"{hosts.a1111}/sdapi/v1/txt2img", json=body, timeout=300)
    assert reply.ok, reply.text
    return dict(reply.json())


def _picture_of(reply: dict[str, Any]) -> np.ndarray:
    return load_picture(io.BytesIO(base64.b64decode(reply["images"][0])))
