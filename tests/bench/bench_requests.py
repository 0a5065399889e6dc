"""What one request costs in a film of 10,000 frames, compared with one of 100: the same, on either side of the wire.

Clients render on servers that paint in microseconds, and the script and Remix Render sample on fakes of their hosts, so
that what is measured is what is done around the pictures. Once for a run a film is planned, hashed and written.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from remix.client import A1111, ComfyUI
from remix.client.timeouts import Timeouts
from remix.engine import Engine
from remix.engine.parts import part_of, plain_part
from remix.plan import Keyframe, Model, Recipe, Schedule, plan
from tests.bench.race import Race
from tests.fakes.a1111_server import A1111Server
from tests.fakes.comfyui_server import ComfyServer
from tests.hosts.a1111.conftest import Runner, ui
from tests.hosts.comfyui.conftest import pack
from tests.hosts.comfyui.rendering import Model as Pictures
from tests.hosts.comfyui.rendering import render_node
from tests.hosts.comfyui.stand_ins import Clip, Vae

__all__ = ["pack", "ui"]  # fixtures

TABLE = "A request of a film of 10,000 frames compared with one of 100"
SHORT, LONG = 112, 10_000
AT_ONCE = 16
ROUNDS = 4
MOST = 1.2
TIMEOUTS = Timeouts(poll=0.01)


def film(frames: int, checkpoint: str) -> Schedule:
    """Two prompts and seeds, whatever the number of frames."""
    keyframes = (Keyframe(prompt="a cat", seed=1), Keyframe(prompt="a dog", seed=2))
    return plan(Recipe(frames, keyframes, width=64, height=64, steps=2, model=Model(checkpoint)))


def compare(race: Race, what: str, request: Callable[[int], Callable[[int], object]]) -> None:
    """Races requests of the long film with those of the short one. `request(frames)` gives what makes the next one."""
    short, long = request(SHORT), request(LONG)
    for warm in (short, long):
        warm(0)
    ratio = 1 / race.run(long, {"short": short}, range(1, ROUNDS + 1))["short"].cpu
    race.show(TABLE, what, cpu=f"{ratio:.2f} times")
    race.show("Summary", f"{what}: a request of a film of 10,000 frames", baseline="of 100", ours=f"{ratio:.2f} times")
    assert ratio < MOST


def frames_of(engine: Engine, schedule: Schedule, running: list[Iterator[Any]]) -> Callable[[int], object]:
    """Gives a function that takes the frames of the next request from a run of `engine`."""
    engine.check(schedule)
    pictures = engine.render(schedule, range(len(schedule)), {}, lambda event: None)
    running.append(pictures)
    return lambda _: list(itertools.islice(pictures, AT_ONCE))


@pytest.fixture
def running() -> Iterator[list[Any]]:
    """Runs that are ended."""
    runs: list[Any] = []
    yield runs
    for run in runs:
        run.close()


def test_the_comfyui_client(race: Race, running: list[Any]) -> None:
    with ComfyServer().started() as server:

        def request(frames: int) -> Callable[[int], object]:
            engine = ComfyUI(server.url, batch=8, timeouts=TIMEOUTS)
            return frames_of(engine, film(frames, "sd15.safetensors"), running)

        compare(race, "The ComfyUI client", request)


def test_the_a1111_client(race: Race, running: list[Any]) -> None:
    with A1111Server(script=True).started() as server:

        def request(frames: int) -> Callable[[int], object]:
            engine = A1111(server.url, batch=AT_ONCE, timeouts=TIMEOUTS)
            return frames_of(engine, film(frames, "both-sd15.safetensors"), running)

        compare(race, "The A1111 client", request)


def part(schedule: Schedule, number: int) -> dict[str, Any]:
    """What a client sends for the request of this number."""
    return plain_part(part_of(schedule, range(number * AT_ONCE, (number + 1) * AT_ONCE)))


def test_the_a1111_script(race: Race, ui: Runner) -> None:
    def request(frames: int) -> Callable[[int], object]:
        schedule, key = film(frames, "playground"), f"{frames:010x}"

        def once(number: int) -> object:
            place = {"film": key, "start": number * AT_ONCE, "first": 0, "count": AT_ONCE, "batch": AT_ONCE}
            return ui.run({"part": part(schedule, number), **place})

        return once

    compare(race, "The A1111 script", request)


def test_remix_render(race: Race, pack: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    node = render_node(pack, monkeypatch)

    def request(frames: int) -> Callable[[int], object]:
        schedule, model = film(frames, "playground"), (Pictures(), Clip(), Vae())

        def once(number: int) -> object:
            prefix = f"remix/client_{frames}/{number:06d}"
            return node.execute(*model, part(schedule, number), prefix, 8, first=0, count=AT_ONCE)

        return once

    compare(race, "Remix Render", request)
    assert len(list(Path(pack.base, "output", "remix").iterdir())) == 2
