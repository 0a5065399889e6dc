"""What a run says of itself where there is no terminal to draw on."""

from __future__ import annotations

import pytest

from remix.client.cli.screen import Lines, progress
from remix.job import Event


def test_a_log_gets_a_line_at_the_start_now_and_then_and_at_the_end() -> None:
    now, said = [100.0], list[str]()
    listen = Lines(said.append, clock=lambda: now[0])
    for seconds, event in (
        (0, Event("steps", 1, 4)),  # the model is tried before the first frame
        (0, Event("frames", 0, 3)),
        (5, Event("steps", 1, 4)),
        (31, Event("steps", 3, 4)),
        (32, Event("frames", 1, 3)),
        (62, Event("frames", 2, 3)),
        (63, Event("frames", 3, 3)),
        (64, Event("film", 1, 3)),
        (64, Event("film", 2, 3)),
        (64, Event("film", 3, 3)),
    ):
        now[0] = 100.0 + seconds
        listen(event)
    assert said == [
        "rendering: 0 of 3 frames",
        "rendering: 0 of 3 frames, step 3 of 4",
        "rendering: 2 of 3 frames",
        "rendering: 3 of 3 frames",
        "writing the film: 1 of 3 frames",
        "writing the film: 3 of 3 frames",
    ]


@pytest.mark.parametrize(("quiet", "said"), [(False, "rendering: 0 of 2 frames\n"), (True, "")])
def test_lines_go_to_the_log_unless_it_is_to_be_quiet(
    quiet: bool, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress(quiet) as listen:
        listen(Event("frames", 0, 2))
    assert capsys.readouterr().err == said
