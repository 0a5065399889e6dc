"""A host's server process: in a folder of its own, on a free port of 127.0.0.1."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).parents[2]
THREADS = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}


class Server:
    """One server, which may be killed and started again in the same folder, on the same port.

    A host says how it starts (`command`, `environment`), and, where a request could come too early, whether it may be
    asked (`listens`).
    """

    name = "the server"
    first_question = "/"
    patience = 300.0

    def __init__(self, program: Path, base: Path) -> None:
        self.program, self.base = program, base
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def command(self) -> Sequence[str | Path]:
        """The line that starts it on `port`, run in the program's folder."""
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        """What is added to the environment."""
        return {}

    def listens(self, printed: str) -> bool:
        """Whether it can be asked, by what its log says since it was started."""
        return True

    @property
    def log(self) -> str:
        return (self.base / "log.txt").read_text(encoding="utf-8", errors="replace")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts the server and waits until it answers its first question."""
        if not self.port:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self.port = free.getsockname()[1]
        with open(self.base / "log.txt", "ab") as log:
            start = log.tell()
            self._process = subprocess.Popen(
                self.command(),
                cwd=self.program,
                stdout=log,
                stderr=log,
                env={**os.environ, **THREADS, **self.environment()},
            )
        end = time.monotonic() + self.patience
        while time.monotonic() < end and self._process.poll() is None:
            if self.listens((self.base / "log.txt").read_bytes()[start:].decode(errors="replace")):
                try:
                    self.get(self.first_question)
                except (requests.ConnectionError, requests.HTTPError):
                    pass
                else:
                    return
            time.sleep(0.1)
        raise AssertionError(f"{self.name} did not start:\n{self.log[-3000:]}")

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        """Ends the server."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def cpu(self) -> float:
        """Returns the seconds of processor time that the server has taken so far (on Linux)."""
        assert self._process is not None
        # The clock of another process, which Linux names by its number (`clock_getcpuclockid`).
        return time.clock_gettime((~self._process.pid << 3) | 2)

    def peak(self) -> float:
        """Returns the most MiB that were resident since the last call (on Linux)."""
        status = (self._about() / "status").read_text(encoding="ascii")
        (most,) = re.findall(r"^VmHWM:\s*(\d+) kB$", status, re.MULTILINE)
        (self._about() / "clear_refs").write_text("5", encoding="ascii")
        return int(most) / 1024

    def _about(self) -> Path:
        assert self._process is not None
        return Path(f"/proc/{self._process.pid}")

    def get(self, path: str) -> Any:
        """Returns the JSON of a GET."""
        answer = requests.get(f"{self.url}{path}", timeout=self.patience)
        answer.raise_for_status()
        return answer.json()
