"""What the client adds on a real ComfyUI: CPU time, compared with plain API calls for the same frames."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from remix.client import ComfyUI
from remix.engine import render
from remix.plan import Keyframe, Model, Recipe
from tests.bench.race import Race, now
from tests.real.comfyui.conftest import started_host
from tests.real.comfyui.graphs import Builder
from tests.real.comfyui.host import CHECKPOINT, Host

TABLE = "ComfyUI client: CPU time of client and server compared with plain API calls"
FRAMES, SIDE, STEPS, BATCH = 32, 64, 16, 8
ROUNDS = 3
MOST = 1.03


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    yield from started_host(tmp_path_factory)


def recipe(word: str) -> Recipe:
    keyframes = (Keyframe(at=0, prompt=f"a red {word}", seed=1), Keyframe(at="100%", prompt=f"a blue {word}", seed=2))
    return Recipe(frames=FRAMES, keyframes=keyframes, width=SIDE, height=SIDE, steps=STEPS, model=Model(CHECKPOINT))


def raw(host: Host, word: str, folder: Path) -> None:
    """One prompt for all frames, a look each second whether it is done, and each picture fetched to a file."""
    builder = Builder()
    model, clip, vae = builder.checkpoint()
    schedule = builder.recipe(recipe(word).replace(model=Model()).to_json())
    part = {"filename_prefix": "bench/raw", "batch_size": BATCH, "first": 0, "count": FRAMES}
    builder.add("RemixRender", model=model, clip=clip, vae=vae, schedule=schedule, **part)
    prompt, session = host.queue(builder.graph), requests.Session()
    while not (entry := session.get(f"{host.url}/history/{prompt}", timeout=60).json()):
        time.sleep(1)
    (images,) = [output["images"] for node, output in entry[prompt]["outputs"].items() if node == "3"]
    for image in images:
        folder.joinpath(image["filename"]).write_bytes(
            session.get(f"{host.url}/view", params=image, timeout=60).content
        )
    assert len(images) == FRAMES


def ours(host: Host, word: str, folder: Path) -> None:
    """A whole job: chunks, progress, every picture checked, written for good and noted."""
    outcome = render(recipe(word), ComfyUI(host.url, batch=BATCH), folder, film=None, frames=range(FRAMES))
    assert outcome.rendered == FRAMES


def test_the_client_adds_little(race: Race, host: Host) -> None:
    spent: dict[str, list[float]] = {"raw": [], "ours": []}

    def run(name: str, way: Callable[[Host, str, Path], None]) -> Callable[[int], None]:
        def once(number: int) -> None:
            with tempfile.TemporaryDirectory() as folder:
                before = host.cpu() + now().cpu
                way(host, f"{name} {number}", Path(folder))
                spent[name].append(host.cpu() + now().cpu - before)

        return once

    for name, way in (("raw", raw), ("ours", ours)):  # the model is loaded
        run(name, way)(-1)
    spent["raw"].clear()
    spent["ours"].clear()
    race.run(run("ours", ours), {"raw": run("raw", raw)}, range(ROUNDS))
    # The server collects garbage now and then: the best rounds are without.
    ratio = min(spent["ours"]) / min(spent["raw"])
    race.show(TABLE, f"{FRAMES} frames of {SIDE}x{SIDE}, {STEPS} steps", CPU_time=f"{ratio:.3f} times")
    race.show(
        "Summary",
        "ComfyUI client",
        baseline="plain API calls for the same frames",
        ours=f"{ratio:.3f} times their time",
    )
    assert ratio < MOST
