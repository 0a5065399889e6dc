"""Isolates the host's settings during a run: the run has its own copy, and everyone else has the user's.

A1111 and Forge keep settings in the dictionary `shared.opts.data`. The overrides of a request are written into it,
every call of `process_images` reads it again, and each quicksetting and each POST to /options saves all of it to
config.json. So a setting that is changed during a film would change the film, and the film's own settings would be
saved.

Here `opts.data` depends on the thread. The thread of the run reads and writes a copy, taken when the run begins. All
others read, write and save the user's dictionary as usual. That dictionary never holds a value of the run, so there is
nothing to restore, neither after an error nor after the process is killed. Settings that the user changes meanwhile are
saved as usual, and apply after the run.

During the run, `opts` has a subclass of its own class in which `data` is a property. The object and the dictionary
remain the same, so a thread that is about to write into the dictionary loses nothing when the class changes. Three
simpler ways do not work. `override_settings` writes into the user's dictionary. Replacing `save` lets others change the
film. Replacing the dictionary loses the writes of threads that still hold the previous one.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def pinned_settings(opts: Any) -> Iterator[dict[str, Any]]:
    """Gives this thread a copy of the host's settings, and yields it; other threads keep the user's.

    The copy includes settings that were never saved, at their defaults, because after each call the host restores only
    the settings that exist there.
    """
    kind: Any = type(opts)
    own = {name: label.default for name, label in opts.data_labels.items() if not label.do_not_save} | dict(opts.data)
    thread: int | None = threading.get_ident()

    class Pinned(kind):
        """The host's settings, with a copy for one thread."""

        over = False

        @property
        def data(self) -> dict[str, Any]:
            """Returns the settings of the calling thread."""
            if threading.get_ident() == thread:
                return own
            other: Any = getattr(kind, "data", None)  # that of another run
            users: dict[str, Any] = vars(self)["data"] if other is None else other.fget(self)
            return users

        @data.setter
        def data(self, given: dict[str, Any]) -> None:
            self.__dict__["data"] = given

        def save(self, *args: Any, **kwargs: Any) -> Any:
            """Saves the user's settings, whichever thread calls it."""
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
