"""Twenty jobs with a fault in every tenth request; `python -m tests.bench soak` runs a thousand."""

from __future__ import annotations

from pathlib import Path

from tests.bench.soak import FRAMES, Faulty, soak


def test_with_a_fault_in_every_tenth_request_all_frames_are_right_and_none_is_made_twice(tmp_path: Path) -> None:
    with Faulty().started() as server:
        found = soak(server.url, 20, tmp_path)
    assert found.is_good, found
    assert found.right == 20 * FRAMES
    assert found.faults >= 20
