"""What differs on Windows. The workflow runs this there; on Linux a stand-in refuses what Windows refuses.

The stand-in cannot show how Windows itself treats paths, nor what its console does with Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix.engine import render
from remix.errors import BadInput, JobError
from remix.job import opening
from remix.job.files import write_text
from remix.motion import atomic, save_picture
from remix.plan import Keyframe, Recipe
from tests.core.engine.runs import contents
from tests.fakes.command import command
from tests.fakes.renderer import Painter

WINDOWS = sys.platform == "win32"
ROOT = Path(__file__).parents[3]
RECIPE = 'frames = 3\nsize = [32, 16]\nkeyframes = [{prompt = "a"}, {prompt = "b"}]\n'
EXTENDED = "\\\\?\\"
MAX_PATH = 260


def open_here(path: Path) -> bool:
    """Returns whether this process has a file open (on Linux)."""
    return any(os.path.realpath(each) == os.path.realpath(path) for each in Path("/proc/self/fd").iterdir())


@pytest.fixture(autouse=True)
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuses, on Linux, what Windows refuses: reserved names, long paths, and files that are open."""
    if WINDOWS:
        return
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("the stand-in for Windows needs Linux")
    make, unlink, rename = atomic.tempfile.mkdtemp, Path.unlink, os.replace

    def made(suffix: str, prefix: str, dir: str) -> str:
        """The folder has a file of the name `WHOLE` in it."""
        if not dir.startswith(EXTENDED) and len(dir) + len(prefix) + len(suffix) + 15 > MAX_PATH:
            raise FileNotFoundError(3, "The system cannot find the path specified", dir)
        return make(suffix, prefix, dir.removeprefix(EXTENDED))

    def refused(path: object) -> PermissionError:
        error: Any = PermissionError(13, "The process cannot access the file", str(path))
        error.winerror = 32
        return error

    def unlinked(path: Path, missing_ok: bool = False) -> None:
        if open_here(path):
            raise refused(path)
        unlink(path, missing_ok)

    def replaced(source: Path, target: Path) -> None:
        if open_here(source) or open_here(target):
            raise refused(target)
        rename(source, target)

    monkeypatch.setattr(atomic.tempfile, "mkdtemp", made)
    monkeypatch.setattr(Path, "unlink", unlinked)
    monkeypatch.setattr(os, "replace", replaced)
    monkeypatch.setattr(opening, "REMOVABLE", False)
    for function in (atomic.refuse_place, atomic.extended):
        monkeypatch.setattr(function, "__kwdefaults__", {"windows": True})


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


def test_break_finishes_the_frame_and_the_same_line_goes_on(recipe: Path, tmp_path: Path) -> None:
    """Ctrl-C itself cannot be sent to another process. Break can, and takes the same way."""
    job, record = tmp_path / "job", tmp_path / "record"
    words = [sys.executable, "-m", "tests.fakes.command", str(record), "0.3", "render", str(recipe), "-o", str(job)]
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


@pytest.mark.parametrize("there", [False, True])
def test_a_run_that_fails_before_there_is_a_job_leaves_nothing(
    tmp_path: Path, there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lock is open, so it can be removed only after it was released."""
    save_picture(tmp_path / "a.png", np.zeros((16, 32, 3), np.uint8))
    asked = Recipe(3, (Keyframe(image="a.png"),), width=32, height=16, folder=str(tmp_path))
    if there:
        (tmp_path / "job").mkdir()
    monkeypatch.setattr("remix.job.inputs.fingerprint", lambda _: "0" * 64)
    with pytest.raises(JobError, match="the picture was changed"):
        render(asked, Painter(), tmp_path / "job")
    assert list((tmp_path / "job").iterdir()) == [] if there else not (tmp_path / "job").exists()


ELSEWHERE = """
import argparse, asyncio, concurrent.futures, ctypes, logging.handlers, multiprocessing, pathlib, random, shutil, ssl
import subprocess, sys, tempfile, types, urllib.request, uuid, zipfile
import PIL.Image, click, imageio_ffmpeg, numpy, requests, rich.console, urllib3  # they have their own ways
import fcntl as posix

held = set()

def locking(handle, how, count):
    assert count == 1
    try:
        posix.lockf(handle, posix.LOCK_EX | posix.LOCK_NB, count, 1 << 30)
    except OSError as error:
        raise PermissionError(13, "Permission denied") from error

for name in ("fcntl", "grp", "pty", "pwd", "resource", "termios", "tty"):
    sys.modules[name] = None
sys.modules["msvcrt"] = types.SimpleNamespace(LK_NBLCK=2, locking=locking)
sys.platform = "win32"

import importlib, pkgutil
for room in ("catalog", "hosts", "job", "motion", "plan", "show", "syntax", "engine", "client.cli", "client.comfyui"):
    package = importlib.import_module("remix." + room)
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
from remix.client import cli
from remix.job import lock
assert lock._try_lock.__code__.co_names[:1] == ("seek",)
folder = pathlib.Path(sys.argv[1])
with lock.locked(folder / "job"):
    assert subprocess.run([sys.executable, "-c", sys.argv[2], folder / "job" / "job.lock"]).returncode == 9
sys.exit(cli.main(["plan", str(folder / "recipe.toml")]))
"""

LOCKED = """
import fcntl, sys
try:
    fcntl.lockf(open(sys.argv[1], "r+b"), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 1 << 30)
except OSError:
    sys.exit(9)
"""


@pytest.mark.skipif(WINDOWS, reason="imports them as they are there")
def test_every_module_is_imported_and_a_job_locked_without_what_windows_lacks(recipe: Path, tmp_path: Path) -> None:
    line = [sys.executable, "-c", ELSEWHERE, str(tmp_path), LOCKED]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert "0.500 a + 0.500 b" in done.stdout
