"""What the script makes of a request, on a fake of the host."""

from __future__ import annotations

import json
import operator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix.engine.parts import part_of, plain_part
from remix.errors import OutOfMemory
from remix.motion import load_picture
from remix.plan import Keyframe, Recipe, plan, schedule
from remix.plan.travel import Travel
from tests.fakes import webui
from tests.hosts.a1111.conftest import Runner

TEXT = 'frames = 4\nsize = [64, 64]\n[[keyframes]]\nprompt = "a"\nseed = 1\n[[keyframes]]\nprompt = "b"\n'


def folder_of(ui: Runner, result: Any) -> Path:
    return ui.base / "out" / "remix" / result.extra_generation_params["Remix job"]


def test_one_argument_is_enough_and_those_of_other_scripts_stay_theirs(ui: Runner) -> None:
    p = ui.processing(TEXT)
    ui.script.run(p)
    assert p.script_args[:3] == [1, "always", TEXT]
    assert p.script_args[ui.script.args_to :] == ["after"]


@pytest.mark.parametrize("count", [0, 40])
def test_no_argument_or_too_many_are_refused(ui: Runner, count: int) -> None:
    with pytest.raises(webui.HTTPException, match="script_args: "):
        ui.run(*[TEXT] * count)


def test_bad_input_is_a_sentence_in_the_page_and_422_over_the_api(ui: Runner) -> None:
    p = ui.processing("")
    p.is_api = False
    ui.script.run(p)
    assert list(p.comments) == ["Keyframes: is empty; write at least one keyframe"]
    with pytest.raises(webui.HTTPException) as refused:
        ui.run("")
    assert refused.value.status_code == 422


def test_the_job_lies_below_the_hosts_output_folder_and_holds_the_film(ui: Runner) -> None:
    result = ui.run({"recipe": TEXT, "film": "gif"})
    folder = folder_of(ui, result)
    assert {path.name for path in folder.iterdir()} >= {"frames", "film.gif", "sheet.png", "recipe.json"}
    assert result.extra_generation_params["Remix film"] == "film.gif"
    assert len(result.images) == 4
    assert result.infotexts[0].startswith("a\nSteps: 4")


@pytest.mark.parametrize("name", ["../out", "a/b", "", "CON"])
def test_a_name_that_leads_out_is_refused(ui: Runner, name: str) -> None:
    with pytest.raises(webui.HTTPException, match="is not a name of a folder"):
        ui.run({"recipe": TEXT, "film": "", "name": name})


@pytest.mark.parametrize("flag", ["interrupted", "skipped"])
def test_interrupt_and_skip_leave_whole_frames_and_the_next_run_renders_the_rest(ui: Runner, flag: str) -> None:
    args = {"recipe": TEXT, "film": "", "batch": 1}
    webui.on_call.append(lambda p: setattr(ui.host.shared.state, flag, len(webui.calls) == 3))
    stopped = ui.run(args)
    assert len(stopped.images) == stopped.extra_generation_params["Remix left"] == 2
    webui.on_call.clear()
    setattr(ui.host.shared.state, flag, False)
    whole = ui.run(args)
    assert (len(whole.images), len(webui.calls)) == (4, 5)
    assert folder_of(ui, whole) == folder_of(ui, stopped)
    assert "Remix left" not in whole.extra_generation_params


def test_stopping_after_the_frames_at_hand_keeps_them(ui: Runner) -> None:
    webui.on_call.append(lambda p: setattr(ui.host.shared.state, "stopping_generation", len(webui.calls) == 3))
    stopped = ui.run({"recipe": TEXT, "film": "", "batch": 1})
    assert len(stopped.images) == 3


def test_a_job_that_is_finished_is_not_rendered_again_unless_it_begins_anew(ui: Runner) -> None:
    first = ui.run({"recipe": TEXT, "film": ""})
    ui.run({"recipe": TEXT, "film": ""})
    assert len(webui.calls) == 1
    anew = ui.run({"recipe": TEXT, "film": "", "new": True})
    assert len(webui.calls) == 2
    assert folder_of(ui, anew).name == f"{folder_of(ui, first).name}_2"
    assert all(np.array_equal(a, b) for a, b in zip(first.images, anew.images, strict=True))


@pytest.mark.parametrize(
    "fields", [{"cfg_scale": 3}, {"enable_hr": True}, {"styles": ["x"]}, {"override_settings": {"eta_ddim": 1}}]
)
def test_other_settings_of_the_host_are_another_job(ui: Runner, fields: dict[str, Any]) -> None:
    text = TEXT.replace("size = [64, 64]\n", "")
    first = ui.run({"recipe": text, "film": ""})
    assert folder_of(ui, ui.run({"recipe": text, "film": ""}, **fields)) != folder_of(ui, first)


@pytest.mark.parametrize("name", ["film", "film[1]", "[!a] film"])
def test_a_drawn_seed_is_kept_until_the_job_is_finished(ui: Runner, name: str) -> None:
    args = {"recipe": TEXT.replace("seed = 1\n", ""), "film": "", "name": name}
    some = ui.run({**args, "count": 2, "batch": 2})
    rest = ui.run({**args, "batch": 2})
    assert folder_of(ui, rest) == folder_of(ui, some)
    assert len(webui.calls) == 2
    assert folder_of(ui, ui.run(args)) != folder_of(ui, some)


def test_a_random_seed_is_read_and_checked_once_and_once_more_for_the_job_it_resumes(
    ui: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    from a1111_extension.engine import HostEngine
    from a1111_extension.settings import Settings

    counted: list[str] = []

    def count(owner: type, name: str) -> None:
        real = getattr(owner, name)

        def counting(*args: Any) -> Any:
            counted.append(name)
            return real(*args)

        monkeypatch.setattr(owner, name, counting)

    count(Settings, "recipe")
    count(HostEngine, "check")
    args = {"recipe": TEXT.replace("seed = 1\n", ""), "film": ""}
    ui.run({**args, "count": 2})
    assert counted == ["recipe", "check"]
    ui.run({**args, "recipe": args["recipe"].replace('"b"', '"c"')})  # another film, whose job is not resumed
    assert counted[2:] == ["recipe", "check"]
    ui.run(args)
    assert counted[4:6] == ["recipe", "check"]
    assert counted[6:].count("check") == 1


DEFORUM = {"max_frames": 6, "prompts": {"0": "a cat", "5": "a dog"}, "W": 64, "H": 64}


@pytest.mark.parametrize("behaviour", ["fixed", "iter", "ladder", "alternate", "random"])
def test_a_drawn_seed_is_found_again_by_whatever_rule_others_follow_from_it(ui: Runner, behaviour: str) -> None:
    args = {"recipe": {}, "syntax": "deforum-settings", "film": "", "batch": 2}
    args["recipe"] = json.dumps({**DEFORUM, "seed_behavior": behaviour})
    some = ui.run({**args, "count": 2})
    rest = ui.run(args)
    assert folder_of(ui, rest) == folder_of(ui, some)
    assert len(webui.calls) == 3
    seeds = [seed for call in webui.calls for seed in call.all_seeds[:2]]
    assert len(set(seeds)) == {"fixed": 1, "alternate": 2, "ladder": 5}.get(behaviour, 6)
    assert folder_of(ui, ui.run(args)) != folder_of(ui, some)  # it is finished, so the next one has another seed


def test_a_job_of_random_seeds_is_found_again(ui: Runner) -> None:
    args = {"recipe": "0: a\n5: b", "frames": 6, "seeds": "-1, -1, -1", "film": "", "batch": 2}
    some = ui.run({**args, "count": 2})
    assert folder_of(ui, ui.run(args)) == folder_of(ui, some)
    assert len(webui.calls) == 3


def test_a_job_of_a_seed_that_was_not_drawn_is_not_gone_on_with_for_another(ui: Runner) -> None:
    args = {"recipe": TEXT.replace("seed = 1\n", ""), "film": "", "batch": 2}
    drawn = ui.run({**args, "count": 2})
    given = ui.run({**args, "recipe": TEXT, "count": 2})
    assert folder_of(ui, given) != folder_of(ui, drawn)
    assert folder_of(ui, ui.run({**args, "recipe": TEXT})) == folder_of(ui, given)


def test_the_gallerys_button_for_hires_fix_is_left_to_the_host_with_the_frames_own_prompts(ui: Runner) -> None:
    from PIL import Image

    jobs = ui.base / "out" / "remix"
    p = ui.processing(TEXT, width=512, height=512, styles=["oil"])
    p.txt2img_upscale, p.firstpass_image = True, Image.new("RGB", (64, 96))
    p.firstpass_image.info["parameters"] = (
        "a dog, in oil\nNegative prompt: dull\nSteps: 4, Sampler: Euler, Seed: 1, Script: Remix, Remix frame: 3"
    )
    assert ui.script.run(p) is None
    assert (p.prompt, p.negative_prompt, p.styles, p.width, p.height) == ("a dog, in oil", "dull", [], 64, 96)
    assert not jobs.exists()
    assert not webui.calls


def test_a_picture_of_another_script_is_upscaled_by_the_fields_of_the_page(ui: Runner) -> None:
    from PIL import Image

    p = ui.processing(TEXT, prompt="mine", width=512)
    p.txt2img_upscale, p.firstpass_image = True, Image.new("RGB", (64, 64))
    assert ui.script.run(p) is None
    assert (p.prompt, p.width) == ("mine", 512)


def test_ddim_by_another_name_is_said_and_the_infotext_has_the_name_of_the_page(ui: Runner) -> None:
    p = ui.processing({"recipe": TEXT, "film": ""}, sampler_name="DDIM")
    ui.host.sd_schedulers.schedulers_map["DDIM"] = None
    ui.script.run(p)
    assert any(text.startswith("sampler: DDIM is rendered as Euler with the schedule DDIM") for text in p.comments)
    call = webui.calls[0]
    assert (call.sampler_name, call.scheduler) == ("Euler", "DDIM")
    assert call.extra_generation_params["Sampler"] == "DDIM"
    own = ui.processing({"recipe": TEXT, "film": "", "portable": False}, sampler_name="DDIM")
    ui.script.run(own)
    assert (webui.calls[1].sampler_name, own.comments) == ("DDIM", {})


def test_pictures_that_the_recipe_names_are_the_requests_in_their_order(ui: Runner) -> None:
    from PIL import Image

    red, blue = (Image.new("RGB", (32, 32), color) for color in ("red", "blue"))
    text = TEXT.replace('"a"', '"a"\nimage = "one.png"').replace('"b"', '"b"\nimage = "two.png"')
    result = ui.img2img({"recipe": text, "film": ""}, init_images=[red, blue], denoising_strength=0.5)
    inputs = folder_of(ui, result) / "inputs"
    assert load_picture(inputs / "one.png")[0, 0].tolist() == [255, 0, 0]
    assert load_picture(inputs / "two.png").shape == (64, 64, 3)
    with pytest.raises(webui.HTTPException, match="the recipe names 2 pictures, and there are 1"):
        ui.img2img({"recipe": text, "film": ""}, init_images=[red])
    with pytest.raises(webui.HTTPException, match="img2img has no picture"):
        ui.img2img({"recipe": TEXT, "film": ""}, init_images=[None])


def test_a_picture_name_that_leads_out_is_refused(ui: Runner) -> None:
    from PIL import Image

    text = TEXT.replace('"a"', '"a"\nimage = "../one.png"')
    with pytest.raises(webui.HTTPException):
        ui.img2img({"recipe": text, "film": ""}, init_images=[Image.new("RGB", (64, 64))])
    assert not list(ui.base.glob("**/one.png"))


def test_another_rate_is_the_same_job_and_renders_nothing(ui: Runner) -> None:
    first = ui.run({"recipe": TEXT, "film": "gif"})
    again = ui.run({"recipe": f"fps = 5\n{TEXT}", "film": "gif"})
    assert folder_of(ui, again) == folder_of(ui, first)
    assert len(webui.calls) == 1


@pytest.mark.parametrize(
    ("frames", "rest", "rendered"),
    [
        (5, 'at = 3\nprompt = "b"\n[[keyframes]]\nprompt = "c"', 1),
        (4, 'prompt = "c"', 3),
        (6, 'prompt = "b"', 4),
    ],
    ids=["one more", "edited", "stretched"],
)
def test_of_an_edited_recipe_what_is_new_is_rendered_and_the_rest_is_taken_over(
    ui: Runner, frames: int, rest: str, rendered: int
) -> None:
    first = ui.run({"recipe": TEXT, "film": "", "batch": 1})
    del webui.calls[:]
    text = TEXT.replace("frames = 4", f"frames = {frames}").replace('prompt = "b"', rest)
    p = ui.processing({"recipe": text, "film": "", "batch": 1})
    result = ui.script.run(p)
    assert folder_of(ui, result) != folder_of(ui, first)
    assert len(webui.calls) == rendered
    args = f"took {frames - rendered} of {frames} frames from {folder_of(ui, first).name}"
    assert [comment for comment in p.comments if args in comment]
    anew = ui.run({"recipe": text, "film": "", "batch": 1, "new": True})
    assert len(webui.calls) == rendered + frames
    assert all(np.array_equal(a, b) for a, b in zip(result.images, anew.images, strict=True))


def test_a_transformers_frames_are_not_taken_over_among_other_prompts(ui: Runner) -> None:
    """It attends to what prompts are padded with, and they are padded to the longest of the film."""
    ui.run({"recipe": TEXT, "film": ""})  # of a U-Net; and now the file of that name holds another model
    webui.write_checkpoint(ui.base / "model.safetensors", "flux", "vae.encoder.down_blocks.0.conv.weight")
    first = ui.run({"recipe": TEXT, "film": "", "batch": 1})
    del webui.calls[:]
    p = ui.processing({"recipe": TEXT.replace('prompt = "b"', 'prompt = "c"'), "film": "", "batch": 1})
    assert folder_of(ui, ui.script.run(p)) != folder_of(ui, first)
    assert len(webui.calls) == 4
    assert not [comment for comment in p.comments if "took" in comment]


@pytest.mark.parametrize(("prompt", "shared"), [("a", True), ("a __colour__", False), ("{a|b}", False)])
def test_frames_with_wildcards_are_taken_over_from_films_of_the_same_first_seed_alone(
    ui: Runner, prompt: str, shared: bool
) -> None:
    def text(seed: int) -> str:
        first = f'frames = 2\nsize = [64, 64]\n[[keyframes]]\nprompt = "{prompt}"\nseed = {seed}\n'
        return f"{first}[[keyframes]]\nseed = 9\n"

    ui.run({"recipe": text(1), "film": "", "batch": 1})
    p = ui.processing({"recipe": text(2), "film": "", "batch": 1})
    ui.script.run(p)
    assert any("took 1 of 2 frames" in comment for comment in p.comments) is shared


def test_an_unfinished_job_of_almost_the_same_settings_is_named(ui: Runner) -> None:
    some = ui.run({"recipe": TEXT, "film": "", "count": 2})
    p = ui.processing({"recipe": TEXT, "film": ""}, override_settings={"eta_ddim": 1})
    ui.script.run(p)
    (comment,) = [comment for comment in p.comments if "unfinished" in comment]
    assert f"{folder_of(ui, some)} is unfinished and has 2 of these frames" in comment
    assert "another setting eta_ddim (none, now '1')" in comment


def test_a_resize_mode_that_scales_latents_is_refused_unless_the_picture_fits(ui: Runner) -> None:
    from PIL import Image

    def frames(side: int, mode: int) -> int:
        pictures = [Image.new("RGB", (side, side), "red")]
        p = ui.processing({"recipe": TEXT, "film": ""}, kind=webui.Img2Img, init_images=pictures)
        p.resize_mode = mode
        return len(ui.script.run(p).images)

    with pytest.raises(webui.HTTPException, match=r"resize mode: Just resize \(latent upscale\)"):
        frames(32, 3)
    assert frames(64, 3) == frames(32, 2) == 4


def test_another_init_picture_is_another_job(ui: Runner) -> None:
    from PIL import Image

    found = {
        folder_of(ui, ui.img2img({"recipe": TEXT, "film": ""}, init_images=[Image.new("RGB", (64, 64), color)]))
        for color in ("red", "blue", "red")
    }
    assert len(found) == 2


def test_on_the_page_a_refusal_is_a_sentence_and_leaves_the_gallery_as_it_was(ui: Runner) -> None:
    p = ui.processing("0: a\n3: b", subseed_strength=0.5)
    p.is_api = False
    result = ui.script.run(p)
    assert list(p.comments) == [
        "variation seed: its strength is above 0; write mixes of seeds into keyframes, or travel "
        "from seed to seed, and set it to 0"
    ]
    unchanged = {"__type__": "update"}
    assert result.images == unchanged
    assert operator.add(result.images, []) == unchanged  # as Forge puts further pictures there
    assert result.js() == unchanged


def test_on_the_page_a_refusal_names_its_fields(ui: Runner) -> None:
    p = ui.processing("0: a\n3: b", None, None, None, None, None, None, None, "1, 999")
    p.is_api = False
    ui.script.run(p)
    assert next(iter(p.comments)).startswith("CFG scale: ")


def part(frames: int, span: range, **changes: Any) -> dict[str, Any]:
    """What a client sends for a block of frames of a film."""
    keyframes = (Keyframe(prompt="a", seed=1, cfg=3), Keyframe(prompt="b", cfg=9))
    film = plan(Recipe(frames=frames, keyframes=keyframes, width=64, height=64, steps=4))
    plain = plain_part(part_of(film, span))
    args = {"part": plain, "film": "0123456789", "start": span.start, "first": 0, "count": len(span), "batch": 4}
    return {**args, **changes}


def test_a_part_of_a_film_has_the_pictures_of_the_whole(ui: Runner) -> None:
    whole = ui.run(part(8, range(8)))
    second = ui.run(part(8, range(4, 8)))
    some = ui.run(part(8, range(4, 8), first=1, count=2))
    assert all(np.array_equal(a, b) for a, b in zip(second.images, whole.images[4:], strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(some.images, whole.images[5:7], strict=True))
    assert len(webui.calls) == 8 + 4  # one for each cfg, and none for finished frames
    folders = sorted(path.name[:6] for path in (ui.base / "out" / "remix" / "client_0123456789").iterdir())
    assert folders == ["000000", "000004"]


def test_a_part_of_a_film_leaves_no_sheet_and_no_film(ui: Runner) -> None:
    ui.run(part(8, range(4)))
    (folder,) = (ui.base / "out" / "remix" / "client_0123456789").iterdir()
    assert {path.name for path in folder.iterdir()} == {
        *("frames", "job.json", "job.lock", "journal.jsonl", "recipe.json", "schedule.json"),
    }


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"part": None}, r"^part: "),
        ({"film": "../x"}, r"^film: .* is not the key of a film"),
        ({"start": -1}, r"^start: -1"),
        ({"first": 4}, r"^first: 4"),
        ({"count": 5}, r"^count: 5"),
        ({"batch": 0}, r"^batch: 0"),
        ({"more": 1}, r"^more: "),
    ],
)
def test_what_is_no_part_of_a_film_is_refused_by_its_field(ui: Runner, changes: dict, sentence: str) -> None:
    with pytest.raises(webui.HTTPException, match=sentence) as refused:
        ui.run(part(8, range(4), **changes))
    assert refused.value.status_code == 422
    with pytest.raises(webui.HTTPException, match=r"^start: is missing"):
        ui.run({name: value for name, value in part(8, range(4)).items() if name != "start"})
    assert webui.calls == []


def test_a_request_is_planned_once(ui: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    planned: list[int] = []

    def count(recipe: Recipe, *others: Any) -> Travel:
        planned.append(recipe.frames)
        return Travel(recipe, *others)

    monkeypatch.setattr(schedule, "Travel", count)
    ui.run({"recipe": TEXT, "film": ""})
    assert planned == [4]
    asked = part(8, range(4, 8))
    planned.clear()
    ui.run(asked)
    assert planned == [4]


def full_at(most: int) -> None:
    """Lets the host run out of memory for more frames in a call than these."""

    def check(p: Any) -> None:
        if p.batch_size > most:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")

    webui.on_call.append(check)


def test_a_batch_that_does_not_fit_is_halved_and_the_field_is_named(ui: Runner) -> None:
    alone = ui.run({"recipe": TEXT, "film": "", "batch": 1, "name": "alone"})
    full_at(1)
    p = ui.processing({"recipe": TEXT, "film": "", "batch": 4})
    result = ui.script.run(p)
    assert all(np.array_equal(a, b) for a, b in zip(result.images, alone.images, strict=True))
    assert [text for text in p.comments if "Frames at once" in text] == [
        f'batch: {had} frames at once do not fit into the host\'s memory; continuing with {has}. Set "Frames at once" '
        f"to {has}"
        for had, has in ((4, 2), (2, 1))
    ]


def test_out_of_memory_keeps_what_is_finished(ui: Runner) -> None:
    def full(p: Any) -> None:
        if len(webui.calls) >= 4:
            raise MemoryError

    webui.on_call.append(full)
    args = {"recipe": TEXT, "film": "", "batch": 1}
    p = ui.processing(args)
    p.is_api = False
    result = ui.script.run(p)
    assert (len(result.images), result.extra_generation_params["Remix left"]) == (3, 1)
    assert "frame 3: not even one frame fits into the host's memory; finished frames are kept" in list(p.comments)[-1]
    with pytest.raises(OutOfMemory, match=r"^frame 3: not even one frame"):
        ui.run(args)


def test_a_result_has_a_prompt_and_a_seed_for_each_picture_its_model_and_remarks(ui: Runner) -> None:
    result = ui.run({"recipe": TEXT, "film": "", "first": 1}, sampler_name="DPM++ 2M", n_iter=2)
    assert result.all_prompts == ["a", "b", "b"]
    assert (result.all_negative_prompts, result.all_seeds) == ([""] * 3, [1] * 3)
    assert result.sd_model_name == "model"
    (remark,) = result.extra_generation_params["Remix remarks"]
    assert remark.startswith("batch count 2, batch size 1: are not read")


def test_a_draft_renders_every_few_frames_and_is_completed(ui: Runner) -> None:
    result = ui.run({"recipe": TEXT, "film": "", "every": 2})
    assert (len(result.images), result.extra_generation_params.get("Remix left")) == (3, None)
    folder = folder_of(ui, result)
    assert sorted(path.name for path in (folder / "frames").iterdir()) == ["000000.png", "000002.png", "000003.png"]
    whole = ui.run({"recipe": TEXT, "film": ""})
    assert (len(whole.images), folder_of(ui, whole)) == (4, folder)
    with pytest.raises(webui.HTTPException, match="every: a draft is of the whole film"):
        ui.run({"recipe": TEXT, "every": 2, "first": 1})
