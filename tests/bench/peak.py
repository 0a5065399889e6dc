"""The `remix` command, and how much memory it and every ffmpeg that it started took at most. On Linux alone.

Run: python -m tests.bench.peak RECORD WORD ...; `render` paints in place of any engine. Puts MiB into the file RECORD.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
STATUS = Path("/proc/self/status")

PROGRAM = """#!{python} -IS
import resource, subprocess, sys
status = subprocess.call([{ffmpeg!r}, *sys.argv[1:]])
with open({sizes!r}, "a") as file:
    file.write(f"{{resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss}}\\n")
sys.exit(status)
"""
"""Stands in for ffmpeg: runs it, and writes down the most memory that it took, in KiB."""


@dataclass(frozen=True)
class Peak:
    """The most memory that was resident, in MiB: of Python, and of the largest ffmpeg."""

    python: float
    ffmpeg: float


def peak(words: Sequence[object], folder: Path) -> Peak:
    """Returns what `remix WORDS` takes, run in a process of its own; `folder` is for files of this measurement."""
    record = folder / "peak.json"
    command = [sys.executable, "-m", "tests.bench.peak", str(record), *map(str, words)]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    return Peak(**json.loads(record.read_text(encoding="utf-8")))


def run(words: Sequence[str], folder: Path) -> Peak:
    """Runs `remix WORDS` here, once in a process, for nothing lowers a peak."""
    from remix.client import cli
    from remix.motion import ffmpeg_exe
    from tests.fakes.command import command

    program, sizes = folder / "ffmpeg", folder / "sizes"
    program.write_text(PROGRAM.format(python=sys.executable, ffmpeg=ffmpeg_exe(), sizes=str(sizes)), encoding="utf-8")
    program.chmod(0o755)
    os.environ["IMAGEIO_FFMPEG_EXE"] = str(program)
    code = command(words, folder / "painted") if words[0] == "render" else cli.main(list(words))
    if code != 0:
        sys.exit(code)
    # Not `ru_maxrss`, which begins at what the process that started this one held.
    own = int(re.findall(r"^VmHWM:\s*(\d+) kB$", STATUS.read_text("ascii"), re.MULTILINE)[0])
    return Peak(own / 1024, max(map(int, sizes.read_text("ascii").split())) / 1024)


if __name__ == "__main__":
    with TemporaryDirectory() as place:
        found = run(sys.argv[2:], Path(place))
    Path(sys.argv[1]).write_text(json.dumps(asdict(found)), encoding="utf-8")
