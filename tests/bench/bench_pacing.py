"""Even pacing of twenty travels of the bundled model: how even the steps become, for how many pictures and what time.

The steps are distances of neighboring frames (`remix.motion.perceptual`), their evenness is the coefficient of
variation. Jumps that are reported are left out. The second half of the travels was never looked at while the algorithm
was tuned. The time of the rounds is compared with that of as many pictures in whole batches.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from remix.client.local import Local
from remix.client.playground.advice import DEFAULTS
from remix.motion.pacing import Pacer, variation
from remix.motion.perceptual import Look, distance, look
from remix.plan import Keyframe, Model, Recipe, plan

TRAVELS = (
    ("a pink circle and a brown flower on a gray background", "a red tree on a white background", 704, 909),
    ("a small outlined brown drop on a blue background", "a dotted brown flower on a blue background", 446, 446),
    ("a teal star and a red boat on a green background", "a teal star and a red boat on a green background", 123, 283),
    ("a big dotted yellow boat on a green background", "a outlined yellow ring on a pink background", 325, 102),
    ("a small green cross on a black background", "a gray flower and a white moon on a gray background", 516, 734),
    ("a big dotted blue tree on a yellow background", "a big dotted green boat on a green hill", 887, 838),
    ("a small dotted orange cloud on a red background", "a black square on a green background", 686, 686),
    (
        "a small striped yellow sun on a orange background",
        "a small striped yellow sun on a orange background",
        567,
        705,
    ),
    ("a small pink tree on a purple background", "a small green ring at sunset", 437, 857),
    ("a small brown tree on a yellow background", "a small striped gray drop on a yellow background", 581, 779),
    ("a purple star and a pink ring on a green background", "a big brown flower on a gray background", 61, 902),
    ("a small outlined blue cross on a green hill", "a outlined purple star on a yellow background", 477, 477),
    ("a purple diamond on a gray background", "a purple diamond on a gray background", 960, 409),
    ("a big green mushroom on a yellow background", "a small dotted white cloud on a black background", 517, 761),
    (
        "a yellow heart and a orange house on a purple background",
        "a purple drop and a orange mushroom by the sea",
        524,
        312,
    ),
    ("a small white house at sunset", "a small orange fish on a green hill", 779, 960),
    ("a big striped yellow heart on a white background", "a big orange drop on a green hill", 453, 453),
    (
        "a pink flower and a teal triangle on a black background",
        "a pink flower and a teal triangle on a black background",
        897,
        374,
    ),
    (
        "a orange square and a white star on a red background",
        "a big dotted brown star on a purple background",
        953,
        903,
    ),
    ("a big striped red diamond on a blue background", "a big teal ring on a black background", 334, 637),
)
"""Two prompts and two seeds each."""

GOALS = {1.25: (0.2, 0.4), 1.5: (0.12, 0.3)}
"""Pictures for each frame -> the variation that the median of the travels, and the worst of them, may have."""

NAMES = {1.0: "spaced by time", 1.25: "1.25 pictures per frame", 1.5: "1.5 pictures per frame"}
TABLE = "Pacing: variation of the steps on twenty travels of the bundled model"
TIME = "Pacing: CPU time, as a share of that of as many pictures in whole batches; medians"
BATCH = 16
"""Pictures in a whole batch: what the local engine renders together."""

MOST_CHOOSING, MOST_DISTANCES = 0.05, 0.03
MOST_ROUNDS = 1.1
"""The time of the rounds of 48 frames. Shorter films have smaller rounds, since they would learn little from few."""


@dataclass
class Travel:
    """A travel that renders what it is asked for, once.

    `seconds` is the CPU time that this took, and `compared` that of the distances.
    """

    engine: Local
    recipe: Recipe
    looks: dict[float, Look] = field(default_factory=dict)
    pictures: dict[float, Any] = field(default_factory=dict)
    seconds: float = 0
    compared: float = 0

    def render(self, weights: Sequence[float]) -> None:
        missing = sorted(set(weights) - self.pictures.keys())
        if not missing:
            return
        begin = time.process_time()
        self.pictures.update(zip(missing, rendered(self.engine, self.recipe, missing), strict=True))
        self.seconds += time.process_time() - begin

    def between(self, a: float, b: float) -> float:
        begin = time.process_time()
        for weight in (a, b):
            if weight not in self.looks:
                self.looks[weight] = look(self.pictures[weight])
        found = distance(self.looks[a], self.looks[b])
        self.compared += time.process_time() - begin
        return found

    def linear(self, count: int) -> float:
        """The variation of the steps of a film that is spaced by time."""
        weights = [float(weight) for weight in np.linspace(0, 1, count)]
        self.render(weights)
        return variation([self.between(a, b) for a, b in itertools.pairwise(weights)])


def rendered(engine: Local, recipe: Recipe, weights: Sequence[float]) -> list[Any]:
    schedule = plan(recipe, [weight * (recipe.frames - 1) for weight in weights])
    return list(engine.render(schedule, range(len(schedule)), {}, lambda event: None))


def travel_of(engine: Local, first: str, second: str, seed: int, other: int) -> Travel:
    ends = (Keyframe(at=0, prompt=first, seed=seed), Keyframe(at=1000, prompt=second, seed=other))
    return Travel(engine, Recipe(frames=1001, keyframes=ends, **DEFAULTS, mix="slerp", model=Model("playground")))


def paced(travel: Travel, count: int, share: float) -> tuple[float, list[int]]:
    """The variation of the steps of a paced film, without those over a jump, and the pictures of each round."""
    pacer = Pacer(count, int(count * share), travel.between, target=0.0)
    rounds = []
    while wanted := pacer.wanted():
        travel.render(wanted)
        rounds.append(len(wanted))
        for weight in wanted:
            pacer.add(weight)
    assert len(pacer.weights) <= count * share
    film, jumps = pacer.film()
    steps = [
        travel.between(a, b)
        for a, b in itertools.pairwise(film)
        if not any(a <= jump.before and jump.after <= b for jump in jumps)
    ]
    return variation(steps), rounds


def batch_times(travel: Travel) -> dict[int, float]:
    """The CPU time of batches of 1 to `BATCH` pictures: the best of five for some sizes, straight between these."""
    sizes = (1, 2, 4, 8, BATCH)
    best = dict.fromkeys(sizes, float("inf"))
    for _ in range(5):
        for size in sizes:
            begin = time.process_time()
            rendered(travel.engine, travel.recipe, [float(weight) for weight in np.linspace(0, 1, size)])
            best[size] = min(best[size], time.process_time() - begin)
    return {size: float(np.interp(size, sizes, [best[each] for each in sizes])) for size in range(1, BATCH + 1)}


def in_batches(times: dict[int, float], pictures: int) -> float:
    """The CPU time of pictures that are rendered in whole batches, the last one with what is left."""
    whole, rest = divmod(pictures, BATCH)
    return whole * times[BATCH] + (times[rest] if rest else 0)


@pytest.mark.parametrize("count", [16, 48])
def test_steps_become_even(benchmark: Any, count: int) -> None:
    engine = Local(batch=BATCH)
    found: dict[float, list[float]] = {1.0: [], **{share: [] for share in GOALS}}
    choosing, compared, rounds, longer = [], [], [], []
    times = batch_times(travel_of(engine, *TRAVELS[0]))
    for ends in TRAVELS:
        travel = travel_of(engine, *ends)
        begin, pictures = time.process_time(), 0
        for share in GOALS:
            even, sizes = paced(travel, count, share)
            found[share].append(even)
            pictures += sum(sizes)
            rounds.append(len(sizes))
            longer.append(sum(in_batches(times, size) for size in sizes) / in_batches(times, sum(sizes)))
        # Pictures of both films are rendered once, but each film has its own distances and choices.
        took = pictures * travel.seconds / len(travel.pictures)
        choosing.append((time.process_time() - begin - travel.seconds) / took)
        compared.append(travel.compared / took)
        found[1.0].append(travel.linear(count))
    benchmark.pedantic(lambda: None, rounds=1)
    benchmark.extra_info["cells"] = [
        *(
            [TABLE, f"{count} frames, {NAMES[share]}", column, f"{figure:.2f}"]
            for share, values in found.items()
            for column, figure in (
                ("median", np.median(values)),
                ("worst", max(values)),
                ("median of the second ten", np.median(values[10:])),
                ("worst of the second ten", max(values[10:])),
            )
        ),
        [TIME, f"{count} frames", "number of rounds", f"{np.median(rounds):.0f}"],
        [TIME, f"{count} frames", "rounds instead of whole batches", f"{np.median(longer) - 1:.1%}"],
        [TIME, f"{count} frames", "choosing the pictures", f"{np.median(choosing):.1%}"],
        [TIME, f"{count} frames", "of that, distances", f"{np.median(compared):.1%}"],
    ]
    for share, (median, worst) in GOALS.items():
        assert np.median(found[share]) <= median, found[share]
        assert max(found[share]) <= worst, found[share]
    assert count < 48 or np.median(longer) <= MOST_ROUNDS
    assert np.median(choosing) <= MOST_CHOOSING
    assert np.median(compared) <= MOST_DISTANCES
