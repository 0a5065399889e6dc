"""What every verb that renders shows: a progress bar with the time left, and a first Ctrl-C that is polite."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import Any

import click

from remix.job import Engine, Event, Listener

LABELS = {"frames": "rendering", "film": "writing the film"}


@contextmanager
def progress(quiet: bool) -> Iterator[Listener]:
    """Gives a listener that draws the events of a run on the terminal; with `quiet` nothing is drawn."""
    if quiet:
        yield lambda event: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:>16}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[step]}"),
    )
    bar, tasks = Progress(*columns, console=Console(stderr=True)), dict[str, Any]()
    with ExitStack() as shown:

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

        yield listen


@contextmanager
def stoppable(engine: Engine) -> Iterator[Callable[[], bool]]:
    """Within it, the first Ctrl-C asks for an end after the frames at hand, a second stops at once.

    Gives the question whether the first has come. It raises `KeyboardInterrupt` once the second has: Python drops one
    that comes while an object is being destroyed, so the question is to be asked at each step.
    """
    times = 0

    def pressed(number: int, frame: FrameType | None) -> None:
        nonlocal times
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

    before = signal.signal(signal.SIGINT, pressed)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
