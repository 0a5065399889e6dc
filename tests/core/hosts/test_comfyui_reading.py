"""What ComfyUI graphs say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remix.hosts.comfyui.reading import read_prompt, read_workflow
from remix.hosts.record import Strength


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def test_a_guiders_prompts_are_found() -> None:
    graph = {
        "1": node(
            "SamplerCustomAdvanced",
            noise=["2", 0],
            guider=["3", 0],
            sampler=["4", 0],
            sigmas=["5", 0],
            latent_image=["6", 0],
        ),
        "2": node("RandomNoise", noise_seed=7),
        "3": node("CFGGuider", model=["8", 0], positive=["9", 0], negative=["10", 0], cfg=3.5),
        "4": node("KSamplerSelect", sampler_name="euler"),
        "5": node("BasicScheduler", scheduler="simple", steps=20, denoise=1.0, model=["8", 0]),
        "6": node("EmptySD3LatentImage", width=1024, height=768, batch_size=1),
        "8": node("UNETLoader", unet_name="flux.safetensors"),
        "9": node("FluxGuidance", conditioning=["11", 0], guidance=3.5),
        "10": node("CLIPTextEncode", text="bad", clip=["12", 0]),
        "11": node("CLIPTextEncodeFlux", clip_l="a cat", t5xxl="a fine cat", clip=["12", 0]),
        "12": node("DualCLIPLoader"),
    }
    found = read_prompt(graph)
    assert found is not None
    assert found.prompts == ("a fine cat", "a cat")
    assert found.negatives == ("bad",)
    assert found.settings["noise_seed"] == 7
    assert found.settings["unet_name"] == "flux.safetensors"
    graph["3"] = node("BasicGuider", model=["8", 0], conditioning=["9", 0])
    found = read_prompt(graph)
    assert found is not None
    assert (found.prompts, found.negatives) == (("a fine cat", "a cat"), ())


def test_a_loader_that_encodes_both_prompts_gives_each_on_its_own_side() -> None:
    graph = {
        "1": node("Efficient Loader", ckpt_name="a.safetensors", positive="a cat", negative="bad", batch_size=2),
        "2": node("ControlNetApplyAdvanced", positive=["1", 1], negative=["1", 2]),
        "3": node("KSampler", seed=1, positive=["2", 0], negative=["2", 1], latent_image=["1", 3]),
    }
    found = read_prompt(graph)
    assert found is not None
    assert (found.prompts, found.negatives) == (("a cat",), ("bad",))


def test_settings_of_loaders_that_give_the_latent_too_and_of_video_nodes() -> None:
    loader = node(
        "Efficient Loader",
        **{"ckpt_name": "a.safetensors", "clip_skip": -2, "lora_name": "ink.safetensors", "lora_model_strength": 0.7},
        **{"lora_clip_strength": 1.0, "positive": "a cat", "negative": "bad", "empty_latent_width": 512},
        **{"empty_latent_height": 768, "batch_size": 1},
    )
    links = {"model": ["1", 0], "positive": ["1", 1], "negative": ["1", 2], "latent_image": ["1", 3]}
    found = read_prompt({"1": loader, "2": node("KSampler (Efficient)", seed=1, **links)})
    assert found is not None
    (only,) = found.passes
    assert (only.settings["ckpt_name"], only.settings["width"], only.settings["height"]) == ("a.safetensors", 512, 768)
    assert (only.clip_skip, [(lora.name, lora.strength) for lora in only.loras]) == (2, [("ink.safetensors", 0.7)])
    video = {
        "1": node("WanVideoModelLoader", model="wan.safetensors"),
        "2": node("WanVideoTextEncode", positive_prompt="a cat", negative_prompt="bad"),
        "3": node("WanVideoEmptyEmbeds", width=832, height=480, num_frames=81),
        "4": node("WanVideoSampler", model=["1", 0], text_embeds=["2", 0], image_embeds=["3", 0], seed=5, steps=20),
    }
    found = read_prompt(video)
    assert found is not None
    assert found.settings["unet_name"] == "wan.safetensors"
    assert (found.settings["width"], found.settings["height"]) == (832, 480)


def test_each_node_is_read_a_few_times_however_many_samplers_it_leads_into() -> None:
    read = 0

    class Inputs(dict[str, Any]):
        def items(self) -> Any:
            nonlocal read
            read += 1
            return super().items()

    graph = {
        str(n): node("KSampler", seed=n, text=f"t{n}", positive=[str(n + 1), 0], latent_image=[str(n + 1), 0])
        for n in range(500)
    }
    for each in graph.values():
        each["inputs"] = Inputs(each["inputs"])
    found = read_prompt(graph)
    assert found is not None
    assert found.prompts == tuple(f"t{n}" for n in range(499, 0, -1))  # the first pass first
    assert found.settings == {"seed": 499}
    assert read <= 8 * len(graph)


def test_prompts_that_pass_through_one_node_stay_apart() -> None:
    graph = {
        "1": node("KSampler", positive=["2", 0], negative=["2", 1], latent_image=["5", 0], seed=1),
        "2": node("ControlNetApplyAdvanced", positive=["3", 0], negative=["4", 0], strength=1.0),
        "3": node("CLIPTextEncode", text=["6", 0]),
        "4": node("CLIPTextEncode", text="bad"),
        "5": node("EmptyLatentImage"),
        "6": node("PrimitiveString", value="a cat"),
    }
    found = read_prompt(graph)
    assert found is not None
    assert (found.prompts, found.negatives) == (("a cat",), ("bad",))


def test_a_circle_of_links_ends() -> None:
    graph = {
        "1": node("KSampler", positive=["2", 0], negative=["1", 0], latent_image=["2", 0]),
        "2": node("A", a=["1", 0], text="x"),
    }
    found = read_prompt(graph)
    assert found is not None
    assert found.prompts == ("x",)


def test_a_graph_without_a_sampler_gives_all_its_texts() -> None:
    found = read_prompt({"1": node("CLIPTextEncode", text="x"), "2": node("Any", prompt="y", number=3)})
    assert found is not None
    assert found.prompts == ("x", "y")


@pytest.mark.parametrize("value", [None, 3, "x", [], {}, {"1": 3}, {"1": {"inputs": {}}}, {"1": {"class_type": 3}}])
def test_what_is_no_graph_is_none(value: Any) -> None:
    assert read_prompt(value) is None
    assert read_workflow(value) is None


ids = st.sampled_from(["1", "2", "3"])
links = st.tuples(ids, st.integers(0, 2)).map(list)
odd = st.none() | st.integers() | st.text(max_size=3) | links | st.lists(links | st.integers(), max_size=3)
names = st.sampled_from(["positive", "negative", "guider", "latent_image", "conditioning", "text", "seed", "x"])


@settings(deadline=None)
@given(
    st.dictionaries(
        ids,
        st.fixed_dictionaries(
            {"class_type": st.text(max_size=3) | st.none(), "inputs": st.dictionaries(names, odd) | st.none()}
        )
        | odd,
    )
)
def test_any_graph_is_read_without_an_error(graph: dict[str, Any]) -> None:
    read_prompt(graph)
    read_workflow({"nodes": list(graph.values())})


TWO_PASSES = {
    "8": node(
        "KSamplerAdvanced",
        **{"add_noise": "disable", "noise_seed": 0, "steps": 30, "positive": ["6", 0], "negative": ["7", 0]},
        **{"latent_image": ["10", 0], "model": ["4", 0]},
    ),
    "9": node(
        "KSamplerAdvanced",
        **{"add_noise": "enable", "noise_seed": ["20", 0], "steps": 20, "cfg": ["21", 0], "model": ["3", 0]},
        **{"positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]},
    ),
    "3": node("LoraLoader", lora_name="ink.safetensors", strength_model=0.8, strength_clip=0.5, model=["4", 0]),
    "4": node("CheckpointLoaderSimple", ckpt_name="base.safetensors"),
    "5": node("EmptyLatentImage", width=512, height=768, batch_size=1),
    "6": node("CLIPTextEncodeSDXL", text_g="a cat", text_l=["22", 0], width=4096, height=4096, clip=["15", 0]),
    "7": node("ConditioningZeroOut", conditioning=["6", 0]),
    "10": node("LatentUpscale", samples=["9", 0], width=1024, height=1536),
    "15": node("CLIPSetLastLayer", stop_at_clip_layer=-2, clip=["3", 1]),
    "20": node("PrimitiveInt", value=777),
    "21": node("ComfySwitchNode", switch=["24", 0], on_true=["25", 0], on_false=["26", 0]),
    "22": node("StringConcatenate", string_a="a cat", string_b="on a mat", delimiter=", "),
    "24": node("PrimitiveBoolean", value=False),
    "25": node("PrimitiveFloat", value=9.5),
    "26": node("PrimitiveFloat", value=4.5),
    "30": node("VAEDecode", samples=["8", 0], vae=["31", 0]),
    "31": node("VAELoader", vae_name="fine.safetensors"),
}


def test_passes_come_in_the_order_of_their_latents_with_their_own_settings() -> None:
    found = read_prompt(TWO_PASSES)
    assert found is not None
    first, second = found.passes
    assert (first.node, second.node) == ("9", "8")
    assert first.prompts == second.prompts == ("a cat", "a cat, on a mat")
    assert first.negatives == second.negatives == ()  # an emptied prompt is none
    assert first.settings == {
        **{"noise_seed": 777, "steps": 20, "cfg": 4.5, "ckpt_name": "base.safetensors"},
        **{"width": 512, "height": 768, "batch_size": 1},
    }
    assert (second.settings["noise_seed"], second.settings["steps"]) == (0, 30)
    assert (second.settings["width"], second.settings["vae_name"]) == (1024, "fine.safetensors")
    assert first.loras == (Strength("ink.safetensors", 0.8, 0.5),)
    assert first.clip_skip == 2
    assert first.found["width"] == "5 (EmptyLatentImage)"
    assert found.settings["noise_seed"] == 777


@pytest.mark.parametrize(
    ("changes", "loras"),
    [
        ({"class_type": "LoraLoaderModelOnly"}, (Strength("ink.safetensors", 0.8, 0.5),)),
        (
            node(
                "Power Lora Loader (rgthree)",
                lora_1={"on": True, "lora": "a", "strength": 0.7},
                lora_2={"on": False, "lora": "b", "strength": 1},
                lora_3={"on": True, "lora": "c", "strength": 0.2, "strengthTwo": 0.1},
                model=["4", 0],
            ),
            (Strength("a", 0.7), Strength("c", 0.2, 0.1)),
        ),
        (
            node("LoRA Stacker", lora_name_1="a", lora_wt_1=0.6, lora_name_2="None", lora_wt_2=1.0, model=["4", 0]),
            (Strength("a", 0.6),),
        ),
    ],
)
def test_loras_are_found_in_loaders_of_several_packs(changes: dict[str, Any], loras: tuple[Strength, ...]) -> None:
    found = read_prompt({**TWO_PASSES, "3": {**TWO_PASSES["3"], **changes}})
    assert found is not None
    assert found.passes[0].loras == loras


def test_a_controlnet_has_its_strength() -> None:
    net = node("ControlNetApplyAdvanced", positive=["6", 0], negative=["7", 0], control_net=["41", 0], strength=0.6)
    graph = {**TWO_PASSES, "40": net, "41": node("ControlNetLoader", control_net_name="canny.safetensors")}
    graph["9"] = node("KSampler", seed=1, positive=["40", 0], negative=["40", 1], latent_image=["5", 0])
    found = read_prompt(graph)
    assert found is not None
    assert found.passes[0].controlnets == (Strength("canny.safetensors", 0.6),)
    assert found.passes[0].prompts == ("a cat", "a cat, on a mat")


@pytest.mark.parametrize(
    ("sampler", "encoder", "prompts", "negatives"),
    [
        (
            node("DualCFGGuider", cond1=["6", 0], cond2=["7", 0], negative=["8", 0]),
            node("CLIPTextEncode", text="a cat"),
            ("a cat", "a hat"),
            ("bad",),
        ),
        (
            node("UltimateSDUpscale", image=["5", 0], model=["4", 0], positive=["6", 0], negative=["8", 0], seed=3),
            node("ImpactWildcardEncode", populated_text="a cat", wildcard_text="{a|b}"),
            ("a cat",),
            ("bad",),
        ),
        (
            node("WanVideoSampler", model=["4", 0], text_embeds=["6", 0], seed=3),
            node("WanVideoTextEncode", positive_prompt="a cat", negative_prompt="bad"),
            ("a cat",),
            ("bad",),
        ),
        (
            node("FaceDetailer", image=["5", 0], model=["4", 0], positive=["6", 0], negative=["8", 0], seed=3),
            node("CLIPTextEncode", text=["9", 0]),
            ("shown",),
            ("bad",),
        ),
    ],
)
def test_prompts_are_found_in_nodes_of_several_packs(
    sampler: dict[str, Any], encoder: dict[str, Any], prompts: tuple[str, ...], negatives: tuple[str, ...]
) -> None:
    graph = {
        "1": sampler,
        "4": node("CheckpointLoaderSimple", ckpt_name="x"),
        "5": node("LoadImage", image="x.png"),
        "6": encoder,
        "7": node("CLIPTextEncode", text="a hat"),
        "8": node("CLIPTextEncode", text="bad"),
        "9": node("ShowText|pysssss", text=["99", 0], text_0="shown"),
    }
    if sampler["class_type"] == "DualCFGGuider":
        graph["2"] = node("SamplerCustomAdvanced", guider=["1", 0], noise=["3", 0], latent_image=["5", 0])
        graph["3"] = node("RandomNoise", noise_seed=3)
    found = read_prompt(graph)
    assert found is not None
    (only,) = found.passes
    assert (only.prompts, only.negatives) == (prompts, negatives)
    assert 3 in only.settings.values()
