"""Outputs of text encoders, kept so that each chunk of text is encoded once, whatever its weights."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

X = TypeVar("X")


class Encoded:
    """A cache of the `most` entries that were used last."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._scope: Hashable = ()
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()

    def of(self, scope: Hashable) -> Encoded:
        """Returns a view of this cache, whose keys count for `scope` alone."""
        view = copy.copy(self)
        view._scope = scope
        return view

    def get(self, key: Hashable, make: Callable[[], X]) -> X:
        """Returns the entry of `key`, made by `make` if there is none."""
        key = self._scope, key
        if key not in self._kept:
            self._kept[key] = make()
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        found: X = self._kept[key]
        return found

    def clear(self) -> None:
        """Removes all entries."""
        self._kept.clear()
