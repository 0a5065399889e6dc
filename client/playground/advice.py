"""What the bundled model is made for, and remarks on recipes that ask for something else. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remix.catalog.families import FAMILIES
from remix.client.playground.words import unknown_words
from remix.plan import Schedule, prompts_of

NAME = "playground"
"""The checkpoint that a recipe names."""

SIDE = 128
"""The width and the height of the pictures that it learned from, in pixels."""

MOST_CFG = 4
"""The guidance above which its colors glare."""

DEFAULTS: Mapping[str, Any] = FAMILIES[NAME].defaults
"""The settings of a recipe that it renders well with, by the names of the fields."""


def remarks(schedule: Schedule) -> list[str]:
    """Returns remarks on words, a size and a guidance that the bundled model does not know; none for other models."""
    recipe, found = schedule.recipe, list[str]()
    if recipe.model.checkpoint != NAME:
        return found
    if unknown := dict(pair for prompt in prompts_of(recipe) for pair in unknown_words(prompt)):
        words = [f"{word} (nearest: {nearest})" if nearest else word for word, nearest in unknown.items()]
        found.append(
            f"prompt: the playground model does not know {', '.join(words)}; "
            "`remix demo --words` lists the words that it knows"
        )
    cfg = max(frame.cfg for frame in schedule)
    odd = [f"{recipe.width}x{recipe.height}"] if (recipe.width, recipe.height) != (SIDE, SIDE) else []
    if cfg > MOST_CFG:
        odd.append(f"cfg {cfg:g}")
    if odd:
        found.append(
            f"size, cfg: the playground model paints best at {SIDE}x{SIDE} and cfg up to {MOST_CFG}; "
            f"this recipe says {' and '.join(odd)}"
        )
    return found
