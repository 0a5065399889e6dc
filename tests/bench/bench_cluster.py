"""Pools of workers that wait, as a card does: their time compared with that of workers that share perfectly."""

from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from remix.client.cluster import Pool
from remix.engine import Engine, Event, Picture, render
from remix.plan import Keyframe, Recipe, Schedule, plan
from tests.bench.race import Race
from tests.fakes.renderer import Painter
from tests.fakes.workers import simulate

TABLE = "Several workers, compared with workers that share perfectly"
EQUAL, UNEQUAL = 0.95, 0.9
FRAME = 0.25
"""Seconds that the fastest worker takes for a frame."""
SECONDS = 20
"""About how long each film renders."""


class Waiting(Painter):
    """Waits for each frame. No picture has a single color, which two colors by chance may."""

    def _painted(self, schedule: Schedule, index: int, inputs: Mapping[str, Picture]) -> Picture:
        picture = super()._painted(schedule, index, inputs)
        picture[0, 0] ^= 1
        return picture


def recipe(frames: int, side: int = 32) -> Recipe:
    keyframes = (Keyframe(at=0, prompt="a", seed=1), Keyframe(at=frames - 1, prompt="b", seed=2))
    return Recipe(frames=frames, keyframes=keyframes, width=side, height=side)


@pytest.mark.parametrize(
    ("paces", "floor"), [([1.0] * 2, EQUAL), ([1.0] * 4, EQUAL), ([1.0] * 8, EQUAL), ([1.0, 2.0, 4.0], UNEQUAL)]
)
def test_workers_share_almost_perfectly(race: Race, paces: Sequence[float], floor: float, tmp_path: Path) -> None:
    speed = sum(1 / (pace * FRAME) for pace in paces)
    frames = int(SECONDS * speed)

    times = list[float]()

    def listen(event: Event) -> None:
        if event.stage == "frames":
            times.append(time.perf_counter())

    def run(number: int) -> None:
        with Pool([Waiting(seconds=pace * FRAME) for pace in paces]) as pool:
            render(recipe(frames), pool, tmp_path / str(number), film=None, report=False, listen=listen)

    race.run(run, {}, range(1))
    share = frames / speed / (times[-1] - times[0])
    named = "1x, 2x and 4x" if len(set(paces)) > 1 else f"{len(paces)} alike"
    race.show(TABLE, f"{named}, {frames} frames", share_of_ideal=f"{share:.3f}", floor=f"{floor:g}")
    assert share >= floor


def test_100_simulated_workers_with_a_death_in_every_tenth_block(race: Race) -> None:
    paces = [random.Random(number).choice((1.0, 2.0, 4.0)) for number in range(100)]
    race.run(lambda number: simulate(20_000, paces, 8, dies=lambda block: block % 10 == 0), {}, range(1))
    film = simulate(20_000, paces, 8, dies=lambda block: block % 10 == 0)
    again = sum(film.rendered.values()) / 20_000 - 1
    assert len(film.first) == sum(film.first.values()) == 20_000
    assert again < 0.02
    share = film.efficiency(20_000, paces)
    row = f"100 unequal, 20,000 frames, {film.deaths} deaths (simulated)"
    race.show(TABLE, row, share_of_ideal=f"{share:.3f}", rendered_twice=f"{again:.2%}")
    race.show(TABLE, row, CPU_time_of_sharing=f"{race.ours[0].cpu / 20_000 * 1e6:.0f} us per frame")
    assert share > 0.85


def test_the_overhead_of_a_block_is_small(race: Race) -> None:
    schedule = plan(recipe(1000))

    def rendered(engine: Engine) -> None:
        with engine:
            for _ in engine.render_unordered(schedule, range(len(schedule)), {}, lambda event: None):
                pass

    peers = {"alone": lambda number: rendered(Waiting())}
    race.run(lambda number: rendered(Pool([Waiting() for _ in range(4)])), peers, range(3))
    each = (min(cost.cpu for cost in race.ours) - min(cost.cpu for cost in race.theirs["alone"])) / len(schedule)
    race.show("What a pool costs", "CPU time per block of one frame", measured=f"{each * 1e3:.2f} ms")
    assert each < 0.02


class Photographic(Painter):
    """Paints blocks of color with grain, which compress about as well as a photo."""

    def _painted(self, schedule: Schedule, index: int, inputs: Mapping[str, Picture]) -> Picture:
        numbers, side = np.random.default_rng(index), schedule.recipe.width // 16
        picture = numbers.integers(0, 240, (side, side, 3)).repeat(16, 0).repeat(16, 1)
        return (picture + numbers.integers(0, 12, picture.shape)).astype(np.uint8)


def test_what_the_command_can_store(race: Race, tmp_path: Path) -> None:
    frames = 24

    def store(number: int) -> None:
        with Pool([Photographic()]) as pool:
            asked = recipe(frames, side=1024)
            render(asked, pool, tmp_path / str(number), film=None, report=False, frames=range(frames - 1))

    def paint(number: int) -> None:
        for _ in Photographic().render(plan(recipe(frames, side=1024)), range(frames - 1), {}, lambda event: None):
            pass

    race.run(store, {"paint": paint}, range(2))
    painting = min(cost.cpu for cost in race.theirs["paint"])
    each = (min(cost.cpu for cost in race.ours) - painting) / (frames - 1)
    race.show("What a pool costs", "CPU time to store a frame of 1024x1024", measured=f"{each * 1e3:.0f} ms")
    assert each < 0.5


def test_memory_does_not_grow_with_the_film(race: Race) -> None:
    def peak(schedule: Schedule) -> float:
        tracemalloc.start()
        try:
            with Pool([Waiting() for _ in range(4)]) as pool:
                for _ in pool.render_unordered(schedule, range(len(schedule)), {}, lambda event: None):
                    time.sleep(0)
            return tracemalloc.get_traced_memory()[1] / 2**20
        finally:
            tracemalloc.stop()

    short, long = (plan(recipe(frames, side=256)) for frames in (200, 2000))
    race.run(lambda number: peak(short), {}, range(1))
    peaks = peak(short), peak(long)
    measured = f"{peaks[0]:.1f} and {peaks[1]:.1f} MiB"
    race.show("What a pool costs", "memory at 200 and at 2,000 frames of 256x256", measured=measured)
    assert peaks[1] < peaks[0] + 4
