"""What the client adds to bare calls of a real A1111's API: processor time, the server's and the client's together.

A job costs something once (what the server has is read, a trial loads the model and guards the server's settings) and
something for each frame (its picture is verified, on the disk for good, hashed and noted; progress is asked for). Both
are measured, and told for a film of 100 frames. A frame of these benches takes two thirds of a second of a processor,
and a picture on a graphics card takes about as long; but a trial takes there less of that, since what it costs here is
the text encoder. "Alone" is beside one call for each frame, "script" beside one call of the script for the same batch.
"""

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
from remix.client.a1111.calls import Calls, Pace, Request
from remix.client.a1111.settings import overrides
from remix.client.a1111.stock import choose
from remix.job import render
from remix.plan import Recipe, plan
from tests.bench.race import Race, now
from tests.real.a1111.conftest import started_host
from tests.real.a1111.host import Host

TABLE = "A1111: processor time beside bare calls of its API for the same frames"
FRAMES, SIDE, STEPS = 16, 64, 8
ROUNDS, JOBS = 4, 5
FILM = 100
MOST = 1.03


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    yield from started_host(tmp_path_factory)


def recipe(seed: int) -> Recipe:
    """Frames whose guidance travels, which the API can do by itself; new prompts each time, so that all encode them."""
    prompts = {"prompt": f"a red apple {seed}", "negative": f"blue {seed}"}
    keyframes: Any = [{**prompts, "seed": seed, "cfg": 4}, {"cfg": 8}]
    size = [SIDE, SIDE]
    return Recipe.from_dict(
        {"frames": FRAMES, "size": size, "steps": STEPS, "model": "both-sd15", "keyframes": keyframes}
    )


def asked(host: Host, seed: int, way: str) -> list[Request]:
    """The requests for all frames."""
    schedule = plan(recipe(seed))
    stock = A1111(host.url)._server.stock()
    choice = choose(stock, schedule)
    settings = overrides(stock, choice, 1)
    if way == "script":
        return list(scripted.requests(schedule, range(FRAMES), stock, choice, settings, {}, None))
    return [plain.request(schedule, index, choice, settings, {}) for index in range(FRAMES)]


def bare(host: Host, folder: Path, way: str) -> Callable[[int], None]:
    """All requests, one after another, each picture decoded and written."""

    def run(seed: int) -> None:
        folder.mkdir(exist_ok=True)
        with requests.Session() as session:
            for request in asked(host, seed, way):
                answer = session.post(f"{host.url}{request.path}", json=request.body, timeout=600).json()
                for index, image in zip(request.frames, answer["images"], strict=True):
                    picture = Image.open(io.BytesIO(base64.b64decode(image)))
                    assert np.asarray(picture).std() > 5
                    picture.save(folder / f"{index}.png")

    return run


def ours(host: Host, folder: Path) -> Callable[[int], None]:
    """A job: every frame verified, on the disk for good, hashed and noted, and a contact sheet."""
    numbers = itertools.count()

    def run(seed: int) -> None:
        # Other seeds than the bare calls: the script keeps what it has rendered.
        render(recipe(seed + 1000), A1111(host.url), folder / str(next(numbers)), film=None)

    return run


def once(host: Host) -> Callable[[int], None]:
    """What a job costs before its first frame."""

    def run(seed: int) -> None:
        engine, schedule = A1111(host.url), plan(recipe(seed))
        engine.check(schedule)
        engine._try(engine._prepare(schedule), Calls(engine._server, Pace(), lambda calls: None))

    return run


@pytest.mark.parametrize("way", ["alone", "script"])
def test_the_client_adds_little(
    race: Race, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    if way == "alone":
        monkeypatch.setattr(scripted, "NAME", "not there")
    spent: dict[str, list[float]] = {"bare": [], "ours": [], "once": []}

    def measured(name: str, action: Callable[[int], None]) -> Callable[[int], None]:
        def run(seed: int) -> None:
            before = host.cpu() + now().cpu
            action(seed)
            spent[name].append(host.cpu() + now().cpu - before)

        return run

    own = ours(host, tmp_path)
    own(99)  # the model is loaded
    for number in range(JOBS):
        host.plain(
            prompt=f"something else {number}", steps=1, width=SIDE, height=SIDE
        )  # what the server keeps is older
        measured("once", once(host))(number)
    race.run(measured("ours", own), {"bare": measured("bare", bare(host, tmp_path / "bare", way))}, range(ROUNDS))
    # Other programs on the machine only ever add to the time.
    frame, job = min(spent["bare"]) / FRAMES, min(spent["once"])
    beside = (min(spent["ours"]) - job) / FRAMES
    ratio = (job + FILM * beside) / (FILM * frame)
    columns = {"once": f"{job / frame:.2f} of a frame", "each_frame": f"{beside / frame:.3f} times"}
    race.show(TABLE, way, **columns, **{f"{FILM}_frames": f"{ratio:.3f} times"})
    what = f"A1111 client, {way}, {FILM} frames"
    race.show("In short", what, beside="bare calls of its API", ours=f"{ratio:.3f} times their time")
    assert ratio < MOST
