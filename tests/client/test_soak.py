"""Some jobs with a fault in every tenth request; `python -m tests.bench soak` runs a thousand."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.bench.soak import FRAMES, HOSTS, soak


@pytest.mark.parametrize("name", HOSTS)
def test_with_a_fault_in_every_tenth_request_all_frames_are_right(name: str, tmp_path: Path) -> None:
    host, jobs = HOSTS[name], 10
    with host.server().started() as server:
        found = soak(host, server.url, jobs, tmp_path)
        calls = [
            thread for thread in threading.enumerate() if "_run" in thread.name or isinstance(thread, threading.Timer)
        ]
    assert found.is_whole, found
    assert found.right == jobs * FRAMES
    assert found.faults >= jobs
    assert len(calls) < jobs // 2, "calls that were given up are waited for still"
    if host.keeps:
        assert set(found.times) == {1}
    else:
        assert found.again <= found.faults
