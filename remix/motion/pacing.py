"""Even pacing: chooses the positions of a travel's pictures so that neighboring pictures differ equally.

A travel from one picture to another is a function of a weight from 0 to 1. Diffusion models respond unevenly: for long
stretches nothing changes, then everything does. `Pacer` finds weights whose pictures are evenly spaced, and renders few
more pictures than the film has. It requests pictures in rounds, each large enough for a batch, and every rendered
picture is a candidate for the film:

1. The distances of neighboring pictures, summed up, give the length of the travel as a function of the weight.
   Perceptual distances do not add up (a step of twice the size is more than twice as far), so they are first raised to
   a power, which is estimated from triples of pictures.
2. A film is a chain of pictures with equal steps. Dynamic programming finds the best chain among the existing pictures
   and places between them where one could be rendered; each place that is not rendered yet has a price.
3. The places that halve the longest stretches without pictures are rendered, and the rounds repeat until the film of
   rendered pictures is even enough or the budget is spent.

A jump, where the picture changes however small the step, cannot be spaced. It counts as one step and is reported.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from remix.plan.curves import slopes

Array = npt.NDArray[Any]

FIRST = 5
"""The number of evenly spaced pictures in the first round."""

SHARE, SPARED = 4, 3
"""A later round has at least this share of the film's pictures, less `SPARED`: 9 of 48, and any number of 16.

A round takes about as long as one more picture, so a few large rounds take less time. Many small ones learn more, which
a short film needs.
"""

TARGET = 0.1
"""A film is even enough at this coefficient of variation (standard deviation over mean) of its steps."""

FINEST = 1e-5
"""The smallest useful difference of two weights. A change within it is a jump."""

SAME = 1e-6
"""The minimum distance of two pictures, so that a travel without any change has a length."""

USUAL_POWER, USUAL_COUNT = 1.15, 2.0
"""The assumed power by which distances add up before anything is measured, and its weight in measurements."""

PLACES = 8
"""The number of places between two pictures where another could be rendered, for each step of the film."""

PRICES = (0.2, 0.1, 0.05, 0.02, 0.01, 0.003, 0.0)
"""The cost of a place without a picture, in addition to the squared errors of the steps: high at first, then lower."""

ROUND = 0.6
"""The largest share of the remaining budget that a round may spend, if that is enough for a batch."""

WORST = 9.0
"""The upper limit of the squared error of a step: three times a whole step."""

Distance = Callable[[float, float], float]
"""Returns the difference of the pictures at two weights."""


@dataclass(frozen=True)
class Jump:
    """Two neighboring weights between which the picture jumps, and the size of the jump in steps of the film."""

    before: float
    after: float
    steps: float


@dataclass
class Pacer:
    """Finds the weights of `count` pictures on a travel with equal steps, including both ends.

    Call `wanted` for the weights to render next and `add` for each rendered one, until `wanted` returns none. Then
    `film` returns the weights of the film. `budget` is the maximum number of rendered pictures; if it is less than
    `count`, the film has weights that are not rendered. `distance` compares two added pictures.
    """

    count: int
    budget: int
    distance: Distance
    target: float = TARGET
    weights: list[float] = field(default_factory=list)
    _known: dict[tuple[float, float], float] = field(default_factory=dict)
    _cheap: int = 0

    def add(self, weight: float) -> None:
        """Records that the picture at a weight is rendered."""
        self.weights.insert(bisect_left(self.weights, weight), weight)

    def wanted(self) -> list[float]:
        """Returns the weights of the next round, ascending; none if the film is even enough or the budget is spent."""
        if not self.weights:
            return [float(weight) for weight in np.linspace(0, 1, min(FIRST, self.count, self.budget))]
        left = self.budget - len(self.weights)
        if left <= 0:
            return []
        travel = self._travel()
        if len(self.weights) >= self.count:
            chain = self._best_film(travel)
            if chain is not None and variation(chain.steps) <= self.target:
                return []
        return self._next_round(travel, left)

    def film(self) -> tuple[list[float], list[Jump]]:
        """Returns the weights of the film, ascending from 0 to 1, and the jumps in it."""
        travel = self._travel()
        weights = self._sparse_film(travel) if self.budget < self.count else self._full_film(travel)
        step = travel.pitch**travel.power
        jumps = [
            Jump(self.weights[i], self.weights[i + 1], float(travel.gaps[i] / step))
            for i in np.flatnonzero(travel.jumps)
        ]
        return weights, jumps

    def _full_film(self, travel: _Travel) -> list[float]:
        chain = self._best_film(travel)
        if chain is None:  # fewer pictures than frames, or no chain fits
            raise ValueError(f"{len(self.weights)} pictures do not make a film of {self.count}; add those it wants")
        return [self.weights[node] for node in chain.nodes]

    def _sparse_film(self, travel: _Travel) -> list[float]:
        """Returns a film of all pictures that fit into even steps, and of places between them."""
        nodes = travel.with_places()
        chain = self._chain(nodes, travel, PRICES[0], (1.0, 0.88, 1.13), reach=2.6)
        if chain is None:
            raise ValueError(f"{len(self.weights)} pictures have no film of {self.count}; add those it wants")
        return [float(nodes.weights[node]) for node in chain.nodes]

    def _apart(self, a: float, b: float) -> float:
        if (a, b) not in self._known:
            self._known[a, b] = max(self.distance(a, b), SAME)
        return self._known[a, b]

    def _travel(self) -> _Travel:
        gaps = np.array([self._apart(a, b) for a, b in pairwise(self.weights)])
        power = self._power(gaps)
        return _Travel.measured(np.array(self.weights), gaps, power, self.count, self._apart)

    def _power(self, gaps: Array) -> float:
        """Returns the power p with which distances add up: d(a, c)^(1/p) = d(a, b)^(1/p) + d(b, c)^(1/p)."""
        step = ((gaps ** (1 / USUAL_POWER)).sum() / (self.count - 1)) ** USUAL_POWER
        found = []
        for i in range(len(gaps) - 1):
            one, two = gaps[i], gaps[i + 1]
            if min(one, two) < 0.15 * (one + two):
                continue
            whole = self._apart(self.weights[i], self.weights[i + 2])
            if whole <= 6 * step:
                found.append(_additive_power(one, two, whole))
        if not found:
            return USUAL_POWER
        return float((USUAL_COUNT * USUAL_POWER + len(found) * np.median(found)) / (USUAL_COUNT + len(found)))

    def _best_film(self, travel: _Travel) -> _Chain | None:
        """Returns the most even film of the existing pictures."""
        if len(self.weights) < self.count:
            return None
        nodes = _Nodes(travel.arcs, np.array(self.weights), np.ones(len(self.weights), bool))
        return self._chain(nodes, travel, 0.0, (0.8, 0.9, 1.0, 1.1, 1.2), reach=4.0)

    def _next_round(self, travel: _Travel, left: int) -> list[float]:
        nodes = travel.with_places()
        if self.budget < self.count:
            chain = self._chain(nodes, travel, PRICES[0], (1.0, 0.88, 1.13), reach=2.6)
            return [] if chain is None else self._middles(chain, nodes, left)
        best: _Chain | None = None
        while self._cheap < len(PRICES):
            chain = self._affordable(nodes, travel, PRICES[self._cheap], left)
            if chain is None:
                break
            if best is None or len(chain.lacking(nodes)) > len(best.lacking(nodes)):
                best = chain
            if len(best.lacking(nodes)) >= min(self._least, left):
                break
            self._cheap += 1
        return [] if best is None else self._middles(best, nodes, left)

    def _affordable(self, nodes: _Nodes, travel: _Travel, price: float, left: int) -> _Chain | None:
        """Returns the best chain at this price, or at the lowest higher one for which the budget suffices.

        If that chain needs no new pictures, returns the one just below it: rendering some of its pictures is better
        than none.
        """
        dear: _Chain | None = None
        for _ in range(24):
            chain = self._chain(nodes, travel, price, (1.0, 0.88, 1.13), reach=2.6)
            if chain is None:
                return dear
            if len(chain.lacking(nodes)) <= left:
                return chain if dear is None or chain.lacking(nodes) else dear
            dear, price = chain, max(price * 1.35, 0.001)
        return dear

    @property
    def _least(self) -> int:
        """Returns the number of pictures that a round has, unless fewer are lacking or affordable."""
        return max(1, min(self.count, self.budget) // SHARE - SPARED)

    def _middles(self, chain: _Chain, nodes: _Nodes, left: int) -> list[float]:
        """Returns the middle of each of the chain's longest stretches without pictures; all places if they are few.

        If the middles are too few for a round, the halves of these stretches are halved too, the longest first.
        """
        runs = sorted(_runs(chain, nodes), key=len, reverse=True)
        gaps = {run[0]: self._gap_at(float(nodes.weights[run[0]])) for run in runs}
        size = self._least if left - self._least >= self._least / 2 else left  # no small round after this one
        if sum(map(len, runs)) <= max(2, self.count // 8, size):
            places = [(gaps[run[0]], node) for run in runs for node in run]
        else:
            # Shorter stretches join the round of longer ones, because a round of one picture is a small batch.
            longest = len(runs[0])
            least = longest if longest < 4 else longest / 2
            odd = len(self.weights) % 2
            middles = [run[(len(run) - (odd and len(run) % 2 == 0)) // 2] for run in runs if len(run) >= least]
            places = [(gaps[run[0]], node) for run, node in zip(runs, middles, strict=False)]
            if len(places) < size:
                places = _divided([(gaps[run[0]], run) for run in runs], size)
        # The widest gaps hold the largest surprises. A part of the budget is left for what this round reveals.
        widest = sorted(places, key=lambda place: -place[0])
        most = min(left, max(2, size, math.ceil(ROUND * left)))
        return sorted(float(nodes.weights[node]) for _, node in widest[:most])

    def _gap_at(self, weight: float) -> float:
        """Returns the distance of the two pictures around a weight."""
        after = bisect_left(self.weights, weight)
        return self._apart(self.weights[after - 1], self.weights[after])

    def _chain(
        self, nodes: _Nodes, travel: _Travel, price: float, sizes: Iterable[float], reach: float
    ) -> _Chain | None:
        """Returns the best chain over several step sizes, each adjusted to the mean of the resulting steps."""
        best, least = None, np.inf
        costs = _Costs(nodes, travel, self.count, self._apart, reach)
        for size in sizes:
            step = travel.pitch**travel.power * size
            before: _Chain | None = None
            for _ in range(3):
                chain = costs.chain(step, price)
                if chain is None or (before is not None and chain.nodes == before.nodes):
                    break
                before = chain
                step = float(chain.steps.mean())
                cost = float((((chain.steps - step) / step) ** 2).sum()) + price * len(chain.lacking(nodes))
                if cost < least:
                    best, least = chain, cost
        return best


@dataclass(frozen=True)
class _Travel:
    """The measurements of a travel: its pictures' weights, gaps, arcs (length so far), and which gaps are jumps."""

    weights: Array
    gaps: Array
    power: float
    jumps: Array
    arcs: Array
    pitch: float

    @classmethod
    def measured(cls, weights: Array, gaps: Array, power: float, count: int, apart: Distance) -> _Travel:
        """Returns the measured travel. A jump counts as one pitch, the length of the film's step."""
        jumps: Array = np.zeros(len(gaps), bool)
        lengths = gaps ** (1 / power)
        for _ in range(4):  # each jump that is found lowers the pitch, which reveals others
            pitch = lengths[~jumps].sum() / max(count - 1 - jumps.sum(), 1)
            found = _jumps(weights, gaps, 2 * pitch**power, 1 / (512 * (count - 1)), apart)
            if (found == jumps).all():
                break
            jumps = found
        lengths[jumps] = pitch
        return cls(weights, gaps, power, jumps, np.concatenate([[0.0], np.cumsum(lengths)]), float(pitch))

    def with_places(self) -> _Nodes:
        """Returns the pictures, and places between them where others could be rendered."""
        arcs, weights = [self.arcs], [self.weights]
        bend = slopes(self.weights.tolist(), self.arcs.tolist())
        for i, length in enumerate(np.diff(self.arcs)):
            places, width = int(length / self.pitch * PLACES), self.weights[i + 1] - self.weights[i]
            if places > 1 and width > FINEST and not self.jumps[i]:
                inner = self.arcs[i] + length * np.arange(1, places) / places
                arcs.append(inner)
                weights.append(
                    self.weights[i] + width * _inverse(self.arcs[i], self.arcs[i + 1], bend[i : i + 2], width, inner)
                )
        rendered = np.concatenate([np.full(len(part), i == 0) for i, part in enumerate(arcs)])
        arc, weight = np.concatenate(arcs), np.concatenate(weights)
        order = np.lexsort((~rendered, arc))
        return _Nodes(arc[order], weight[order], rendered[order])


@dataclass(frozen=True)
class _Nodes:
    """The possible positions of a film's pictures: arc and weight, ascending, and whether each is rendered."""

    arcs: Array
    weights: Array
    rendered: Array


@dataclass(frozen=True)
class _Chain:
    """A film as nodes, and the steps between them."""

    nodes: list[int]
    steps: Array

    def lacking(self, nodes: _Nodes) -> list[int]:
        """Returns the nodes that are not rendered."""
        return [node for node in self.nodes if not nodes.rendered[node]]


def _runs(chain: _Chain, nodes: _Nodes) -> list[list[int]]:
    """Returns the stretches of the chain's nodes that are not rendered, one after another."""
    by_state = groupby(chain.nodes, key=lambda node: bool(nodes.rendered[node]))
    return [list(run) for rendered, run in by_state if not rendered]


def _divided(runs: Iterable[tuple[float, list[int]]], count: int) -> list[tuple[float, int]]:
    """Returns up to `count` nodes with the gaps they are in, each the middle of the longest run left by those before.

    Each run comes with its gap; among equally long ones, the run in the widest gap is first.
    """
    chosen: list[tuple[float, int]] = []
    waiting = [(-len(run), -gap, run) for gap, run in runs]
    heapq.heapify(waiting)
    while waiting and len(chosen) < count:
        _, gap, run = heapq.heappop(waiting)
        middle = len(run) // 2
        chosen.append((-gap, run[middle]))
        for part in filter(None, (run[:middle], run[middle + 1 :])):
            heapq.heappush(waiting, (-len(part), gap, part))
    return chosen


class _Costs:
    """The steps between all nodes that may follow each other in a film, for the dynamic programming."""

    def __init__(self, nodes: _Nodes, travel: _Travel, count: int, apart: Distance, reach: float) -> None:
        size, arcs = len(nodes.arcs), nodes.arcs
        self._count, self._rendered = count, nodes.rendered
        first = np.searchsorted(arcs, arcs - reach * travel.pitch - 1e-12)
        first = np.minimum(first, np.maximum(np.arange(size) - 1, 0))
        width = min(int((np.arange(size) - first).max()), 200)
        before = np.arange(size)[:, None] - 1 - np.arange(width)[None, :]
        self._valid = (before >= first[:, None]) & (before >= 0)
        self._before = np.clip(before, 0, size - 1)
        self._steps = np.maximum(arcs[:, None] - arcs[self._before], 0) ** travel.power
        both = self._valid & nodes.rendered[:, None] & nodes.rendered[self._before]
        for i in np.flatnonzero(
            travel.jumps
        ):  # a step over a jump has the length of its arc, in which a jump is one pitch
            low, high = travel.weights[i], travel.weights[i + 1]
            both &= ~((nodes.weights[self._before] <= low) & (nodes.weights[:, None] >= high))
        for node, back in zip(*np.nonzero(both), strict=True):
            pair = float(nodes.weights[self._before[node, back]]), float(nodes.weights[node])
            self._steps[node, back] = apart(*pair)

    def chain(self, step: float, price: float) -> _Chain | None:
        """Returns the chain of `count` nodes from first to last with the smallest sum of squared step errors."""
        error = np.minimum(((self._steps - step) / step) ** 2, WORST)
        cost = np.where(self._valid, error + price * ~self._rendered[:, None], np.inf)
        size = len(cost)
        rows = np.arange(size)
        total = np.full(size, np.inf)
        total[0] = 0
        back = np.zeros((self._count, size), int)
        for place in range(1, self._count):
            options = total[self._before] + cost
            best = options.argmin(1)
            back[place], total = best, options[rows, best]
        if not np.isfinite(total[-1]):
            return None
        nodes, steps = [size - 1], []
        for place in range(self._count - 1, 0, -1):
            node = nodes[-1]
            steps.append(self._steps[node, back[place, node]])
            nodes.append(int(self._before[node, back[place, node]]))
        return _Chain(nodes[::-1], np.array(steps[::-1]))


def variation(steps: Sequence[float] | Array) -> float:
    """Returns the coefficient of variation of steps, their standard deviation over their mean: 0 if all are equal.

    >>> variation([2.0, 2.0, 2.0]), round(variation([1.0, 3.0]), 3)
    (0.0, 0.5)
    """
    mean = float(np.mean(steps))
    return float(np.std(steps)) / mean if mean > 0 else 0.0


def _additive_power(one: float, two: float, whole: float) -> float:
    """Returns the p with whole^(1/p) = one^(1/p) + two^(1/p), by bisection."""
    low, high = 0.5, 2.2
    for _ in range(25):
        power = (low + high) / 2
        if whole ** (1 / power) > one ** (1 / power) + two ** (1 / power):
            low = power
        else:
            high = power
    return (low + high) / 2


def _jumps(weights: Array, gaps: Array, least: float, narrow: float, apart: Distance) -> Array:
    """Returns which gaps above `least` are jumps: those of the finest width, and narrow ones with most of the change.

    A narrow gap is a jump if it keeps 0.7 of the distance of a window eight times as wide.
    """
    widths = np.diff(weights)
    jumps: Array = (gaps > least) & (widths <= FINEST)
    for i in np.flatnonzero((gaps > least) & (widths <= narrow) & ~jumps):
        low, high = i, i + 1
        while weights[high] - weights[low] < 8 * widths[i] and (low > 0 or high < len(gaps)):
            if high == len(gaps) or (low > 0 and weights[i] - weights[low - 1] < weights[high + 1] - weights[i + 1]):
                low -= 1
            else:
                high += 1
        wide = weights[high] - weights[low] >= 8 * widths[i]
        jumps[i] = wide and gaps[i] >= 0.7 * apart(float(weights[low]), float(weights[high]))
    return jumps


def _inverse(start: float, end: float, bend: Sequence[float], width: float, wanted: Array) -> Array:
    """Returns the positions in an interval where its cubic, with end slopes `bend`, has the `wanted` values."""
    t = np.linspace(0, 1, 65)
    rise, slope_in, slope_out = end - start, bend[0] * width, bend[1] * width
    cubic = start + t * (slope_in + t * (3 * rise - 2 * slope_in - slope_out + t * (slope_in + slope_out - 2 * rise)))
    shares: Array = np.interp(wanted, np.maximum.accumulate(cubic), t)
    return shares
