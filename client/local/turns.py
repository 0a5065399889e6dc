"""A lock for torch: loading a model excludes all other work; batches of different engines run in parallel.

diffusers and transformers change torch for the whole process while they load: new modules have no values ("meta"), the
functions that initialize weights do nothing, and the default dtype is that of the file. A concurrent load would fail,
and a concurrent batch might compute in another precision.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """A reentrant lock that many threads hold as `shared`, or one thread as `alone`.

    A thread that waits for `alone` has priority over threads that arrive later.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._sharing: Counter[int] = Counter()
        self._alone: Counter[int] = Counter()
        self._waiting = 0

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Holds the lock so that no other thread is `alone` within the block."""
        me = threading.get_ident()
        with self._changed:
            known = me in self._sharing or me in self._alone
            self._changed.wait_for(lambda: not self._others(self._alone, me) and (known or not self._waiting))
            self._sharing[me] += 1
        try:
            yield
        finally:
            self._leave(self._sharing, me)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Holds the lock so that no other thread is `shared` or `alone` within the block."""
        me = threading.get_ident()
        with self._changed:
            self._waiting += 1
            try:
                self._changed.wait_for(
                    lambda: not self._others(self._alone, me) and not self._others(self._sharing, me)
                )
                self._alone[me] += 1
            finally:
                self._waiting -= 1
                self._changed.notify_all()
        try:
            yield
        finally:
            self._leave(self._alone, me)

    def _others(self, holding: Counter[int], me: int) -> bool:
        return any(thread != me for thread in holding)

    def _leave(self, holding: Counter[int], me: int) -> None:
        with self._changed:
            holding[me] -= 1
            if not holding[me]:
                del holding[me]
            self._changed.notify_all()


TURNS = Turns()
"""The lock of this process."""
