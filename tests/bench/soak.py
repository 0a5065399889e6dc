"""Many jobs on fake ComfyUI and A1111 servers, with a failure in every tenth request.

`python -m tests.bench soak` runs 1,000 jobs of 20 frames on servers that keep their frames, and 100 on A1111's own API.
A server is a separate process, so the reported memory is the client's.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import requests

from remix.client import A1111, ComfyUI
from remix.client.timeouts import Timeouts
from remix.engine import Engine, Picture, render
from remix.hosts.a1111.settings import EMPTY
from remix.motion import load_picture
from remix.plan import Frame, Keyframe, Model, Recipe, plan
from tests.fakes.a1111_server import A1111Server
from tests.fakes.comfyui_server import ComfyServer, painted
from tests.fakes.faults import KINDS, Answer, Asked, Fault, FaultyServer

ROOT = Path(__file__).parents[2]
JOBS, FRAMES, EVERY = 1000, 20, 10
COMFYUI_TIMEOUTS = Timeouts(poll=0.05, request=0.5, offline=30, reconnect=0.02, sleep=lambda seconds: None)
A1111_TIMEOUTS = Timeouts(poll=0.02, status=0.5, request=1, idle=0.1, offline=30, sends=5)
"""More sends than the usual three: where every tenth request fails, now and then three of one call do."""
MOST_GROWTH = 16
"""MiB that the client may have grown from its first tenth of the jobs to the last job."""


class Tenth(FaultyServer):
    """Every tenth request goes wrong, in one way after the other; it tells how often each frame was made."""

    rendered: Counter[str] | list[str]
    _count = _wrong = 0

    def fault(self, path: str) -> Fault | None:
        if path == "/rendered":
            return None
        with self.lock:
            self._count += 1
            if self._count % EVERY:
                return None
            self._wrong += 1
            return Fault("/", 0, KINDS[self._wrong % len(KINDS)])

    def answer(self, asked: Asked) -> Answer:
        if asked.path != "/rendered":
            return super().answer(asked)
        with self.lock:
            made = Counter(self.rendered)
            times = sorted(Counter(made.values()).items())
            return Answer({"frames": len(made), "times": times, "faults": self._wrong})


class FaultyComfyUI(Tenth, ComfyServer):
    """ComfyUI with the Remix nodes."""


class FaultyA1111(Tenth, A1111Server):
    """A1111 with or without the Remix script."""

    def answer(self, asked: Asked) -> Answer:
        self.requests.clear()  # which would be as many as there are frames
        return super().answer(asked)


@dataclass(frozen=True)
class Report:
    """What a soak found: frames that are right, frames that the server made and how often, faults, memory, time."""

    jobs: int
    right: int
    frames: int
    times: Mapping[int, int]
    faults: int
    growth: float
    seconds: float

    @property
    def is_whole(self) -> bool:
        """Whether exactly the frames that were asked for are there, all of them right."""
        return self.right == self.frames == self.jobs * FRAMES

    @property
    def again(self) -> int:
        """How often a frame was made that had been made before."""
        return sum((times - 1) * frames for times, frames in self.times.items())


@dataclass(frozen=True)
class Host:
    """What is soaked: its server, the engine for it, a recipe for each number, and the picture that is right.

    `keeps`: it has what it has made, so that nothing is made twice; a server that does not makes again what got lost.
    """

    name: str
    keeps: bool
    server: Callable[[], Tenth]
    engine: Callable[[str], Engine]
    recipe: Callable[[int], Recipe]
    right: Callable[[Frame, Recipe], Picture]
    jobs: int = JOBS


def travel(number: int) -> Recipe:
    """A recipe that no other job has."""
    keyframes = (Keyframe(at=0, prompt=f"a {number}", seed=number), Keyframe(at="100%", prompt="b", seed=number + 1))
    return Recipe(frames=FRAMES, keyframes=keyframes, width=16, height=8, steps=1, model=Model("sd15"))


def guided(number: int) -> Recipe:
    """One that A1111's own API can do."""
    keyframes = (Keyframe(at=0, prompt=f"a {number}", seed=number, cfg=3), Keyframe(at="100%", cfg=9))
    return travel(number).replace(keyframes=keyframes, model=Model("both-sd15"))


def by_comfyui(frame: Frame, asked: Recipe) -> Picture:
    """What the fake ComfyUI's nodes make of a frame."""
    return painted(frame, asked.width, asked.height)


def by_script(frame: Frame, asked: Recipe) -> Picture:
    """What the fake A1111's script makes of a frame."""
    decides = {key: value for key, value in frame.to_dict().items() if key != "index"}
    return _by_a1111(decides, asked)


def by_api(frame: Frame, asked: Recipe) -> Picture:
    """What the fake A1111's own API makes of a frame."""
    decides = {"prompt": frame.prompt.values[0], "negative_prompt": frame.negative.values[0] or EMPTY}
    numbers = {"seed": frame.seed.values[0], "steps": asked.steps, "cfg_scale": frame.cfg}
    size = {"width": asked.width, "height": asked.height}
    return _by_a1111({**decides, **numbers, **size, "denoising_strength": None, "init_images": None}, asked)


def _by_a1111(decides: Mapping[str, object], asked: Recipe) -> Picture:
    return A1111Server().painted(decides, ("Euler", "Uniform", "both-sd15"), asked.width, asked.height)[0]


def _comfyui(url: str) -> Engine:
    return ComfyUI(url, batch=8, timeouts=COMFYUI_TIMEOUTS)


def _a1111(url: str) -> Engine:
    return A1111(url, batch=4, timeouts=A1111_TIMEOUTS)


HOSTS = {
    "comfyui": Host("ComfyUI, Remix nodes", True, FaultyComfyUI, _comfyui, travel, by_comfyui),
    "script": Host(
        "A1111, Remix script",
        True,
        lambda: FaultyA1111(script=True),
        _a1111,
        lambda number: travel(number).replace(model=Model("both-sd15")),
        by_script,
    ),
    "api": Host("A1111, its own API", False, FaultyA1111, _a1111, guided, by_api, JOBS // 10),
}


def soak(host: Host, url: str, jobs: int, folder: Path) -> Report:
    """Renders so many jobs on the server at `url`, one after the other, and looks at every frame."""
    before, right, grown = time.monotonic(), 0, 0.0
    for number in range(jobs):
        asked = host.recipe(number)
        with tempfile.TemporaryDirectory(dir=folder) as job:
            render(asked, host.engine(url), job, film=None)
            for frame in plan(asked):
                found = load_picture(Path(job, "frames", f"{frame.index:06d}.png"))
                right += bool(np.array_equal(found, host.right(frame, asked)))
        if number == jobs // 10:
            grown = _memory()
    counted = requests.get(f"{url}/rendered", timeout=60).json()
    taken = (counted["frames"], dict(counted["times"]), counted["faults"])
    return Report(jobs, right, *taken, _memory() - grown, time.monotonic() - before)


def _memory() -> float:
    """MiB that this process holds (on Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def server(name: str) -> Iterator[str]:
    """Gives the address of a server of `HOSTS` in a process of its own."""
    code = f"from tests.bench.soak import serve; serve({name!r})"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stdin=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def serve(name: str) -> None:
    """Serves until the other end goes away."""
    with HOSTS[name].server().started() as fake:
        sys.stdout.write(json.dumps(fake.url) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


def table() -> str:
    """Returns what whole soaks found, as Markdown; AssertionError where a frame is wrong, missing or made twice."""
    return "\n".join(
        [
            "| server | jobs | correct frames | rendered again | failed requests | client memory | time |",
            "|---|---|---|---|---|---|---|",
            *(row(name) for name in HOSTS),
        ]
    )


def row(name: str) -> str:
    """Returns the line of a whole soak on one of `HOSTS`."""
    logging.getLogger("remix").setLevel(logging.ERROR)
    host = HOSTS[name]
    with tempfile.TemporaryDirectory() as folder, server(name) as url:
        found = soak(host, url, host.jobs, Path(folder))
    assert found.is_whole, found
    assert found.again == 0 if host.keeps else found.again <= found.faults, found
    assert found.growth < MOST_GROWTH, found
    again = f"{found.again:,}, whose answers were lost" if found.again else "none"
    return (
        f"| {host.name} | {found.jobs:,} of {FRAMES} frames | {found.right:,} | {again} | {found.faults:,} | "
        f"{found.growth:+.1f} MiB from the first tenth to the end | {found.seconds / 60:.0f} min |"
    )
