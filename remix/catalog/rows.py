"""Code that the rows of the catalog share: hosts, labels, and suggestions of rows that a host has."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Protocol

from remix.errors import Unsupported

COMFYUI, A1111, FORGE = "comfyui", "a1111", "forge"
"""The names of the hosts in the rows."""

EVERY_HOST = frozenset({COMFYUI, A1111, FORGE})
WEBUI = frozenset({A1111, FORGE})


class Named(Protocol):
    """The names of a row."""

    @property
    def name(self) -> str: ...
    @property
    def hosts(self) -> frozenset[str]: ...
    @property
    def label(self) -> str: ...
    @property
    def aliases(self) -> tuple[str, ...]: ...
    @property
    def like(self) -> str: ...


def plain(label: str) -> str:
    """Returns a label in lower case with single spaces."""
    return " ".join(label[:80].lower().split())


def by_label(rows: Iterable[Named]) -> Mapping[str, str]:
    """Returns the name for every label and alias, in lower case, that is not itself a name."""
    rows = tuple(rows)
    names, found = {row.name for row in rows}, dict[str, str]()
    for row in rows:
        for label in (plain(row.label), *row.aliases):
            if label and label not in names:
                found.setdefault(label, row.name)
    return MappingProxyType(found)


def nearest_row(rows: Mapping[str, Named], name: str, available: Collection[str]) -> str | None:
    """Returns a replacement for `name` if it is not `available`: its closest relative, else the most similar name."""
    relative = rows.get(name)
    while relative is not None:
        if relative.name in available:
            return relative.name
        relative = rows.get(relative.like)
    return next(iter(difflib.get_close_matches(name[:60], available, n=1)), None)


def require(field: str, rows: Mapping[str, Named], name: str, available: Collection[str], engine: str) -> None:
    """Raises `Unsupported`, with the nearest row, if an `engine` does not have the row of this name."""
    if name in available:
        return
    nearest = nearest_row(rows, name, available)
    advice = f'use "{nearest}"' if nearest else f"use one of {', '.join(available)}"
    raise Unsupported(f"{field}: {engine} does not have {name!r}; {advice}")
