"""What only Windows can show. The workflow runs it there; elsewhere the tests of each module simulate it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from remix.errors import BadInput
from remix.job.files import write_text
from remix.motion import atomic
from tests.core.engine.runs import contents
from tests.fakes.command import command

pytestmark = pytest.mark.skipif(sys.platform != "win32", reason="needs Windows")

ROOT = Path(__file__).parents[3]
RECIPE = 'frames = 3\nsize = [32, 16]\nkeyframes = [{prompt = "a"}, {prompt = "b"}]\n'


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


def test_break_finishes_the_frame_and_the_same_line_goes_on(recipe: Path, tmp_path: Path) -> None:
    """Ctrl-C itself cannot be sent to another process. Break can, and takes the same way."""
    job, record = tmp_path / "job", tmp_path / "record"
    words = [sys.executable, "-m", "tests.fakes.command", str(record), "0.5", "render", str(recipe), "-o", str(job)]
    child = subprocess.Popen(words, cwd=ROOT, creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0))
    until = time.monotonic() + 60
    while time.monotonic() < until and not (record.exists() and record.read_text("ascii").strip()):
        time.sleep(0.01)
    child.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM))
    assert child.wait(60) == 130
    begun = len(record.read_text("ascii").split())
    assert len(list((job / "frames").glob("*.png"))) == begun < 3
    assert command(["render", recipe, "-o", job, "-q"], tmp_path / "again") == 0
    assert command(["render", recipe, "-o", tmp_path / "whole", "-q"], tmp_path / "whole's record") == 0
    assert contents(job) == contents(tmp_path / "whole")


def test_a_job_as_deep_as_windows_allows_is_rendered(recipe: Path, tmp_path: Path) -> None:
    """Names of unfinished files are longer than those of a job, and must not be what ends it."""
    room = 225 - len(os.path.abspath(tmp_path)) - 1
    job = tmp_path / ("x" * max(room, 1))
    assert command(["render", recipe, "-o", job, "-q"], tmp_path / "record") == 0
    assert (job / "film.mp4").is_file()


@pytest.mark.parametrize("name", ["NUL", "con.json", "a:b.json", "film. .mp4"])
def test_a_reserved_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="not a name for Windows"):
        write_text(tmp_path / name, "x")


def test_a_file_that_a_program_holds_open_is_replaced_when_it_is_let_go(tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(b"new")
    (tmp_path / "old").write_bytes(b"old")
    held = open(tmp_path / "old", "rb")  # noqa: SIM115
    threading.Timer(0.3, held.close).start()
    atomic.replace(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old").read_bytes() == b"new"
