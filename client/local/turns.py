"""Who may use torch when: loading a model has the process to itself, batches of different engines run side by side.

diffusers and transformers change torch for the whole process while they load: new modules have no values ("meta"),
the functions that initialize weights do nothing, and the default dtype is that of the file. A second load meanwhile
fails, and a batch meanwhile may compute in another precision.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """A lock that many threads hold as `shared`, or one thread as `alone`. Both may be taken again by who holds them.

    A thread that waits to be alone goes before those that come after it.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._sharing: Counter[int] = Counter()
        self._alone: Counter[int] = Counter()
        self._waiting = 0

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Within it no other thread is alone."""
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
        """Within it no other thread shares or is alone."""
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
"""The one of this process."""
