"""ComfyUI workflows as schedules: the text in their schedule node, and the settings around it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from remix.errors import RecipeError
from remix.plan import Mix, plan
from remix.syntax import Parts, detect, read

FIZZ = '"0": "a",\n"8": "b --neg bad"'


def api(kind: str, **inputs: Any) -> dict[str, Any]:
    """A workflow in API format with a sampler whose positive conditioning comes from node 6 of this class."""
    return {
        "3": {
            "class_type": "KSampler",
            "inputs": {
                **{
                    "seed": 42,
                    "steps": 25,
                    "cfg": 6.5,
                    "sampler_name": "dpmpp_2m",
                    "scheduler": "karras",
                    "denoise": 1,
                },
                **{"model": ["4", 0], "positive": ["6", 0], "negative": ["6", 1], "latent_image": ["5", 0]},
            },
        },
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "dream.safetensors"}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 640, "height": 384, "batch_size": 16}},
        "6": {"class_type": kind, "inputs": {"clip": ["4", 1], **inputs}},
    }


def ui(kind: str, widgets: Any, **more: Any) -> dict[str, Any]:
    return {"last_node_id": 6, "nodes": [{"id": 6, "type": kind, "widgets_values": widgets, **more}], "links": []}


def prompts(parts: Parts) -> dict[int, str]:
    recipe = parts.recipe()
    schedule = plan(recipe)
    return {frame: schedule[frame].prompt.values[0] for frame in sorted(recipe.positions())}


def text_of(workflow: Any) -> str:
    return json.dumps(workflow)


WIDGETS = [FIZZ, 16, False, "", "", 0]


@pytest.mark.parametrize(
    ("workflow", "wanted"),
    [
        (api("BatchPromptSchedule", text=FIZZ, max_frames=16), {0: "a", 8: "b"}),
        (api("PromptSchedule", text=FIZZ, max_frames=16, current_frame=3), {0: "a", 8: "b"}),
        (api("BatchPromptSchedule", text='"0": "a", "max_f/2": "b"', max_frames=16), {0: "a", 8: "b"}),
        (api("BatchPromptSchedule", text=FIZZ, max_frames=16, pre_text="x", app_text="y"), {0: "x a y", 8: "x b y"}),
        (api("BatchPromptSchedule", text='"0": "`pw_a` a", "8": "b"', max_frames=16, pw_a=2.0), {0: "2 a", 8: "b"}),
        (api("BatchPromptScheduleLatentInput", text=FIZZ, num_latents=["5", 0]), {0: "a", 8: "b"}),
        (api("ADE_PromptScheduling", prompts='0 = "a", 0.5 = "b"', max_length=16), {0: "a", 8: "b"}),
        (api("ADE_PromptScheduling", prompts='"0": "a", "8": "b"', max_length=0), {0: "a", 8: "b"}),
        (api("ADE_PromptSchedulingLatents", prompts='"0": "a", "8": "b"', prepend_text="x"), {0: "x, a", 8: "x, b"}),
        (api("CR Simple Prompt Scheduler", keyframe_list="0, a\n8, b", keyframe_format="CR"), {0: "a", 8: "b"}),
        (api("CR Simple Prompt Scheduler", keyframe_list='"0": "a",\n"8": "b"'), {0: "a", 8: "b"}),
        (api("BatchPromptScheduleEncodeSDXL", text_g=FIZZ, text_l="x", max_frames=16), {0: "a", 8: "b"}),
        (api("DeforumPromptNode", prompts="0:'a',\n8:'b'"), {0: "a", 8: "b"}),
        (api("RemixRecipe", recipe="0s: a\n1s: b", frames=16, fps=8.0), {0: "a", 8: "b"}),
        ({"prompt": api("BatchPromptSchedule", text=FIZZ, max_frames=16), "client_id": "x"}, {0: "a", 8: "b"}),
        (ui("BatchPromptSchedule", WIDGETS), {0: "a", 8: "b"}),
        (ui("BatchPromptSchedule", {"text": FIZZ, "max_frames": 16}), {0: "a", 8: "b"}),
        (ui("ADE_PromptScheduling", ['"0": "a", "8": "b"', False, 16, "lerp"]), {0: "a", 8: "b"}),
        (ui("RemixRecipe", ["0s: a\n1s: b", 16, 8, 0, 0]), {0: "a", 8: "b"}),
    ],
)
def test_the_text_of_a_schedule_node_is_read(workflow: Any, wanted: dict[int, str]) -> None:
    text = text_of(workflow)
    assert detect(text) == "comfyui"
    frames = None if "batch_size" in text or "16" in text else 16
    parts = read(text, frames=frames)
    assert prompts(parts) == wanted
    assert parts.frames == 16


@pytest.mark.parametrize(
    ("workflow", "wanted"),
    [
        (api("WanVideoTextEncode", positive_prompt="a | b", negative_prompt="bad"), {0: "a", 8: "b"}),
        (api("WanVideoTextEncodeCached", positive_prompt="a | b", negative_prompt="bad"), {0: "a", 8: "b"}),
        (ui("WanVideoTextEncode", ["a | b", "bad", True]), {0: "a", 8: "b"}),
        (ui("WanVideoTextEncodeCached", ["m", "bf16", "a | b", "bad", "no"]), {0: "a", 8: "b"}),
        (api("WanVideoTextEncode", positive_prompt="a", negative_prompt="bad"), {0: "a"}),
    ],
)
def test_wans_prompts_and_negative_are_read(workflow: Any, wanted: dict[int, str]) -> None:
    parts = read(text_of(workflow), frames=16)
    assert prompts(parts) == wanted
    assert {frame.negative.values for frame in plan(parts.recipe())} == {("bad",)}


RELAY = {"global_prompt": "x", "local_prompts": "a | b", "segment_lengths": "8, 8"}


@pytest.mark.parametrize(
    "workflow",
    [
        api("PromptRelayEncode", **RELAY, epsilon=0.001),
        api("PromptRelayEncodeTimeline", **RELAY, max_frames=16, timeline_data="{}"),
        ui("PromptRelayEncode", ["x", "a | b", "8, 8", 0.001]),
        ui("PromptRelayEncodeTimeline", ["x", 16, "{}", "a | b", "8, 8", 0.001, 24, "frames"]),
    ],
)
def test_prompt_relays_segments_are_read(workflow: Any) -> None:
    parts = read(text_of(workflow))
    assert (prompts(parts), parts.frames) == ({0: "x, a", 8: "x, b"}, 16)


def test_the_settings_around_an_api_workflow_are_used() -> None:
    parts = read(text_of(api("ADE_PromptScheduling", prompts='"0": "a"', max_length=0)))
    assert (parts.steps, parts.cfg, parts.sampler, parts.scheduler) == (25, 6.5, "dpmpp_2m", "karras")
    assert (parts.width, parts.height, parts.frames) == (640, 384, 16)
    assert parts.model is not None
    assert parts.model.checkpoint == "dream.safetensors"
    assert {frame.seed for frame in plan(parts.recipe())} == {Mix.one(42)}
    assert parts.notes == ("read from node 6 (ADE_PromptScheduling)",)
    given = read(text_of(api("PromptSchedule", text=FIZZ, max_frames=9)), seed=7)
    assert {frame.seed for frame in plan(given.recipe())} == {Mix.one(7)}


@pytest.mark.parametrize(
    ("text", "negatives", "found"),
    [("a", ["bad"], "bad"), ("a --neg own", ["bad"], "own"), ("a", ["bad", "worse"], ""), ("a", [], "")],
)
def test_the_negative_prompt_of_the_sampler_is_used(text: str, negatives: list[str], found: str) -> None:
    workflow = api("ADE_PromptScheduling", prompts=json.dumps({"0": text})[1:-1], max_length=16)
    workflow["9"] = {"class_type": "ConditioningCombine", "inputs": {}}
    for i, negative in enumerate(negatives):
        workflow[f"1{i}"] = {"class_type": "CLIPTextEncode", "inputs": {"text": negative}}
        workflow["9"]["inputs"][f"conditioning_{i}"] = [f"1{i}", 0]
    workflow["3"]["inputs"]["negative"] = ["9", 0]
    parts = read(text_of(workflow))
    assert {frame.negative.values for frame in plan(parts.recipe())} == {(found,)}
    assert any("2 negative prompts" in note for note in parts.notes) == (len(negatives) == 2)


def test_nodes_that_are_off_do_not_count_and_subgraphs_do() -> None:
    node = {"id": 6, "type": "BatchPromptSchedule", "widgets_values": WIDGETS}
    off = [{**node, "id": 7, "mode": 2}, {**node, "id": 8, "mode": 4, "widgets_values": ["x", 3]}]
    inside = {"nodes": off, "links": [], "definitions": {"subgraphs": [{"nodes": [node]}]}}
    for workflow in ({"nodes": [*off, node], "links": []}, inside):
        assert prompts(read(text_of(workflow))) == {0: "a", 8: "b"}


def test_settings_without_a_place_are_named() -> None:
    workflow = api("BatchPromptSchedule", text=FIZZ, max_frames=16)
    workflow["3"]["inputs"] |= {"denoise": 0.5, "sampler_name": "own_sampler"}
    notes = " ".join(read(text_of(workflow)).notes)
    assert "denoise 0.5" in notes
    assert "sampler_name 'own_sampler'" in notes


LINKS = (("positive", 3), ("negative", 1), ("latent_image", 2))


def test_settings_are_read_from_the_widgets_of_a_front_ends_workflow() -> None:
    workflow = ui("BatchPromptSchedule", WIDGETS)
    workflow["nodes"] += [
        {"id": 7, "type": "EmptyLatentImage", "widgets_values": [640, 384, 16], "outputs": [{"name": "LATENT"}]},
        {"id": 8, "type": "CLIPTextEncode", "widgets_values": ["bad hands"], "outputs": [{"name": "CONDITIONING"}]},
        {
            "id": 9,
            "type": "KSampler",
            "inputs": [{"name": name, "link": link} for name, link in LINKS],
            "widgets_values": [4711, "randomize", 12, 6.5, "heun", "karras", 1],
        },
    ]
    kind = "CONDITIONING"
    workflow["links"] += [[3, 6, 0, 9, 0, kind], [1, 8, 0, 9, 1, kind], [2, 7, 0, 9, 2, "LATENT"]]
    parts = read(text_of(workflow))
    assert (parts.steps, parts.cfg, parts.sampler, parts.scheduler) == (12, 6.5, "heun", "karras")
    assert (parts.width, parts.height) == (640, 384)
    assert parts.keyframes[0].seed == Mix.one(4711)


@pytest.mark.parametrize(
    "source",
    [
        {"class_type": "String Literal", "inputs": {"string": FIZZ}},
        {"class_type": "Text", "inputs": {"text": FIZZ}},
        {"class_type": "Reroute", "inputs": {"": ["9", 0]}},
    ],
)
def test_a_text_that_comes_over_a_link_is_followed(source: dict[str, Any]) -> None:
    workflow = api("BatchPromptSchedule", text=["7", 0], max_frames=["8", 0])
    workflow |= {
        "9": {"class_type": "Text", "inputs": {"text": FIZZ}},
        "7": source,
        "8": {"class_type": "INTConstant", "inputs": {"value": 16}},
    }
    parts = read(text_of(workflow))
    assert (prompts(parts), parts.frames) == ({0: "a", 8: "b"}, 16)


def test_what_comes_over_links_of_a_ui_workflow_is_followed() -> None:
    inputs = [{"name": name, "type": "*", "link": i} for i, name in enumerate(("text", "max_frames", "pre_text"))]
    inputs.append({"name": "app_text", "type": "*", "link": None})
    workflow = ui("BatchPromptSchedule", ["", 120, False, "old", "old"], inputs=inputs)
    workflow["nodes"] += [
        {"id": 8, "type": "Text", "widgets_values": [FIZZ]},
        {"id": 9, "type": "PrimitiveNode", "widgets_values": [16, "fixed"]},
        {"id": 10, "type": "Reroute", "inputs": [{"name": "", "link": 3}]},
        {"id": 11, "type": "PrimitiveNode", "widgets_values": ["x"]},
    ]
    links = [[0, 8, 0, 6, 0, "STRING"], [1, 9, 0, 6, 1, "INT"], [2, 10, 0, 6, 2, "*"], [3, 11, 0, 10, 0, "*"]]
    parts = read(text_of({**workflow, "links": links}))
    assert (prompts(parts), parts.frames) == ({0: "x a", 8: "x b"}, 16)


LONG = "a photo of a cat on a mat in the sun"
TWO = {**api("ADE_PromptScheduling", prompts='"0": "a"'), "7": api("ADE_PromptScheduling", prompts='"0": "b"')["6"]}
LOOP = api("BatchPromptSchedule", text=["6", 0], max_frames=16)


@pytest.mark.parametrize(
    ("workflow", "words"),
    [
        (api("CLIPTextEncode", text=LONG), ["no schedule", "node 6 (CLIPTextEncode)", "BatchPromptSchedule"]),
        (api("CLIPTextEncode", text='"0":"a"'), ["no schedule", "copy the text of node 6 (CLIPTextEncode)"]),
        (ui("CLIPTextEncode", [LONG]), ["no schedule", "node 6 (CLIPTextEncode)"]),
        (api("BatchPromptSchedule", text=""), ["no schedule"]),
        (ui("Note", []), ["no schedule"]),
        (TWO, ["node 6 (ADE_PromptScheduling)", "node 7 (ADE_PromptScheduling)", "copy the text of one"]),
        (LOOP, ["no schedule"]),
    ],
)
def test_other_workflows_are_refused_with_the_nodes_to_copy_from(workflow: Any, words: list[str]) -> None:
    with pytest.raises(RecipeError) as caught:
        read(text_of(workflow))
    assert all(word in caught.value.problem for word in words), caught.value.problem


@pytest.mark.parametrize("text", ['"0": "a", "8": "b', '"0": "a", "8": "`sqrt(q)`"', '"0": "a"\n"8": "b"'])
def test_an_error_in_the_text_of_a_node_has_its_place_in_the_workflow(text: str) -> None:
    workflow = json.dumps(api("BatchPromptSchedule", text=text, max_frames=16), indent=1)
    with pytest.raises(RecipeError) as caught:
        read(workflow, source="my.json")
    assert caught.value.line is not None
    assert '"text"' in workflow.split("\n")[caught.value.line - 1]
    assert caught.value.source == "my.json"
