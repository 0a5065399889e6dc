"""What the nodes add to a workflow of a real ComfyUI: CPU time compared with the host's own nodes, and memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.bench.race import Race
from tests.real.comfyui.conftest import started_host
from tests.real.comfyui.graphs import Builder, Link
from tests.real.comfyui.host import Graph, Host

TABLE = "ComfyUI nodes: CPU time compared with the host's own nodes for the same frames"
FRAMES, SIDE, STEPS = 8, 64, 12
ROUNDS = 7
MOST = 1.02

SHORT, LONG = 40, 340
GROWTH = 20
"""MiB that 300 more frames may take: their pictures would be 14, their prompts 135."""
MEMORY = "ComfyUI: peak memory of the server during Remix Render, in MiB"

RECIPE = f"""
frames = {FRAMES}
size = [{SIDE}, {SIDE}]
steps = {STEPS}
[[keyframes]]
prompt = "a red apple SEED"
negative = "the sea SEED"
seed = SEED
[[keyframes]]
prompt = "the sea SEED"
"""
"""Of as many distinct prompts as the host's own workflow; new ones in each round, for both."""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    yield from started_host(tmp_path_factory)


def bare(seed: int) -> Graph:
    """Two prompts, a sampler, a decoder, and the pictures saved."""
    builder = Builder()
    model, clip, vae = builder.checkpoint()
    prompts = [
        builder.add("CLIPTextEncode", clip=clip, text=text)[0] for text in (f"a red apple {seed}", f"the sea {seed}")
    ]
    latent = builder.add("EmptyLatentImage", width=SIDE, height=SIDE, batch_size=FRAMES)[0]
    return _saved(builder, builder.sampled(model, *prompts, latent, seed=seed, steps=STEPS), vae)


def parts(seed: int) -> Graph:
    """The same with prompts and noise that travel."""
    builder = Builder()
    model, clip, vae = builder.checkpoint()
    schedule = builder.recipe(RECIPE.replace("SEED", str(seed)))
    widgets = {"batch_size": 0, "how": "recipe", "lengths": "recipe"}
    prompts = builder.add("RemixPromptTravel", 2, clip=clip, schedule=schedule, **widgets)
    _, latent, noisy = builder.add("RemixNoiseTravel", 3, schedule=schedule, model=model, batch_size=0)
    return _saved(builder, builder.sampled(noisy, *prompts, latent, seed=seed, steps=STEPS), vae)


def render(seed: int, frames: int = FRAMES, steps: int = STEPS) -> Graph:
    """The same by Remix Render: every frame on the disk for good, hashed and noted, and a contact sheet."""
    builder = Builder()
    model, clip, vae = builder.checkpoint()
    text = RECIPE.replace("SEED", str(seed)).replace(f"steps = {STEPS}", f"steps = {steps}")
    schedule = builder.recipe(text, frames=frames)
    wires = {"model": model, "clip": clip, "vae": vae, "schedule": schedule}
    builder.add("RemixRender", **wires, filename_prefix="bench/film", batch_size=FRAMES)
    return builder.graph


def _saved(builder: Builder, latent: Link, vae: Link) -> Graph:
    images = builder.add("VAEDecode", samples=latent, vae=vae)[0]
    builder.add("SaveImage", images=images, filename_prefix="bench/bare")
    return builder.graph


@pytest.mark.parametrize(("what", "graph"), [("Prompt and Noise Travel", parts), ("Remix Render", render)])
def test_the_nodes_add_little(race: Race, host: Host, what: str, graph: Callable[[int], Graph]) -> None:
    spent: dict[str, list[float]] = {"bare": [], "ours": []}

    def run(name: str, made: Callable[[int], Graph]) -> Callable[[int], None]:
        def once(seed: int) -> None:
            before = host.cpu()
            host.run(made(seed))
            spent[name].append(host.cpu() - before)

        return once

    for made in (bare, graph):  # the model is loaded, the prompts encoded
        host.run(made(99))
    race.run(run("ours", graph), {"bare": run("bare", bare)}, range(ROUNDS))
    # The server collects garbage now and then, which costs a third of a second: the best rounds are without.
    ratio = min(spent["ours"]) / min(spent["bare"])
    race.show(TABLE, what, CPU_time=f"{ratio:.3f} times")
    race.show("Summary", f"ComfyUI, {what}", baseline="the host's own nodes", ours=f"{ratio:.3f} times their time")
    assert ratio < MOST


def test_memory_does_not_grow_with_the_length_of_a_film(race: Race, host: Host) -> None:
    most: dict[int, float] = {}

    def measure(run: tuple[int, int]) -> None:
        seed, length = run
        host.run(render(seed, frames=length, steps=1))
        most[length] = max(host.peak(), most.get(length, 0))

    host.run(render(1000, frames=SHORT, steps=1))  # the model is loaded, and what the host keeps of a run is kept
    host.peak()
    # A server's peaks differ by a few MiB from run to run.
    race.run(measure, {}, [(1001, SHORT), (1002, SHORT), (1003, SHORT), (1004, LONG)])
    for length, size in most.items():
        race.show(MEMORY, f"{length} frames of {SIDE}x{SIDE}", peak=f"{size:.0f}")
    growth = most[LONG] - most[SHORT]
    row = f"ComfyUI's memory: Remix Render, {LONG} frames"
    race.show("Summary", row, baseline=f"{SHORT} frames, {most[SHORT]:.0f} MiB", ours=f"{growth:+.0f} MiB")
    assert growth < GROWTH
