"""Renders recipes into films, and opens engines by name. Submodules are imported on first use."""

from __future__ import annotations

import difflib
import importlib
from typing import TYPE_CHECKING, Any, NamedTuple

from remix.errors import BadInput, MissingPackage

if TYPE_CHECKING:
    from remix.client.a1111 import A1111 as A1111
    from remix.client.cluster import Pool as Pool
    from remix.client.cluster import Worker as Worker
    from remix.client.comfyui import ComfyUI as ComfyUI
    from remix.client.film_queue import render_all as render_all
    from remix.client.films import arender as arender
    from remix.client.films import render as render
    from remix.client.local import Local as Local
    from remix.engine import Engine

__all__ = [
    *("A1111", "ENGINES", "ComfyUI", "Kind", "Local", "Pool", "Worker", "arender", "open_engine", "render"),
    "render_all",
]

OF_SERVERS = ("url", "auth", "headers", "ca", "insecure", "batch", "previews")
"""Options shared by the engines that use a server."""

OF_LOCAL = ("device", "batch", "precision", "offload", "quantize", "embeddings", "previews")
"""Options of the local engine."""


class Kind(NamedTuple):
    """The module and class of an engine, the extra that installs its dependencies, and its options."""

    module: str
    cls: str
    extra: str
    options: tuple[str, ...]


ENGINES = {
    "local": Kind("remix.client.local", "Local", "local", OF_LOCAL),
    "comfyui": Kind("remix.client.comfyui", "ComfyUI", "", OF_SERVERS),
    "a1111": Kind("remix.client.a1111", "A1111", "", OF_SERVERS),
}
"""Engines by name."""

_HOMES = {
    **{kind.cls: kind.module for kind in ENGINES.values()},
    "Pool": "remix.client.cluster",
    "Worker": "remix.client.cluster",
    "arender": "remix.client.films",
    "render": "remix.client.films",
    "render_all": "remix.client.film_queue",
}
"""The module of each lazily imported name."""


def open_engine(name: str, **options: Any) -> Engine:
    """Returns the engine called `name`, created with `options`. Options that are None are omitted.

    Raises `BadInput` for a name that is not in `ENGINES` or an option that the engine does not take, and
    `MissingPackage` if a dependency is not installed.
    """
    if name not in ENGINES:
        near = difflib.get_close_matches(name, ENGINES, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(ENGINES)}"
        raise BadInput(f"engine: there is no {name!r}; {hint}")
    kind = ENGINES[name]
    given = {option: value for option, value in options.items() if value is not None}
    if strange := [option for option in given if option not in kind.options]:
        takers = [other for other, each in ENGINES.items() if strange[0] in each.options]
        other = f". The engines {' and '.join(takers)} take {strange[0]}" if takers else ""
        raise BadInput(f"{strange[0]}: the {name} engine does not take it; it takes {', '.join(kind.options)}{other}")
    try:
        made = getattr(importlib.import_module(kind.module), kind.cls)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("remix"):
            raise
        raise MissingPackage.of(f"the {name} engine", str(error.name), extra=kind.extra) from error
    engine: Engine = made(**given)
    return engine


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
