"""Which worker renders which block: a plain state without threads, clocks or engines.

Workers ask for blocks when they are free, so a fast one gets more. A worker gets several blocks at once while many are
left, and one at a time near the end. When none is left, a free worker gets a block that another one is rendering, if it
is likely to finish first. Only the first answer for a frame counts.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

AT_ONCE = 8
"""Largest number of blocks that a worker gets at once."""

GAIN = 1.2
"""A block is given a second time if its worker is likely to need this many times as long as the free one."""

UNKNOWN = 60.0
"""Seconds after which a block is given a second time if no worker has finished one."""

FORGETTING = 0.5
"""Weight of the latest block in a worker's pace."""


@dataclass
class _Work:
    """The current blocks of a worker, the time since when it renders the first, and its seconds per frame."""

    blocks: deque[int] = field(default_factory=deque)
    since: float = 0.0
    pace: float | None = None
    measured: int = 0


class Sharing:
    """The blocks of a film, and who has them. `now` is a time in seconds, from any clock that never goes back."""

    def __init__(self, blocks: Iterable[Sequence[int]], at_once: int = AT_ONCE) -> None:
        self._blocks = tuple(tuple(block) for block in blocks)
        self._block_of = {frame: number for number, block in enumerate(self._blocks) for frame in block}
        self._missing = [set(block) for block in self._blocks]
        self._left = len(self._block_of)
        self._waiting = list(range(len(self._blocks)))
        self._holders: dict[int, set[str]] = {}
        self._workers: dict[str, _Work] = {}
        self._refused: dict[int, set[str]] = {}
        self._losses: Counter[int] = Counter()
        self._at_once = at_once

    @property
    def left(self) -> int:
        """The number of frames that nobody has finished."""
        return self._left

    def join(self, worker: str) -> None:
        """Adds a worker. One that is known keeps its pace."""
        self._workers.setdefault(worker, _Work())

    def pace(self, worker: str) -> float | None:
        """Returns a worker's seconds per frame, None before its first block."""
        work = self._workers.get(worker)
        return work.pace if work else None

    def frames(self, blocks: Iterable[int]) -> list[int]:
        """Returns the unfinished frames of these blocks, ascending."""
        return sorted(frame for number in blocks for frame in self._missing[number])

    def has_work(self, worker: str, now: float, *, late: bool = True) -> bool:
        """Returns whether `pull` would give this worker something."""
        self.join(worker)
        return self._suits_next(worker) or (late and self._late(worker, now) is not None)

    def pull(self, worker: str, now: float, *, late: bool = True) -> tuple[int, ...]:
        """Gives a free worker the next blocks, and returns them; () if there is nothing for it at this time.

        `late` allows blocks that others are rendering.
        """
        self.join(worker)
        work = self._workers[worker]
        given = self._next(worker)
        if not given and late and (second := self._late(worker, now)) is not None:
            given = [second]
        work.blocks, work.since = deque(given), now
        for number in given:
            self._holders.setdefault(number, set()).add(worker)
        return tuple(given)

    def finish(self, worker: str, frame: int, now: float) -> bool:
        """Records that a worker has finished a frame. Returns whether it is the first to finish it."""
        number = self._block_of[frame]
        missing = self._missing[number]
        first = frame in missing
        missing.discard(frame)
        self._left -= first
        work = self._workers[worker]
        if number in work.blocks and frame == self._blocks[number][-1]:
            while work.blocks and work.blocks.popleft() != number:
                pass
            self._measure(work, len(self._blocks[number]), now)
        if not missing:
            self._holders.pop(number, None)
        return first

    def is_needed(self, worker: str) -> bool:
        """Returns whether any frame of the worker's current blocks is unfinished."""
        return any(self._missing[number] for number in self._workers[worker].blocks)

    def release(self, worker: str) -> int | None:
        """Takes back the current blocks of a worker, for others. Returns the block it was rendering, None if none."""
        work = self._workers[worker]
        begun = next((number for number in work.blocks if self._missing[number]), None)
        for number in work.blocks:
            holders = self._holders.get(number, set())
            holders.discard(worker)
            if self._missing[number] and not holders:
                self._holders.pop(number, None)
                heapq.heappush(self._waiting, number)
        work.blocks = deque()
        return begun

    def lose(self, worker: str) -> int:
        """Takes back the blocks of a worker that ended, and returns how many workers have ended at that block."""
        begun = self.release(worker)
        if begun is None:
            return 0
        self._losses[begun] += 1
        return self._losses[begun]

    def refuse(self, worker: str) -> set[str]:
        """Takes back the blocks of a worker that cannot render the first of them. It does not get that block again.

        Returns all workers that could not render that block.
        """
        begun = self.release(worker)
        if begun is None:
            return {worker}
        refused = self._refused.setdefault(begun, set())
        refused.add(worker)
        return refused

    def _measure(self, work: _Work, frames: int, now: float) -> None:
        pace = (now - work.since) / frames
        work.measured += 1
        if work.pace is None or work.measured == 2:  # the first block includes loading the model
            work.pace = pace
        else:
            work.pace += FORGETTING * (pace - work.pace)
        work.since = now

    def _suits_next(self, worker: str) -> bool:
        return any(self._missing[number] and worker not in self._refused.get(number, ()) for number in self._waiting)

    def _next(self, worker: str) -> list[int]:
        """Takes the next blocks out of the waiting ones."""
        given, skipped = list[int](), list[int]()
        most = max(1, min(self._at_once, len(self._waiting) // (3 * len(self._workers))))
        while self._waiting and len(given) < most:
            number = heapq.heappop(self._waiting)
            if not self._missing[number]:
                continue
            (skipped if worker in self._refused.get(number, ()) else given).append(number)
        for number in skipped:
            heapq.heappush(self._waiting, number)
        return given

    def _late(self, worker: str, now: float) -> int | None:
        """Returns the block that is expected last, if the free `worker` is likely to finish it first, else None."""
        known = [work.pace for work in self._workers.values() if work.pace is not None]
        mean = sum(known) / len(known) if known else UNKNOWN
        own = self.pace(worker) or (mean if known else 0.0)
        latest, block = now, None
        for holder, work in self._workers.items():
            expected = work.since
            if not known and now < expected + UNKNOWN:
                continue
            for number in work.blocks if holder != worker else ():
                expected += (mean if work.pace is None else work.pace) * len(self._blocks[number])
                expected = max(expected, 2 * now - expected)  # a late worker is expected to need as long again
                alone = len(self._holders.get(number, ())) < 2 and self._missing[number]
                if alone and worker not in self._refused.get(number, ()) and expected > latest:
                    latest, block = expected, number
        if block is None:
            return None
        return block if latest > now + GAIN * own * len(self._missing[block]) else None
