"""What the client adds to bare calls of a real A1111's API: processor time, the server's and the client's together.

A job costs something once (what the server has is read, a trial loads the model and guards the server's settings) and
something for each frame (its picture is verified, on the disk for good, hashed and noted; progress is asked for). Both
are measured, and told for a film of 100 frames. A frame of these benches takes two thirds of a second of a processor,
and a picture on a graphics card takes about as long; but a trial takes there less of that, since what it costs here is
the text encoder. "Alone" is beside one call for each frame, "script" beside one call of the script for as many frames.
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
from remix.job import Event, render
from remix.plan import Recipe, plan
from tests.bench.race import Race, now
from tests.real.a1111.conftest import started_host
from tests.real.a1111.host import Host

TABLE = "A1111: processor time beside bare calls of its API for the same frames"
FRAMES, SIDE, STEPS = 16, 64, 8
AT_ONCE = {"alone": 1, "script": 4}
"""Frames in a request."""

ROUNDS, JOBS = 3, 5
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


class Spent:
    """Processor time of server and client together, from one `begin` or `note` to the next `note`."""

    def __init__(self, host: Host) -> None:
        self._host, self._before = host, 0.0
        self.seconds: list[float] = []

    def begin(self) -> None:
        self._before = self._host.cpu() + now().cpu

    def note(self) -> None:
        before = self._before
        self.begin()
        self.seconds.append(self._before - before)

    def least(self) -> float:
        """Returns the least: other programs on the machine only ever add to the time."""
        return min(self.seconds)


def asked(host: Host, seed: int, way: str) -> list[Request]:
    """The requests for all frames."""
    schedule = plan(recipe(seed))
    stock = A1111(host.url)._server.stock()
    choice = choose(stock, schedule)
    settings = overrides(stock, choice, 1)
    if way == "script":
        return list(scripted.requests(schedule, range(FRAMES), stock, choice, settings, {}, AT_ONCE[way]))
    return [plain.request(schedule, index, choice, settings, {}) for index in range(FRAMES)]


def bare(host: Host, folder: Path, way: str, spent: Spent) -> Callable[[int], None]:
    """All requests, one after another, each picture decoded and written."""

    def run(seed: int) -> None:
        folder.mkdir(exist_ok=True)
        with requests.Session() as session:
            for request in asked(host, seed, way):
                spent.begin()
                answer = session.post(f"{host.url}{request.path}", json=request.body, timeout=600).json()
                for index, image in zip(request.frames, answer["images"], strict=True):
                    picture = Image.open(io.BytesIO(base64.b64decode(image)))
                    assert np.asarray(picture).std() > 5
                    picture.save(folder / f"{index}.png")
                spent.note()

    return run


def ours(host: Host, folder: Path, way: str, spent: Spent) -> Callable[[int], None]:
    """A job: every frame verified, on the disk for good, hashed and noted."""
    numbers = itertools.count()

    def run(seed: int) -> None:
        def listen(event: Event) -> None:
            if event.stage == "frames" and event.done == AT_ONCE[way]:
                spent.begin()
            elif event.stage == "frames" and 0 < event.done < FRAMES and not event.done % AT_ONCE[way]:
                spent.note()

        # Other seeds than the bare calls: the script keeps what it has rendered.
        engine = A1111(host.url, batch=AT_ONCE[way])
        render(recipe(seed + 1000), engine, folder / str(next(numbers)), film=None, listen=listen)

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
    peer, own, job = Spent(host), Spent(host), Spent(host)
    ours(host, tmp_path / "first", way, Spent(host))(99)  # the model is loaded
    for number in range(JOBS):
        # What the server has encoded last is another prompt, as it is before any job.
        host.plain(prompt=f"something else {number}", steps=1, width=SIDE, height=SIDE)
        job.begin()
        once(host)(number)
        job.note()
    race.run(ours(host, tmp_path, way, own), {"bare": bare(host, tmp_path / "bare", way, peer)}, range(ROUNDS))
    frame = peer.least() / AT_ONCE[way]
    each, first = own.least() / peer.least(), job.least() / frame
    ratio = each + first / FILM
    columns = {"once": f"{first:.2f} of a frame", "each_frame": f"{each:.3f} times"}
    race.show(TABLE, way, **columns, **{f"{FILM}_frames": f"{ratio:.3f} times"})
    what = f"A1111 client, {way}, {FILM} frames"
    race.show("In short", what, beside="bare calls of its API", ours=f"{ratio:.3f} times their time")
    assert ratio < MOST
