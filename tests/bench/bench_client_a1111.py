"""CPU time that the client adds to plain calls of a real A1111's API: the server's and the client's together.

A job has a cost per run (reading the server's lists, a test request that loads the model and guards the settings) and
per frame (the picture is verified, stored, hashed and noted in the journal; the progress is polled). A short and a long
job separate the two, and the sum is given for a film of 100 frames. Times are relative to a row of the U-Net in the
same job, measured by a stopwatch in the server, so slow phases of the machine cancel out. A frame takes two thirds of a
second of CPU time here, about as long as a picture on a GPU. The test request takes less on a GPU, because its cost
here is the text encoder. "alone" is compared with one call per frame, "script" with one call of the script for as many
frames.
"""

from __future__ import annotations

import base64
import io
import itertools
import statistics
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from PIL import Image

from remix.client.a1111 import A1111, plain, scripted
from remix.client.a1111.calls import Request
from remix.client.a1111.settings import overrides
from remix.client.a1111.stock import choose
from remix.engine import render
from remix.plan import Recipe, plan
from tests.bench.race import Race, now
from tests.real.a1111.conftest import started_host
from tests.real.a1111.host import Host

TABLE = "A1111 client: CPU time compared with plain API calls for the same frames"
SHORT, LONG = 8, 24
"""Frames of the two jobs; the bare calls are for those of the long one."""

SIDE, STEPS = 64, 8
AT_ONCE = {"alone": 1, "script": 4}
"""Frames in a request."""

ROUNDS = 4
FILM = 100
MOST = 1.03


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    yield from started_host(tmp_path_factory, extensions=("stopwatch",))


def recipe(seed: int, frames: int) -> Recipe:
    """Frames whose guidance travels, which the API can do by itself; new prompts each time, so that all encode them."""
    prompts = {"prompt": f"a red apple {seed}", "negative": f"blue {seed}"}
    keyframes: Any = [{**prompts, "seed": seed, "cfg": 4}, {"cfg": 8}]
    size = [SIDE, SIDE]
    return Recipe.from_dict(
        {"frames": frames, "size": size, "steps": STEPS, "model": "both-sd15", "keyframes": keyframes}
    )


class Spent:
    """Processor time of server and client together, in rows of the U-Net, and how many rows went through it."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._costs: list[float] = []
        self._rows: set[int] = set()

    def watch(self, action: Callable[[], object]) -> None:
        """Runs something and notes what it took."""
        self._host.get("/stopwatch")
        before = self._host.cpu() + now().cpu
        action()
        spent = self._host.cpu() + now().cpu - before
        seconds, rows = self._host.get("/stopwatch")["unet"]
        self._costs.append(spent / (seconds / rows))
        self._rows.add(rows)

    def usual(self) -> float:
        """Returns the median."""
        return statistics.median(self._costs)

    def rows(self) -> int:
        """Returns the rows of each time, which have to be as many."""
        (rows,) = self._rows
        return rows


def asked(host: Host, seed: int, way: str) -> list[Request]:
    """The requests for all frames of the long job."""
    schedule = plan(recipe(seed, LONG))
    stock = A1111(host.url)._server.stock()
    choice = choose(stock, schedule)
    settings = overrides(stock, choice, 1)
    if way == "script":
        return list(scripted.requests(schedule, range(LONG), stock, choice, settings, {}, AT_ONCE[way]))
    return [plain.request(schedule, index, choice, settings, {}) for index in range(LONG)]


def bare(host: Host, folder: Path, way: str, spent: Spent) -> Callable[[int], None]:
    """All requests, one after another, each picture decoded and written."""

    def run(seed: int) -> None:
        folder.mkdir(exist_ok=True)
        forget(host, seed)
        reply = asked(host, seed, way)
        with requests.Session() as session:
            spent.watch(lambda: [post(host, session, request, folder) for request in reply])

    return run


def post(host: Host, session: requests.Session, request: Request, folder: Path) -> None:
    """Sends one request and writes its pictures."""
    answer = session.post(f"{host.url}{request.path}", json=request.body, timeout=600).json()
    for index, image in zip(request.frames, answer["images"], strict=True):
        picture = Image.open(io.BytesIO(base64.b64decode(image)))
        assert np.asarray(picture).std() > 5
        picture.save(folder / f"{index}.png")


def forget(host: Host, seed: int) -> None:
    """Lets the server encode another prompt, so that it has none of a job's."""
    host.plain(prompt=f"something else {seed}", steps=1, width=SIDE, height=SIDE)


def ours(host: Host, folder: Path, way: str, short: Spent, long: Spent) -> Callable[[int], None]:
    """Two jobs: every frame verified, on the disk for good, hashed and noted."""
    numbers = itertools.count()

    def job(seed: int, frames: int) -> None:
        render(recipe(seed, frames), A1111(host.url, batch=AT_ONCE[way]), folder / str(next(numbers)), film=None)

    def run(seed: int) -> None:
        # Other seeds each time: the script keeps what it has rendered.
        for more, frames, spent in ((1000, SHORT, short), (2000, LONG, long)):
            forget(host, seed)
            spent.watch(partial(job, seed + more, frames))

    return run


@pytest.mark.parametrize("way", ["alone", "script"])
def test_the_client_adds_little(
    race: Race, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    if way == "alone":
        monkeypatch.setattr(scripted, "NAME", "not there")
    peer, short, long, first = (Spent(host) for _ in range(4))
    ours(host, tmp_path / "first", way, first, first)(99)  # the model is loaded
    race.run(ours(host, tmp_path, way, short, long), {"bare": bare(host, tmp_path / "bare", way, peer)}, range(ROUNDS))
    assert long.rows() - short.rows() == peer.rows() / LONG * (LONG - SHORT)
    frame = peer.usual() / LONG
    each = (long.usual() - short.usual()) / (LONG - SHORT)
    once = (short.usual() - SHORT * each) / frame
    ratio = each / frame + once / FILM
    columns = {"once": f"{once:.2f} of a frame", "each_frame": f"{each / frame:.3f} times"}
    race.show(TABLE, way, **columns, **{f"{FILM}_frames": f"{ratio:.3f} times"})
    what = f"A1111 client, {way}, {FILM} frames"
    race.show("Summary", what, baseline="plain API calls", ours=f"{ratio:.3f} times their time")
    assert ratio < MOST
