"""A recipe with a field of a later version, which no engine knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from remix.plan import Recipe


@dataclass(frozen=True, init=False)
class LaterRecipe(Recipe):
    """A recipe with one field more."""

    tilt: float = 0.0


def later(recipe: Recipe, tilt: float = 0.5) -> Recipe:
    """Returns the same recipe with the field set."""
    made: Any = object.__new__(LaterRecipe)
    vars(made).update({**vars(recipe), "tilt": tilt})
    return made  # type: ignore[no-any-return]
