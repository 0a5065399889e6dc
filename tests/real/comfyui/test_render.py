"""On a real ComfyUI: Remix Render gives the frames of wired parts, and loses none to a kill or an interrupt."""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import websocket
from safetensors.torch import save_file

from remix.job import recipe_of
from remix.motion import load_picture, save_picture
from tests.real.comfyui.films import folder, name, of_parts, pictures, rendering, text
from tests.real.comfyui.graphs import Builder
from tests.real.comfyui.host import Failed, Host


def rendered(host: Host, recipe: str, batch_size: int = 2) -> np.ndarray:
    prefix = name("whole")
    host.run(rendering(recipe, prefix, batch_size).graph)
    return pictures(folder(host, prefix))


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "euler_ancestral", "dpmpp_2m_sde"])
def test_rendered_frames_are_those_of_wired_parts(host: Host, sampler: str) -> None:
    recipe = text(5, sampler=sampler)
    found = rendered(host, recipe, batch_size=2)
    assert found.shape == (5, 64, 64, 3)
    assert found.std() > 1
    assert np.array_equal(found, of_parts(host, recipe, 2, sampler_name=sampler))


def test_wired_parts_change_prompts_over_the_steps_and_sum_predictions(host: Host) -> None:
    recipe = f'mix = "output"\n{text(3, sampler="heun")}'.replace(
        "a red apple", "a [red:the sea and:0.2] apple AND fog :0.5"
    )
    found = rendered(host, recipe, batch_size=2)
    assert np.array_equal(found, of_parts(host, recipe, 2, sampler_name="heun"))
    assert not np.array_equal(found[0], rendered(host, recipe.replace("[red:the sea and:0.2]", "red"), batch_size=2)[0])
    with pytest.raises(Failed, match="over 3 steps, as the recipe says, and the sampler takes 20"):
        of_parts(host, recipe, 2, sampler_name="heun", steps=20)


def test_a_cfg_that_travels_is_each_frames_own(host: Host) -> None:
    found = rendered(host, text(3, cfg=3), batch_size=3)
    for frame, cfg in enumerate((7, 5, 3)):
        alone = of_parts(host, text(3, cfg=3), 1, cfg=cfg)
        assert np.array_equal(found[frame], alone[frame])


def test_a_killed_render_goes_on_where_it_stopped(host: Host) -> None:
    recipe, prefix = text(8, steps=16), name("killed")
    graph = rendering(recipe, prefix).graph
    host.queue(graph)
    _until(lambda: len(_frames(host, prefix)) >= 2)
    host.stop()
    before = {path.name: path.stat().st_mtime_ns for path in _frames(host, prefix)}
    assert 2 <= len(before) < 8
    host.start()
    host.run(graph)
    after = {path.name: path.stat().st_mtime_ns for path in _frames(host, prefix)}
    assert len(after) == 8
    assert before.items() <= after.items()
    assert np.array_equal(pictures(folder(host, prefix)), rendered(host, recipe))


def test_an_interrupt_takes_effect_at_once_and_loses_nothing(host: Host) -> None:
    recipe, prefix = text(8, steps=16), name("stopped")
    graph = rendering(recipe, prefix).graph
    prompt = host.queue(graph)
    _until(lambda: len(_frames(host, prefix)) >= 2)
    asked = time.monotonic()
    host.post("/interrupt", {})
    with pytest.raises(Failed, match="execution_interrupted"):
        host.wait(prompt)
    assert time.monotonic() - asked < 1
    before = {path.name: path.stat().st_mtime_ns for path in _frames(host, prefix)}
    assert 2 <= len(before) < 8
    # Another batch size finds the same job: that is what is changed when memory ran out.
    host.run(rendering(recipe, prefix, batch_size=1).graph)
    after = {path.name: path.stat().st_mtime_ns for path in _frames(host, prefix)}
    assert before.items() <= after.items()
    assert len(after) == 8


def test_a_long_film_without_previews_is_interrupted_as_soon(host: Host) -> None:
    """A step is then too small a share of the bar to be reported, so the host would not notice a cancel."""
    recipe, prefix = text(2000, steps=16), name("long")
    prompt = host.queue(rendering(recipe, prefix).graph, preview_method="none")
    _until(lambda: len(_frames(host, prefix)) >= 2)
    asked = time.monotonic()
    host.post("/interrupt", {})
    with pytest.raises(Failed, match="execution_interrupted"):
        host.wait(prompt)
    assert time.monotonic() - asked < 1


def test_another_model_or_recipe_is_another_job(host: Host) -> None:
    prefix = name("other")
    host.run(rendering(text(2), prefix).graph)
    host.run(rendering(text(2, steps=2), prefix).graph)
    changed = rendering(text(2), prefix)
    skipped = changed.add("CLIPSetLastLayer", clip=["1", 1], stop_at_clip_layer=-2)[0]
    changed.graph["3"]["inputs"]["clip"] = skipped
    host.run(changed.graph)
    assert len(list((host.output / prefix).parent.iterdir())) == 3


def test_the_sheet_is_shown_and_frames_are_loaded(host: Host) -> None:
    prefix = name("shown")
    builder = rendering(text(4), prefix)
    some = builder.add("RemixFrames", job=["3", 0], first=1, count=2)[0]
    builder.add("SaveImage", images=some, filename_prefix=f"{prefix}_some")
    outputs = host.run(builder.graph)
    (sheet,) = outputs["3"]["images"]
    assert (host.output / sheet["subfolder"] / sheet["filename"]).name == "sheet.png"
    assert (host.output / sheet["subfolder"] / sheet["filename"]).is_file()
    job = host.output / sheet["subfolder"]
    saved = [load_picture(host.output / one["subfolder"] / one["filename"]) for one in outputs["5"]["images"]]
    assert np.array_equal(np.stack(saved), pictures(job)[1:3])


def test_one_error_of_a_recipe_is_one_error_on_its_widget(host: Host) -> None:
    def errors(recipe: str, **widgets: int) -> list[tuple[str, str]]:
        builder = Builder()
        builder.recipe(recipe, **widgets)
        (node,) = host.post("/prompt", {"prompt": builder.graph}).json()["node_errors"].values()
        return [(error["type"], error["extra_info"]["input_name"]) for error in node["errors"]]

    assert errors(text(2).replace("prompt", "promt")) == [("custom_validation_failed", "recipe")]
    assert errors(text(2), frames=-1) == [("value_smaller_than_min", "frames")]


@pytest.mark.parametrize("prefix", ["../x", "/etc/x", "C:\\x", "a/../../x", "", "a/b/.."])
def test_a_prefix_that_leads_out_is_refused(host: Host, prefix: str) -> None:
    with pytest.raises(Failed, match=r"filename_prefix: .* is not a name below the output folder"):
        host.run(rendering(text(2), prefix).graph)


def test_a_link_out_of_the_output_folder_is_refused(host: Host, tmp_path: Path) -> None:
    (host.output / "link").symlink_to(tmp_path)
    with pytest.raises(Failed, match="a link leads out"):
        host.run(rendering(text(2), "link/x").graph)
    assert not list(tmp_path.iterdir())


def test_a_schedule_from_the_network_is_refused(host: Host) -> None:
    graph = rendering(text(2), name("fake")).graph
    graph["3"]["inputs"]["schedule"] = "/etc/passwd"
    with pytest.raises(Failed, match="schedule: str is not a schedule; connect Remix Recipe"):
        host.run(graph)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ('[model]\nloras = [{name = "no-such"}]\n[[keyframes]]', r"loras: this ComfyUI has no LoRA 'no-such'"),
        ('[[keyframes]]\nimage = "nothing.png"', "'nothing.png' is not a file"),
    ],
)
def test_what_cannot_be_rendered_is_told_before_sampling(host: Host, change: str, sentence: str) -> None:
    with pytest.raises(Failed, match=sentence):
        host.run(rendering(text(4).replace("[[keyframes]]", change, 1), name("refused")).graph)


def _frames(host: Host, prefix: str) -> list[Path]:
    return list((host.output / prefix).parent.glob("*/frames/*.png"))


def _until(condition: Any) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_init_pictures_are_those_of_wired_parts(host: Host) -> None:
    for picture, value in (("dark", 40), ("light", 200)):
        save_picture(host.base / "input" / f"{picture}.png", np.full((64, 64, 3), value, dtype=np.uint8))
    recipe = text(2, cfg=7, steps=4).replace('prompt = "a red apple"', 'prompt = "a red apple"\nimage = "dark.png"')
    recipe = recipe.replace('prompt = "the sea"', 'prompt = "the sea"\nimage = "light.png"\ndenoise = 0.5')
    recipe = recipe.replace('image = "dark.png"', 'image = "dark.png"\ndenoise = 0.5')
    found = rendered(host, recipe)
    builder = Builder()
    model, clip, vae = builder.checkpoint()
    schedule = builder.recipe(recipe)
    loaded = [builder.add("LoadImage", image=f"{picture}.png")[0] for picture in ("dark", "light")]
    both = builder.add("ImageBatch", image1=loaded[0], image2=loaded[1])[0]
    latent = builder.add("VAEEncode", pixels=both, vae=vae)[0]
    widgets = {"batch_size": 2, "how": "recipe", "lengths": "recipe"}
    prompts = builder.add("RemixPromptTravel", 2, clip=clip, schedule=schedule, **widgets)
    _, start, noisy = builder.add("RemixNoiseTravel", 3, schedule=schedule, model=model, latent=latent, batch_size=2)
    sampled = builder.sampled(noisy, *prompts, start, steps=4, denoise=0.5)
    images = builder.add("VAEDecode", samples=sampled, vae=vae)[0]
    prefix = name("pictures")
    builder.add("SaveImage", images=images, filename_prefix=prefix)
    host.run(builder.graph)
    parts = np.stack([load_picture(path) for path in sorted((host.output / prefix).parent.iterdir())])
    assert np.abs(found.astype(int) - parts).max() <= 1  # an encoder's batch of two rounds otherwise than two of one
    assert found[0].mean() < found[1].mean()


def test_connected_pictures_and_masks_are_those_that_a_recipe_names(host: Host) -> None:
    """One for each keyframe, and a mask for each frame; changed ones are another film."""
    shades, parts = (40, 200), (255, 128, 0)
    for where, values in (("shade", shades), ("part", parts)):
        for value in values:
            picture = np.full((64, 64, 3), value, dtype=np.uint8)
            picture[:, :8] = 255
            save_picture(host.base / "input" / f"{where}{value}.png", picture)
    plain = text(3, steps=4)
    named = plain.replace('negative = "grey"', 'negative = "grey"\nimage = "shade40.png"\nmask = "part255.png"', 1)
    named = named.replace(
        'prompt = "the sea"', 'at = 2\nprompt = "the sea"\nimage = "shade200.png"\nmask = "part0.png"'
    )
    named += '[[keyframes]]\nat = 1\nmask = "part128.png"\n'
    expected = rendered(host, named)

    def connected(at: int = 0) -> np.ndarray:
        builder = rendering(plain, prefix := name("connected"))
        images = [builder.add("LoadImage", image=f"shade{value}.png")[0] for value in shades]
        masks = [builder.add("LoadImageMask", image=f"part{value}.png", channel="red")[0] for value in parts]
        inputs = next(node["inputs"] for node in builder.graph.values() if node["class_type"] == "RemixRender")
        inputs["images"] = builder.add("ImageBatch", image1=images[at], image2=images[1])[0]
        inputs["masks"] = builder.add("BatchMasksNode", **{f"masks.mask{i}": mask for i, mask in enumerate(masks)})[0]
        host.run(builder.graph)
        return pictures(folder(host, prefix))

    found = connected()
    assert np.array_equal(found, expected)
    assert np.abs(found[0].astype(int) - connected(1)[0]).mean() > 5


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m_sde", "ddim"])
def test_masks_of_a_recipe_are_those_of_wired_parts(host: Host, sampler: str) -> None:
    """As Set Latent Noise Mask with a mask for each frame; where it is black the init picture stays."""
    ramp = np.broadcast_to(np.arange(0, 256, 4, dtype=np.uint8)[:, None, None], (64, 64, 3))
    black, white = np.zeros((64, 64, 3), np.uint8), np.full((64, 64, 3), 255, np.uint8)
    left = np.concatenate([white[:, :32], black[:, 32:]], axis=1)
    soft = np.concatenate([white[:, :32] // 2, black[:, 32:]], axis=1)
    for picture, values in (("ramp", ramp), ("left", left), ("soft", soft), ("between", (left + soft.astype(int)) / 2)):
        save_picture(host.base / "input" / f"{picture}.png", np.round(values).astype(np.uint8))
    recipe = f"""
frames = 3
size = [64, 64]
steps = 4
sampler = "{sampler}"
[[keyframes]]
prompt = "a red apple"
image = "ramp.png"
mask = "left.png"
denoise = 0.8
seed = 5
[[keyframes]]
prompt = "the sea"
mask = "soft.png"
seed = 6
"""
    found = rendered(host, recipe, 3)
    builder = Builder()
    model, clip, vae = builder.checkpoint()
    plain = recipe.replace('mask = "left.png"\n', "").replace('mask = "soft.png"\n', "")
    schedule = builder.recipe(plain)
    latent = builder.add("VAEEncode", pixels=builder.add("LoadImage", image="ramp.png")[0], vae=vae)[0]
    latents = builder.add("RepeatLatentBatch", samples=latent, amount=3)[0]
    masks = [
        builder.add("LoadImageMask", image=f"{mask}.png", channel="red")[0] for mask in ("left", "between", "soft")
    ]
    batch = builder.add("BatchMasksNode", **{f"masks.mask{at}": mask for at, mask in enumerate(masks)})[0]
    masked = builder.add("SetLatentNoiseMask", samples=latents, mask=batch)[0]
    widgets = {"batch_size": 3, "how": "recipe", "lengths": "recipe"}
    prompts = builder.add("RemixPromptTravel", 2, clip=clip, schedule=schedule, **widgets)
    _, start, noisy = builder.add("RemixNoiseTravel", 3, schedule=schedule, model=model, latent=masked, batch_size=3)
    sampled = builder.sampled(noisy, *prompts, start, steps=4, denoise=0.8, sampler_name=sampler)
    kept = builder.add("VAEDecode", samples=latent, vae=vae)[0]
    prefix = name("masked")
    for what, images in (("film", builder.add("VAEDecode", samples=sampled, vae=vae)[0]), ("kept", kept)):
        builder.add("SaveImage", images=images, filename_prefix=f"{prefix}_{what}")
    host.run(builder.graph)
    parts, init = (
        np.stack([load_picture(path) for path in sorted((host.output / prefix).parent.glob(f"*_{what}_*"))])
        for what in ("film", "kept")
    )
    # The gray between the two masks is rounded to 8 bits in the wired parts alone.
    assert np.abs(found.astype(int) - parts).max() <= 2
    assert np.array_equal(found[:, :, 32:], np.broadcast_to(init[:, :, 32:], found[:, :, 32:].shape))
    assert np.abs(found[:, :, :32].astype(int) - init[:, :, :32]).mean() > 5
    # In batches of one the noise of each frame is its own, also what ddim lays over the part that is kept.
    assert np.abs(found.astype(int) - rendered(host, recipe, 1)).max() <= 1


def test_a_pictures_bytes_survive_as_floats_and_are_saved_again(host: Host) -> None:
    """All 256 values: loaded by Remix Frames from a job, saved by the core, which cuts fractions off."""
    every = np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3)
    prefix = name("every")
    builder = rendering(text(2), prefix)
    host.run(builder.graph)
    # The host does not run Remix Render again, which would see that this is another picture.
    save_picture(min((folder(host, prefix) / "frames").iterdir()), every)
    loaded = builder.add("RemixFrames", job=["3", 0], first=0, count=1)[0]
    builder.add("SaveImage", images=loaded, filename_prefix=f"{prefix}_again")
    host.run(builder.graph)
    assert np.unique(every).size == 256
    assert np.array_equal(load_picture(next(host.output.glob(f"{prefix}_again*"))), every)


def test_progress_and_previews_are_told_as_it_goes(host: Host) -> None:
    client = str(uuid.uuid4())
    socket = websocket.create_connection(f"{host.websocket}?clientId={client}", timeout=60)
    host.queue(rendering(text(4, steps=5), name("watched")).graph, client)
    bars: list[tuple[int, int]] = []
    previews = 0
    while True:
        message = socket.recv()
        if isinstance(message, bytes):
            previews += int.from_bytes(message[:4], "big") in (1, 4)
            continue
        noisy = json.loads(message)
        if noisy["type"] == "progress" and noisy["data"]["node"] == "3":
            bars.append((noisy["data"]["value"], noisy["data"]["max"]))
        if noisy["type"] == "executing" and noisy["data"]["node"] is None:
            break
    socket.close()
    values = [value for value, _ in bars]
    assert values == sorted(values)
    assert {most for _, most in bars} == {20}
    assert {2, 10, 12, 20} <= set(values)
    assert previews >= 8


def test_a_lora_in_front_changes_frames_as_it_does_in_wired_parts(host: Host) -> None:
    layer = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_out_0"
    noise = torch.Generator().manual_seed(1)
    lora = {f"{layer}.alpha": torch.tensor(4.0)}
    for part, shape in (("lora_up", (320, 4)), ("lora_down", (4, 320))):
        lora[f"{layer}.{part}.weight"] = torch.randn(shape, generator=noise)
    folder_of_loras = host.base / "models" / "loras"
    folder_of_loras.mkdir(exist_ok=True)
    save_file(lora, folder_of_loras / "grain.safetensors")

    def with_lora(builder: Builder) -> Builder:
        changed = builder.add(
            "LoraLoader",
            2,
            model=["1", 0],
            clip=["1", 1],
            lora_name="grain.safetensors",
            strength_model=1.0,
            strength_clip=1.0,
        )
        for node in builder.graph.values():
            for socket, link in node["inputs"].items():
                if link in (["1", 0], ["1", 1]) and node["class_type"] != "LoraLoader":
                    node["inputs"][socket] = changed[link[1]]
        return builder

    prefix = name("lora")
    host.run(with_lora(rendering(text(2), prefix)).graph)
    found = pictures(folder(host, prefix))
    assert np.array_equal(found, of_parts(host, text(2), 2, dressed=with_lora))
    assert not np.array_equal(found, rendered(host, text(2)))


def test_an_even_pace_is_measured_on_the_server_and_written_into_the_job(host: Host) -> None:
    prefix = name("paced")
    host.run(rendering(f'pace = "even"{text(9)}', prefix).graph)
    job = folder(host, prefix)
    clock = recipe_of(job).clock
    assert clock is not None
    assert (clock[0], clock[-1]) == (0, 8)
    assert clock != tuple(range(9))
    assert not (job / "pacing").exists()
    # The clock alone gives the same frames, in wired parts too.
    written = (job / "recipe.json").read_text(encoding="utf-8")
    assert np.array_equal(pictures(job), of_parts(host, written, 2))
