"""What every verb that renders shows: how far it is, on a terminal or in a log, and a first Ctrl-C that is polite."""

from __future__ import annotations

import os
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from remix.engine import Engine, Event, Listener

if TYPE_CHECKING:
    from rich.console import Console

LABELS = {"frames": "rendering", "film": "writing the film"}

EVERY = 30.0
"""Seconds between two lines of a log."""

ENDS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
"""What asks a run to end, as far as a system has it: Ctrl-C, `docker stop`, a terminal that closes, Windows' Break."""


@contextmanager
def progress(quiet: bool) -> Iterator[Listener]:
    """Gives a listener that draws the events of a run on the terminal, or prints lines where there is none.

    With `quiet` nothing is shown.
    """
    if quiet:
        yield lambda event: None
        return
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield Lines(lambda line: click.echo(line, err=True))
        return
    with ExitStack() as shown:
        yield _bar(console, shown)


class Lines:
    """A listener for logs: a line when a stage begins, one every half minute, and one when it ends."""

    def __init__(self, say: Callable[[str], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock = say, clock
        self._stage, self._at, self._said = "", "", 0.0

    def __call__(self, event: Event) -> None:
        now, step, due = self._clock(), "", False
        if event.stage == "steps":
            step = f", step {event.done} of {event.total}"
        else:
            due = event.stage != self._stage or event.done == event.total
            self._stage = event.stage
            self._at = f"{LABELS.get(event.stage, event.stage)}: {event.done} of {event.total} frames"
        if due or (self._at and now - self._said >= EVERY):
            self._said = now
            self._say(self._at + step)


def _bar(console: Console, shown: ExitStack) -> Listener:
    """A listener that draws a bar, which is `shown` from the first event on."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:>16}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[step]}"),
    )
    bar, tasks = Progress(*columns, console=console), dict[str, Any]()

    def listen(event: Event) -> None:
        if not bar.live.is_started:  # a bar that never began would leave an empty line
            shown.enter_context(bar)
        if event.stage == "steps":
            if "frames" in tasks:
                bar.update(tasks["frames"], step=f"step {event.done}/{event.total}")
            return
        if event.stage not in tasks:
            label = LABELS.get(event.stage, event.stage)
            # A bar that starts in the middle (a job that goes on) must not count the past as speed.
            tasks[event.stage] = bar.add_task(label, total=event.total, completed=event.done, step="")
        bar.update(tasks[event.stage], completed=event.done, step="")

    return listen


@contextmanager
def stoppable(engine: Engine) -> Iterator[Callable[[], bool]]:
    """Within it, the first Ctrl-C asks for an end after the frames at hand, a second stops at once.

    SIGTERM does the same, and so does a terminal that closes, however often it says so. Gives the question whether
    the first has come. It raises `KeyboardInterrupt` once the second has: Python drops one that comes while an object
    is being destroyed, so the question is to be asked at each step.
    """
    times, hangup = 0, getattr(signal, "SIGHUP", None)

    def pressed(number: int, frame: FrameType | None) -> None:
        nonlocal times
        if number == hangup:
            _leave_terminal()
            if times:
                return
        times += 1
        if times > 1:
            raise KeyboardInterrupt
        engine.cancel()
        with suppress(RuntimeError):  # the signal came while that very stream was written to
            click.echo("remix: finishing the frames at hand; press Ctrl-C again to stop at once", err=True)

    def stop() -> bool:
        if times > 1:
            raise KeyboardInterrupt
        return times > 0

    known = [getattr(signal, name) for name in ENDS if hasattr(signal, name)]
    # What nohup and its like have turned off stays off.
    before = {each: signal.getsignal(each) for each in known if signal.getsignal(each) is not signal.SIG_IGN}
    for each in before:
        signal.signal(each, pressed)
    try:
        yield stop
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _leave_terminal() -> None:
    """Sends what is still printed to nowhere: a terminal that is gone answers each line with an error."""
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None and stat.S_ISCHR(os.fstat(stream.fileno()).st_mode):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
