"""Many jobs on a ComfyUI server that stands in for one, with a fault in every tenth request.

`python -m tests.bench soak` runs 1,000 jobs of 20 frames; the server is a process of its own, so that what is told of
memory is the client's.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import requests

from remix.client import ComfyUI
from remix.client.comfyui.run import Timing
from remix.job import render
from remix.motion import load_picture
from remix.plan import Keyframe, Model, Recipe, plan
from tests.fakes.comfyui_server import ComfyServer, painted
from tests.fakes.faults import KINDS, Answer, Asked, Fault

ROOT = Path(__file__).parents[2]
JOBS, FRAMES, EVERY = 1000, 20, 10
TIMING = Timing(poll=0.05, within=0.5, patience=30, first_pause=0.02, pause=lambda seconds: None)
MOST_GROWTH = 16
"""MiB that the client may have grown from its first tenth of the jobs to the last job."""


class Faulty(ComfyServer):
    """Every tenth request goes wrong, in one way after the other; it tells how often each frame was made."""

    def __init__(self) -> None:
        super().__init__()
        self._count = 0
        self._wrong = 0

    def fault(self, path: str) -> Fault | None:
        if path == "/rendered":
            return None
        with self.lock:
            self._count += 1
            if self._count % EVERY:
                return None
            self._wrong += 1
            return Fault("/", 0, KINDS[self._wrong % len(KINDS)])

    def _get_rendered(self, asked: Asked) -> Answer:
        with self.lock:
            times = sorted(set(self.rendered.values()))
            return Answer({"frames": len(self.rendered), "times": times, "faults": self._wrong})


@dataclass(frozen=True)
class Report:
    """What a soak found: frames that are right, frames that the server made and how often, faults, memory, time."""

    jobs: int
    right: int
    frames: int
    times: list[int]
    faults: int
    growth: float
    seconds: float

    @property
    def is_good(self) -> bool:
        """Whether exactly the frames that were asked for are there, right, none made twice."""
        return self.right == self.frames == self.jobs * FRAMES and self.times == [1]


def recipe(number: int) -> Recipe:
    """A recipe that no other job has."""
    keyframes = (Keyframe(at=0, prompt=f"a {number}", seed=number), Keyframe(at="100%", prompt="b", seed=number + 1))
    return Recipe(frames=FRAMES, keyframes=keyframes, width=16, height=8, steps=1, model=Model("sd15"))


def soak(url: str, jobs: int, folder: Path) -> Report:
    """Renders so many jobs on the server at `url`, one after the other, and looks at every frame."""
    before, right, grown = time.monotonic(), 0, 0.0
    for number in range(jobs):
        asked = recipe(number)
        with tempfile.TemporaryDirectory(dir=folder) as job:
            render(asked, ComfyUI(url, batch=8, timing=TIMING), job, film=None)
            for frame in plan(asked):
                found = load_picture(Path(job, "frames", f"{frame.index:06d}.png"))
                right += bool(np.array_equal(found, painted(frame, asked.width, asked.height)))
        if number == jobs // 10:
            grown = _memory()
    told = requests.get(f"{url}/rendered", timeout=60).json()
    taken = (told["frames"], told["times"], told["faults"])
    return Report(jobs, right, *taken, _memory() - grown, time.monotonic() - before)


def _memory() -> float:
    """MiB that this process holds (on Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def server() -> Iterator[str]:
    """Gives the address of such a server in a process of its own."""
    code = "from tests.bench.soak import serve; serve()"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stdin=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def serve() -> None:
    """Serves until the other end goes away."""
    with Faulty().started() as fake:
        sys.stdout.write(json.dumps(fake.url) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


def table() -> str:
    """Returns what a whole soak found, as Markdown; AssertionError where a frame is wrong, missing or made twice."""
    logging.getLogger("remix").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder, server() as url:
        found = soak(url, JOBS, Path(folder))
    assert found.is_good, found
    assert found.growth < MOST_GROWTH, found
    return (
        "| jobs | frames, all right | made twice | requests that failed | client's memory | took |\n"
        "|---|---|---|---|---|---|\n"
        f"| {found.jobs:,} of {FRAMES} frames | {found.right:,} | none | {found.faults:,} | "
        f"{found.growth:+.1f} MiB from the first tenth to the end | {found.seconds / 60:.0f} min |"
    )
