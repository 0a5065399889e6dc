"""Workers on a simulated clock, which pull blocks from a `Sharing` as the members of a pool do."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from remix.client.cluster.sharing import Sharing
from remix.engine.blocks import blocks

REST = 5.0
"""Seconds after which a worker that died is there again."""
LOOK = 1.0
"""Seconds after which a worker without work looks again."""


@dataclass
class Film:
    """What became of a film: its seconds, how often each frame was rendered and first finished, and the deaths."""

    seconds: float = 0.0
    rendered: Counter[int] = field(default_factory=Counter)
    first: Counter[int] = field(default_factory=Counter)
    by: Counter[str] = field(default_factory=Counter)
    deaths: int = 0

    def efficiency(self, frames: int, paces: Sequence[float]) -> float:
        """Returns the time of workers that share perfectly, as a share of the time that it took."""
        return frames / sum(1 / pace for pace in paces) / self.seconds


def simulate(
    frames: int,
    paces: Sequence[float],
    batch: int = 1,
    dies: Callable[[int], bool] = lambda block: False,
    hangs: Callable[[str, int], bool] = lambda worker, frame: False,
    joins: Sequence[float] = (),
) -> Film:
    """Renders a film with workers of these seconds per frame, and returns what became of it.

    dies: whether a worker dies in the middle of the n-th block that anybody begins. hangs: whether a worker never
    finishes that frame. joins: when each worker joins, 0 if left out.
    """
    sharing, film, events, number = Sharing(blocks(frames, batch)), Film(), list[tuple[float, int, str]](), 0
    order, pace = itertools.count(), {f"w{place}": each for place, each in enumerate(paces)}
    at_hand: dict[str, list[int]] = {}
    dying: dict[str, int] = {}
    for name, begin in itertools.zip_longest(pace, joins[: len(pace)], fillvalue=0.0):
        heapq.heappush(events, (float(begin), next(order), str(name)))
    while sharing.left:
        now, _, name = heapq.heappop(events)
        if at_hand.get(name):
            frame = at_hand[name].pop(0)
            film.rendered[frame] += 1
            first = sharing.finish(name, frame, now)
            film.first[frame] += first
            film.by[name] += first
            film.seconds = now
            if not sharing.is_needed(name):
                at_hand[name] = []
        if dying.get(name) == len(at_hand.get(name, ())) > 0:
            sharing.lose(name)
            at_hand[name], dying[name] = [], 0
            film.deaths += 1
            heapq.heappush(events, (now + REST, next(order), name))
            continue
        if not at_hand.get(name):
            pulled = sharing.pull(name, now)
            at_hand[name], dying[name] = sharing.frames(pulled), 0
            for place, block in enumerate(pulled):
                number += 1
                if dies(number):  # with half of this block and the later ones left
                    half, later = (len(sharing.frames([block])) + 1) // 2, len(sharing.frames(pulled[place + 1 :]))
                    dying[name] = half + later
                    break
        if not at_hand[name]:
            heapq.heappush(events, (now + LOOK, next(order), name))
        elif not hangs(name, at_hand[name][0]):
            heapq.heappush(events, (now + pace[name], next(order), name))
    return film
