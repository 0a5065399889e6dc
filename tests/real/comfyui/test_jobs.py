"""On a real ComfyUI: what makes two renders one job, and what an edited workflow takes over from the one before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix.motion import save_picture
from tests.real.comfyui.films import name, pictures, rendering, text
from tests.real.comfyui.graphs import Builder, Link
from tests.real.comfyui.host import Graph, Host
from tests.real.loras import write_lora

LAYERS = {
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_out_0": 320,
    "lora_te_text_model_encoder_layers_0_self_attn_q_proj": 768,
}


def folders(host: Host, prefix: str) -> list[Path]:
    return sorted((host.output / prefix).parent.iterdir())


def times(jobs: list[Path]) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for job in jobs for path in (job / "frames").iterdir()}


def with_lora(prefix: str, strength: float | None) -> Graph:
    """Two frames with a LoRA: of one strength, or of eight from 0 to 1."""
    builder = Builder()
    model, clip, vae = builder.checkpoint()
    given: Link | float | None = strength
    if strength is None:
        given = builder.add("TestRamp", count=8)[0]
    strengths = {"strength_model": given, "strength_clip": given}
    model, clip = builder.add("LoraLoader", 2, model=model, clip=clip, lora_name="jobs.safetensors", **strengths)
    schedule = builder.recipe(text(2))
    wires = {"model": model, "clip": clip, "vae": vae, "schedule": schedule}
    builder.add("RemixRender", **wires, filename_prefix=prefix, batch_size=2)
    return builder.graph


def test_strengths_from_a_list_are_eight_jobs_and_the_same_ones_after_a_restart(host: Host) -> None:
    (host.base / "models" / "loras").mkdir(exist_ok=True)
    write_lora(host.base / "models" / "loras" / "jobs.safetensors", LAYERS, 0.5)
    prefix = name("strengths")
    host.run(with_lora(prefix, None))
    jobs = folders(host, prefix)
    assert len(jobs) == 8
    films = [pictures(job) for job in jobs]
    assert all(not np.array_equal(films[a], films[b]) for a in range(8) for b in range(a))
    for strength in (0.0, 1.0):
        alone = name("strength")
        host.run(with_lora(alone, strength))
        (job,) = folders(host, alone)
        assert any(np.array_equal(film, pictures(job)) for film in films)
    before = times(jobs)
    host.stop()
    host.start()
    host.run(with_lora(prefix, None))
    assert times(folders(host, prefix)) == before


PICTURED = text(2).replace('prompt = "a red apple"', 'prompt = "a red apple"\nimage = "replaced.png"\ndenoise = 0.5')


def wired(prefix: str) -> Graph:
    """The recipe comes over a wire, so that its pictures are not known when the host looks what has changed."""
    builder = rendering(PICTURED, prefix)
    written = builder.add("PrimitiveStringMultiline", value=PICTURED)[0]
    builder.graph["2"]["inputs"]["recipe"] = written
    return builder.graph


@pytest.mark.parametrize("way", ["widget", "wire"])
def test_a_picture_that_is_replaced_under_its_name_renders_again(host: Host, way: str) -> None:
    def run(level: int) -> None:
        save_picture(host.base / "input" / "replaced.png", np.full((64, 64, 3), level, np.uint8))
        host.run(wired(prefix) if way == "wire" else rendering(PICTURED, prefix).graph)

    prefix = name("replaced")
    run(40)
    (first,) = folders(host, prefix)
    before = times([first])
    run(200)
    assert len(folders(host, prefix)) == 2
    (second,) = set(folders(host, prefix)) - {first}
    assert pictures(second).mean() > pictures(first).mean() + 20
    run(40)
    assert len(folders(host, prefix)) == 2
    assert times([first]) == before


def at(prompts: dict[int, str], frames: int) -> str:
    keyframes = "".join(f'[[keyframes]]\nat = {frame}\nprompt = "{prompt}"\n' for frame, prompt in prompts.items())
    return f"frames = {frames}\nsize = [64, 64]\nsteps = 3\n{keyframes}"


BASE = {0: "a red apple", 4: "the sea"}


def test_another_rate_is_the_same_job(host: Host) -> None:
    prefix = name("rate")
    host.run(rendering(at(BASE, 5), prefix).graph)
    before = times(folders(host, prefix))
    changed = rendering(at(BASE, 5), prefix)
    changed.graph["2"]["inputs"]["fps"] = 25.0
    host.run(changed.graph)
    assert len(before) == 5
    assert times(folders(host, prefix)) == before


@pytest.mark.parametrize(
    ("prompts", "frames", "kept"),
    [
        ({**BASE, 5: "a tree"}, 6, 5),
        ({0: "a red apple", 4: "a tree"}, 5, 1),
        ({0: "x", 1: "a red apple", 5: "the sea"}, 6, 5),
    ],
    ids=["longer", "edited", "one in front"],
)
def test_an_edit_renders_what_is_new_alone(host: Host, prompts: dict[int, str], frames: int, kept: int) -> None:
    prefix, fresh = name("edited"), name("fresh")
    host.run(rendering(at(BASE, 5), prefix, 1).graph)
    (before,) = folders(host, prefix)
    host.run(rendering(at(prompts, frames), prefix, 1).graph)
    (after,) = set(folders(host, prefix)) - {before}
    assert f"{after}: took {kept} of {frames} frames from {before.name}" in host.log
    host.run(rendering(at(prompts, frames), fresh, 1).graph)
    assert np.array_equal(pictures(after), pictures(folders(host, fresh)[0]))


def test_a_patch_that_changes_while_it_works_does_not_change_the_job(host: Host) -> None:
    """EasyCache keeps what the steps before gave, in an object that its wrappers close over."""

    def graph(prefix: str, threshold: float) -> Graph:
        builder = rendering(text(2), prefix)
        widgets: dict[str, Any] = {"reuse_threshold": threshold, "start_percent": 0.1, "end_percent": 0.9}
        cached = builder.add("EasyCache", model=["1", 0], verbose=False, **widgets)[0]
        builder.graph["3"]["inputs"]["model"] = cached
        return builder.graph

    prefix = name("cache")
    host.run(graph(prefix, 0.2))
    host.run(graph(prefix, 0.3))
    (job, other) = folders(host, prefix)
    before = times([job, other])
    next((job / "frames").iterdir()).unlink()
    host.run(graph(prefix, 0.2))
    host.run(graph(prefix, 0.3))
    assert set(times(folders(host, prefix))) == set(before)


def test_an_unfinished_job_of_almost_the_same_model_is_named_on_the_node(host: Host) -> None:
    def run(prefix: str, multiplier: float, **widgets: int) -> list[str]:
        builder = rendering(text(2), prefix)
        (patched,) = builder.add("RescaleCFG", model=["1", 0], multiplier=multiplier)
        builder.graph["3"]["inputs"] |= {"model": patched, **widgets}
        return list(host.run(builder.graph)["3"].get("remarks", []))

    prefix = name("almost")
    assert run(prefix, 0.5, count=1) == []
    (job,) = folders(host, prefix)
    (remark,) = run(prefix, 0.75)
    assert f"although {job} is unfinished and has 1 of these frames" in remark
    assert len(folders(host, prefix)) == 2
