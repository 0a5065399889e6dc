"""What each syntax sets in addition to prompts: seeds, settings, holds, curves, and the parts that are left out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from remix.errors import RecipeError
from remix.plan import Keyframe, Lora, Mix, Model, Recipe, plan
from remix.syntax import Parts, detect, load, read
from remix.syntax.deforum_settings import seeds_of_behavior
from remix.syntax.text.over_steps import over_steps
from remix.syntax.text.values import random_seed


def seeds(parts: Parts) -> list[Any]:
    """The seed of each frame, or the weights where it is a mix."""
    found = [frame.seed.items for frame in plan(parts.recipe())]
    return [items[0][0] if len(items) == 1 else dict(items) for items in found]


def prompts(parts: Parts) -> list[Any]:
    found = [frame.prompt.items for frame in plan(parts.recipe())]
    return [items[0][0] if len(items) == 1 else dict(items) for items in found]


def settings(**more: Any) -> str:
    return json.dumps({"prompts": {"0": "a"}, "max_frames": 6, "seed": 5, **more})


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"seed_behavior": "iter"}, [5, 6, 7, 8, 9, 10]),
        ({"seed_behavior": "iter", "seed_iter_N": 2}, [5, 6, 6, 7, 7, 8]),
        ({"seed_behavior": "fixed"}, [5] * 6),
        ({}, [5] * 6),
        ({"seed_behavior": "ladder"}, [5, 7, 6, 8, 7, 9]),
        ({"seed_behavior": "alternate"}, [5, 6, 5, 6, 5, 6]),
        ({"seed_behavior": "schedule", "seed_schedule": "0:(s), 3:(s+4), 5:(1)"}, [5, 5, 5, 9, 9, 1]),
        ({"seed_behavior": "schedule", "seed_schedule": "0:(1), 5:(4)"}, [1, 1, 2, 2, 3, 4]),
        ({"seed_behavior": "random"}, seeds_of_behavior("random", 5, 6)),
        ({"seed": -1}, [0] * 6),
    ],
)
def test_deforums_seed_behaviours(given: dict[str, Any], found: list[int]) -> None:
    assert seeds(read(settings(**given))) == found


def test_random_seeds_are_the_same_every_time_and_no_two_are_alike() -> None:
    found = seeds_of_behavior("random", 5, 100)
    assert found[:3] == [5, random_seed(5, 1), random_seed(5, 2)]
    assert random_seed(5, 1) == 3101376431
    assert len(set(found)) == 100
    minus = read(settings(seed_behavior="schedule", seed_schedule="0:(-1)"))
    assert seeds(minus) == [random_seed(5, frame) for frame in range(6)]
    assert "-1 means a random seed" in minus.notes[0]


def test_deforums_settings_file() -> None:
    text = settings(
        W=515,
        H=768,
        fps=15,
        steps=25,
        scale=6.5,
        sampler="DPM++ 2M Karras",
        sd_model_name="dream.safetensors",
        cfg_scale_schedule="0:(7), 5:(9.5)",
        translation_z="0:(1.75)",
        strength_schedule="0:(0.65)",
        fov_schedule="0:(70)",
    )
    parts = read(text)
    assert detect(text) == "deforum-settings"
    assert (parts.width, parts.height, parts.fps, parts.steps, parts.cfg) == (512, 768, 15, 25, 6.5)
    assert (parts.sampler, parts.scheduler, parts.model) == ("dpmpp_2m", "karras", Model("dream.safetensors"))
    assert [frame.cfg for frame in plan(parts.recipe())] == [7, 7.5, 8, 8.5, 9, 9.5]
    left_out = "translation_z, strength_schedule, fov_schedule"
    assert parts.notes == (f"every frame is rendered on its own here, so these are left out: {left_out}",)


def test_deforums_own_prompts_around_all_others() -> None:
    text = settings(
        prompts={"0": "a --neg x", "3": "b"}, animation_prompts_positive="big", animation_prompts_negative="bad"
    )
    found = plan(read(text).recipe())
    assert [(found[i].prompt.values, found[i].negative.values) for i in (0, 3)] == [
        (("big a",), ("x bad",)),
        (("big b",), ("bad",)),
    ]


@pytest.mark.parametrize(
    ("prompt", "positive", "negative", "found"),
    [
        ("big a  --neg bad", "big", "bad", ("big a", "bad")),  # as a run saves them
        ("a", "", "bad", ("a", "bad")),
        ("a", "big", "", ("big a", "")),
        ("a --neg x", "", "--neg bad", ("a", "x bad")),
    ],
)
def test_the_prompts_that_a_run_of_deforum_saves_beside_the_others_are_used_once(
    prompt: str, positive: str, negative: str, found: tuple[str, str]
) -> None:
    parts = read(settings(prompts={"0": prompt}, positive_prompts=positive, negative_prompts=negative))
    frame = plan(parts.recipe())[0]
    assert (frame.prompt.values, frame.negative.values) == ((found[0],), (found[1],))
    assert "prompts" not in " ".join(parts.notes)


def test_a_negative_of_a_notebook_may_be_one_text() -> None:
    parts = read(settings(neg_prompts="bad"))
    assert {frame.negative.values for frame in plan(parts.recipe())} == {("bad",)}


def test_what_holds_and_what_travels_can_begin_on_one_frame() -> None:
    text = json.dumps({"prompts": {"0": "a", "3": "b"}, "max_frames": 5, "cfg_scale_schedule": "0:(1), 4:(5)"})
    found = plan(read(text).recipe())
    assert [frame.cfg for frame in found] == [1, 2, 3, 4, 5]
    assert [frame.prompt.values for frame in found] == [("a",), ("a",), ("a",), ("b",), ("b",)]


def manifest(*frames: dict[str, Any], **options: Any) -> str:
    rendered = [{"frame": i, **frame} for i, frame in enumerate(frames)]
    return json.dumps({"options": options, "rendered_frames": rendered})


def test_parseqs_seeds_may_be_fractional_or_have_a_subseed() -> None:
    text = manifest(
        {"seed": 1}, {"seed": 1.25}, {"seed": 1, "subseed": 2, "subseed_strength": 0.25}, {"seed": 7, "subseed": -1}
    )
    quarter = {1: 0.75, 2: 0.25}
    assert seeds(read(text)) == [1, quarter, quarter, 7]


def test_parseqs_frames_carry_prompts_scale_and_pace() -> None:
    text = manifest(
        *({"deforum_prompt": f"(cat) :{1 - i / 4} AND (dog) :{i / 4} --neg bad", "scale": 7 + i} for i in range(5)),
        output_fps=30,
    )
    parts = read(text)
    assert (parts.fps, parts.frames) == (30, 5)
    assert plan(parts.recipe()).frames[2].to_dict()["prompt"] == [["cat", 0.5], ["dog", 0.5]]
    assert [frame.cfg for frame in plan(parts.recipe())] == [7, 8, 9, 10, 11]
    assert {frame.negative for frame in plan(parts.recipe())} == {Mix.one("bad")}
    shorter = read(text, frames=3)
    assert [frame.cfg for frame in plan(shorter.recipe())] == [7, 8, 9]


def test_parseq_names_what_it_leaves_out() -> None:
    text = manifest(
        {"seed": 1, "zoom": 1, "zoom_delta": 1, "angle": 3}, {"seed": 1, "zoom": 2, "zoom_delta": 2, "angle": 3}
    )
    assert read(text).notes == ("not in a recipe, and left out: zoom",)


def test_animatediff_cli_rests_travels_and_comes_home() -> None:
    text = json.dumps(
        {
            "name": "x",
            "path": "models/dream.safetensors",
            "prompt_fixed_ratio": 0.5,
            "head_prompt": "head",
            "prompt_map": {"0": "a", "4": "b"},
            "tail_prompt": "tail",
            "n_prompt": ["bad", "unused"],
            "seed": [7, 8],
            "steps": 12,
            "guidance_scale": 5,
            "clip_skip": 2,
            "scheduler": "ddim",
            "lora_map": {"x.safetensors": 0.5, "y.safetensors": {"region": ["0"]}},
            "output": {"format": "mp4", "fps": 8},
            "controlnet_map": {},
        }
    )
    parts = read(text, frames=8)
    a, b = "head,a,tail", "head,b,tail"
    assert prompts(parts) == [a, a, a, {a: 0.5, b: 0.5}, b, b, b, {b: 0.5, a: 0.5}]
    recipe = parts.recipe()
    assert recipe.model == Model("models/dream.safetensors", None, (Lora("x.safetensors", 0.5),), 2)
    assert (recipe.loop, recipe.mix, recipe.steps, recipe.cfg, recipe.fps) == (True, "slerp", 12, 5, 8)
    assert (recipe.sampler, plan(recipe)[3].negative, plan(recipe)[3].seed) == ("ddim", Mix.one("bad"), Mix.one(7))
    assert parts.notes == (
        "the 2 seeds stand for as many runs; only the first is read",
        "not in a recipe, and left out: controlnet_map",
        "the LoRA 'y.safetensors' applies to regions only, which a recipe does not have; it is left out",
    )
    lerp = json.dumps({"prompt_map": {"0": "a"}, "tensor_interpolation_slerp": False})
    assert read(lerp, frames=8).mix == "lerp"


def test_a_prompt_box_has_lines_around_its_keys() -> None:
    text = "1girl, <lora:x:0.7>\nmasterpiece\n0: closed mouth\n8: open mouth\nsmile\nNegative prompt: bad\nworse"
    found = plan(read(text, frames=9).recipe())
    assert found[8].prompt == Mix.one("1girl, <lora:x:0.7>, masterpiece, open mouth, smile")
    assert found[4].negative == Mix.one("bad worse")
    assert read(text).mix == "slerp"


def test_the_settings_line_of_a_picture_is_read() -> None:
    text = (
        "a [cat:dog:0.5]\nNegative prompt: bad\n"
        "Steps: 30, Sampler: DPM++ 2M Karras, CFG scale: 6.5, Seed: 9, Size: 512x768, Model hash: abc"
    )
    parts = read(text)
    assert detect(text) == "a1111"
    assert (parts.frames, parts.steps, parts.cfg, parts.width, parts.height) == (1, 30, 6.5, 512, 768)
    assert (parts.sampler, parts.scheduler) == ("dpmpp_2m", "karras")
    key = parts.keyframes[0]
    assert (key.prompt, key.negative, key.seed) == (Mix.one("a [cat:dog:0.5]"), Mix.one("bad"), Mix.one(9))
    assert parts.notes == ("not taken over from the settings: Model hash",)


INFOTEXT = (
    "1girl, solo\nbest quality{}\nNegative prompt: blurry\n"
    "Steps: 28, Sampler: DPM++ 2M, Schedule type: {}, CFG scale: 6.5, Seed: 3, Size: {}x1216, Clip skip: 2"
)


def test_a_prompt_of_several_lines_above_its_settings_is_one_picture() -> None:
    for lora in ("", "\n<lora:film:0.5>"):
        text = INFOTEXT.format(lora, "Karras", 832)
        assert detect(text) == "a1111"
        assert read(text).keyframes[0].prompt == Mix.one("1girl, solo\nbest quality" + lora)


def test_the_settings_of_a_picture_name_its_scheduler_and_clip_skip() -> None:
    parts = read(INFOTEXT.format("", "SGM Uniform", 832))
    assert (parts.sampler, parts.scheduler, parts.model) == ("dpmpp_2m", "sgm_uniform", Model(clip_skip=2))
    assert (parts.width, parts.height, parts.notes) == (832, 1216, ())
    automatic = INFOTEXT.format("", "Automatic", 832)
    assert read(automatic).scheduler == "karras"
    assert read(automatic.replace("DPM++ 2M", "Euler")).scheduler == "normal"
    odd = read(INFOTEXT.format("", "Fast", 830))
    assert (odd.width, odd.scheduler) == (None, None)
    assert odd.notes == ("not taken over from the settings: Schedule type, Size",)


@pytest.mark.parametrize(
    ("label", "meant"),
    [
        ("k_dpmpp_2m", ("dpmpp_2m", "karras")),
        ("dpmpp_2m", ("dpmpp_2m", None)),
        ("euler_a", ("euler_ancestral", None)),
        ("k_lms", ("lms", "karras")),
        ("unipc", ("uni_pc", None)),
    ],
)
def test_animatediff_cli_calls_samplers_as_diffusers_does(label: str, meant: tuple[str, str | None]) -> None:
    parts = read(json.dumps({"prompt_map": {"0": "a"}, "scheduler": label}), frames=8)
    assert (parts.sampler, parts.scheduler) == meant


def test_animatediff_clis_last_prompt_rests_on_its_way_to_the_end() -> None:
    parts = read('{"prompt_fixed_ratio": 0.5, "prompt_map": {"10": "a", "50": "b"}}', frames=64)
    assert [key.at for key in parts.keyframes] == [10, 30, 50, 57]


@pytest.mark.parametrize(
    ("text", "column"),
    [("0:4 = 0, 4: = 0", 7), ('0:4 = "0", 4: = "0"', 8), ('"0:4": "Euler a", "4:": "DDIM"', 9)],
)
def test_samplers_do_not_travel_in_evolved(text: str, column: int) -> None:
    with pytest.raises(RecipeError, match="a sampler cannot change over the frames") as caught:
        read(text, "animatediff-evolved", field="sampler")
    assert (caught.value.line, caught.value.column) == (1, column)


BIG, BIGGEST = 2**53 + 1, 2**64 - 1


def test_seeds_that_no_float_can_hold_stay_what_they_are() -> None:
    assert seeds(read(f"0:({BIG}), 2:({BIG + 2})", field="seed", frames=3)) == [BIG, BIG + 1, BIG + 2]
    assert seeds(read(f"0:({BIGGEST}), 9:({BIGGEST})", field="seed", frames=3)) == [BIGGEST] * 3
    assert seeds(read(manifest({"seed": BIG}, {"seed": BIGGEST}))) == [BIG, BIGGEST]
    mixed = manifest({"seed": BIG, "subseed": BIG + 1, "subseed_strength": 0.25})
    assert seeds(read(mixed)) == [{BIG: 0.75, BIG + 1: 0.25}]


GIVEN = [
    ("fizznodes", '"0": "a", "24": "b"', "big {} best"),
    ("deforum-prompts", '{"0": "a", "24": "b"}', "big {} best"),
    ("animatediff-evolved", '0 = "a", 0.5 = "b"', "big, {}, best"),
    ("animatediff-cli", '{"prompt_fixed_ratio": 0, "prompt_map": {"0": "a", "24": "b"}}', "big,{},best"),
    ("sd-webui-animatediff", "0: a\n24: b", "big, {}, best"),
    ("prompt-travel", "a\nb", "big, {}, best"),
    ("moments", "0s: a\n2s: b", "big, {}, best"),
    ("freenoise", 'prompt={0: "a", 24: "b"}', "big, {}, best"),
    ("stable-diffusion-videos", 'prompts=["a", "b"]', "big, {}, best"),
    ("toml", 'frames = 9\n[[keyframes]]\nprompt = "a"\n[[keyframes]]\nprompt = "b"', "big, {}, best"),
]


@pytest.mark.parametrize(("name", "text", "whole"), GIVEN)
def test_seed_loop_and_text_around_hold_in_every_syntax(name: str, text: str, whole: str) -> None:
    parts = read(text, name, frames=48, seed=9, loop=True, before="big", after="best")
    recipe = parts.recipe()
    assert (recipe.loop, {frame.seed for frame in plan(recipe)}) == (True, {Mix.one(9)})
    assert [plan(recipe)[at].prompt.values for at in (0, 24)] == [(whole.format("a"),), (whole.format("b"),)]


def test_what_is_given_gives_way_to_the_text_or_is_told() -> None:
    parts = read("0:(7)", frames=48, seed=9, loop=True, before="big", field="cfg")
    assert (parts.loop, parts.keyframes) == (True, (Keyframe(0, cfg=7, seed=9),))
    assert parts.notes == ("there are no prompts here, so the text before and after them is not used",)
    assert seeds(read("frames = 1\n[[keyframes]]\nseed = 4", seed=9)) == [4]
    past = read('frames = 9\n[[keyframes]]\nat = 0\nprompt = "a"\n[[keyframes]]\nat = "100%"\nprompt = "b"', loop=True)
    assert past.loop is None
    assert past.notes[0].startswith("the film is not closed to a loop: ")


def test_text_goes_around_each_part_of_a_mix() -> None:
    ranged = read("cat :1~0 AND dog :0~1", frames=3, before="big", after="best")
    assert prompts(ranged) == ["big, cat, best", {"big, cat, best": 0.5, "big, dog, best": 0.5}, "big, dog, best"]
    weighed = read('{"0": "(a):0.75 AND b :0.25"}', frames=1, after="best --neg bad")
    assert prompts(weighed) == [{"a best": 0.75, "b best": 0.25}]
    assert plan(weighed.recipe())[0].negative == Mix.one("bad")


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"use_init": True, "init_image": "x.png"}, "use_init, init_image"),
        ({"use_init": False, "init_image": "x.png"}, None),
        ({"sampler_schedule": '0:("Euler a")', "enable_sampler_scheduling": True}, "sampler_schedule"),
        ({"sampler_schedule": '0:("Euler a")', "enable_sampler_scheduling": False}, None),
        ({"parseq_manifest": "https://example.org"}, "parseq_manifest"),
        ({"diffusion_cadence": "3"}, "diffusion_cadence"),
        ({"diffusion_cadence": 1}, None),
        ({"negative_prompts": {"0": "bad"}}, None),  # which are read
        ({"subseed": 5, "subseed_strength": 0.5}, "subseed, subseed_strength"),
        ({"subseed": 5, "subseed_strength": 0}, None),
        ({"hybrid_motion": "Optical Flow", "hybrid_composite": "None"}, "hybrid_motion"),
        ({"use_mask": True, "mask_file": "m.png"}, "use_mask, mask_file"),
    ],
)
def test_deforums_settings_without_a_place_are_named_where_they_are_set(
    given: dict[str, Any], names: str | None
) -> None:
    wanted = (f"set, and without a place in a recipe, so these are left out: {names}",) if names else ()
    assert read(settings(**given)).notes == wanted


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("[cat:dog:0.5]", ["[cat:dog:0.5]"]),
        ("[cat:dog:12] and [x|y|z]", ["[cat:dog:12]", "[x|y|z]"]),
        ("[cat::0.5]", ["[cat::0.5]"]),
        ("[:cat:.5]", ["[:cat:.5]"]),
        ("[cat:0.5]", ["[cat:0.5]"]),
        ("[a [b:c:0.2] d:e:0.7]", ["[b:c:0.2]", "[a [b:c:0.2] d:e:0.7]"]),
        ("[(big:1.2) cat:dog:0.5]", ["[(big:1.2) cat:dog:0.5]"]),
        ("[before:during:after:0.3,0.7]", ["[before:during:after:0.3,0.7]"]),
        ("[during:0.1,0.4]", ["[during:0.1,0.4]"]),
        ("[a|b:0.1]", ["[a|b:0.1]"]),
        ("[SEQ:a:0.3:b:0.6]", ["[SEQ:a:0.3:b:0.6]"]),
        ("[dog:cat:TAG]", ["[dog:cat:TAG]"]),
        ("[fe|||]male", ["[fe|||]"]),
        ("(cat:1.2) [grey] \\[a:b:0.5\\]", []),
        ("at 10:30, [a:b]", []),
        ("[", []),
        ("]]][", []),
    ],
)
def test_what_changes_over_denoising_steps_is_found(prompt: str, found: list[str]) -> None:
    assert [construct.text for construct in over_steps(prompt)] == found


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a [cat:dog:0.5] b", "a1111"),
        ("a <lora:x:1>", "a1111"),
        ("a cat :0.7 AND a dog :0.3", "a1111"),
        ("[SEQ:a:0.1:b]", "prompt-control"),
        ("[a|b:0.01]", "prompt-control"),
        ("a cat AVG(2) a dog", "prompt-control"),
        ("a cat AVG() a dog CAT a cow", "prompt-control"),
        ("a TE(l=cat) b", "prompt-control"),
        ("[a:b:TAG] STYLE(perp) a (cat:1.2)", "prompt-control"),
        ("STYLE(A1111) a ((cat:1.2) dog)", "prompt-control"),
        ("STYLE(A1111, length+mean) a cat # remark", "prompt-control"),
    ],
)
def test_prompts_over_steps_are_carried_through(text: str, name: str) -> None:
    assert detect(text) == name
    assert read(text).keyframes == (Keyframe(at=0, prompt=text.split(" #")[0]),)


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("a [SEQ:cat:0.1:dog:0.4], x", "a [cat:[dog::0.4]:0.1], x"),
        ("[before:during:after:0.3,.7]", "[before:[during:after:0.7]:0.3]"),
        ("[fog:0.1,1]", "[:[fog::1.0]:0.1]"),
        ("[fog:sun:0.1,1]", "[:[fog:sun:1.0]:0.1]"),
        ("[a:b:c:0.25]", "[a:b:0.25]"),
        ("[a|b:0.4]", "[a:[b:[a::1.0]:0.8]:0.4]"),
        ("a cat AVG() a dog", {"a cat": 0.5, "a dog": 0.5}),
        ("a cat AVG a dog", {"a cat": 0.5, "a dog": 0.5}),
        ("a cat AVG(0.25) a dog", {"a cat": 0.25, "a dog": 0.75}),
        ("a AVG(0.5) b AVG(0.2) c", {"a": 0.1, "b": 0.1, "c": 0.8}),
        ("a AVG(1) b", "a"),
        ("a AVG(0.25) b :3 AND TE(l=c)", {"a :0.75 AND TE(l=c) :0.25": 0.25, "b :0.75 AND TE(l=c) :0.25": 0.75}),
        ("cat :1 AND dog :2 AND TE(l=c) :0", "cat :0.333333333 AND dog :0.666666667"),
        ("STYLE(comfy) a (cat:1.2)", "a (cat:1.2)"),
        ("STYLE(A1111, none) a cat", "a cat"),
        ("[SEQ:a:0.5] <lora:ink:0.8:0.4>", "[a::0.5] <lora:ink:0.4:0.8>"),
    ],
)
def test_what_means_the_same_in_prompt_control_is_read(text: str, prompt: Any) -> None:
    found = read(text, "prompt-control")
    assert found.keyframes == (Keyframe(at=0, prompt=prompt),)
    assert (found.emphasis, found.chunks) == (None, None)


def test_AND_in_a_negative_prompt_of_prompt_control_is_a_word_with_a_note() -> None:
    found = read("[SEQ:a:0.5] AND b\nNegative prompt: dark AND blurry", "prompt-control")
    assert found.keyframes[0].negative == Mix.one("dark AND blurry")
    assert [note for note in found.notes if "AND in the negative prompt is a word here" in note]
    for other in ("[SEQ:a:0.5] AND b\nNegative prompt: dark", "[SEQ:a:0.5]\nNegative prompt: SAND AND_b"):
        assert not [note for note in read(other, "prompt-control").notes if "in the negative" in note], other


def test_a_style_of_prompt_control_is_a_rule_of_emphasis_if_both_mean_the_same() -> None:
    found = read("STYLE(A1111) a (cat:1.2) [SEQ:(old:1.1):0.5]\nNegative prompt: STYLE(A1111) (dark:1.3)")
    assert (found.emphasis, found.chunks) == ("a1111", "comfy")
    assert found.keyframes[0].prompt == Mix.one("a (cat:1.2) [(old:1.1)::0.5]")
    assert found.keyframes[0].negative == Mix.one("(dark:1.3)")
    for negative in ("(dark:1.3)", "STYLE(comfy) (dark:1.3)", "STYLE(perp) (dark:1.3)"):
        other = read(f"STYLE(A1111) a (cat:1.2)\nNegative prompt: {negative}")
        assert other.keyframes[0].prompt == Mix.one("STYLE(A1111) a (cat:1.2)"), negative
        assert other.emphasis is None
    assert read("[SEQ:a:0.5] BREAK b").chunks == "a1111"


def test_stages_take_their_steps_from_the_text_or_from_outside() -> None:
    stages = "a\nb\nc"
    assert [key.at for key in read(stages + "\nTravel steps between stages: 2, 4").keyframes] == [0, 2, 6]
    both = read(stages + "\nTravel steps between stages: 2, 4", spacing=[3, 4])
    assert ([key.at for key in both.keyframes], len(both.notes)) == ([0, 2, 6], 1)
    assert "the spacing option is left out" in both.notes[0]
    assert [key.at for key in read(stages, spacing=[2, 4]).keyframes] == [0, 2, 6]
    assert [key.at for key in read(stages, spacing=[3]).keyframes] == [0, 3, 6]
    assert read(stages, spacing=[3]).frames == 7
    assert read(stages, spacing=[3], loop=True).frames == 9
    assert read(stages, frames=9).recipe().positions() == (0, 4, 8)


def test_shift_attention_spreads_numbers_and_goes_on_with_then() -> None:
    assert prompts(read("(cat:0~1~0) `", "shift-attention", frames=5)) == [
        f"(cat:{value}) `" for value in ("0", "0.5", "1", "0.5", "0")
    ]
    parts = read("a THEN(seed=2, cfg=5) b THEN c~d THEN d", spacing=[2], seed=1)
    assert parts.frames == 12
    found = plan(parts.recipe())
    assert prompts(parts) == ["a"] * 3 + ["b"] * 3 + ["c~d"] * 3 + ["d"] * 3
    assert [frame.cfg for frame in found] == [7, 6, 5] + [5] * 9
    assert seeds(parts) == [1, {1: 0.5, 2: 0.5}, 2] + [2] * 9


@pytest.mark.parametrize(
    ("curve", "shares"),
    [
        ("Linear", [0, 0.25, 0.5, 0.75, 1]),
        ("Hug-the-middle", [0, 0.35, 0.5, 0.65, 1]),
        ("Hug-the-nodes", [0, 0.15, 0.5, 0.85, 1]),
        ("Slow start", [0, 0.015625, 0.125, 0.421875, 1]),
        ("Quick start", [0, 0.578125, 0.875, 0.984375, 1]),
        ("Easy ease in", [0, 0.1702, 0.5323, 0.8672, 1]),
        ("Partial", [0, 0.075, 0.15, 0.225, 1]),
    ],
)
def test_seed_travels_curves_are_as_its_page_draws_them(curve: str, shares: list[float]) -> None:
    parts = read(f"1, 2\nSteps: 4\nInterpolation curve: {curve}")
    found = [dict(frame.seed.items).get(2, 0.0) for frame in plan(parts.recipe())]
    assert found == pytest.approx(shares, abs=1e-3)
    assert bool(parts.notes) == (curve in ("Quick start", "Easy ease in"))


def test_seed_travel_goes_home_in_a_loop_and_flickers_alike_each_time() -> None:
    text = "1, 2, (5), 3\nSteps: 2\nLoop back to initial seed (yes or no): yes"
    assert seeds(read(text)) == [1, {1: 0.5, 2: 0.5}, 2, {2: 0.5, 3: 0.5}, 3, {3: 0.5, 1: 0.5}]
    curved = read(text + "\nInterpolation curve: Random\nCurve strength: 5")
    assert curved == read(text + "\nInterpolation curve: random\nCurve strength: 5.0")
    assert all(0 <= dict(frame.seed.items).get(2, 0.0) <= 0.5 for frame in plan(curved.recipe())[:2])
    assert seeds(read("2, 3", "seed-travel", frames=3, seed=1)) == [1, 2, 3]


def test_the_seed_explorer_mixes_one_after_another() -> None:
    assert seeds(read("7, 12:0.5, 99:0.2")) == [{7: 0.4, 12: 0.4, 99: 0.2}]
    assert seeds(read("7, 12:0.25")) == [{7: 0.75, 12: 0.25}]
    assert "on the arc" in read("7, 12:0.25").notes[0]


def test_stable_diffusion_videos_counts_the_ends_of_each_clip() -> None:
    text = (
        'walk(prompts=["a", "b", "c"], seeds=[1, 2, 3], num_interpolation_steps=[3, 5], fps=5, audio_filepath="x.mp3")'
    )
    parts = read(text)
    assert [key.at for key in parts.keyframes] == [0, 2, 6]
    assert (parts.frames, parts.fps) == (7, 5)
    assert "audio_filepath" in parts.notes[0]
    assert prompts(parts)[1] == {"a": 0.5, "b": 0.5}


@pytest.mark.parametrize(
    ("field", "value", "key"),
    [
        ("cfg", 0.25, Keyframe(0, cfg=0.25)),
        ("denoise", 0.25, Keyframe(0, denoise=0.25)),
        ("strength", 0.75, Keyframe(0, denoise=0.25)),
        ("seed", 3, Keyframe(0, seed=3)),
    ],
)
def test_values_set_the_field_that_is_asked_for(field: str, value: float, key: Keyframe) -> None:
    assert read(f"0:({value})", field=field, frames=4).keyframes == (key,)


def test_a_text_schedule_names_the_sampler() -> None:
    parts = read('0:("DPM++ 2M Karras"), 20:("DPM++ 2M Karras")', frames=48)
    assert (parts.sampler, parts.scheduler) == ("dpmpp_2m", "karras")
    with pytest.raises(RecipeError, match="a second sampler; a recipe has one for all frames"):
        read('0:("Euler a"), 20:("DDIM")', frames=48)


def test_numbers_from_outside_are_filled_in() -> None:
    parts = read('"0": "(a:`pw_a`)", "2": "b `x`"', "deforum-prompts", frames=3, numbers={"pw_a": [0, 0.5, 1], "x": 2})
    assert prompts(read('{"0": "(a:`pw_a`)"}', frames=3, numbers={"pw_a": [0, 0.5, 1]})) == [
        "(a:0)",
        "(a:0.5)",
        "(a:1)",
    ]
    assert prompts(parts) == ["(a:0)", "(a:0.5)", "b 2"]
    with pytest.raises(RecipeError, match=r"numbers.x: 2 values for 3 frames"):
        read('"0": "`x`"', frames=3, numbers={"x": [1, 2]})


def test_text_goes_around_every_prompt_and_its_negative() -> None:
    parts = read('"0": "a --neg x", "1": "b"', frames=2, before="big --neg bad", after="film")
    found = plan(parts.recipe())
    assert [(f.prompt.values[0], f.negative.values[0]) for f in found] == [
        ("big a film", "bad x"),
        ("big b film", "bad"),
    ]
    assert prompts(read('0 = "a"', frames=1, before="big", after="film")) == ["big, a, film"]
    assert prompts(read("head\n0: a", frames=1, before="big", after="film")) == ["big, head, a, film"]


def test_given_frames_and_pace_hold_before_those_of_the_text() -> None:
    text = settings(fps=15, seed_behavior="iter")
    assert (read(text).frames, read(text).fps) == (6, 15)
    parts = read(text, frames="2s", fps=4)
    assert (parts.frames, parts.fps, len(parts.recipe().keyframes)) == (8, 4, 8)
    own = 'frames = 6\n[[keyframes]]\nprompt = "a"'
    assert read(own, frames=9).recipe() == Recipe(9, (Keyframe(prompt="a"),))


def test_a_file_is_loaded_by_how_it_looks(tmp_path: Any) -> None:
    path = tmp_path / "film.txt"
    path.write_bytes('\ufeff"0": "a café"'.encode())
    assert load(path).keyframes == (Keyframe(0, prompt="a café"),)
    path.write_bytes(b'"0": "a \xff"')
    with pytest.raises(RecipeError, match=r"film.txt:1:9: this is not UTF-8 text"):
        load(path)


def test_names_that_do_not_exist_are_told_with_the_nearest() -> None:
    with pytest.raises(RecipeError, match="there is no syntax 'fiznodes'; did you mean \"fizznodes\""):
        read("0: a", "fiznodes")
    with pytest.raises(RecipeError, match="'zoom' is not a field that values can set; use one of cfg"):
        read("0:(1)", field="zoom")


@pytest.mark.parametrize("name", ["toml", "json"])
def test_every_field_of_a_recipe_is_read(name: str) -> None:
    recipe = Recipe(
        *(3, [Keyframe(prompt="a"), Keyframe(prompt="b")], 24, 64, 128, Model("m.safetensors"), "heun", "karras", 7, 5),
        *(False, "in-out", "cubic", "slerp", "zero", "even", [0, 0.5, 2]),
        emphasis="a1111-no-norm",
        chunks="comfy",
    )
    text = recipe.to_toml() if name == "toml" else recipe.to_json()
    assert read(text, name).recipe() == recipe
