"""`remix jobs`, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from remix.client import cli
from remix.job import open_job
from remix.plan import Keyframe, Recipe, plan


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    """A finished and an unfinished job."""
    for name, finished in (("film", 2), ("more/other", 1)):
        keyframes = (Keyframe(prompt=f"a {name} of a long\x1b[2J story{' and on' * 20}"),)
        recipe = Recipe(frames=2, keyframes=keyframes, width=16, height=8)
        with open_job(tmp_path / name, plan(recipe), {"engine": "test"}) as job:
            for index in range(finished):
                job.keep(index, np.full((8, 16, 3), index, np.uint8))
    return tmp_path


def test_jobs_are_listed_one_to_a_line(jobs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["jobs", str(jobs)]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["state", "frames", "changed", "size", "prompt", "folder"]
    assert [line.split()[:3] for line in lines] == [["unfinished", "1/2", "now"], ["finished", "2/2", "now"]]
    assert lines[0].endswith("  more/other")
    assert "a film of a long\\u001b[2J story" in lines[1]
    assert "..." in lines[1]


def test_unfinished_jobs_alone_as_json(jobs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["jobs", str(jobs), "--unfinished", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert found["folder"] == str(jobs / "more" / "other")
    assert (found["state"], found["finished"], found["frames"]) == ("unfinished", 1, 2)
    assert found["bytes"] > 0


def test_a_folder_without_jobs_says_so_and_a_file_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["jobs", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"no jobs below {tmp_path}\n"
    (tmp_path / "a.txt").write_text("")
    assert cli.main(["jobs", str(tmp_path / "a.txt")]) == 2
    assert "is not a folder" in capsys.readouterr().err
