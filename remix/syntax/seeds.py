"""Seeds in schedules: fractions between two, and the behaviours that Deforum has."""

from __future__ import annotations

import hashlib

from remix.plan.keyframe import MAX_SEED
from remix.plan.mix import Mix

BEHAVIOURS = ("iter", "fixed", "random", "ladder", "alternate")


def random_seed(main: int, frame: int) -> int:
    """A seed of 32 bits that looks random, the same on every machine for a main seed and a frame."""
    return int.from_bytes(hashlib.sha256(f"{main}/{frame}".encode()).digest()[:4], "big")


def behaved(behaviour: str, seed: int, frames: int, every: int = 1) -> list[int]:
    """The seed of each frame by one of Deforum's behaviours.

    `iter` adds 1 after the first frame and then every so many frames, `ladder` adds 2 and takes 1 in turn,
    `alternate` adds 1 and takes 1.

    >>> behaved("ladder", 5, 6), behaved("alternate", 5, 4), behaved("iter", 5, 6, every=2)
    ([5, 7, 6, 8, 7, 9], [5, 6, 5, 6], [5, 6, 6, 7, 7, 8])
    """
    if behaviour == "random":
        return [seed, *(random_seed(seed, frame) for frame in range(1, frames))]
    steps = {
        "iter": lambda frame: -(-frame // every),
        "fixed": lambda frame: 0,
        "ladder": lambda frame: frame // 2 + 2 * (frame % 2),
        "alternate": lambda frame: frame % 2,
    }[behaviour]
    return [min(seed + steps(frame), MAX_SEED) for frame in range(frames)]


def between_seeds(value: float) -> Mix[int]:
    """The mix of the two seeds beside a fractional one.

    >>> between_seeds(1.25).items
    ((1, 0.75), (2, 0.25))
    """
    low = int(value // 1)
    share = value - low
    return Mix(((low, 1 - share), (low + 1, share))) if share else Mix.one(low)


def seed_mix(seed: float, other: float | None, strength: float | None) -> Mix[int]:
    """The mix of a seed with a share `strength` of another; without one, of the seeds beside a fractional seed."""
    if other is None or strength is None:
        return between_seeds(seed)
    return Mix.one(int(seed)).toward(Mix.one(int(other)), strength)
