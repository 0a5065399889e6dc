"""Limits of a recipe: the size of its schedule, and the cost of planning it.

A few kilobytes of text can demand minutes of work: 100,000 frames times all expressions in a prompt, times all LoRAs.
Both are computed from the keyframes alone, before the schedule.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bounds:
    """The largest schedule, in bytes of its JSON text, and the highest cost.

    One unit of work is about a microsecond on a current machine.
    """

    size: int
    work: int


FULL = Bounds(size=2**28, work=10**7)
"""The limit for planning. Every reader of a schedule.json accepts one of this size."""

PREVIEW = Bounds(size=2**24, work=10**6)
"""The limit for planning and plotting while the user types: about a second."""

FRAME_BYTES = 256
"""A frame in schedule.json, without the values of its mixes and its LoRAs."""

PART_BYTES = 64
"""A value of a mix, or a LoRA, in schedule.json, in addition to its text: its weight, quotes and brackets."""

NUMBER_BYTES = 20
"""The longest number that an expression inserts into a prompt."""

EXPRESSION_WORK, STEP_WORK = 5, 1
"""An expression at one frame, and each of its steps."""

COLUMN_SPEEDUP = 16
"""How many times faster a step is where numpy computes it for many frames at once."""

LORA_WORK = 5
"""The strength of one LoRA at one frame."""

MUSIC_WORK = 7
"""The names of music at one frame."""
