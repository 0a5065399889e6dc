"""The host's settings during a run: the run has a copy of its own, and everyone else has the user's.

A1111 and Forge keep settings in the dictionary `shared.opts.data`. What a request overrides is written into it, every
call of `process_images` reads it anew, and each quicksetting and each POST to /options saves it whole to config.json.
So a setting that is changed during a film would change the film, and what the film sets would be saved.

Here `opts.data` depends on the thread. The thread of the run reads and writes a copy, taken when the run begins. All
others read, write and save the dictionary of the user, as ever. That dictionary never holds a value of the run, so
there is nothing to restore: not after an error, and not after the process is killed. What the user sets meanwhile is
saved as ever, and holds for whatever comes after the run.

For that time `opts` has a subclass of its own class, in which `data` is a property. The object and the dictionary stay
the same ones, so a thread that is just about to write into it loses nothing when the class comes or goes.
`override_settings` alone cannot do this, because it writes into the user's dictionary; nor can another `save`, because
it keeps nobody from changing the film; nor another dictionary, because a thread may still hold the one before.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def pinned_settings(opts: Any) -> Iterator[dict[str, Any]]:
    """Gives this thread a copy of the host's settings, and yields it; other threads keep the user's.

    The copy also has the settings that were never saved, at their defaults: the host restores after each call only
    what it finds there.
    """
    kind: Any = type(opts)
    own = {name: label.default for name, label in opts.data_labels.items() if not label.do_not_save} | dict(opts.data)
    thread: int | None = threading.get_ident()

    class Pinned(kind):
        """The host's settings, with a copy for one thread."""

        over = False

        @property
        def data(self) -> dict[str, Any]:
            """The settings of the thread that asks."""
            if threading.get_ident() == thread:
                return own
            other: Any = getattr(kind, "data", None)  # that of another run
            users: dict[str, Any] = vars(self)["data"] if other is None else other.fget(self)
            return users

        @data.setter
        def data(self, given: dict[str, Any]) -> None:
            self.__dict__["data"] = given

        def save(self, *args: Any, **kwargs: Any) -> Any:
            """Saves the user's settings, whichever thread asks."""
            nonlocal thread
            if threading.get_ident() != thread:
                return super().save(*args, **kwargs)
            before, thread = thread, None
            try:
                return super().save(*args, **kwargs)
            finally:
                thread = before

    object.__setattr__(opts, "__class__", Pinned)
    try:
        yield own
    finally:
        thread = None
        Pinned.over = True
        # Runs of two threads, which no host has at once, may end in any order.
        while vars(type(opts)).get("over"):
            object.__setattr__(opts, "__class__", type(opts).__base__)
