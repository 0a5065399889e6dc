"""Texts of tools for films, scripts and settings as people paste them, each kind with its siblings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from remix.errors import RecipeError
from remix.plan import Mix, Model, Recipe, plan
from remix.plan.expression import Expression
from remix.syntax import Parts, detect, read, write


def found(text: str, name: str | None = None, **options: Any) -> Parts:
    parts = read(text, name, **{"frames": 48, **options})
    if name is None:
        assert detect(text) == parts.syntax
    return parts


def prompts(parts: Parts) -> dict[int, Any]:
    """The prompt of each keyframe by its frame; a mix as a dict."""
    recipe = parts.recipe()
    schedule = plan(recipe)
    items = {frame: schedule[frame].prompt.items for frame in sorted(recipe.positions())}
    return {frame: pairs[0][0] if len(pairs) == 1 else dict(pairs) for frame, pairs in items.items()}


def error(text: str, **options: Any) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        read(text, **{"frames": 48, **options})
    return caught.value


RELAY = '{"global_prompt": "park", "local_prompts": "a | b", "segment_lengths": "8, 40"}'
HOLD, TRAVEL = "hold", "linear"


@pytest.mark.parametrize(
    ("text", "name", "ease", "wanted"),
    [
        # Comfyroll: frames, straight travels
        ("0, a girl\n24, two girls", "comfyroll", TRAVEL, {0: "a girl", 24: "two girls"}),
        ("0,a girl\n2,two girls", "comfyroll", TRAVEL, {0: "a girl", 2: "two girls"}),
        ("0, a, b\n\n8 , c, d\n16, e", "comfyroll", TRAVEL, {0: "a, b", 8: "c, d", 16: "e"}),
        # FramePack and MiniMax: seconds, holds
        ("[0s-2s: a cat] [2s: a dog]", "time-brackets", HOLD, {0: "a cat", 24: "a dog"}),
        ("[0s] a cat\n[2s] a dog", "time-brackets", HOLD, {0: "a cat", 24: "a dog"}),
        ("(0s) a cat\n(2s) a dog", "time-brackets", HOLD, {0: "a cat", 24: "a dog"}),
        ("[0-1s]\nshe dances\n[1-3s]\nshe sits\ndown", "time-brackets", HOLD, {0: "she dances", 12: "she sits down"}),
        ("[00:00-00:01] a cat\n[00:01-00:03] a dog", "time-brackets", HOLD, {0: "a cat", 12: "a dog"}),
        ("[0:00] a [big] cat\n[0:01.5] a dog", "time-brackets", HOLD, {0: "a [big] cat", 18: "a dog"}),
        ("[0ms: a] [500ms: b]", "time-brackets", HOLD, {0: "a", 6: "b"}),
        ("oil\n[0s: a cat]\n[2s: a dog]", "time-brackets", HOLD, {0: "oil, a cat", 24: "oil, a dog"}),
        # WanGP: windows
        ("[/duration=2s] a cat\n[/new_shot] a dog", "wangp", HOLD, {0: "a cat", 24: "a dog"}),
        ("[/duration=8] a\n[/duration=25%,/new_shot] b\n[/overlap=9] c", "wangp", HOLD, {0: "a", 8: "b", 20: "c"}),
        ("[/new_shot] a\n[/new_shot] b\n[/new_shot] c", "wangp", HOLD, {0: "a", 16: "b", 32: "c"}),
        ("[/duration=1s] a\nstill a\n\n[/duration=3s] b", "wangp", HOLD, {0: "a still a", 12: "b"}),
        ("a cat\n[/new_shot]\na dog", "wangp", HOLD, {0: "a cat", 24: "a dog"}),
        # Wan: equal parts
        ("a woman dances | she looks left", "wan", HOLD, {0: "a woman dances", 24: "she looks left"}),
        ("a |\nb |\nc", "wan", HOLD, {0: "a", 16: "b", 32: "c"}),
        ("a|\nb|", "wan", HOLD, {0: "a", 24: "b"}),
        ("a [x|y] cat | a {red|blue} dog", "wan", HOLD, {0: "a [x|y] cat", 24: "a {red|blue} dog"}),
        # Replicate: frames, straight travels
        ("0: an apple | 24: a banana", "replicate", TRAVEL, {0: "an apple", 24: "a banana"}),
        ("0: a cat: close | 24 :a dog", "replicate", TRAVEL, {0: "a cat: close", 24: "a dog"}),
        ("24: b |\n0: a |", "replicate", TRAVEL, {0: "a", 24: "b"}),
        # Animator: seconds, holds
        ("0 | prompt | cat\n2 | prompt | dog", "animator", HOLD, {0: "cat", 24: "dog"}),
        ("0|prompt|cat\n1.5|prompt|dog|red", "animator", HOLD, {0: "cat", 18: "dog"}),
        ("0 | template | x | bad\n0 | prompt | cat\n2 | prompt | dog", "animator", HOLD, {0: "x, cat", 24: "x, dog"}),
        # Prompt Relay: segments, holds
        (RELAY, "prompt-relay", HOLD, {0: "park, a", 8: "park, b"}),
        ('{"local_prompts": "a | b |", "segment_lengths": ""}', "prompt-relay", HOLD, {0: "a", 24: "b"}),
        ('{"local_prompts": "a|b|c"}', "prompt-relay", HOLD, {0: "a", 16: "b", 32: "c"}),
        # deforum-comfy: lines, holds
        ("0:'a'\n25:'b'", "deforum-prompts", HOLD, {0: "a", 25: "b"}),
        ('0: "a"\n30: "b"\n\n40: "c"', "deforum-prompts", HOLD, {0: "a", 30: "b", 40: "c"}),
        ("25:'b'\n0:'a'", "deforum-prompts", HOLD, {0: "a", 25: "b"}),
    ],
)  # fmt: skip
def test_prompts_on_frames_of_other_tools(text: str, name: str, ease: str, wanted: dict[int, str]) -> None:
    parts = found(text)
    assert (parts.syntax, parts.ease) == (name, ease)
    assert prompts(parts) == wanted


@pytest.mark.parametrize(
    ("text", "frames"),
    [
        ("[0s-2s: a cat] [2s-4s: a dog]", 48),
        ("[0s-2s: a cat] [2s: a dog]", None),
        ("[00:00-00:10] a cat\n[00:10-00:20] a dog", 240),
        ("[/duration=2s] a\n[/duration=12] b", 36),
        ('{"local_prompts": "a | b", "segment_lengths": "8, 40"}', 48),
    ],
)
def test_a_length_that_the_text_has_is_that_of_the_film(text: str, frames: int | None) -> None:
    assert read(text).frames == frames
    assert read(text, frames=9).frames == 9


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("[0s-2s: a cat\n[2s: a dog]", 1, "this bracket is not closed"),
        ("[0s: a] and [2s: b]", 1, "'and' is between brackets"),
        ("[0s: a]\n[2s: ]", 2, "there is no prompt after '[2s:'"),
        ("[0s: a]\n[3s-2s: b]", 2, "runs backwards"),
        ("[0s: a]\n[0s: b]", 2, "frame 0 is given twice"),
        ("[0s: a]\n[99999999s: b]", 2, "is too far away"),
        ("[/duration=2x] a", 1, "is not a duration; write duration=121, 5s or 20%"),
        ("[/duration=3s] a\n[/duration=1s] b\nc", 1, "the durations leave 0 frames for 1 windows"),
        ("a | " * 49 + "a", 1, "50 prompts do not fit into 48 frames"),
        ("0: a | 0: b", 1, "frame 0 is given twice"),
        ("0 | prompt | a\n1 | seed | x", 2, "'x' is not a seed"),
        ("0 | prompt | a\n0 | template | b\n1 | template | c", 3, "a second template"),
        ("0 | seed | 1", 1, "there are no prompts"),
        ('{"local_prompts": "a | b", "segment_lengths": "8"}', 1, "1 lengths for 2 prompts"),
        ('{"local_prompts": "a", "segment_lengths": "x"}', 1, "'x' is not a number of frames"),
        ('("a", "b").blend(0.25)', 1, "1 weights for 2 prompts; give one for each"),
        ('("a", "b").blend(0.25, -0.5)', 1, "the weight -0.5 is below 0"),
        ('("a", "b").blend(0.25, x)', 1, "this is not a weight"),
        ('("a", "b").blend(1, 1) and more', 1, "'and more' follows the blend"),
        ('("a", "b" "c").blend()', 1, "the prompts do not end here"),
        ('{"0": "https://x.org/a.png", "20": "https://x.org/b.png?v=1"}', 1, "these are pictures"),
        ('{"0": "a.png", "20": "b.JPG"}', 1, "these are pictures"),
        ("{'0': 'folder/a.webp'}", 1, "these are pictures"),
        ('{"options": {}, "keyframes": [{"frame": 0}], "prompts": {"positive": "a"}}', 1, "let Parseq render"),
        ('{"keyframes": [{"frame": 0, "zoom": 1}], "options": {"bpm": 120}}', 1, "let Parseq render"),
    ],
)
def test_what_cannot_be_is_refused_with_its_line(text: str, line: int, problem: str) -> None:
    caught = error(text)
    assert problem in caught.problem
    assert caught.line == line


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('("a cat", "a dog").blend(0.25, 0.75)', {"a cat": 0.25, "a dog": 0.75}),
        ("('a', 'b').blend(1, 3)", {"a": 0.25, "b": 0.75}),
        ('("a", "b", "c", "d").blend()', {"a": 0.25, "b": 0.25, "c": 0.25, "d": 0.25}),
        ('( "a(big)" , "b" ) . blend ( .5, .5 )\nNegative prompt: bad', {"a(big)": 0.5, "b": 0.5}),
    ],
)
def test_compels_blends_are_mixes(text: str, wanted: dict[str, float]) -> None:
    parts = read(text)
    assert (parts.syntax, parts.frames, prompts(parts)[0]) == ("compel", 1, wanted)
    assert (plan(parts.recipe())[0].negative.values == ("bad",)) == ("bad" in text)


MADE = {0: "a", 40: "b"}


@pytest.mark.parametrize(
    ("text", "name", "wanted", "fields"),
    [
        (
            "from stable_diffusion_videos import walk\n\npipe = X.from_pretrained(\n"
            '    "CompVis",\n    dtype=torch.float16,\n).to("cuda")\n'
            'path = pipe.walk(\n    prompts=["a", "b"],\n    seeds=[1, 2],\n    num_interpolation_steps=41,\n)',
            "stable-diffusion-videos",
            MADE,
            {"frames": 41},
        ),
        (
            'import torch\nprompts = ["a", "b"]\nwalk(prompts=prompts, num_interpolation_steps=41, output_dir=here())',
            "stable-diffusion-videos",
            MADE,
            {"frames": 41},
        ),
        (
            'pipe = P.from_pretrained("x")\npipe.enable_free_noise(context_length=16)\nframes = pipe(\n'
            '    prompt={\n        0: "a",\n        40: "b",\n    },\n    negative_prompt="bad",\n    num_frames=64,\n'
            '    guidance_scale=2.5,\n    generator=torch.Generator("cpu").manual_seed(7),\n).frames[0]\n'
            'export_to_gif(frames, "x.gif")',
            "freenoise",
            MADE,
            {"frames": 64, "cfg": 2.5},
        ),
        (
            'prompts = {0: "a", 40: "b"}\noutput = pipe(prompt=prompts, num_frames=64)',
            "freenoise",
            MADE,
            {"frames": 64},
        ),
        (
            'prompts = ["unused"]\nanimation_prompts = {0: "a", 40: "b"}\n',
            "deforum-prompts",
            MADE,
            {"frames": 48},
        ),
    ],
)
def test_scripts_are_read_by_the_call_in_them(text: str, name: str, wanted: Any, fields: dict[str, Any]) -> None:
    parts = found(text, frames=fields["frames"])
    assert parts.syntax == name
    assert prompts(parts) == wanted
    assert {field: getattr(parts, field) for field in fields} == fields


def test_a_seed_in_a_script_is_used() -> None:
    text = 'pipe(prompt={0: "a"}, num_frames=4, generator=torch.Generator("cpu").manual_seed(7))'
    assert {frame.seed for frame in plan(read(text).recipe())} == {Mix.one(7)}


@pytest.mark.parametrize(
    "text",
    [
        'prompts = {0: "a"}\nneg_prompts = {0: "bad"}',
        'animation_prompts = {0: "a"}\nnegative_prompts = {"0": "bad"}\n',
        'neg_prompts = {0: "bad"}\nprompts = {0: "a"}',
        '{"prompts": [], "animation_prompts": {"0": "a"}, "neg_prompts": {"0": "bad"}, "max_frames": 48}',
        '{"prompts": ["x"], "animation_prompts": {"0": "a"}, "negative_prompts": {"0": "bad"}, "max_frames": 48}',
        '{"prompts": {"0": "a --neg bad"}, "negative_prompts": {"0": "bad"}, "max_frames": 48}',
    ],
)
def test_deforums_negatives_are_read_wherever_they_stand(text: str) -> None:
    parts = found(text)
    first = plan(parts.recipe())[0]
    assert (first.prompt.values, first.negative.values, parts.notes) == (("a",), ("bad",), ())


def settings(**more: Any) -> Parts:
    return read(json.dumps({"prompts": {"0": "a"}, "max_frames": 6, **more}))


@pytest.mark.parametrize(
    ("more", "field", "value"),
    [
        ({"sampler": "klms"}, "sampler", "lms"),
        ({"sampler": "dpm2"}, "sampler", "dpm_2"),
        ({"sampler": "dpm2_ancestral"}, "sampler", "dpm_2_ancestral"),
        ({"sampler": "dpmpp_2s_a"}, "sampler", "dpmpp_2s_ancestral"),
        ({"sampler": "Euler a", "scheduler": "Simple"}, "scheduler", "simple"),
        ({"sampler": "DPM++ 2M", "scheduler": "Automatic"}, "scheduler", "karras"),
        ({"scheduler": "SGM Uniform"}, "scheduler", "sgm_uniform"),
        ({"width": 768, "height": 520}, "width", 768),
        ({"width": 512, "W": 640}, "width", 640),
        ({"height": 517}, "height", 512),
        ({"clip_skip": 2}, "model", Model(clip_skip=2)),
        ({"sd_model_name": "x.ckpt", "clipskip": 3}, "model", Model(checkpoint="x.ckpt", clip_skip=3)),
        ({"clipskip": 1}, "model", None),
    ],
)
def test_deforums_settings_are_used(more: dict[str, Any], field: str, value: Any) -> None:
    parts = settings(**more)
    assert (getattr(parts, field), parts.notes) == (value, ())


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"distilled_cfg_scale_schedule": "0: (3.5)"}, ["distilled_cfg_scale_schedule", "Flux"]),
        ({"sampler": "magic"}, ["'magic'", "default"]),
        ({"scheduler": "magic"}, ["'magic'", "default"]),
        ({"unknown_number": 3}, ["unknown_number"]),
        ({"tiling": True}, ["tiling"]),
        ({"seed": -1}, ["-1", "random", "0"]),
        ({"seed_behavior": "iter"}, ["iter", "flickers", '"seed_behavior": "fixed"']),
        ({"seed_behavior": "random", "zoom": "0:(1.02)"}, ["flickers", '"seed_behavior": "fixed"']),
        ({"seed_behavior": "ladder"}, ["ladder", "flickers"]),
    ],
)
def test_deforums_settings_that_are_lost_are_named(more: dict[str, Any], words: list[str]) -> None:
    notes = " ".join(settings(**more).notes)
    assert all(word in notes for word in words), notes


def test_flux_guidance_is_cfg_where_cfg_is_1() -> None:
    parts = settings(cfg_scale_schedule="0: (1)", distilled_cfg_scale_schedule="0: (3.5)")
    assert {frame.cfg for frame in plan(parts.recipe())} == {3.5}


def test_max_f_counts_frames_in_deforums_interpolation_alone() -> None:
    for mode, frame in (("Interpolation", 10), ("2D", 9), ("3D", 9)):
        text = {"prompts": {"0": "a", "max_f/2": "b"}, "max_frames": 20, "animation_mode": mode}
        assert [key.at for key in read(json.dumps(text)).keyframes] == [0, frame]


ANIMATEDIFF = (
    "{}\nNegative prompt: bad\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512, AnimateDiff: "
    '"enable: True, model: mm.ckpt, video_length: 16, fps: 8, loop_number: 0, closed_loop: {}, batch_size: 16"'
)


@pytest.mark.parametrize(
    ("prompt", "closed", "loop"),
    [
        ("0: a\n8: b", "N", None),
        ("0: a\n8: b", "R-P", None),
        ("0: a\n8: b", "R+P", True),
        ("0: a\n8: b", "A", True),
        ("a", "N", None),
    ],
)
def test_animatediffs_settings_have_length_pace_and_loop(prompt: str, closed: str, loop: bool | None) -> None:
    parts = read(ANIMATEDIFF.format(prompt, closed))
    assert (parts.frames, parts.fps, parts.loop) == (16, 8, loop)
    assert not any("AnimateDiff" in note for note in parts.notes)


@pytest.mark.parametrize(
    "keys",
    [
        {"0": "a", "8": "b", "48": "c"},
        {"0": "a", "8": "b", "47000": "c"},
        {"8": "b", "0": "a", "64": "c", "99": "d"},
    ],
)
def test_keys_past_the_length_are_skipped_as_animatediff_cli_does(keys: dict[str, str]) -> None:
    parts = read(json.dumps({"prompt_fixed_ratio": 0, "prompt_map": keys}), frames=48)
    assert prompts(parts) == {0: "a", 8: "b"}
    assert all(key in parts.notes[0] for key in keys if int(key) >= 48)


def test_older_animatediff_cli_has_a_list_of_runs() -> None:
    parts = found('{"prompt": ["a", "b"], "n_prompt": ["bad"], "seed": [-1], "steps": 20}')
    assert (prompts(parts), parts.steps, parts.loop) == ({0: "a"}, 20, True)
    assert [word for word in ("2 prompts", "-1") if word in " ".join(parts.notes)] == ["2 prompts", "-1"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("cat :0.5 AND duck :0.5 AND open mouth :0 AND centered", {"cat": 0.25, "duck": 0.25, "centered": 0.5}),
        ("a AND b :1", {"a": 0.5, "b": 0.5}),
        ("(a cat:1.2) AND b :0.25", {"(a cat:1.2)": 0.8, "b": 0.2}),
        ("a :3 AND b AND c", {"a": 0.6, "b": 0.2, "c": 0.2}),
        ("a AND b", "a AND b"),
        ("a AND (b:1.2)", "a AND (b:1.2)"),
        ("a :-1 AND b", "a :-1 AND b"),
        ("a :1 AND ", "a :1 AND"),
    ],
)
def test_a_missing_weight_of_and_is_1(text: str, wanted: Any) -> None:
    assert prompts(read(json.dumps({"0": text}), frames=1))[0] == wanted


def test_text_goes_around_parts_without_a_weight_too() -> None:
    parts = read('{"0": "a :0.5 AND b"}', frames=1, before="big", after="best")
    assert prompts(parts)[0] == {"big a best": pytest.approx(1 / 3), "big b best": pytest.approx(2 / 3)}


@pytest.mark.parametrize(
    ("text", "kept", "values"),
    [
        ("cfg: 0:(7+t)", "7+t", [7, 8, 9, 10]),
        ("cfg: 0:(7), 2:(9*max(t, 1))", "9*max(t, 1)", [7, 12.5, 18, 27]),
        ("cfg: 0:(max_f - t)", "max_f - t", [3, 2, 1, 0]),
        ("cfg: 0:(t), 3:(9)", "t", [0, 1, 2, 9]),
        ("cfg: 0:((t) + (1))", "(t) + (1)", [1, 2, 3, 4]),
    ],
)
def test_expressions_stay_expressions(text: str, kept: str, values: list[float]) -> None:
    recipe = read(text, frames=4).recipe()
    assert kept in [key.cfg.text for key in recipe.keyframes if isinstance(key.cfg, Expression)]
    assert [frame.cfg for frame in plan(recipe)] == values
    assert Recipe.from_toml(recipe.to_toml()) == recipe


@pytest.mark.parametrize("text", ["cfg: 0:(s)", "cfg: 0:(max(1, 2))", "seed: 0:(t)", "cfg: 0:(t*pw_a)"])
def test_expressions_that_a_recipe_reads_differently_become_numbers(text: str) -> None:
    parts = read(text, frames=4, numbers={"pw_a": 2.0})
    assert not any(isinstance(key.cfg, Expression) for key in parts.keyframes)


def test_strength_is_turned_into_denoise_as_an_expression() -> None:
    (key,) = read("strength: 0:(0.5+t/10)", frames=4).keyframes
    assert isinstance(key.denoise, Expression)
    assert [key.denoise.evaluate(t) for t in range(4)] == pytest.approx([0.5, 0.4, 0.3, 0.2])


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("cat :1~0 AND dog :0~1", {0: "cat", 47: "dog"}),
        ('{"0": "cat :1 AND dog :0", "24": "cat :0 AND dog :1"}', {0: "cat", 23: "cat", 24: "dog", 47: "dog"}),
        ("cat :1~0~1 AND dog :0~1~0", None),
    ],
)
def test_mixes_that_a_straight_travel_gives_are_written_as_its_ends(text: str, keys: dict[int, str] | None) -> None:
    recipe = read(text, frames=48).recipe()
    made = write(recipe, "fizznodes")
    mixed = any("a mix of prompts" in sentence for sentence in made.lost)
    assert mixed == (keys is None)
    if keys is not None:
        back = plan(read(made.text, frames=48).recipe())
        for frame, wanted in zip(back, plan(recipe), strict=True):
            assert dict(frame.prompt.items) == pytest.approx(dict(wanted.prompt.items), abs=2e-9)


@pytest.mark.parametrize("tag", ["<lora:x:0@0,1@0.5>", "<lora:x:te=0@0,1@1:unet=1>", "<lora:x:1:0@5,1@6>"])
def test_loractls_weights_over_steps_are_no_travel_over_frames(tag: str) -> None:
    parts = read(f"a cat {tag}")
    assert (parts.syntax, prompts(parts)) == ("a1111", {0: f"a cat {tag}"})
    assert all(word in parts.notes[0] for word in ("denoising steps", "loractl", "loras"))


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("[0s-1s: a] [2s: b]", "[0s-1s does not end where the next begins"),
        ("[/overlap=9] a\n[/new_shot] b", "[/overlap=9] is a command for a video model"),
        ("0 | prompt | a\n0 | transform | 1 | 2\n1 | denoise | 0.5", "left out: transform, denoise"),
        ('{"local_prompts": "a", "epsilon": 0.001}', "left out: epsilon"),
        ("0: a | 8: b", "set ease to hold"),
        ("a | b", "each prompt holds for an equal part"),
    ],
)
def test_what_means_something_else_here_is_noted(text: str, note: str) -> None:
    assert any(note in sentence for sentence in found(text).notes), found(text).notes


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('"0.0:0.33": "a",\n"0.33:0.5": "b"', {0: "a", 14: "a", 15: "b", 23: "b"}),
        ('"0.5:0.75": "b", "0": "a"', {0: "a", 24: "b", 35: "b"}),
        ('".25:": "b", "0:": "a"', {0: "a", 12: "b"}),
        ('0.5:1.0 = "b", 0 = "a"', {0: "a", 24: "b", 47: "b"}),
    ],
)
def test_ranges_with_decimals_are_evolveds(text: str, wanted: dict[int, str]) -> None:
    parts = found(text)
    assert (parts.syntax, prompts(parts)) == ("animatediff-evolved", wanted)


@pytest.mark.parametrize(
    ("text", "name", "fields"),
    [
        ("a\nb\nNegative prompt: bad\nSteps: 15\nCFG scale: 6\nSeed: 4", "prompt-travel", {"steps": 15, "cfg": 6}),
        ("0: a\n8: b\nNegative prompt: bad\nSteps: 15\nSeed: 4", "sd-webui-animatediff", {"steps": 15}),
        ("0s: a\n1s: b\nNegative prompt: bad\nSteps: 15, Seed: 4\nSize: 640x384", "moments", {"width": 640}),
        ('"0": "a",\n"8": "b"\nNegative prompt: bad\nSteps: 15\nSeed: 4\nClip skip: 2', "fizznodes", {"steps": 15}),
        ("0, a\n8, b\nNegative prompt: bad\nSteps: 15\nSeed: 4", "comfyroll", {"steps": 15}),
        ("a\nb\nNegative prompt: bad\nTravel mode: linear\nSeed: 4\nSize: 640x384", "prompt-travel", {"width": 640}),
    ],
)  # fmt: skip
def test_settings_on_lines_of_their_own_are_settings(text: str, name: str, fields: dict[str, Any]) -> None:
    parts = found(text)
    assert parts.syntax == name
    assert {field: getattr(parts, field) for field in fields} == fields
    frames = plan(parts.recipe())
    assert {(frame.negative.values, frame.seed.values) for frame in frames} == {(("bad",), (4,))}
