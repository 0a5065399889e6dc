"""Ctrl-C while a verb renders."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from remix.client.cli import render
from remix.job import Event, Listener, Picture
from remix.plan import Keyframe, Recipe, Schedule
from tests.fakes.renderer import Painter


class Deaf(Painter):
    """Is told twice to stop at its first step, the second time where Python drops what is raised."""

    def __init__(self, record: Path) -> None:
        super().__init__(record=record)
        self.steps = 0

    def render(
        self, schedule: Schedule, frames: Sequence[int], inputs: Mapping[str, Picture], listen: Listener
    ) -> Iterator[Picture]:
        signal.raise_signal(signal.SIGINT)
        assert self._cancelled
        with suppress(KeyboardInterrupt):  # as in an object's __del__
            signal.raise_signal(signal.SIGINT)
        for step in range(9):
            self.steps += 1
            listen(Event("steps", step, 9))
        yield from super().render(schedule, frames, inputs, listen)


def test_a_second_ctrl_c_that_python_drops_stops_at_the_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine, before = Deaf(tmp_path / "record"), signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(render, "open_engine", lambda *given, **named: engine)
    recipe = Recipe(frames=2, width=64, height=64, keyframes=(Keyframe(prompt="a"),))
    with pytest.raises(KeyboardInterrupt):
        render.run(recipe, tmp_path / "job", "local", True, new=False, film=None)
    assert engine.steps == 1
    assert engine.rendered == []
    assert "finishing the frames at hand" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before
