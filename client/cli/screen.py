"""Shows progress on a terminal or in a log, and handles Ctrl-C: the first one finishes the current frames."""

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

from remix.engine import Engine, Event, Listener, Picture, WorkerEvent

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

LABELS = {"pacing": "measuring", "frames": "rendering", "film": "writing the film"}

EVERY = 30.0
"""Seconds between log lines."""

CELLS = 40
"""The longest side of a preview on a terminal, in columns. A line has two pixels, one above the other."""

ENDS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
"""Signals that end a run, if available: Ctrl-C, `docker stop`, a closed terminal, Break on Windows."""


@contextmanager
def progress(quiet: bool) -> Iterator[Listener]:
    """Yields a listener that draws a run's progress on the terminal, or prints lines without one.

    With `quiet` it shows nothing.
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


@contextmanager
def waiting(what: str, quiet: bool) -> Iterator[None]:
    """Shows `what` and the elapsed time on a terminal until the block ends, for work whose length is unknown.

    With `quiet`, or without a terminal, it shows nothing.
    """
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as shown:
        shown.add_task(what, total=None)
        yield


class Pace:
    """Elapsed and remaining time of a stage.

    Frames arrive in batches, so the pace is the mean over all frames of this run, and the steps of the current batch
    count as fractions of its frames. Model loading and existing frames are excluded.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._opened = self._began = self._latest = clock()
        self._first: int | None = None
        self._done = self._total = 0
        self._sampling = False
        self._batch = self._before = 0
        self._share = 0.0

    def update(self, event: Event) -> None:
        """Records an event or a step of this stage."""
        now = self._clock()
        if event.stage == "steps":
            if not self._sampling and self._done == self._first:
                self._began = now
            self._sampling, self._share = True, event.done / max(event.total, 1)
            if self._done > self._before:
                self._batch, self._before = self._done - self._before, self._done
            return
        if self._first is None:
            self._first, self._before, self._began = event.done, event.done, now
        if event.done != self._done:
            self._latest, self._share = now, 0.0
        self._done, self._total = event.done, event.total

    def taken(self) -> float:
        """Returns the seconds since the stage started."""
        return self._clock() - self._opened

    def left(self) -> float | None:
        """Returns the remaining seconds, or None before the first frame of this run."""
        new, missing = self._done - (self._first or 0), self._total - self._done
        if new < 1:
            return None
        now, part = self._clock(), self._share * min(self._batch, missing)
        if part:
            return (now - self._began) / (new + part) * (missing - part)
        each = (self._latest - self._began) / new
        return max(each * missing - (now - self._latest), min(each, each * missing))

    def __str__(self) -> str:
        if self._total and self._done == self._total:
            return f"took {_minutes(self.taken())}"
        left = self.left()
        return f"{_minutes(self.taken())} so far" if left is None else f"{_minutes(left)} left"


def _minutes(seconds: float) -> str:
    """Returns a time as ``0:05`` or ``1:02:05``.

    >>> _minutes(5.4), _minutes(3725)
    ('0:05', '1:02:05')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Lines:
    """A listener for logs: prints a line when a stage starts, every 30 seconds, and when it ends."""

    def __init__(self, say: Callable[[str], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock = say, clock
        self._stage, self._at, self._said, self._shown = "", "", 0.0, ""
        self._pace = Pace(clock)
        self._workers: dict[str, WorkerEvent] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, WorkerEvent):
            self._workers[event.worker] = event
            return
        now, step, due = self._clock(), "", False
        if event.stage == "steps":
            step = f", step {event.done} of {event.total}"
        else:
            due = event.stage != self._stage or event.done == event.total
            if event.stage != self._stage:
                self._pace = Pace(self._clock)
            self._stage = event.stage
            self._at = f"{LABELS.get(event.stage, event.stage)}: {event.done} of {event.total} frames"
        self._pace.update(event)
        if (due and self._at != self._shown) or (self._at and now - self._said >= EVERY):
            self._said, self._shown = now, self._at
            timed = f", {self._pace}" if round(self._pace.taken()) else ""
            self._say(self._at + step + timed)
            for worker in self._workers.values() if event.stage == "frames" else ():
                self._say(f"  {worker.worker}: {worker.done} frames{seconds_per_frame(worker, ', ')}, {worker.doing}")


def seconds_per_frame(event: WorkerEvent, before: str = "") -> str:
    """Returns a worker's pace in words, "" if it is unknown.

    >>> seconds_per_frame(WorkerEvent("worker", 3, 9, seconds=2.5))
    '2.50 s per frame'
    """
    return "" if event.seconds is None else f"{before}{event.seconds:.2f} s per frame"


def _bar(console: Console, shown: ExitStack) -> Listener:
    """Returns a listener that draws a bar. `shown` holds the bar from the first event on."""
    from rich.console import RenderableType
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (
        TextColumn("{task.description:>16}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pace]}"),
        TextColumn("{task.fields[step]}"),
    )

    latest = list[RenderableType]()

    class Bar(Progress):
        def get_renderables(self) -> Iterator[RenderableType]:
            yield from latest
            yield from super().get_renderables()

    bar, tasks = Bar(*columns, console=console), dict[str, Any]()
    paces, workers = dict[str, Pace](), dict[str, Any]()
    stage = ""

    def listen(event: Event) -> None:
        nonlocal stage
        if not bar.live.is_started:  # stopping a bar that never started would leave an empty line
            shown.enter_context(bar)
        if isinstance(event, WorkerEvent):
            if event.worker not in workers:
                workers[event.worker] = bar.add_task(event.worker, total=event.total, step="", pace="")
            shown_pace, task = seconds_per_frame(event), workers[event.worker]
            bar.update(task, completed=event.done, total=event.total, pace=shown_pace, step=event.doing)
            return
        if event.preview is not None:
            latest[:] = [in_cells(event.preview)]
        if event.stage == "steps":
            if stage:
                paces[stage].update(event)
                bar.update(tasks[stage], step=f"step {event.done}/{event.total}")
            return
        stage = event.stage
        if event.stage not in tasks:
            label = LABELS.get(event.stage, event.stage)
            pace = paces[event.stage] = Pace()
            tasks[event.stage] = bar.add_task(label, total=event.total, step="", pace=pace)
        paces[event.stage].update(event)
        bar.update(tasks[event.stage], completed=event.done, step="")

    return listen


def in_cells(picture: Picture) -> Text:
    """Returns a picture as lines of a terminal. Each cell shows two pixels: its color is above that of its ground."""
    import numpy as np
    from PIL import Image
    from rich.text import Text

    image = Image.fromarray(picture)
    scale = min(CELLS / image.width, CELLS / image.height)
    size = (max(1, round(image.width * scale)), max(2, 2 * round(image.height * scale / 2)))
    rows = np.asarray(image.resize(size, Image.Resampling.BICUBIC)).tolist()
    shown = Text(no_wrap=True)
    for above, below in zip(rows[::2], rows[1::2], strict=True):
        for upper, lower in zip(above, below, strict=True):
            shown.append("▀", "#{:02x}{:02x}{:02x} on #{:02x}{:02x}{:02x}".format(*upper, *lower))
        shown.append("\n")
    return shown


@contextmanager
def stoppable(engine: Engine) -> Iterator[Callable[[], bool]]:
    """Stops the run in the block on Ctrl-C: after the current frames, or immediately on the second.

    SIGTERM and a closed terminal have the same effect; repeated signals of a terminal count once. Yields a function
    that returns whether the first Ctrl-C has arrived, and raises `KeyboardInterrupt` after the second. Call it at each
    step, since Python drops a `KeyboardInterrupt` that is raised while an object is destroyed.
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
        with suppress(RuntimeError):  # the signal arrived during a write to this stream
            click.echo("remix: finishing the current frames; press Ctrl-C again to stop at once", err=True)

    def stop() -> bool:
        if times > 1:
            raise KeyboardInterrupt
        return times > 0

    known = [getattr(signal, name) for name in ENDS if hasattr(signal, name)]
    # A signal that nohup or similar has disabled stays disabled.
    before = {each: signal.getsignal(each) for each in known if signal.getsignal(each) is not signal.SIG_IGN}
    for each in before:
        signal.signal(each, pressed)
    try:
        yield stop
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _leave_terminal() -> None:
    """Discards further output, since writing to a closed terminal raises an error."""
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None and stat.S_ISCHR(os.fstat(stream.fileno()).st_mode):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
