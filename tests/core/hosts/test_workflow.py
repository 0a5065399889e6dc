"""Workflows of the front end, converted to prompts of the API. tests/real compares with the front end itself."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remix.hosts.comfyui.definitions import Definitions
from remix.hosts.comfyui.workflow import NotAWorkflow, to_prompt

TEXT, IMAGE = "STRING", "IMAGE"


def node(
    number: int, kind: str, values: Any = None, inputs: Any = (), outputs: Any = (), **more: Any
) -> dict[str, Any]:
    """A node: inputs as (name, type, link) or (name, type, link, "widget"), outputs as types."""
    slots = [
        {"name": name, "type": type_, "link": link, **({"widget": {"name": name}} if widget else {})}
        for name, type_, link, *widget in inputs
    ]
    found = {"id": number, "type": kind, "inputs": slots, "outputs": [{"name": each, "type": each} for each in outputs]}
    return {**found, **({} if values is None else {"widgets_values": values}), **more}


def workflow(nodes: list[dict[str, Any]], links: list[Any], *subgraphs: dict[str, Any]) -> dict[str, Any]:
    return {"version": 0.4, "nodes": nodes, "links": links, "definitions": {"subgraphs": list(subgraphs)}}


def inputs(found: dict[str, Any], definitions: Definitions | None = None) -> dict[str, dict[str, Any]]:
    return {number: each["inputs"] for number, each in to_prompt(found, definitions).nodes.items()}


def test_widgets_get_their_names_and_links_take_their_place() -> None:
    sampler = [("latent_image", "LATENT", 11), ("seed", "INT", 12, "widget")]
    found = workflow(
        [
            node(1, "PrimitiveInt", [7, "fixed"], outputs=["INT"]),
            node(2, "EmptyLatentImage", [512, 768, 1], outputs=["LATENT"]),
            node(3, "KSampler", [5, "randomize", 20, 7.5, "euler", "normal", 1], sampler, title="Mine"),
        ],
        [[11, 2, 0, 3, 0, "LATENT"], [12, 1, 0, 3, 1, "INT"]],
    )
    nodes = to_prompt(found).nodes
    assert nodes["3"] == {
        "class_type": "KSampler",
        "inputs": {
            **{"seed": ["1", 0], "steps": 20, "cfg": 7.5, "sampler_name": "euler", "scheduler": "normal"},
            **{"denoise": 1, "latent_image": ["2", 0]},
        },
        "_meta": {"title": "Mine"},
    }
    assert nodes["2"]["inputs"] == {"width": 512, "height": 768, "batch_size": 1}
    assert nodes["2"]["_meta"]["title"] == "Empty Latent Image"


@pytest.mark.parametrize(
    ("between", "source"),
    [
        ({"type": "Reroute", "mode": 0}, ["1", 0]),
        ({"type": "ImageInvert", "mode": 4}, ["1", 0]),  # bypassed: the input of the output's type
        ({"type": "ImageInvert", "mode": 2}, None),  # muted
        ({"type": "ImageInvert", "mode": 0}, ["2", 0]),
    ],
)
def test_what_does_not_run_passes_on_what_it_gets(between: dict[str, Any], source: Any) -> None:
    middle = node(2, "x", inputs=[("mask", "MASK", None), ("image", IMAGE, 11)], outputs=[IMAGE])
    if between["type"] == "Reroute":
        middle["inputs"] = middle["inputs"][1:]
    load, save = node(1, "LoadImage", ["a.png", "image"], outputs=[IMAGE]), node(3, "SaveImage", ["x"])
    save["inputs"] = [{"name": "images", "type": IMAGE, "link": 12}]
    plain = inputs(workflow([load, {**middle, **between}, save], [[11, 1, 0, 2, 1, IMAGE], [12, 2, 0, 3, 0, IMAGE]]))
    assert plain["3"] == {"filename_prefix": "x", **({} if source is None else {"images": source})}
    assert plain["1"] == {"image": "a.png"}
    assert ("2" in plain) == (source == ["2", 0])


def test_values_and_links_travel_by_primitive_set_and_get() -> None:
    found = workflow(
        [
            node(1, "PrimitiveNode", ["a cat", "fixed"], outputs=[TEXT]),
            node(2, "CLIPTextEncode", ["old"], [("clip", "CLIP", 13), ("text", TEXT, 11, "widget")]),
            node(3, "CLIPLoader", ["a.safetensors", "sd3", "default"], outputs=["CLIP"]),
            node(4, "SetNode", ["shared"], [("CLIP", "CLIP", 12)]),
            node(5, "GetNode", ["shared"], outputs=["CLIP"]),
        ],
        [[11, 1, 0, 2, 1, TEXT], [12, 3, 0, 4, 0, "CLIP"], [13, 5, 0, 2, 0, "CLIP"]],
    )
    assert inputs(found)["2"] == {"text": "a cat", "clip": ["3", 0]}


def link(number: int, source: int, output: int, target: int, slot: int) -> dict[str, int]:
    """A link of a subgraph."""
    names = ("id", "origin_id", "origin_slot", "target_id", "target_slot")
    return dict(zip(names, (number, source, output, target, slot), strict=True))


INNER = {
    "id": "inner",
    "inputs": [{"name": "words", "type": TEXT}, {"name": "clip", "type": "CLIP"}, {"name": "steps", "type": "INT"}],
    "outputs": [{"name": "out", "type": "CONDITIONING"}],
    "nodes": [
        node(7, "CLIPTextEncode", ["inside"], [("clip", "CLIP", 2), ("text", TEXT, 1, "widget")], ["CONDITIONING"]),
        node(8, "BasicScheduler", ["simple", 20, 1], [("steps", "INT", 4, "widget")]),
    ],
    "links": [link(1, -10, 0, 7, 1), link(2, -10, 1, 7, 0), link(3, 7, 0, -20, 0), link(4, -10, 2, 8, 0)],
}
OUTER = {
    "id": "outer",
    "inputs": [{"name": "clip", "type": "CLIP"}, {"name": "words", "type": TEXT}],
    "outputs": [{"name": "out", "type": "CONDITIONING"}],
    "nodes": [node(4, "inner", [], [("clip", "CLIP", 1), ("words", TEXT, 2, "widget")], ["CONDITIONING"])],
    "links": [link(1, -10, 0, 4, 0), link(2, -10, 1, 4, 1), link(3, 4, 0, -20, 0)],
}


@pytest.mark.parametrize("mode", [2, 4])
def test_the_inside_of_a_subgraph_without_effect_is_sent_within_another_only(mode: int) -> None:
    off = {**OUTER, "nodes": [{**OUTER["nodes"][0], "mode": mode}]}
    load = node(1, "CLIPLoader", ["a", "sd3", "default"], outputs=["CLIP"])
    outer = node(2, "outer", [], [("clip", "CLIP", 11)], ["CONDITIONING"])
    after = node(3, "ConditioningZeroOut", [], [("conditioning", "CONDITIONING", 12)])
    links = [[11, 1, 0, 2, 0, "CLIP"], [12, 2, 0, 3, 0, "CONDITIONING"]]
    plain = inputs(workflow([load, outer, after], links, INNER, off))
    assert set(plain) == {"1", "2:4:7", "2:4:8", "3"}
    assert plain["2:4:7"]["clip"] == ["1", 0]
    assert plain["3"] == {}
    assert set(inputs(workflow([load, {**outer, "mode": mode}, after], links, INNER, OUTER))) == {"1", "3"}


@pytest.mark.parametrize(("values", "text"), [([], "inside"), (["outside"], "outside")])
def test_subgraphs_are_laid_flat_with_the_widgets_that_they_show(values: list[Any], text: str) -> None:
    found = workflow(
        [
            node(1, "CLIPLoader", ["a", "sd3", "default"], outputs=["CLIP"]),
            node(2, "outer", values, [("clip", "CLIP", 11), ("words", TEXT, None, "widget")], ["CONDITIONING"]),
            node(3, "ConditioningZeroOut", [], [("conditioning", "CONDITIONING", 12)]),
        ],
        [[11, 1, 0, 2, 0, "CLIP"], [12, 2, 0, 3, 0, "CONDITIONING"]],
        INNER,
        OUTER,
    )
    assert inputs(found) == {
        "1": {"clip_name": "a", "type": "sd3", "device": "default"},
        "2:4:7": {"text": text, "clip": ["1", 0]},
        "2:4:8": {"scheduler": "simple", "steps": 20, "denoise": 1},
        "3": {"conditioning": ["2:4:7", 0]},
    }


@pytest.mark.parametrize(("value", "text"), [("outside", "outside"), (None, "inside")])
def test_values_of_a_subgraph_follow_its_list_of_widgets_if_it_has_one(value: Any, text: str) -> None:
    listed = {"proxyWidgets": [["8", "scheduler"], ["-1", "steps"], ["-1", "words"]]}
    slots = [("words", TEXT, None, "widget"), ("clip", "CLIP", None), ("steps", "INT", None, "widget")]
    found = workflow([node(2, "inner", [None, 9, value], slots, ["CONDITIONING"], properties=listed)], [], INNER)
    assert inputs(found)["2:7"] == {"text": text}
    assert inputs(found)["2:8"]["steps"] == 9


def test_a_choice_brings_its_own_widgets() -> None:
    options = [
        {"key": "scale", "inputs": {"required": {"by": ["FLOAT", {"default": 1.0}]}}},
        {"key": "size", "inputs": {"required": {"width": ["INT", {}], "height": ["INT", {}]}}},
    ]
    declared = {"how": ["COMFY_DYNAMICCOMBO_V3", {"options": options}], "crop": [["a"]]}
    definitions = Definitions.read({"Resize": {"input": {"required": declared}}})
    found = workflow([node(1, "Resize", ["size", 64, 32, "a"]), node(2, "Resize", ["scale", 2, "a"])], [])
    assert inputs(found, definitions) == {
        "1": {"how": "size", "how.width": 64, "how.height": 32, "crop": "a"},
        "2": {"how": "scale", "how.by": 2, "crop": "a"},
    }


def test_what_only_the_page_has_takes_no_place_of_a_value() -> None:
    """As the front end saves them: the buttons and the picture of a 3D view, an upload without a button, a list."""
    view = node(1, "Load3D", ["toy.glb", "upload3dmodel", "uploadExtraResources", "clear", "", 640, 480])
    painter = node(2, "Painter", ["painter.png [input]", 640, 480, "#ff0000"])
    boxes = node(3, "CreateBoundingBoxes", [640, 480, [{"x": 1}]])
    picture = node(4, "LoadImage", ["a.png", "image"])
    found = inputs(workflow([view, painter, boxes, picture], []))
    assert found["1"] == {"model_file": "toy.glb", "width": 640, "height": 480}
    assert found["2"] == {"mask": "painter.png [input]", "width": 640, "height": 480, "bg_color": "#ff0000"}
    assert found["3"]["editor_state"] == {"__value__": [{"x": 1}]}
    assert "bboxes" not in found["3"]
    assert found["4"] == {"image": "a.png"}


def test_widgets_without_saved_values_have_their_defaults() -> None:
    found = to_prompt(workflow([node(1, "ImageCompare", []), node(2, "EmptyLatentImage"), node(3, "Odd", [])], []))
    assert {number: each["inputs"] for number, each in found.nodes.items()} == {
        "1": {"compare_view": {"__value__": ["", ""]}},
        "2": {"width": 512, "height": 512, "batch_size": 1},
        "3": {},
    }
    assert found.notes == ()


def test_a_node_of_an_unknown_pack_is_read_by_its_own_list_of_inputs_or_named_in_a_note() -> None:
    slots = [("seed", "INT", None, "widget"), ("words", TEXT, None, "widget")]
    listed, bare = node(1, "Odd", [5, "randomize", "x"], slots), node(2, "Other", ["x", "y"])
    found = to_prompt(workflow([listed, bare, node(3, "VHS_Load", {"video": "a.mp4"})], []))
    assert {number: each["inputs"] for number, each in found.nodes.items()} == {
        "1": {"seed": 5, "words": "x"},
        "2": {},
        "3": {"video": "a.mp4"},
    }
    assert found.notes == ("Other: its inputs are not known, so 2 values of its widgets are left out",)


def test_a_list_is_wrapped_since_it_would_be_a_link() -> None:
    found = workflow([node(1, "Odd", [["1", 0]], [("colors", "LIST", None, "widget")])], [])
    assert inputs(found)["1"] == {"colors": {"__value__": ["1", 0]}}


@pytest.mark.parametrize(
    ("subgraphs", "sentence"),
    [
        ([{**OUTER, "nodes": [node(4, "outer")]}], "contains itself"),
        ([{**INNER, "id": "outer", "nodes": [node(n, "Odd") for n in range(9_999)]}], "more than 10000 nodes"),
    ],
)
def test_a_workflow_without_end_is_refused(subgraphs: list[dict[str, Any]], sentence: str) -> None:
    with pytest.raises(NotAWorkflow, match=sentence):
        to_prompt(workflow([node(1, "outer"), node(2, "outer")], [], *subgraphs))


values = st.recursive(
    st.none() | st.integers(-21, 9) | st.text(max_size=2), lambda inner: st.lists(inner, max_size=3), max_leaves=5
)
some_slots = st.lists(
    st.fixed_dictionaries({"name": st.text(max_size=2) | st.none(), "link": values, "widget": values}), max_size=3
)
some_nodes = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.integers(0, 4),
            "type": st.sampled_from(["KSampler", "s", "Reroute", "GetNode", "Odd"]),
            "inputs": some_slots | values,
            "outputs": some_slots | values,
            "widgets_values": values,
            "mode": st.sampled_from([0, 2, 4, None]),
        }
    )
    | values,
    max_size=5,
)


@settings(deadline=None)
@given(some_nodes, st.lists(values, max_size=4), some_nodes, st.lists(values, max_size=4))
def test_any_workflow_is_converted_or_refused(nodes: Any, links: Any, inner: Any, inner_links: Any) -> None:
    subgraph = {"id": "s", "nodes": inner, "links": inner_links, "inputs": [{"name": "a"}], "outputs": []}
    with contextlib.suppress(NotAWorkflow):
        to_prompt(workflow(nodes, links, subgraph))
