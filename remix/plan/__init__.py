"""Recipes and schedules: text in, numbers out.

A `Recipe` has keyframes. `plan` turns it into a `Schedule`, a sequence of `Frame`, in which everything that changes is
a number or a `Mix` of values. Pure Python: no tensors, no host.

The package is callable: `from remix import plan` imports the package, and `plan(recipe)` calls its function `plan`.
Type checkers see the function there; they find the other names with `from remix.plan import ...`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType

from remix.plan.curves import EASINGS
from remix.plan.keyframe import Keyframe
from remix.plan.mix import Mix
from remix.plan.model import Lora, Model
from remix.plan.recipe import Recipe, read_recipe
from remix.plan.schedule import Frame, Schedule, plan, prompts_of

__all__ = [
    "EASINGS",
    "Frame",
    "Keyframe",
    "Lora",
    "Mix",
    "Model",
    "Recipe",
    "Schedule",
    "plan",
    "prompts_of",
    "read_recipe",
]


class _CallablePackage(ModuleType):
    """A package with the name of its main function, callable like it."""

    def __call__(self, recipe: Recipe, at: Sequence[float] | None = None) -> Schedule:
        """Returns the schedule of a recipe, see `remix.plan.schedule.plan`."""
        return plan(recipe, at)


sys.modules[__name__].__class__ = _CallablePackage
