"""Prompts that are put together with AND, as A1111 reads them: ``a hill :0.7 AND the sea :0.5``.

The predictions of the model for the parts are summed by their weights, which need not sum to 1 (Liu et al. 2022,
"Compositional Visual Generation with Composable Diffusion Models").
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from remix.prompt.reading import Reading, no_number

AND = re.compile(r"\bAND\b")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?|\d*\.\d+)", re.ASCII)


class Part(NamedTuple):
    """A part of a prompt, and the weight of the model's prediction for it."""

    text: str
    weight: float


def is_composed(prompt: str) -> bool:
    """Returns whether a prompt has several parts."""
    return AND.search(prompt) is not None


def parts_of(prompt: str, reading: Reading) -> tuple[Part, ...]:
    """Returns the parts of a prompt, at least one. Raises BadInput for a weight that is too large for a number.

    A prompt without AND is one part of weight 1. By A1111's rules of emphasis, a number at its end is its weight too.

    >>> parts_of("a hill :0.7 AND the sea", Reading())
    (Part(text='a hill', weight=0.7), Part(text=' the sea', weight=1.0))
    """
    if not is_composed(prompt) and not has_weight(prompt, reading):
        return (Part(prompt, 1.0),)
    return tuple(map(_part, AND.split(prompt)))


def has_weight(prompt: str, reading: Reading) -> bool:
    """Returns whether a number at the end of a prompt without AND is read as its weight."""
    return reading.emphasis.startswith("a1111") and ends_with_weight(prompt)


def ends_with_weight(prompt: str) -> bool:
    """Returns whether a prompt ends with a colon and a number."""
    return _part(prompt).text != prompt.rstrip()


def with_literal_end(prompt: str) -> str:
    """Returns a prompt that A1111 reads as one part of weight 1, even if it ends as ``ratio 16:9`` does."""
    return f"{prompt} :1" if not is_composed(prompt) and ends_with_weight(prompt) else prompt


def _part(text: str) -> Part:
    whole = text.rstrip()
    head, colon, tail = whole.rpartition(":")
    if colon and _NUMBER.fullmatch(tail.strip()):
        if not math.isfinite(weight := float(tail)):
            raise no_number(whole, tail.strip(), len(head) + 1)
        return Part(head.rstrip(), weight)
    return Part(whole, 1.0)
