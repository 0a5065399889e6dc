"""How much a recipe may ask for in all: the size of its schedule, and the work of planning it.

A few kilobytes of text can ask for minutes of work: 100,000 frames times all expressions in a prompt, times all LoRAs.
Both are counted from the keyframes alone, before anything is computed.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bounds:
    """The largest schedule, in bytes of its JSON text, and the most work.

    One unit of work is about a microsecond on a current machine.
    """

    size: int
    work: int


FULL = Bounds(size=2**28, work=10**7)
"""What is planned at all. Every reader of a schedule.json reads one of this size."""

PREVIEW = Bounds(size=2**24, work=10**6)
"""What is planned and drawn while somebody types: about a second."""

FRAME_BYTES = 256
"""A frame in schedule.json, without the values of its mixes and its LoRAs."""

PART_BYTES = 64
"""A value of a mix, or a LoRA, in schedule.json, in addition to its text: its weight, quotes and brackets."""

NUMBER_BYTES = 20
"""The longest number that an expression in a prompt leaves."""

EXPRESSION_WORK, STEP_WORK = 5, 1
"""An expression at one frame, and each of its steps."""

COLUMN_SPEEDUP = 16
"""How many times faster a step is where numpy computes it for many frames at once."""

LORA_WORK = 5
"""The strength of one LoRA at one frame."""
