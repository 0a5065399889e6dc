"""Killed at any write, the disk full at any write, two runs at once, Ctrl-C: nothing finished is lost or made twice."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from remix.motion import load_picture
from tests.core.engine.runs import contents
from tests.core.job.killed import KILLS, RECIPE
from tests.fakes.command import command
from tests.fakes.disk import Disk

ROOT = Path(__file__).parents[3]
STRIDE, LONG_STRIDE = (2, 4) if os.environ.get("CI") else (1, 1)
"""In CI, a run is killed at every second write, and at every fourth one where it takes frames over."""

posix = pytest.mark.skipif(os.name != "posix", reason="needs fork and signals")


@pytest.fixture
def quick_disk() -> Iterator[Path]:
    """A folder in memory where there is one: that nothing waits for a disk changes nothing about being killed."""
    memory = Path("/dev/shm")
    place = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place) as folder:
        yield Path(folder)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


@pytest.fixture
def whole(recipe: Path, tmp_path: Path) -> dict[str, bytes]:
    """What an undisturbed run leaves."""
    assert command(["render", recipe, "-o", tmp_path / "whole", "-q"], tmp_path / "whole's record") == 0
    return contents(tmp_path / "whole")


def recorded(record: Path) -> list[int]:
    return [int(line) for line in record.read_text("ascii").split()] if record.exists() else []


def killed_runs(how: str, folder: Path, stride: int = 1) -> list[dict[str, Any]]:
    words = [sys.executable, "-m", "tests.core.job.killed", how, str(folder), str(stride)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    runs = [json.loads(line) for line in done.stdout.splitlines()]
    for run in runs:
        assert run["code"] == 0, run
        assert run["odd"] == [], run
    return runs


def killed(how: str, folder: Path, stride: int = 1) -> list[dict[str, Any]]:
    runs = killed_runs(how, folder, stride)
    for run in runs:
        assert run["rendered"] == [index for index in range(3) if index not in run["finished"]], run
    return runs


@posix
def test_killed_at_any_write_it_goes_on_to_the_same_bytes_and_renders_no_finished_frame_twice(quick_disk: Path) -> None:
    runs = killed("every", quick_disk, STRIDE)
    assert len(runs) * STRIDE > 80
    names = {run["name"] for run in runs}
    assert {"open", "write", "half-written", "os.mkdir", "os.replace", "os.rmdir", "os.fsync", "Ffmpeg.finish"} <= names
    assert {tuple(run["finished"]) for run in runs} == {(), (0,), (0, 1), (0, 1, 2)}


@posix
@pytest.mark.parametrize("how", ["edited", "sibling"])
def test_killed_at_any_write_while_frames_are_taken_over_none_of_them_is_rendered(quick_disk: Path, how: str) -> None:
    """Frames 1 to 3 are those of the job before, or of the other job; 0 and 4 are rendered, and never twice."""
    runs = killed_runs(how, quick_disk, LONG_STRIDE)
    assert len(runs) * LONG_STRIDE > 100
    for run in runs:
        finished = set(run["begun"][:-1])  # the last one may have been in progress
        assert {0, 4} - set(run["begun"]) <= set(run["rendered"]) <= {0, 4} - finished, run
    assert {tuple(run["begun"]) for run in runs} == {(), (0,), (0, 4)}
    assert {tuple(run["rendered"]) for run in runs} == {(0, 4), (4,), ()}


@posix
def test_killed_at_fifty_random_moments_it_goes_on_to_the_same_bytes(quick_disk: Path) -> None:
    runs = killed("random", quick_disk)
    assert runs[-1]["kills"] == KILLS
    assert len({len(run["finished"]) for run in runs}) > 1


FULL = r"the disk is full: up to \d+ bytes are needed to continue, \d+ are free; what is finished is kept, make room"
NO_ROOM_NEEDED = frozenset({"os.rmdir", "Path.unlink", "Ffmpeg.__init__", "Ffmpeg.write", "Ffmpeg.finish"})


def test_a_disk_that_is_full_at_any_write_costs_no_finished_frame(
    recipe: Path, whole: dict[str, bytes], quick_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(name: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", name)

    step, code = 0, 1
    while code == 1:
        step += 1
        disk, job, record = Disk(step, full, NO_ROOM_NEEDED), quick_disk / str(step), quick_disk / f"record {step}"
        with disk.installed():
            code = command(["render", recipe, "-o", job, "-q"], record)
        if code == 1:
            assert re.search(FULL, capsys.readouterr().err), disk.steps
            finished = [int(path.stem) for path in sorted((job / "frames").glob("*.png"))]
            assert not list(job.rglob("*.part"))
            record.unlink(missing_ok=True)
            assert command(["render", recipe, "-o", job, "-q"], record) == 0
            assert recorded(record) == [index for index in range(3) if index not in finished]
            assert contents(job) == whole
    assert code == 0
    assert step > 60


def can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode == 0


LARGE = """
frames = 24
size = [256, 256]
keyframes = [{at = 0, prompt = "a"}]
"""
ON_A_SMALL_DISK = """
mount -t tmpfs -o size=600k tmpfs "$1"
head -c 570000 /dev/zero > "$1/ballast"
"$2" -m tests.fakes.command "$3/first" 0 render "$3/large.toml" -o "$1/job" -q; echo "code $?"
ls "$1/job" "$1/job/frames"
rm "$1/ballast"
"$2" -m tests.fakes.command "$3/second" 0 render "$3/large.toml" -o "$1/job" -q; echo "code $?"
cp -r "$1/job" "$3/job"
"""


@pytest.mark.skipif(not can_mount(), reason="needs user namespaces")
def test_a_disk_that_is_really_full_stops_the_run_and_with_room_it_goes_on(tmp_path: Path) -> None:
    (tmp_path / "large.toml").write_text(LARGE, encoding="utf-8")
    (tmp_path / "disk").mkdir()
    words = ["unshare", "-rm", "sh", "-c", ON_A_SMALL_DISK, "sh", str(tmp_path / "disk"), sys.executable, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
    assert re.findall(r"^code (\d+)", done.stdout, re.MULTILINE) == ["1", "0"], done
    assert re.search(FULL, done.stderr), done.stderr
    assert f"may need up to {24 * 3 * 256 * 256} bytes" in done.stderr
    assert "Traceback" not in done.stderr
    assert ".part" not in done.stdout
    finished = recorded(tmp_path / "first")[:-1]  # the last one did not fit
    assert 0 < len(finished) < 24
    assert recorded(tmp_path / "second") == list(range(len(finished), 24))
    assert command(["render", tmp_path / "large.toml", "-o", tmp_path / "whole", "-q"], tmp_path / "third") == 0
    assert contents(tmp_path / "job") == contents(tmp_path / "whole")


def started(recipe: Path, job: Path, record: Path, seconds: float, **environment: str) -> subprocess.Popen[str]:
    """A run in a process of its own, after it has begun the second frame."""
    words = [sys.executable, "-m", "tests.fakes.command", str(record), str(seconds), "render", str(recipe)]
    child = subprocess.Popen(
        [*words, "-o", str(job), "-q"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    while child.poll() is None and len(recorded(record)) < 2:
        time.sleep(0.01)
    return child


def test_of_two_runs_in_one_folder_the_second_is_refused_and_names_the_first(
    recipe: Path, whole: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job, record = tmp_path / "job", tmp_path / "record"
    with started(recipe, job, record, seconds=1) as first:
        assert command(["render", recipe, "-o", job, "-q"], tmp_path / "second") == 2
        assert f"process {first.pid} on " in capsys.readouterr().err
        assert recorded(tmp_path / "second") == []
        assert first.wait() == 0
    assert contents(job) == whole
    assert command(["render", recipe, "-o", job, "-q"], tmp_path / "third") == 0


def test_the_lock_of_a_killed_run_is_not_in_the_way(recipe: Path, whole: dict[str, bytes], tmp_path: Path) -> None:
    job, record = tmp_path / "job", tmp_path / "record"
    with started(recipe, job, record, seconds=1) as first:
        first.kill()
    assert command(["render", recipe, "-o", job, "-q"], tmp_path / "second") == 0
    assert recorded(tmp_path / "second") == [1, 2]
    assert contents(job) == whole


@posix
@pytest.mark.parametrize(
    ("sign", "times"), [("SIGINT", 1), ("SIGINT", 2), ("SIGTERM", 1), ("SIGTERM", 2), ("SIGHUP", 1)]
)
def test_ctrl_c_finishes_the_frame_a_second_one_stops_at_once_and_both_go_on(
    recipe: Path, whole: dict[str, bytes], tmp_path: Path, sign: str, times: int
) -> None:
    job, record = tmp_path / "job", tmp_path / "record"
    with started(recipe, job, record, seconds=1 if times == 1 else 3) as child:
        assert child.stderr is not None
        child.send_signal(getattr(signal, sign))
        assert "finishing the current frames; press Ctrl-C again to stop at once" in child.stderr.readline()
        began = time.monotonic()
        if times == 2:
            child.send_signal(getattr(signal, sign))
        output = child.stderr.read()
        assert child.wait() == 130
    assert "Traceback" not in output
    assert "run it again" in output or "run the same command again to continue" in output
    if times == 2:
        assert time.monotonic() - began < 2.5
    else:
        assert "1 of 3 frames left; run it again" in output
    finished = 3 - times
    assert [int(path.stem) for path in sorted((job / "frames").iterdir())] == list(range(finished))
    assert command(["render", recipe, "-o", job, "-q"], tmp_path / "second") == 0
    assert recorded(tmp_path / "second") == list(range(finished, 3))
    assert contents(job) == whole


@posix
def test_a_terminal_that_closes_takes_nothing_with_it(recipe: Path, tmp_path: Path) -> None:
    job, record, (master, slave) = tmp_path / "job", tmp_path / "record", os.openpty()
    words = [sys.executable, "-m", "tests.fakes.command", str(record), "1", "render", str(recipe), "-o", str(job)]
    with subprocess.Popen(words, stdout=slave, stderr=slave, cwd=ROOT, env={**os.environ, "TERM": "xterm"}) as child:
        os.close(slave)
        while child.poll() is None and len(recorded(record)) < 1:
            time.sleep(0.01)
        child.send_signal(signal.SIGHUP)
        os.close(master)
        child.send_signal(signal.SIGHUP)
        assert child.wait() == 130
    assert [path.name for path in (job / "frames").iterdir()] == ["000000.png"]


@posix
def test_a_run_that_was_told_to_outlive_its_terminal_does(
    recipe: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    words = [sys.executable, "-m", "tests.fakes.command", str(tmp_path / "record"), "0.3", "render", str(recipe)]
    line = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *words, "-o", str(tmp_path / "job"), "-q"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, cwd=ROOT) as child:
        while child.poll() is None and len(recorded(tmp_path / "record")) < 1:
            time.sleep(0.01)
        child.send_signal(signal.SIGHUP)
        assert child.wait() == 0
    assert contents(tmp_path / "job") == whole


def test_jobs_lie_in_folders_of_any_name_whatever_the_locale(whole: dict[str, bytes], tmp_path: Path) -> None:
    place = tmp_path / "日本 é 🎬"
    place.mkdir()
    (place / "recipe ü.toml").write_text(RECIPE, encoding="utf-8")
    plain = {"PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONIOENCODING": ""}
    record = tmp_path / "record"
    for film in ("film.mp4", "映画 ü.gif"):
        words = ["render", str(place / "recipe ü.toml"), "-o", str(place / "job ß"), "-q", "--film", film]
        for _ in range(2):
            done = subprocess.run(
                [sys.executable, "-m", "tests.fakes.command", str(record), "0", *words],
                capture_output=True,
                text=True,
                check=False,
                cwd=ROOT,
                env={**os.environ, **plain},
                encoding="utf-8",
                errors="replace",
            )
            assert done.returncode == 0, done.stderr
    assert recorded(record) == [0, 1, 2]
    here = contents(place / "job ß")
    assert here.pop("映画 ü.gif").startswith(b"GIF89a")
    assert here == whole
    assert load_picture(place / "job ß" / "sheet.png").ndim == 3
