"""Measuring side by side: every figure is a ratio, because machines differ and other programs run on them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

X = TypeVar("X")


@dataclass(frozen=True)
class Cost:
    """Seconds: `wall` on the clock, `cpu` of this process and the children it has waited for."""

    wall: float
    cpu: float

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.wall - other.wall, self.cpu - other.cpu)

    def __truediv__(self, other: Cost) -> Cost:
        return Cost(self.wall / other.wall, self.cpu / other.cpu)


def now() -> Cost:
    """Returns the time so far; a difference of two is what lay between them."""
    import resource  # not on Windows, where this file is still read

    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return Cost(time.perf_counter(), sum(usage.ru_utime + usage.ru_stime for usage in usages))


def median(costs: Sequence[Cost]) -> Cost:
    """Returns the medians of wall and CPU time, each by itself."""
    return Cost(statistics.median(cost.wall for cost in costs), statistics.median(cost.cpu for cost in costs))


def best(costs: Sequence[Cost]) -> Cost:
    """Returns the least wall and CPU time, each by itself."""
    return Cost(min(cost.wall for cost in costs), min(cost.cpu for cost in costs))


class Race:
    """One bench: ours and its peers, and what it found for the tables."""

    def __init__(self, benchmark: Any) -> None:
        self._benchmark = benchmark
        self._benchmark.extra_info["cells"] = []
        self.ours: list[Cost] = []
        self.theirs: dict[str, list[Cost]] = {}

    def run(
        self, ours: Callable[[X], object], peers: Mapping[str, Callable[[X], object]], inputs: Sequence[X]
    ) -> dict[str, Cost]:
        """Returns how many times as fast as each peer ours is, the medians of one round for each of `inputs`.

        In every round the peers go first, one after another, then ours, all with that round's input.
        """
        rounds = iter(inputs)

        def setup() -> tuple[tuple[X], dict[str, Any]]:
            given = next(rounds)
            for name, peer in peers.items():
                self.theirs.setdefault(name, []).append(timed(peer, given))
            return (given,), {}

        self._benchmark.pedantic(
            lambda given: self.ours.append(timed(ours, given)), setup=setup, rounds=len(inputs), iterations=1
        )
        return {name: self.faster_than(name) for name in peers}

    def share_of(self, seconds: float, beyond: str | None = None) -> Cost:
        """Returns which share of a limit ours takes in its best round, less what the peer `beyond` takes in its own.

        Limits are those of an idle machine, and other programs on it only ever add to the time.
        """
        spent = best(self.ours) - best(self.theirs[beyond]) if beyond else best(self.ours)
        return spent / Cost(seconds, seconds)

    def faster_than(self, peer: str, than: str | None = None) -> Cost:
        """Returns how many times as fast as `peer` ours is, or the peer called `than`: the medians of the rounds."""
        own = self.theirs[than] if than else self.ours
        return median([theirs / mine for theirs, mine in zip(self.theirs[peer], own, strict=True)])

    def show(self, table: str, row: str, **columns: str) -> None:
        """Puts a row into a table of `python -m tests.bench`; rows of one name share their line."""
        cells = [[table, row, column.replace("_", " "), text] for column, text in columns.items()]
        self._benchmark.extra_info["cells"] += cells


def timed(action: Callable[[X], object], given: X) -> Cost:
    """Returns what one call costs."""
    before = now()
    action(given)
    return now() - before
