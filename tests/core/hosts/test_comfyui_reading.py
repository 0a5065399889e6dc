"""What ComfyUI graphs say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remix.hosts.comfyui.reading import read_prompt, read_workflow


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
    assert found.prompts == tuple(f"t{n}" for n in range(1, 500))
    assert found.settings == {"seed": 0}
    assert read <= 3 * len(graph)


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
