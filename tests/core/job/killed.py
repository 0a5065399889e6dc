"""Runs jobs in children that are killed, and says what became of them. A process of its own, which forks.

Run: python -m tests.core.job.killed every|random|edited|sibling FOLDER [STRIDE]; prints one JSON object per kill. With
a stride, it kills only at every so many steps.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from remix.engine import render
from remix.motion import load_picture
from remix.motion.ffmpeg import encoders, ffmpeg_exe, ffmpeg_version
from remix.plan import read_recipe
from tests.core.engine.runs import contents
from tests.fakes.command import command
from tests.fakes.disk import Disk
from tests.fakes.renderer import Painter

RECIPE = """
frames = 3
size = [32, 16]
keyframes = [{at = 0, prompt = "a"}, {at = 2, prompt = "b"}]
"""
KILLS = 50


def forked(work: Callable[[], int]) -> int:
    """Starts `work` in a child whose output goes nowhere; returns its process id."""
    child = os.fork()
    if child:
        return child
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    os._exit(work())


def ended(child: int) -> int:
    """Waits for a child; returns its exit code, negative for the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def is_encoding(job: Path) -> bool:
    """Returns whether the encoder of a run that was killed is still about to notice it."""
    part = str(job / ".film.").encode()
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if part in process.read_bytes():
                return True
    return False


class Runs:
    """The same job, run in folders of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.record = folder, folder / "record"
        self.recipe = folder / "recipe.toml"
        self.recipe.write_text(RECIPE, encoding="utf-8")
        # What the encoder says of itself is asked once here, and not in every child.
        ffmpeg_version(ffmpeg_exe()), encoders(ffmpeg_exe())
        whole = folder / "whole"
        self.prepare(whole)
        code = ended(forked(lambda: self.run(whole)))
        assert code == 0, code
        self.whole = contents(whole)
        self.rendered()

    def prepare(self, job: Path) -> None:
        """Makes what a run begins with: nothing."""

    def run(self, job: Path, disk: Disk | None = None, seconds: float = 0) -> int:
        """Renders; the body of a child."""
        words = ["render", self.recipe, "-o", job, "-q"]
        if disk is None:
            return command(words, self.record, seconds)
        with disk.installed():
            return command(words, self.record, seconds)

    def rendered(self) -> list[int]:
        """Returns the frames that were begun since this was last asked."""
        lines = self.record.read_text("ascii").split() if self.record.exists() else []
        self.record.unlink(missing_ok=True)
        return [int(line) for line in lines]

    def finished(self, job: Path) -> list[int]:
        """Returns the complete frames in the job. Each is in the journal, or only its line is still missing."""
        found = sorted((job / "frames").glob("*.png"))
        for path in found:
            load_picture(path)
        return [int(path.stem) for path in found]

    def after(self, job: Path) -> dict[str, Any]:
        """Runs the job again, undisturbed, and says what it did and what it left."""
        while is_encoding(job):  # nobody types as quickly as this
            time.sleep(0.002)
        before, begun = self.finished(job), self.rendered()
        code = ended(forked(lambda: self.run(job)))
        here = contents(job)
        odd = sorted(name for name in here.keys() | self.whole.keys() if here.get(name) != self.whole.get(name))
        odd += sorted(str(path) for path in job.rglob("*.part"))
        return {"finished": before, "begun": begun, "code": code, "rendered": self.rendered(), "odd": odd}


EDITED = """
frames = 5
size = [32, 16]
keyframes = [{at = 0, prompt = "c"}, {at = 1, prompt = "a"}, {at = 3, prompt = "b"}, {at = 4, prompt = "d"}]
"""
"""The same three frames, each one later, between two others."""


class Edits(Runs):
    """A finished job whose recipe has been edited."""

    def __init__(self, folder: Path) -> None:
        self.edited, self.before = folder / "edited.toml", folder / "before"
        self.edited.write_text(EDITED, encoding="utf-8")
        (folder / "recipe.toml").write_text(RECIPE, encoding="utf-8")
        words = ["render", folder / "recipe.toml", "-o", self.before, "-q"]
        assert ended(forked(lambda: command(words, folder / "record"))) == 0
        super().__init__(folder)

    def prepare(self, job: Path) -> None:
        shutil.copytree(self.before, job)

    def run(self, job: Path, disk: Disk | None = None, seconds: float = 0) -> int:
        words = ["render", self.edited, "-o", job, "-q", "--new"]
        with disk.installed() if disk is not None else contextlib.nullcontext():
            return command(words, self.record, seconds)


class Siblings(Edits):
    """A new job of the edited recipe, next to the one that has some of its frames."""

    def prepare(self, job: Path) -> None:
        pass

    def run(self, job: Path, disk: Disk | None = None, seconds: float = 0) -> int:
        with disk.installed() if disk is not None else contextlib.nullcontext():
            render(read_recipe(self.edited), Painter(record=self.record), job, donors=[self.before])
        return 0


def say(run: dict[str, Any]) -> None:
    """Reports a kill and its result to the parent process."""
    sys.stdout.write(json.dumps(run) + "\n")
    sys.stdout.flush()


def every(runs: Runs, stride: int) -> None:
    """Kills a run after every `stride` steps, until a run finishes."""

    def die(name: str) -> None:
        Path(runs.folder, "step").write_text(name, encoding="ascii")
        os.kill(os.getpid(), signal.SIGKILL)

    step, code = 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        step += stride
        job, disk = runs.folder / str(step), Disk(step, die)
        runs.prepare(job)
        code = ended(forked(lambda job=job, disk=disk: runs.run(job, disk)))  # type: ignore[misc]
        if code == -signal.SIGKILL:
            name = Path(runs.folder, "step").read_text("ascii")
            say({"step": step, "name": name, **runs.after(job)})


def at_random(runs: Runs, stride: int) -> None:
    """Kills runs at any moment; now and then one after another in the same folder. There are no steps to skip."""
    chance, kills, tries, job = random.Random(4), 0, 0, runs.folder / "0"
    began = time.monotonic()
    ended(forked(lambda: runs.run(runs.folder / "timed", seconds=0.01)))
    takes = time.monotonic() - began
    while kills < KILLS:
        child = forked(lambda job=job: runs.run(job, seconds=0.01))  # type: ignore[misc]
        time.sleep(chance.uniform(0, takes))
        os.kill(child, signal.SIGKILL)
        came_through = ended(child) == 0
        kills += not came_through
        tries += 1
        if came_through or chance.random() < 0.6 or kills == KILLS:
            say({"kills": kills, **runs.after(job)})
            job = runs.folder / str(tries)


if __name__ == "__main__":
    work: dict[str, tuple[Callable[[Runs, int], None], type[Runs]]] = {
        "every": (every, Runs),
        "random": (at_random, Runs),
        "edited": (every, Edits),
        "sibling": (every, Siblings),
    }
    kill, runs = work[sys.argv[1]]
    kill(runs(Path(sys.argv[2])), int(sys.argv[3]) if len(sys.argv) > 3 else 1)
