"""Settings of one tool in the form of another, and the notes on what is lost."""

from __future__ import annotations

import time
from typing import Any

import pytest

from remix.errors import RecipeError
from remix.hosts.a1111.infotext import parse_infotext
from remix.hosts.a1111.origin import origin_of
from remix.hosts.comfyui.origin import read
from remix.hosts.converting import Available, graph_of_origin, infotext_of_origin
from remix.hosts.record import Origin, Texts
from tests.core.hosts.metadata_corpus import CASES

PLAIN = (
    "a fox <lora:ink:0.8>\nNegative prompt: blur\nSteps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, "
)
PLAIN += "Seed: 4711, Size: 832x1216, Model: fox, VAE: kl.safetensors, Clip skip: 2, RNG: CPU, Version: v1.10.1"
SERVER = Available({"checkpoint": ["sdxl/fox.safetensors"], "lora": ["ink.safetensors"], "vae": ["kl.safetensors"]})


def a1111(text: str) -> Origin:
    return origin_of(parse_infotext(text))


def inputs(nodes: dict[str, dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [node["inputs"] for node in nodes.values() if node["class_type"] == kind]


def comfyui(nodes: Any) -> Origin:
    import json

    origin = read(Texts({"prompt": json.dumps(nodes)}))
    assert origin is not None
    return origin


def test_an_infotext_becomes_a_graph_without_a_loss() -> None:
    nodes, notes = graph_of_origin(a1111(PLAIN), SERVER)
    assert notes == []
    assert [each["text"] for each in inputs(nodes, "CLIPTextEncode")] == ["a fox", "blur"]
    (sampler,) = inputs(nodes, "KSampler")
    wanted = {"seed": 4711, "steps": 20, "cfg": 6.5, "sampler_name": "dpmpp_2m", "scheduler": "karras", "denoise": 1.0}
    assert {name: sampler[name] for name in wanted} == wanted
    assert inputs(nodes, "CheckpointLoaderSimple") == [{"ckpt_name": "sdxl/fox.safetensors"}]
    (lora,) = inputs(nodes, "LoraLoader")
    assert (lora["lora_name"], lora["strength_model"], lora["strength_clip"]) == ("ink.safetensors", 0.8, 0.8)
    assert inputs(nodes, "CLIPSetLastLayer")[0]["stop_at_clip_layer"] == -2
    assert inputs(nodes, "VAELoader") == [{"vae_name": "kl.safetensors"}]


def test_there_and_back_the_settings_are_the_same() -> None:
    nodes, _ = graph_of_origin(a1111(PLAIN), SERVER)
    text, notes = infotext_of_origin(comfyui(nodes))
    assert notes == []
    before, after = (a1111(each).passes[0] for each in (PLAIN, text))
    for name in ("seed", "steps", "cfg", "sampler", "scheduler", "width", "height", "clip_skip", "negatives"):
        assert getattr(after, name) == getattr(before, name), name
    assert after.prompts == before.prompts
    assert after.model == "fox"


def test_the_second_pass_of_the_high_resolution_fix_is_a_second_sampler() -> None:
    text = PLAIN + ", Denoising strength: 0.6, Hires upscale: 1.5, Hires steps: 10, Hires upscaler: Latent (bicubic)"
    nodes, notes = graph_of_origin(a1111(text), SERVER)
    assert notes == []
    (scaled,) = inputs(nodes, "LatentUpscale")
    assert (scaled["width"], scaled["height"], scaled["upscale_method"]) == (1248, 1824, "bicubic")
    second = inputs(nodes, "KSampler")[1]
    assert (second["steps"], second["denoise"]) == (10, 0.6)  # both do all of them, of a longer schedule
    back, notes = infotext_of_origin(comfyui(nodes))
    assert "Hires steps: 10" in back
    assert len(notes) == 1


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        (("RNG: CPU, ", ""), "GPU"),
        (("a fox", "a (fox:1.3) cat"), "another rule"),
        (("a fox", "a [fox:cat:0.5]"), "no effect"),
        (("a fox", "a fox AND a cat"), "no effect"),
        (("RNG: CPU", "RNG: CPU, Tiling: True"), "Tiling"),
        (("RNG: CPU", 'RNG: CPU, ControlNet 0: "Model: canny, Weight: 1"'), "ControlNet"),
        (("RNG: CPU", "RNG: CPU, Denoising strength: 0.4"), "began with"),
        (("Model: fox", "Model: wolf"), "no files called 'wolf'"),
        (("DPM++ 2M,", "Nobody's sampler,"), "Nobody's sampler"),
        (("Seed: 4711, Size: 832x1216", "Seed: 4711"), "size is unknown"),
    ],
)
def test_every_loss_of_an_infotext_has_a_note(change: tuple[str, str], fact: str) -> None:
    text = PLAIN.replace(*change)
    assert text != PLAIN
    assert any(fact in note for note in graph_of_origin(a1111(text), SERVER)[1])


def test_a_hostile_prompt_is_converted_at_once() -> None:
    start = time.thread_time()
    graph_of_origin(a1111(PLAIN.replace("a fox", "[" + ":" * 40_000)), SERVER)
    assert time.thread_time() - start < 1  # three seconds if its time grows with the square of the length


def test_the_losses_of_a_graph_have_notes() -> None:
    nodes, _ = graph_of_origin(a1111(PLAIN), SERVER)
    for node in nodes.values():
        if node["class_type"] == "LoraLoader":
            node["inputs"]["strength_clip"] = 0.3
        if node["inputs"].get("text") == "a fox":
            node["inputs"]["text"] = "a (fox:1.3) cat"
        if node["class_type"] == "KSampler":
            node["inputs"] |= {"sampler_name": "ddpm", "denoise": 0.5}
    text, found = infotext_of_origin(comfyui(nodes))
    notes = "\n".join(found)
    for fact in ("another rule", "began with a picture"):
        assert fact in notes
    assert "<lora:ink:0.3:0.8>" in text


def test_files_of_a_server_that_is_not_asked_are_guessed_with_a_note() -> None:
    nodes, notes = graph_of_origin(a1111(PLAIN))
    assert inputs(nodes, "CheckpointLoaderSimple") == [{"ckpt_name": "fox.safetensors"}]
    assert len(notes) == 2


def test_the_bundled_model_has_a_node() -> None:
    nodes, _ = graph_of_origin(a1111(PLAIN.replace("Model: fox", "Model: playground")), SERVER)
    assert inputs(nodes, "RemixPlayground") == [{}]


@pytest.mark.parametrize("name", CASES)
def test_the_settings_of_every_tool_become_a_graph_and_an_infotext(name: str) -> None:
    from remix.hosts.readers import read_origin

    origin = read_origin(Texts(CASES[name].texts))
    assert origin is not None
    nodes, _ = graph_of_origin(origin)
    assert inputs(nodes, "SaveImage")
    assert infotext_of_origin(origin)[0]


def test_a_tool_without_a_pass_is_refused() -> None:
    with pytest.raises(RecipeError, match="no sampling pass"):
        graph_of_origin(Origin("comfyui", "ComfyUI"))
