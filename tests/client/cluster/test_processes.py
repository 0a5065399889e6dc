"""Servers in real processes that are killed while a film is rendered."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from remix import Keyframe, Model, Recipe
from remix.client import A1111
from remix.client.cluster import Pool
from remix.client.timeouts import Timeouts
from remix.engine import Event, render

ROOT = Path(__file__).parents[3]
FRAMES, SERVERS = 60, 3
TIMEOUTS = Timeouts(poll=0.02, status=0.5, request=2, idle=0.1, offline=0.2, sends=2)
SERVE = """
import json, sys
from tests.fakes.a1111_server import A1111Server
with A1111Server(script=True).started() as server:
    print(json.dumps(server.url), flush=True)
    sys.stdin.read()
"""


@contextmanager
def server() -> Iterator[subprocess.Popen[bytes]]:
    """Gives the process of a server, which prints its address."""
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", SERVE], stdout=pipe, stdin=pipe, cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_servers_that_are_killed_cost_no_frame(tmp_path: Path) -> None:
    keyframes = (Keyframe(at=0, prompt="a", seed=1), Keyframe(at="100%", prompt="b", seed=2))
    recipe = Recipe(frames=FRAMES, keyframes=keyframes, width=16, height=8, steps=1, model=Model("both-sd15"))
    chance = random.Random(25)
    with ExitStack() as stack:
        processes = [stack.enter_context(server()) for _ in range(SERVERS)]
        urls = [json.loads(process.stdout.readline()) for process in processes if process.stdout]
        with A1111(urls[0], batch=2) as engine:
            render(recipe, engine, tmp_path / "alone", film=None, report=False)

        def listen(event: Event) -> None:
            alive = [process for process in processes if process.poll() is None]
            if event.stage == "frames" and event.done > FRAMES // 4 * (SERVERS + 1 - len(alive)) and len(alive) > 1:
                victim = chance.choice(alive)
                victim.kill()
                victim.wait()

        with Pool([A1111(url, batch=2, timeouts=TIMEOUTS) for url in urls]) as pool:
            render(recipe, pool, tmp_path / "pool", film=None, report=False, listen=listen)
        assert sum(process.poll() is None for process in processes) == 1
    frames = {path.name: path.read_bytes() for path in (tmp_path / "alone" / "frames").iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "pool" / "frames").iterdir()} == frames
    assert len(frames) == FRAMES
