"""What a run says of itself where there is no terminal to draw on, and Ctrl-C while a verb renders."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from remix.client.cli import render
from remix.client.cli.screen import Lines, Pace, in_cells, progress, waiting
from remix.engine import Event, Listener, Picture
from remix.plan import Keyframe, Recipe, Schedule
from tests.fakes.renderer import Painter


def test_a_log_gets_a_line_at_the_start_now_and_then_and_at_the_end() -> None:
    now, shown = [100.0], list[str]()
    listen = Lines(shown.append, clock=lambda: now[0])
    for seconds, event in (
        (0, Event("steps", 1, 4)),  # the model is tried before the first frame
        (0, Event("frames", 0, 3)),
        (5, Event("steps", 1, 4)),
        (31, Event("steps", 3, 4)),
        (32, Event("frames", 1, 3)),
        (62, Event("frames", 2, 3)),
        (63, Event("frames", 3, 3)),
        (63, Event("frames", 3, 3)),  # two stages of a run may end with the same number
        (64, Event("film", 1, 3)),
        (64, Event("film", 2, 3)),
        (64, Event("film", 3, 3)),
    ):
        now[0] = 100.0 + seconds
        listen(event)
    assert shown == [
        "rendering: 0 of 3 frames",
        "rendering: 0 of 3 frames, step 3 of 4, 0:31 so far",
        "rendering: 2 of 3 frames, 0:28 left",
        "rendering: 3 of 3 frames, took 1:03",
        "writing the film: 1 of 3 frames",
        "writing the film: 3 of 3 frames",
    ]


def test_the_time_left_is_that_of_all_frames_of_this_run() -> None:
    """Frames of a batch come at once, models load first, and frames that were there already took no time."""
    now = [0.0]
    pace = Pace(lambda: now[0])

    def at(seconds: float, *events: Event) -> str:
        now[0] = seconds
        for event in events:
            pace.update(event)
        return str(pace)

    assert at(0, Event("frames", 8, 40)) == "0:00 so far"
    assert at(10, Event("steps", 1, 12)) == "0:10 so far"  # the model has loaded
    assert at(20, Event("steps", 8, 12)) == "0:20 so far"
    burst = [at(26, Event("frames", done, 40)) for done in range(9, 25)]
    assert burst[-1] == "0:16 left"  # 16 frames in 16 s, 16 to go
    assert at(30, Event("steps", 3, 12)) == "0:12 left"
    assert at(50) == "0:24 left"  # slower than the first batch
    assert at(60, *(Event("frames", done, 40) for done in range(25, 41))) == "took 1:00"


def test_a_run_without_steps_has_a_time_left_too() -> None:
    now = [0.0]
    pace = Pace(lambda: now[0])
    pace.update(Event("frames", 0, 4))
    now[0] = 5.0
    pace.update(Event("frames", 1, 4))
    assert str(pace) == "0:15 left"


@pytest.mark.parametrize(("quiet", "shown"), [(False, "rendering: 0 of 2 frames\n"), (True, "")])
def test_lines_go_to_the_log_unless_it_is_to_be_quiet(
    quiet: bool, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress(quiet) as listen:
        listen(Event("frames", 0, 2))
    assert capsys.readouterr().err == shown


@pytest.mark.parametrize(
    ("terminal", "quiet", "shown"), [(True, False, True), (True, True, False), (False, False, False)]
)
def test_work_of_unknown_length_shows_its_name_on_a_terminal_only(
    terminal: bool, quiet: bool, shown: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
    with waiting("running noise", quiet):
        pass
    assert ("running noise" in capsys.readouterr().err) == shown


class Deaf(Painter):
    """Gets two signals to stop at its first step, the second one where Python ignores exceptions."""

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
        render.run({tmp_path / "job": recipe}, "local", True, new=False, film=None)
    assert engine.steps == 1
    assert engine.rendered == []
    assert "finishing the current frames" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before


def test_a_preview_has_two_pixels_in_each_cell_of_a_terminal() -> None:
    wide = np.zeros((10, 20, 3), np.uint8)
    wide[:5], wide[5:] = (255, 0, 0), (0, 0, 255)
    shown = in_cells(wide)
    lines = shown.plain.splitlines()
    assert [len(line) for line in lines] == [40] * 10
    assert set(shown.plain) == {"▀", "\n"}
    assert str(shown.spans[0].style) == "#ff0000 on #ff0000"
    assert str(shown.spans[-1].style) == "#0000ff on #0000ff"
