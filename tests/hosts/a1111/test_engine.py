"""How frames go through the host's processing, on a fake of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from remix.errors import EngineError
from tests.fakes import webui
from tests.hosts.a1111.conftest import Runner

A, B = "a red apple", "the blue sea"


def recipe(first: dict[str, Any], last: dict[str, Any], frames: int = 3, **fields: Any) -> dict[str, Any]:
    return {"frames": frames, "size": [64, 64], "keyframes": [{"seed": 1, **first}, {"seed": 2, **last}], **fields}


def pictures(result: Any) -> list[np.ndarray]:
    return [np.asarray(image.convert("RGB")) for image in result.images]


def own(prompt: str, seed: int, kind: Any = webui.Processing, **fields: Any) -> np.ndarray:
    """The host's own picture, with the noise of the toolkit's rule."""
    p = kind(prompt=prompt, seed=seed, **{name: value for name, value in fields.items() if name != "init_images"})
    if "init_images" in fields:
        p.init_images = fields["init_images"]
    return np.asarray(webui.process_images(p).images[0])


def test_frames_of_one_call_are_the_frames_alone(ui: Runner) -> None:
    panel_args = recipe({"prompt": A}, {"prompt": B}, frames=5)
    together = pictures(ui.run({"recipe": panel_args, "film": ""}))
    assert len(webui.calls) == 1
    alone = pictures(ui.run({"recipe": panel_args, "film": "", "batch": 1, "name": "alone"}))
    assert len(webui.calls) == 6
    assert all(np.array_equal(a, b) for a, b in zip(together, alone, strict=True))
    assert not np.array_equal(together[0], together[4])


@pytest.mark.parametrize("sampler", ["Euler", "DPM++ 2M SDE", "DPM++ SDE"])
def test_with_the_hosts_own_noise_the_ends_are_its_own_pictures(ui: Runner, sampler: str) -> None:
    panel_args = {"recipe": recipe({"prompt": A}, {"prompt": B}), "film": "", "portable": False}
    frames = pictures(ui.run(panel_args, sampler_name=sampler, scheduler="Karras"))
    assert np.array_equal(frames[0], own(A, 1, sampler_name=sampler))
    assert np.array_equal(frames[2], own(B, 2, sampler_name=sampler))


def test_the_same_noise_in_every_tool_does_not_ask_the_host(ui: Runner) -> None:
    panel_args = recipe({"prompt": A}, {"prompt": A})
    portable = pictures(ui.run({"recipe": panel_args, "film": ""}))
    hosts = pictures(ui.run({"recipe": panel_args, "film": "", "portable": False}))
    assert not np.array_equal(portable[0], hosts[0])


def test_each_distinct_prompt_is_encoded_once(ui: Runner) -> None:
    ui.run({"recipe": recipe({"prompt": A}, {"prompt": B}, frames=8), "film": ""})
    assert sorted(webui.encoded) == [" ", A, B]


@pytest.mark.parametrize(("portable", "given"), [(True, " "), (False, "")])
def test_an_empty_negative_is_encoded_where_frames_are_to_be_the_same_elsewhere(
    ui: Runner, portable: bool, given: str
) -> None:
    # Of "" the host makes zeros, where the model is an SDXL.
    panel_args = recipe({"prompt": A, "negative": ""}, {"negative": "dull"})
    ui.run({"recipe": panel_args, "film": "", "portable": portable}, enable_hr=True, hr_prompt=B)
    assert set(webui.encoded) == {A, B, "dull", given}


def test_prompts_of_unequal_length_meet_and_the_ends_are_exact(ui: Runner) -> None:
    long = " ".join(["word"] * 80)
    frames = pictures(ui.run({"recipe": recipe({"prompt": A}, {"prompt": long}), "film": "", "portable": False}))
    assert np.array_equal(frames[0], own(A, 1))
    assert np.array_equal(frames[2], own(long, 2))
    rows = {len(part.schedules[-1].cond) for parts in webui.calls[0].c.batch for part in parts}
    assert rows == {2 * webui.CHUNK}
    assert {len(steps[-1].cond) for steps in webui.calls[0].uc} == rows  # else the host takes a slower way


def test_shorter_prompts_are_padded_with_the_empty_prompt_where_the_recipe_says_so(ui: Runner) -> None:
    panel_args = recipe({"prompt": A}, {"prompt": " ".join(["word"] * 80)}, lengths="empty")
    ui.run({"recipe": panel_args, "film": ""})
    first = webui.calls[0].c.batch[0][0].schedules[0].cond
    assert bool((first[: webui.CHUNK] == webui.table(A)).all())
    assert bool((first[webui.CHUNK :] == webui.table("")).all())


def test_what_the_host_cached_is_not_changed(ui: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    given = webui.table(A)
    monkeypatch.setattr(webui, "table", lambda prompt: given)
    before = given.clone()
    ui.run({"recipe": recipe({"prompt": A}, {"prompt": B}), "film": ""})
    assert bool((given == before).all())


def test_prompts_that_change_over_the_steps_change_in_the_mix_too(ui: Runner) -> None:
    ui.run({"recipe": recipe({"prompt": "[cat:dog:0.5]"}, {"prompt": A}), "film": ""}, steps=8)
    steps = [[entry.end_at_step for entry in parts[0].schedules] for parts in webui.calls[0].c.batch]
    assert steps == [[4, 8]] * 3


def test_frames_with_AND_are_rendered_one_by_one_with_their_weights(ui: Runner) -> None:
    panel_args = recipe({"prompt": f"{A} AND {B}"}, {"prompt": A}, frames=3)
    ui.run({"recipe": panel_args, "film": ""})
    assert [len(call.c.batch) for call in webui.calls] == [1, 1, 1]
    assert [[part.weight for part in call.c.batch[0]] for call in webui.calls] == [[1.0, 1.0], [0.5, 0.5, 0.5], [1.0]]


def test_strengths_of_tags_travel_and_equal_ones_go_together(ui: Runner) -> None:
    panel_args = {
        "frames": 6,
        "size": [64, 64],
        "keyframes": [
            {"at": 0, "prompt": f"{A} <lora:warm:1>", "seed": 1},
            {"at": 2, "prompt": f"{B} <lora:warm:0.5:0.25>"},
            {"at": 3, "prompt": B},
        ],
    }
    ui.run({"recipe": panel_args, "film": ""})
    assert [call["lora"] if call else None for call in webui.activated] == [
        ["warm:1.0:1.0"],
        ["warm:0.75:0.625"],
        ["warm:0.5:0.25"],
        None,
    ]
    assert [len(call.c.batch) for call in webui.calls] == [1, 1, 1, 3]
    assert not any("<" in prompt for prompt in webui.encoded)


def test_loras_of_the_recipe_become_tags(ui: Runner) -> None:
    panel_args = recipe({"prompt": A, "loras": {"warm": 1}}, {"prompt": A, "loras": {"warm": 0}})
    panel_args["model"] = {"checkpoint": "model", "loras": [{"name": "grain", "strength": 0.5}, {"name": "warm"}]}
    ui.run({"recipe": panel_args, "film": ""})
    assert [call["lora"] for call in webui.activated] == [
        ["grain:0.5:0.5", "warm:1.0:1.0"],
        ["grain:0.5:0.5", "warm:0.5:0.5"],
        ["grain:0.5:0.5"],
    ]
    assert webui.calls[0].override_settings["sd_model_checkpoint"] == "model"


@pytest.mark.parametrize("tag", ["", " <lora:warm:1>"])
def test_styles_and_what_extensions_fill_in_reach_every_prompt_alike_in_all_calls(ui: Runner, tag: str) -> None:
    panel_args = recipe({"prompt": f"a __thing__{tag}"}, {"prompt": B}, frames=4)
    p = ui.processing({"recipe": panel_args, "film": "", "batch": 2}, styles=["painted"])

    def fill_in(p: Any, *args: Any) -> None:
        p.all_prompts = [
            prompt.replace("__thing__", f"lamp{seed}") for prompt, seed in zip(p.all_prompts, p.all_seeds, strict=True)
        ]

    p.scripts.alwayson_scripts[0].process = fill_in
    ui.script.run(p)
    (filled,) = {prompt for prompt in webui.encoded if prompt.startswith("a lamp")}
    assert filled.endswith(" painted")
    assert f"{B} painted" in webui.encoded
    assert webui.calls[0].all_prompts[0] == filled


def test_an_extension_that_fills_in_from_the_first_prompt_alone_fills_in_each(ui: Runner) -> None:
    """As Dynamic Prompts does, which also sets the number of pictures and the seeds."""

    def fill_in(p: Any, *args: Any) -> None:
        count, first, seed = p.n_iter * p.batch_size, p.all_prompts[0], int(p.seed)
        p.all_prompts = [first.replace("__thing__", f"lamp{seed + at}") for at in range(count)]
        p.all_seeds, p.n_iter, p.prompt = [seed] * count, 7, first

    panel_args = recipe({"prompt": "a __thing__"}, {"prompt": "two __thing__"}, frames=4)
    p = ui.processing({"recipe": panel_args, "film": "", "batch": 2})
    p.scripts.alwayson_scripts[0].process = fill_in
    ui.script.run(p)
    filled = {prompt.split("lamp")[0] for prompt in webui.encoded if "lamp" in prompt}
    assert (filled, len(set(webui.encoded))) == ({"a ", "two "}, 3)
    assert [(call.n_iter, call.all_seeds) for call in webui.calls] == [(1, [1, 1]), (1, [1, 2])]


def test_scripts_see_a_prompt_and_a_seed_for_each_picture(ui: Runner) -> None:
    seen: list[Any] = []
    p = ui.processing({"recipe": recipe({"prompt": A}, {"prompt": B}, frames=4), "film": ""})
    p.scripts.alwayson_scripts[0].process = lambda p, *args: seen.append(
        (p.batch_size, list(p.all_prompts), list(p.all_seeds))
    )
    ui.script.run(p)
    assert seen == [(4, [A, A, B, B], [1, 1, 1, 2])]


def test_prompts_that_are_changed_in_a_batch_under_way_are_refused(ui: Runner) -> None:
    p = ui.processing({"recipe": recipe({"prompt": A}, {"prompt": B}), "film": ""})
    p.scripts.alwayson_scripts[0].before_process_batch = lambda p, *args: p.prompts.reverse()
    with pytest.raises(webui.HTTPException, match="prompts: an extension changed them in a batch that was under way"):
        ui.script.run(p)


def test_an_extension_that_makes_several_prompts_or_adds_unlike_tags_is_told_of(ui: Runner) -> None:
    panel_args = {"recipe": recipe({"prompt": A}, {"prompt": B}), "film": ""}
    for change, message in (
        (lambda prompts: prompts * 2, f"an extension made 2 prompts of '{A}'"),
        (lambda prompts: [f"{text}<lora:x:1>" if text == A else text for text in prompts], "an extension put tags"),
    ):
        p = ui.processing(panel_args)
        p.scripts.alwayson_scripts[0].process = lambda p, *args, change=change: setattr(
            p, "all_prompts", change(p.all_prompts)
        )
        with pytest.raises(webui.HTTPException, match=message):
            ui.script.run(p)


def test_hires_fix_is_mixed_too(ui: Runner) -> None:
    panel_args = {"recipe": recipe({"prompt": A}, {"prompt": B}, size=[128, 128]), "film": "", "portable": False}
    frames = pictures(ui.run(panel_args, enable_hr=True))
    assert frames[0].shape == (128, 128, 3)
    fields = {"enable_hr": True, "hr_resize_x": 128, "hr_resize_y": 128}
    assert np.array_equal(frames[0], own(A, 1, **fields))
    assert np.array_equal(frames[2], own(B, 2, **fields))


def test_a_prompt_of_its_own_for_hires_fix_stays(ui: Runner) -> None:
    panel_args = {"recipe": recipe({"prompt": A}, {"prompt": B}, size=[128, 128]), "film": "", "portable": False}
    frames = pictures(ui.run(panel_args, enable_hr=True, hr_prompt="sharp"))
    fields = {"enable_hr": True, "hr_resize_x": 128, "hr_resize_y": 128, "hr_prompt": "sharp"}
    assert np.array_equal(frames[2], own(B, 2, **fields))


def grey(value: int) -> Image.Image:
    return Image.new("RGB", (64, 64), (value, value, value))


def test_pictures_are_encoded_once_each_and_mixed(ui: Runner) -> None:
    panel_args = recipe({"prompt": A, "image": "a.png"}, {"prompt": A, "image": "b.png", "seed": 1})
    settings = {"recipe": panel_args, "film": "", "portable": False}
    frames = pictures(ui.img2img(settings, init_images=[grey(0), grey(255)], denoising_strength=0.5))
    assert frames[0].mean() < frames[1].mean() < frames[2].mean()
    again = pictures(
        ui.img2img({**settings, "name": "again", "batch": 1}, init_images=[grey(0), grey(255)], denoising_strength=0.5)
    )
    assert all(np.array_equal(a, b) for a, b in zip(frames, again, strict=True))
    assert [call.init_latent.shape[0] for call in webui.calls] == [3, 1, 1, 1]


def test_a_restored_travel_has_its_pictures_unchanged(ui: Runner) -> None:
    ends = [{"prompt": A, "image": "a.png", "denoise": 0}, {"prompt": A, "image": "b.png"}]
    asked = recipe(*ends, restore=True)
    given = [Image.fromarray(np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3)), grey(255)]
    frames = pictures(ui.img2img({"recipe": asked, "film": ""}, init_images=given))
    assert np.array_equal(frames[0], np.asarray(given[0]))
    assert np.array_equal(frames[2], np.asarray(given[1]))


def test_cfg_and_denoise_are_one_number_for_a_call(ui: Runner) -> None:
    panel_args = recipe({"prompt": A, "cfg": 3, "denoise": 0.0}, {"prompt": A, "cfg": 9, "denoise": 1.0})
    frames = pictures(ui.img2img({"recipe": panel_args, "film": ""}, init_images=[grey(200)]))
    assert [(call.cfg_scale, call.denoising_strength) for call in webui.calls] == [(3, 0.0), (6, 0.5), (9, 1.0)]
    assert frames[0].std() == 0  # nothing of it was to change


def moving() -> dict[str, Any]:
    """A recipe whose denoise travels."""
    return recipe({"prompt": A, "denoise": 0.4}, {"prompt": A, "denoise": 0.8}, frames=3, steps=2)


def levels_walked(ui: Runner, **changes: Any) -> list[list[float]]:
    """The noise levels of the calls of a film whose denoise travels."""
    ui.img2img({"recipe": moving(), "film": "", **changes}, init_images=[grey(200)])
    return [[round(level, 4) for level in call.sampler.levels] for call in webui.calls]


def walk(length: float) -> list[float]:
    """The last two steps of the fake's schedule of so many."""
    first = 16 * 0.9 ** (length - 2)
    return [round(first, 4), round(first * 0.9, 4), 0.0]


def test_a_denoise_that_travels_begins_between_whole_steps(ui: Runner) -> None:
    # Of 5, 10 / 3 and 2.5 steps: the host by itself would take 5, 3 and 2.
    assert levels_walked(ui) == [walk(5), walk(10 / 3), walk(2.5)]


def test_with_the_hosts_own_noise_denoise_is_the_hosts_own_and_that_is_told(ui: Runner) -> None:
    assert levels_walked(ui, portable=False) == [walk(5), walk(3), walk(2)]
    p = ui.processing({"recipe": moving(), "film": "", "portable": False}, kind=webui.Img2Img, init_images=[grey(200)])
    ui.script.run(p)
    assert any("moves in whole steps with the host's own noise" in text for text in p.comments)


def test_a_walk_from_the_greatest_level_begins_as_in_comfyui(ui: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    panel_args = recipe({"prompt": A, "denoise": 1.0}, {"prompt": A, "seed": 1}, steps=2)
    given: list[torch.Tensor] = []
    sample = webui.Sampler.sample_img2img

    def noted(self: Any, p: Any, x: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        given.append(noise)
        return sample(self, p, x, noise)

    monkeypatch.setattr(webui.Sampler, "sample_img2img", noted)
    settings = {"recipe": panel_args, "film": "", "batch": 1}
    for greatest in (16.0, 100.0):
        monkeypatch.setattr(webui, "GREATEST", greatest)
        ui.img2img({**settings, "name": f"job{greatest}"}, init_images=[grey(200)])
    full, plain = given[0], given[3]
    torch.testing.assert_close(full, plain * (1 + 1 / 16**2) ** 0.5)


def test_a_sampler_of_whole_times_is_refused_between_whole_steps(ui: Runner) -> None:
    panel_args = recipe({"prompt": A, "denoise": 0.4}, {}, steps=3, sampler="plms", scheduler="ddim_uniform")
    with pytest.raises(webui.HTTPException, match=r"'plms' cannot begin frame 0 at denoise 0.4, between two whole"):
        ui.img2img({"recipe": panel_args, "film": ""}, init_images=[grey(200)])


def half() -> Image.Image:
    """Black, and white on the right."""
    picture = Image.new("RGB", (64, 64))
    picture.paste((255, 255, 255), (32, 0, 64, 64))
    return picture


def test_masks_are_the_pictures_after_those_that_frames_begin_with_and_travel(ui: Runner) -> None:
    panel_args = recipe({"prompt": A, "mask": "left.png"}, {"mask": "all.png"})
    given = [grey(200), half(), grey(255)]
    frames = pictures(ui.img2img({"recipe": panel_args, "film": ""}, init_images=given, denoising_strength=0.5))
    left = [frame[:, :32].std(axis=(0, 1)).mean() for frame in frames]
    assert left[0] == 0  # all of it is kept
    assert left[0] < left[1] < left[2]
    assert all(frame[:, 32:].std() > 0 for frame in frames)


def test_several_pictures_are_refused_with_the_hosts_mask(ui: Runner) -> None:
    request = {"recipe": recipe({"prompt": A, "image": "a.png"}, {"image": "b.png"}), "film": ""}
    p = ui.processing(request, kind=webui.Img2Img, init_images=[grey(200), grey(90)], denoising_strength=0.5)
    p.image_mask = half()
    with pytest.raises(webui.HTTPException, match="image: with a mask, or color correction, there is one picture"):
        ui.script.run(p)


def test_pictures_that_an_extension_adds_are_refused(ui: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    from a1111_extension import host

    process = host.process

    def with_another(p: Any) -> Any:
        done = process(p)
        done.images.append(done.images[-1])
        return done

    monkeypatch.setattr(host, "process", with_another)
    with pytest.raises(EngineError, match="frame 0: the host gave 3 pictures for 2 frames; turn off the extension"):
        ui.run({"recipe": recipe({"prompt": A}, {"prompt": B}), "film": "", "batch": 2})


def test_masks_are_refused_beside_the_hosts_own_and_where_the_model_has_to_be_told_of_them(
    ui: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel_args = {"recipe": recipe({"prompt": A, "mask": "half.png"}, {}), "film": ""}
    p = ui.processing(panel_args, kind=webui.Img2Img, init_images=[grey(200), half()], denoising_strength=0.5)
    p.image_mask = half()
    with pytest.raises(
        webui.HTTPException, match="mask: keyframes set one, and the host has its own; leave one of them out"
    ):
        ui.script.run(p)
    monkeypatch.setattr(webui.Img2Img, "is_using_inpainting_conditioning", True, raising=False)
    with pytest.raises(webui.HTTPException, match="mask: the checkpoint is one for inpainting"):
        ui.img2img(panel_args, init_images=[grey(200), half()], denoising_strength=0.5)


def test_the_hosts_fields_hold_for_what_the_recipe_leaves_out(ui: Runner) -> None:
    panel_args = {"recipe": {"frames": 2, "keyframes": [{}]}, "film": ""}
    ui.run(
        panel_args, prompt=A, negative_prompt="dull", seed=5, steps=9, cfg_scale=4, width=128, sampler_name="DPM++ 2M"
    )
    call = webui.calls[0]
    assert (call.steps, call.cfg_scale, call.width, call.sampler_name, call.scheduler) == (
        9,
        4,
        128,
        "DPM++ 2M",
        "Karras",
    )
    assert sorted(webui.encoded) == [A, "dull"]
    assert call.all_seeds == [5, 5]
    assert call.do_not_save_samples


def test_what_this_host_cannot_do_is_refused_by_name(ui: Runner) -> None:
    for panel_args, fields, message in (
        (
            {**recipe({"prompt": A}, {}), "sampler": "dpm_2"},
            {},
            "this host does not have 'dpm_2'; use .euler",
        ),
        (
            {**recipe({"prompt": A}, {}), "scheduler": "beta"},
            {},
            "this host does not have 'beta'; use .normal",
        ),
        (
            {**recipe({"prompt": A}, {}), "sampler": "er_sde"},
            {},
            "A1111 does not have 'er_sde'; use .dpmpp_2m_sde",
        ),
        (recipe({"prompt": A, "image": "a.png"}, {}), {}, "run the script in img2img"),
        (recipe({"prompt": A}, {}), {"subseed_strength": 0.3}, "variation seed"),
        (recipe({"prompt": A}, {}), {"seed_resize_from_h": 64, "seed_resize_from_w": 64}, "resize seed"),
        (recipe({"prompt": "a <lora:x:strong>"}, {}), {}, "has a strength that is not a number"),
        (recipe({"prompt": A}, {}, model="other"), {}, "model.checkpoint: this host does not have 'other'"),
        (
            recipe({"prompt": A}, {}, model={"vae": "x"}),
            {},
            "model.vae: this host does not have 'x'; use one of fine.pt",
        ),
    ):
        with pytest.raises(webui.HTTPException, match=message) as refused:
            ui.run({"recipe": panel_args, "film": ""}, **fields)
        assert refused.value.status_code == 422
    assert not webui.calls


def test_the_hosts_batch_fields_are_not_read_and_that_is_said(ui: Runner) -> None:
    p = ui.processing({"recipe": recipe({"prompt": A}, {"prompt": B}), "film": ""}, n_iter=3, batch_size=2)
    assert len(ui.script.run(p).images) == 3
    assert any("batch count 3, batch size 2: are not read" in comment for comment in p.comments)


def test_a_picture_that_meets_denoise_1_is_told(ui: Runner) -> None:
    panel_args = {"recipe": recipe({"prompt": A}, {"prompt": B}), "film": ""}
    for strength, count in ((1.0, 1), (0.9, 0)):
        p = ui.processing(panel_args, kind=webui.Img2Img, init_images=[grey(200)], denoising_strength=strength)
        ui.script.run(p)
        assert sum("which leaves nothing of the picture" in comment for comment in p.comments) == count


def test_a_picture_of_one_colour_stops_the_run(ui: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    from remix.errors import BlankFrame

    red = webui.torch.tensor([0.9, -0.9, -0.9, 0]).view(1, 4, 1, 1).expand(3, 4, 8, 8)
    monkeypatch.setattr(webui.Processing, "sample", lambda self, *args, **kwargs: red)
    with pytest.raises(BlankFrame, match=r"frame 0: every pixel of the picture is \((\d+), (?!\1)"):
        ui.run({"recipe": recipe({"prompt": A}, {"prompt": B}), "film": ""})


def test_the_vae_and_clip_skip_of_the_recipe_are_the_hosts_settings_for_the_run(ui: Runner) -> None:
    panel_args = recipe({"prompt": A}, {"prompt": B}, model={"vae": "fine.pt", "clip_skip": 2})
    ui.run({"recipe": panel_args, "film": ""})
    asked = webui.calls[0].override_settings
    assert (asked["sd_vae"], asked["CLIP_stop_at_last_layers"]) == ("fine.pt", 2)
    assert webui.vaes == ["fine.pt", "Automatic"]  # the host's own is loaded again
    ui.run({"recipe": recipe({"prompt": A}, {"prompt": B}), "film": ""}, override_settings={"sd_vae": "own"})
    assert webui.calls[1].override_settings["sd_vae"] == "own"


def test_a_portable_run_sets_what_makes_frames_the_same_everywhere_but_for_what_the_request_sets(ui: Runner) -> None:
    panel_args = {"recipe": recipe({"prompt": A}, {"prompt": B}), "film": ""}
    ui.run(panel_args)
    wanted = {"randn_source": "CPU", "eta_ddim": 0.0}  # of those that this host has
    assert webui.calls[0].override_settings == wanted
    ui.run(panel_args, override_settings={"randn_source": "NV"})
    assert webui.calls[1].override_settings == {**wanted, "randn_source": "NV"}
    ui.run({**panel_args, "portable": False})
    assert webui.calls[2].override_settings == {}


@pytest.mark.parametrize(
    ("portable", "model", "message"),
    [
        (True, {}, "here CLIP_stop_at_last_layers is 2 (write clip_skip = 2 below [model])."),
        (True, {"clip_skip": 2}, ""),
        (False, {}, ""),
    ],
)
def test_settings_that_no_run_sets_are_told_of(ui: Runner, portable: bool, model: dict[str, int], message: str) -> None:
    ui.host.shared.opts.CLIP_stop_at_last_layers = 2
    panel_args = recipe({"prompt": A}, {"prompt": B}, model=model)
    p = ui.processing({"recipe": panel_args, "film": "", "portable": portable})
    ui.script.run(p)
    assert [text.partition("because ")[2] for text in p.comments] == ([message] if message else [])


@pytest.mark.parametrize("listed", ["SD15\\win.safetensors", "SD15/win.safetensors"])
@pytest.mark.parametrize("name", ["SD15/win.safetensors", "SD15\\win.safetensors", "SD15/win"])
def test_a_checkpoint_is_found_with_either_slash(ui: Runner, listed: str, name: str) -> None:
    from a1111_extension import host

    entry = object()
    ui.host.sd_models.checkpoint_aliases[listed] = entry
    assert host.checkpoint_of(name) is entry
