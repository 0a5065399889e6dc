"""What the client adds to bare calls of a real A1111's API: processor time, the server's and the client's together."""

from __future__ import annotations

import base64
import io
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from PIL import Image

from remix.client.a1111 import A1111, plain, scripted
from remix.client.a1111.settings import overrides
from remix.client.a1111.stock import choose
from remix.job import render
from remix.plan import Recipe, plan
from tests.bench.race import Race, now
from tests.real.a1111.conftest import started_host
from tests.real.a1111.host import Host

TABLE = "A1111: processor time beside bare calls of its API for the same frames"
FRAMES, SIDE, STEPS = 16, 64, 8
ROUNDS = 3
MOST = 1.03


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    yield from started_host(tmp_path_factory)


def recipe(seed: int) -> Recipe:
    """Frames whose guidance travels, which the API can do by itself."""
    keyframes: Any = [{"prompt": "a red apple", "negative": "blue", "seed": seed, "cfg": 4}, {"cfg": 8}]
    size = [SIDE, SIDE]
    return Recipe.from_dict(
        {"frames": FRAMES, "size": size, "steps": STEPS, "model": "both-sd15", "keyframes": keyframes}
    )


def bare(host: Host, folder: Path) -> Callable[[int], None]:
    """Each frame by one call, its picture decoded and written."""

    def run(seed: int) -> None:
        schedule = plan(recipe(seed))
        stock = A1111(host.url)._server.stock()
        choice = choose(stock, schedule)
        folder.mkdir(exist_ok=True)
        with requests.Session() as session:
            for index in range(FRAMES):
                asked = plain.request(schedule, index, choice, overrides(stock, choice, 1), {})
                answer = session.post(f"{host.url}{asked.path}", json=asked.body, timeout=600).json()
                picture = Image.open(io.BytesIO(base64.b64decode(answer["images"][0])))
                assert np.asarray(picture).std() > 5
                picture.save(folder / f"{index}.png")

    return run


def ours(host: Host, folder: Path) -> Callable[[int], None]:
    """A job: every frame verified, on the disk for good, hashed and noted, and a contact sheet."""
    numbers = itertools.count()

    def run(seed: int) -> None:
        render(recipe(seed), A1111(host.url), folder / str(next(numbers)), film=None)

    return run


@pytest.mark.parametrize("way", ["alone", "script"])
def test_the_client_adds_little(
    race: Race, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    if way == "alone":
        monkeypatch.setattr(scripted, "NAME", "not there")
    spent: dict[str, list[float]] = {"bare": [], "ours": []}

    def measured(name: str, action: Callable[[int], None]) -> Callable[[int], None]:
        def once(seed: int) -> None:
            before = host.cpu() + now().cpu
            action(seed)
            spent[name].append(host.cpu() + now().cpu - before)

        return once

    peer, own = bare(host, tmp_path / "bare"), ours(host, tmp_path)
    own(99)  # the model is loaded
    race.run(measured("ours", own), {"bare": measured("bare", peer)}, range(ROUNDS))
    ratio = min(spent["ours"]) / min(spent["bare"])
    race.show(TABLE, f"{FRAMES} frames, {way}", processor_time=f"{ratio:.3f} times")
    race.show("In short", f"A1111 client, {way}", beside="bare calls of its API", ours=f"{ratio:.3f} times their time")
    assert ratio < MOST
