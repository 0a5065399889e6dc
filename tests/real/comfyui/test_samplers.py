"""On a real ComfyUI: the catalog names its samplers and schedulers, and frames of a batch are those of single runs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from remix.catalog.rows import COMFYUI
from remix.catalog.samplers import SAMPLERS, Sampler
from remix.catalog.schedulers import SCHEDULERS
from tests.real.comfyui.films import folder, name, pictures, recipe, rendering, saved, text
from tests.real.comfyui.graphs import Builder, Link
from tests.real.comfyui.host import Failed, Host

HERE = [row for row in SAMPLERS.values() if COMFYUI in row.hosts]
STEPS = 6
"""As many as the multistep samplers need to reach their full order."""


def test_the_catalog_has_what_the_host_lists(host: Host) -> None:
    inputs = host.get("/object_info/KSampler")["KSampler"]["input"]["required"]
    assert set(inputs["sampler_name"][0]) == {row.name for row in HERE}
    assert set(inputs["scheduler"][0]) == {row.name for row in SCHEDULERS.values() if COMFYUI in row.hosts}


@pytest.mark.parametrize("sampler", [row for row in HERE if not row.one_at_a_time], ids=lambda row: row.name)
def test_a_batch_of_frames_is_as_many_single_runs(host: Host, sampler: Sampler) -> None:
    """Each frame has its own prompt and noise, that of the steps included, whatever frames are sampled with it.

    The seed of the sampler node, another one for each batch, changes nothing.
    """
    found = _travel(host, sampler, batch_sizes=(0, 1))
    whole, alone = found["batch_0"], found["batch_1"]
    assert bool(whole.isfinite().all())
    # Matrix products of another size round differently.
    assert (whole - alone).abs().max() < 1e-3 * whole.abs().max()
    assert (whole[0] - whole[1]).abs().max() > 0.1


def test_the_recorded_samplers_of_flows_are_the_hosts(host: Host) -> None:
    """Those that the local engine's samplers are compared with. REMIX_RECORD=1 records them again."""
    builder = Builder()
    builder.add("TestFlowSamplers")
    found = host.run(builder.graph)["1"]["text"][0]
    recorded = Path(__file__).parents[2] / "client" / "local" / "flow_samplers.json"
    if os.environ.get("REMIX_RECORD"):
        recorded.write_text(f"{found}\n", encoding="utf-8")
    made, before = (json.loads(text) for text in (found, recorded.read_text(encoding="utf-8")))
    for part in ("samplers", "added_samplers"):
        assert made[part].keys() == before[part].keys()
        for sampler, values in made[part].items():
            np.testing.assert_allclose(values, before[part][sampler], atol=1e-6, err_msg=sampler)


def test_a_sampler_that_looks_at_the_whole_batch_renders_frame_by_frame(host: Host) -> None:
    # Without guidance, and with a high lowest noise level, the sampler needs few steps.
    film = text(2, sampler="dpm_adaptive", steps=2, size=32, cfg=1).replace("cfg = 7", "cfg = 1")
    film = film.replace("[[keyframes]]", 'scheduler = "sgm_uniform"\n[[keyframes]]', 1)
    together, alone = (_rendered(host, film, size) for size in (2, 1))
    assert abs(together.astype(int) - alone).max() <= 1
    with pytest.raises(
        Failed, match="dpm_adaptive: chooses its steps by all 4 pictures of a batch; set batch_size to 1"
    ):
        _travel(host, SAMPLERS["dpm_adaptive"], batch_sizes=(0,))


@pytest.mark.parametrize("sampler", ["res_multistep", "uni_pc_bh2", "dpmpp_2m_sde_gpu", "dpmpp_sde", "seeds_3"])
def test_remix_render_takes_samplers_that_only_this_host_has(host: Host, sampler: str) -> None:
    film = text(3, sampler=sampler, steps=STEPS)
    together, alone = (_rendered(host, film, size) for size in (3, 1))
    assert abs(together.astype(int) - alone).max() <= 2


@pytest.mark.parametrize("scheduler", [row.name for row in SCHEDULERS.values() if COMFYUI in row.hosts])
def test_remix_render_takes_every_scheduler_of_the_host(host: Host, scheduler: str) -> None:
    film = text(2, steps=4).replace("[[keyframes]]", f'scheduler = "{scheduler}"\n[[keyframes]]', 1)
    assert _rendered(host, film, 2).std() > 1


def test_what_the_host_lacks_is_refused_with_the_nearest(host: Host) -> None:
    with pytest.raises(Failed, match="sampler: this ComfyUI does not have 'restart'; use \"heun\""):
        _rendered(host, text(2, sampler="restart"), 1)


def _rendered(host: Host, film: str, batch_size: int) -> np.ndarray:
    prefix = name("samplers")
    host.run(rendering(film, prefix, batch_size).graph)
    return pictures(folder(host, prefix))


def _travel(host: Host, sampler: Sampler, batch_sizes: tuple[int, ...]) -> dict[str, torch.Tensor]:
    """The latents of a film that travels between two prompts and two seeds, sampled in batches of these sizes."""
    builder = Builder()
    model, clip, _ = builder.checkpoint()
    schedule = builder.recipe(recipe(seed=9))
    sampled: dict[str, Link] = {}
    for size in batch_sizes:
        shared = {"schedule": schedule, "batch_size": size}
        prompts = builder.add("RemixPromptTravel", 2, clip=clip, how="recipe", lengths="recipe", **shared)
        _, latent, noisy = builder.add("RemixNoiseTravel", 3, model=model, **shared)
        how = {"seed": 100 + len(sampled), "steps": STEPS, "sampler_name": sampler.name}
        sampled[f"batch_{size}"] = builder.sampled(noisy, *prompts, latent, **how)
    return saved(host, builder, sampled)
