"""One result for every tool, and the recipe that it makes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from remix.errors import RecipeError
from remix.hosts.readers import read_origin
from remix.hosts.record import Sampling, Strength
from remix.hosts.remaking import recipe_of_origin
from remix.plan import Mix
from tests.core.hosts.metadata_corpus import (
    CASES,
    COMMON,
    NEGATIVE,
    NOVELAI_TEXTS,
    PROMPT,
    TAGGED,
    Case,
    infotext,
    node,
)


def first(texts: dict[str, str]) -> Sampling:
    origin = read_origin(texts)
    assert origin is not None
    return origin.passes[0]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_every_tool_gives_the_same_record(case: Case) -> None:
    origin = read_origin(case.texts)
    assert origin is not None
    assert origin.tool == case.tool
    one = origin.passes[0]
    expected = {"prompts": (PROMPT,), "negatives": (NEGATIVE,), **COMMON, **case.fields}
    assert {name: getattr(one, name) for name in expected} == expected
    assert tuple((lora.name, lora.strength) for lora in one.loras) == case.loras
    assert {"seed", "steps", "cfg"} <= one.found.keys()
    assert all(one.found.values())


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_every_record_makes_a_recipe(case: Case) -> None:
    origin = read_origin(case.texts)
    assert origin is not None
    recipe, notes = recipe_of_origin(origin)
    assert (recipe.frames, recipe.steps, recipe.cfg, recipe.width, recipe.height) == (1, 25, 6.5, 832, 1216)
    key = recipe.keyframes[0]
    prompt = PROMPT + " " if case.fields.get("prompts") == (TAGGED,) else PROMPT
    assert (key.prompt, key.negative, key.seed) == (Mix.one(prompt), Mix.one(NEGATIVE), Mix.one(4711))
    assert tuple((lora.name, lora.strength) for lora in recipe.model.loras) == case.loras
    assert [lora.in_text for lora in recipe.model.loras] == [
        lora.strength if lora.text is None else lora.text for lora in origin.passes[0].loras
    ]
    if "model" in case.fields:
        assert recipe.model.checkpoint == case.fields["model"]
    else:
        assert any("the model is unknown" in note for note in notes)
    if case.names[0] == "k_dpmpp_2":
        assert any("'k_dpmpp_2' has no name in a recipe" in note for note in notes)
    else:
        assert (recipe.sampler, recipe.scheduler) == (case.names[0], case.names[1] or "normal")


def test_controlnets_have_their_strengths_and_are_noted() -> None:
    for name in ("a1111 controlnet", "swarmui", "invokeai", "draw things"):
        origin = read_origin(CASES[name].texts)
        assert origin is not None
        (control,) = origin.passes[0].controlnets
        assert (control.name.removesuffix(".ckpt"), control.strength) == ("canny", 0.6)
        assert any("ControlNet" in note for note in recipe_of_origin(origin)[1])


def test_the_high_resolution_fix_is_a_second_pass() -> None:
    more = "Denoising strength: 0.4, Hires upscale: 1.5, Hires steps: 10, Hires upscaler: Latent, Version: v1.10.1"
    origin = read_origin({"parameters": infotext(more)})
    assert origin is not None
    before, after = origin.passes
    assert (before.denoise, before.width) == (None, 832)
    assert (after.denoise, after.steps, after.width, after.height) == (0.4, 10, 1248, 1824)
    assert (after.seed, after.sampler, after.prompts) == (4711, "DPM++ 2M", (PROMPT,))
    assert after.other == {"Hires upscaler": "Latent", "Hires upscale": "1.5"}
    assert (
        "a later pass has no place in a recipe: parameters: Hires, 1248x1824, denoise 0.4"
        in recipe_of_origin(origin)[1]
    )


def test_passes_of_a_graph_are_in_their_order_with_the_nodes_of_their_values() -> None:
    same = {"model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0]}
    graph = {
        "8": node("KSampler", seed=9, steps=5, denoise=0.5, latent_image=["3", 0], **same),
        "3": node("KSampler", seed=["11", 0], steps=20, latent_image=["5", 0], **same),
        "4": node("CheckpointLoaderSimple", ckpt_name="a.safetensors"),
        "5": node("EmptyLatentImage", width=512, height=768, batch_size=1),
        "6": node("CLIPTextEncode", text="a cat", clip=["4", 1]),
        "7": node("CLIPTextEncode", text="bad", clip=["4", 1]),
        "11": node("PrimitiveInt", value=4711),
    }
    origin = read_origin({"prompt": json.dumps(graph)})
    assert origin is not None
    assert [(one.place, one.seed) for one in origin.passes] == [("node 3 (KSampler)", 4711), ("node 8 (KSampler)", 9)]
    assert origin.passes[0].found["model"] == "node 4 (CheckpointLoaderSimple)"
    assert origin.passes[0].found["width"] == "node 5 (EmptyLatentImage)"


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a <lora:x:0.5> b", [Strength("x", 0.5)]),
        ("<lora:x>", [Strength("x", 1.0)]),
        ("<lyco:x:te=0.5:unet=0.8>", [Strength("x", 0.8, 0.5)]),
        ("<lora:x:0.5:0.8>", [Strength("x", 0.8, 0.5)]),
        ("<lora:x:0.5><lora:x:0.7>", [Strength("x", 1.2)]),
        ("<lora:x:strong>", []),
        ("<lora:x:inf> <hypernet:y:1>", []),
    ],
)
def test_tags_of_loras(prompt: str, expected: list[Strength]) -> None:
    assert list(first({"parameters": infotext(prompt=prompt)}).loras) == expected


@pytest.mark.parametrize(
    ("field", "value"),
    [("seed", True), ("seed", 2**70), ("seed", "9" * 100), ("steps", 2.5), ("steps", None), ("cfg_scale", "NaN")],
)
def test_values_of_other_kinds_are_unknown(field: str, value: Any) -> None:
    data = {"positive_prompt": "a", field: value}
    one = first({"invokeai_metadata": json.dumps(data)})
    assert getattr(one, field.removesuffix("_scale")) is None


@pytest.mark.parametrize(
    "texts",
    [
        {},
        {"comment": "made on a rainy day"},
        {"comment": '{"a": 1}'},
        {"parameters": "a cat"},
        {"parameters": "{}"},
        {"software": "Adobe Photoshop"},
        {"xml:com.adobe.xmp": "<xmp:CreatorTool>Draw Things</xmp:CreatorTool>"},
        {"prompt": "a cat", "seed": "1"},
        {"dream": ""},
    ],
)
def test_texts_without_signs_are_of_no_tool(texts: dict[str, str]) -> None:
    assert read_origin(texts) is None


def test_what_a_recipe_cannot_say_is_noted() -> None:
    origin = read_origin(NOVELAI_TEXTS)
    assert origin is not None
    assert "there are 2 texts of the prompt; the recipe has the first" in recipe_of_origin(origin)[1]
    origin = read_origin({"parameters": infotext("Denoising strength: 0.5, Model: a").replace("832x1216", "830x99999")})
    assert origin is not None
    recipe, notes = recipe_of_origin(origin)
    assert recipe.width == 512
    assert any("the size 830x99999 is not one of a recipe" in note for note in notes)
    assert any("denoise was 0.5; add the picture" in note for note in notes)


def test_prompts_are_passed_on_as_they_are() -> None:
    origin = read_origin({"parameters": infotext(prompt="a `fox` (in snow:1.2)")})
    assert origin is not None
    recipe, _ = recipe_of_origin(origin)
    assert recipe.keyframes[0].prompt == Mix.one("a ``fox`` (in snow:1.2)")
    assert recipe.emphasis == "a1111"


def test_a_graph_without_a_pass_makes_no_recipe() -> None:
    origin = read_origin({"prompt": json.dumps({"1": node("SaveImage", images=["2", 0])})})
    assert origin is not None
    with pytest.raises(RecipeError, match="ComfyUI made it, but its metadata has no sampling pass"):
        recipe_of_origin(origin)
