"""A workflow of anyone's, keyframed: which inputs and outputs are found, and the graph of each frame."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from remix.errors import BadInput
from remix.hosts.comfyui.keyframing import Keyframed, keyframed
from remix.plan import Mix

INFO = json.loads(
    (Path(__file__).parents[2] / "fakes" / "recorded" / "comfyui" / "object_info.json").read_text(encoding="utf-8")
)


def node(kind: str, title: str = "", **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs, "_meta": {"title": title or kind}}


def sampling() -> dict[str, dict[str, Any]]:
    return {
        "1": node("RemixPlayground"),
        "2": node("CLIPTextEncode", "Positive", clip=["1", 1], text="a cat"),
        "3": node("CLIPTextEncode", "Negative", clip=["1", 1], text=""),
        "4": node("EmptyLatentImage", width=64, height=64, batch_size=1),
        "5": node(
            "KSampler",
            model=["1", 0],
            positive=["2", 0],
            negative=["3", 0],
            latent_image=["4", 0],
            **{"seed": 1, "steps": 4, "cfg": 3, "sampler_name": "euler", "scheduler": "normal", "denoise": 1},
        ),
        "6": node("VAEDecode", samples=["5", 0], vae=["1", 2]),
        "7": node("PreviewImage", images=["6", 0]),
        "8": node("SaveImage", images=["6", 0], filename_prefix="x"),
    }


def blending() -> dict[str, dict[str, Any]]:
    return {
        "1": node("LoadImage", "Photo", image="a.png"),
        "2": node("EmptyImage", width=8, height=8, batch_size=1, color=0),
        "3": node("ImageBlend", image1=["1", 0], image2=["2", 0], blend_factor=0.5, blend_mode="normal"),
        "4": node("SaveImage", images=["3", 0], filename_prefix="x"),
    }


def problems(found: Keyframed, values: dict[str, Any]) -> str:
    return "\n".join(found.problems(values, ("mine.png",)))


def test_a_frame_has_its_values_and_only_the_nodes_that_it_needs() -> None:
    found = keyframed(sampling(), INFO, ["KSampler.cfg", "KSampler.seed", "Positive.text"])
    values = {"KSampler.cfg": 4.5, "KSampler.seed": 2.5, "Positive.text": Mix.one("a dog")}
    nodes, saving = found.graph(values, "remix/0", {})
    assert (nodes["5"]["inputs"]["cfg"], nodes["5"]["inputs"]["seed"]) == (4.5, 3)
    assert nodes["2"]["inputs"]["text"] == "a dog"
    assert nodes[saving]["inputs"] == {"images": ["6", 0], "filename_prefix": "remix/0"}
    assert {"7", "8"}.isdisjoint(nodes)
    assert sampling()["5"]["inputs"]["cfg"] == 3


def test_texts_between_two_keyframes_are_encoded_each_and_averaged() -> None:
    found = keyframed(sampling(), INFO, ["Positive.text"])
    mix = Mix((("a cat", 0.5), ("a dog", 0.3), ("a bird", 0.2)))
    nodes, _ = found.graph({"Positive.text": mix}, "x", {})
    averages = [each for each in nodes.values() if each["class_type"] == "ConditioningAverage"]
    texts = [each["inputs"]["text"] for each in nodes.values() if each["class_type"] == "CLIPTextEncode"]
    assert texts == ["a cat", "", "a dog", "a bird"]
    assert [each["inputs"]["conditioning_to_strength"] for each in averages] == pytest.approx([0.625, 0.8])
    assert averages[0]["inputs"]["conditioning_to"] == ["2", 0]
    last = next(key for key, each in nodes.items() if each is averages[1])
    assert nodes["5"]["inputs"]["positive"] == [last, 0]
    assert nodes["5"]["inputs"]["negative"] == ["3", 0]


def test_each_output_of_a_node_is_mixed_with_the_same_output_of_its_copies() -> None:
    info = {**INFO, "Both": {"input": {"required": {"text": ["STRING", {}]}}, "output": ["CONDITIONING"] * 2}}
    nodes = sampling()
    nodes["2"] = node("Both", "Prompts", text="a cat")
    nodes["5"]["inputs"] |= {"positive": ["2", 0], "negative": ["2", 1]}
    found = keyframed(nodes, info, ["Prompts.text"])
    graph, _ = found.graph({"Prompts.text": Mix((("a cat", 0.75), ("a dog", 0.25)))}, "x", {})
    (copy,) = (key for key, each in graph.items() if each["class_type"] == "Both" and key != "2")
    for output, slot in enumerate(("positive", "negative")):
        mixed = graph[graph["5"]["inputs"][slot][0]]
        assert mixed["class_type"] == "ConditioningAverage"
        assert mixed["inputs"]["conditioning_to"] == ["2", output]
        assert mixed["inputs"]["conditioning_from"] == [copy, output]


def test_whole_numbers_are_sent_with_all_their_digits() -> None:
    found = keyframed(sampling(), INFO, ["KSampler.seed", "Positive.text"])
    nodes, _ = found.graph({"KSampler.seed": 2**63 + 1, "Positive.text": 1_234_567_890_123}, "x", {})
    assert nodes["5"]["inputs"]["seed"] == 2**63 + 1
    assert nodes["2"]["inputs"]["text"] == "1234567890123"


def test_pictures_between_two_keyframes_are_blended() -> None:
    found = keyframed(blending(), INFO, ["Photo.image"])
    nodes, _ = found.graph({"Photo.image": Mix((("a.png", 0.75), ("mine.png", 0.25)))}, "x", {"mine.png": "up/1.png"})
    blend = next(key for key, each in nodes.items() if each["inputs"].get("blend_factor") == 0.25)
    assert nodes["3"]["inputs"]["image1"] == [blend, 0]
    assert sorted(each["inputs"]["image"] for each in nodes.values() if each["class_type"] == "LoadImage") == [
        "a.png",
        "up/1.png",
    ]


def test_the_frames_may_be_a_video() -> None:
    nodes = {**blending(), "4": node("CreateVideo", images=["3", 0], fps=8)}
    found = keyframed(nodes, INFO, [], "CreateVideo")
    graph, saving = found.graph({}, "x", {})
    taken = graph[graph[saving]["inputs"]["images"][0]]
    assert (taken["class_type"], taken["inputs"]) == ("GetVideoComponents", {"video": ["4", 0]})


def test_what_all_frames_share_is_known_without_what_keyframes_set() -> None:
    def digest(cfg: float, steps: int, names: list[str]) -> str:
        nodes = sampling()
        nodes["5"]["inputs"] |= {"cfg": cfg, "steps": steps}
        return keyframed(nodes, INFO, names).digest()

    assert digest(3, 4, ["KSampler.cfg"]) == digest(5, 4, ["KSampler.cfg"])
    assert digest(3, 4, ["KSampler.cfg"]) != digest(3, 5, ["KSampler.cfg"])


@pytest.mark.parametrize(
    ("name", "value", "fact"),
    [
        ("KSampler.cfg", 101, "outside of 0 to 100"),
        ("KSampler.cfg", Mix.one("high"), "not a number"),
        ("KSampler.cfg", True, "not a number"),
        ("KSampler.sampler_name", Mix.one("eulr"), "'euler'"),
        ("Positive.text", True, "not a text"),
        ("KSampler.sampler_name", Mix((("euler", 1), ("heun", 1))), 'hold = ["KSampler.sampler_name"]'),
    ],
)
def test_a_value_that_the_server_does_not_take_has_a_note(name: str, value: Any, fact: str) -> None:
    assert fact in problems(keyframed(sampling(), INFO, [name]), {name: value})


def test_a_name_with_the_slashes_of_another_system_is_sent_as_the_server_has_it() -> None:
    nodes = {
        "1": {"class_type": "Load", "inputs": {"name": "a/x.pt"}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }
    info: dict[str, Any] = {
        "Load": {"input": {"required": {"name": [["a\\x.pt", "b/y.pt"]]}}, "output": ["IMAGE"]},
        "PreviewImage": {"input": {"required": {"images": ["IMAGE"]}}, "output": [], "output_node": True},
    }
    found = keyframed(nodes, info, ["Load.name"])
    for name, listed in (("a/x.pt", "a\\x.pt"), ("a\\x.pt", "a\\x.pt"), ("b\\y.pt", "b/y.pt")):
        values = {"Load.name": Mix.one(name)}
        assert list(found.problems(values, ())) == []
        assert found.graph(values, "p", {})[0]["1"]["inputs"]["name"] == listed
    (problem,) = found.problems({"Load.name": Mix.one("flux1-dev.pt")}, ())
    assert problem == "Load.name: the server has no 'flux1-dev.pt'; it has a\\x.pt, b/y.pt"
    (problem,) = found.problems({"Load.name": Mix.one("a/xx.pt")}, ())
    assert "did you mean" not in problem


def test_a_value_that_the_server_takes_is_no_problem() -> None:
    found = keyframed(blending(), INFO, ["Photo.image", "2.color"])
    assert problems(found, {"Photo.image": Mix.one("mine.png"), "2.color": 5.2}) == ""
    assert "mine2.png" in problems(found, {"Photo.image": Mix.one("mine2.png")})


def test_two_texts_of_a_node_are_mixed_alike() -> None:
    nodes = sampling()
    nodes["2"] = node("CLIPTextEncodeSDXL", "Positive", clip=["1", 1], text_g="", text_l="")
    text = ["STRING", {}]
    info = {**INFO, "CLIPTextEncodeSDXL": {"input": {"required": {"text_g": text, "text_l": text}}}}
    info["CLIPTextEncodeSDXL"]["output"] = ["CONDITIONING"]
    found = keyframed(nodes, info, ["Positive.text_g", "Positive.text_l"])
    one, other = Mix((("a", 1), ("b", 1))), Mix((("c", 1), ("d", 3)))
    assert problems(found, {"Positive.text_g": one, "Positive.text_l": one}) == ""
    assert "other weights" in problems(found, {"Positive.text_g": one, "Positive.text_l": other})
    graph, _ = found.graph({"Positive.text_g": one, "Positive.text_l": Mix((("c", 1), ("d", 1)))}, "x", {})
    pairs = [
        (each["inputs"]["text_g"], each["inputs"]["text_l"]) for each in graph.values() if "text_g" in each["inputs"]
    ]
    assert pairs == [("a", "c"), ("b", "d")]


@pytest.mark.parametrize(
    ("names", "output", "fact"),
    [
        (["KSampler.cfgg"], None, '"cfg"'),
        (["Positiv.text"], None, '"Positive"'),
        (["CLIPTextEncode.text"], None, "2, 3"),
        (["KSampler.model"], None, "MODEL"),
        (["KSampler.cfg", "5.cfg"], None, "same input"),
        ([], "KSampler", "neither"),
        ([], "Save", '"SaveImage"'),
    ],
)
def test_an_input_or_an_output_that_is_not_there_has_a_note(names: list[str], output: str | None, fact: str) -> None:
    with pytest.raises(BadInput, match="(?s)" + fact.replace("[", r"\[")):
        keyframed(sampling(), INFO, names, output)


def test_of_several_outputs_one_has_to_be_named() -> None:
    nodes = {**sampling(), "9": node("SaveImage", "Second", images=["10", 0]), "10": node("EmptyImage")}
    with pytest.raises(BadInput, match="Second"):
        keyframed(nodes, INFO, [])
    assert keyframed(nodes, INFO, [], "Second").frames == ("10", 0)
    with pytest.raises(BadInput, match="output"):
        keyframed({"1": node("EmptyImage")}, INFO, [])
