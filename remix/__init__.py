"""Remix Toolkit: travel between prompts, seeds and pictures with diffusion models, and get a film.

    >>> from remix import Keyframe, Recipe, plan
    >>> recipe = Recipe(frames=3, keyframes=[Keyframe(prompt="a cat"), Keyframe(prompt="a dog")])
    >>> plan(recipe)[1].prompt.items
    (('a cat', 0.5), ('a dog', 0.5))

`render(recipe, "my-film")` renders it. Every name in `__all__` is imported on first use, so `import remix` loads
neither numpy nor torch. The packages, such as `remix.plan`, `remix.mix`, `remix.motion` and `remix.job`, hold the rest.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from remix import errors as errors
    from remix.client import A1111 as A1111
    from remix.client import ComfyUI as ComfyUI
    from remix.client import Local as Local
    from remix.client import arender as arender
    from remix.client import open_engine as open_engine
    from remix.client import render as render
    from remix.client import render_all as render_all
    from remix.engine import Event as Event
    from remix.engine import Outcome as Outcome
    from remix.plan import Keyframe as Keyframe
    from remix.plan import Lora as Lora
    from remix.plan import Mix as Mix
    from remix.plan import Model as Model
    from remix.plan import Recipe as Recipe
    from remix.plan import Schedule as Schedule
    from remix.plan import plan as plan
    from remix.syntax.inputs import read_recipe as read_recipe

__version__ = "0.1.0"

_HOMES = {
    **dict.fromkeys(("A1111", "ComfyUI", "Local", "arender", "open_engine", "render", "render_all"), "remix.client"),
    **dict.fromkeys(("Event", "Outcome"), "remix.engine"),
    **dict.fromkeys(("Keyframe", "Lora", "Mix", "Model", "Recipe", "Schedule"), "remix.plan"),
    "read_recipe": "remix.syntax.inputs",
}
"""The package that each name comes from."""

_PACKAGES = ("client", "engine", "errors", "hosts", "job", "mix", "motion", "plan", "show", "syntax")
"""What is imported as an attribute too. `plan` is both: the package is callable and plans a recipe."""

__all__ = [
    "A1111",
    "ComfyUI",
    "Event",
    "Keyframe",
    "Local",
    "Lora",
    "Mix",
    "Model",
    "Outcome",
    "Recipe",
    "Schedule",
    "arender",
    "errors",
    "open_engine",
    "plan",
    "read_recipe",
    "render",
    "render_all",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _PACKAGES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_PACKAGES, "__version__"})
