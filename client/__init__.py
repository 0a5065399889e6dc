"""Drives what renders: the engines by name, each imported when it is first asked for."""

from __future__ import annotations

import difflib
import importlib
from typing import TYPE_CHECKING, Any

from remix.errors import BadInput, MissingPackage

if TYPE_CHECKING:
    from remix.client.local import Local
    from remix.job import Engine

__all__ = ["ENGINES", "Local", "open_engine"]

ENGINES = {"local": ("remix.client.local", "Local", "local")}
"""name -> (module, class, the extra of this package that installs what it needs)."""


def open_engine(name: str, **options: Any) -> Engine:
    """Returns the engine called `name`, with the options of its class.

    Raises `BadInput` for a name that is not in `ENGINES`, `MissingPackage` when what it needs is not installed.
    """
    if name not in ENGINES:
        near = difflib.get_close_matches(name, ENGINES, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(ENGINES)}"
        raise BadInput(f"engine: there is no {name!r}; {hint}")
    module, cls, extra = ENGINES[name]
    try:
        kind = getattr(importlib.import_module(module), cls)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("remix"):
            raise
        raise MissingPackage(
            f"the {name} engine needs {error.name}, which is not installed; "
            f'run: pip install -c constraints.txt -e ".[{extra}]" in the repository'
        ) from error
    return kind(**options)


def __getattr__(name: str) -> Any:
    for module, cls, _ in ENGINES.values():
        if cls == name:
            return getattr(importlib.import_module(module), cls)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
