"""A real ComfyUI in a folder of its own, on a free port of 127.0.0.1, with this repository and a pack of the tests."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).parents[3]
CHECKPOINT = "sd15_nano_pooled.ckpt"
"""A checkpoint in SD 1.5's layout, as small as can be, in COMFYUI_DIR/models/checkpoints."""

PATIENCE = 300.0

Graph = dict[str, dict[str, Any]]
"""A prompt of the API: nodes by their numbers."""


class Failed(Exception):
    """A prompt that the host refused or could not finish; `message` is what it says to the user."""

    def __init__(self, node: str, message: str) -> None:
        super().__init__(f"{node}: {message}")
        self.node = node
        self.message = message


def installed() -> Path | None:
    """Returns the folder of a ComfyUI to test with: COMFYUI_DIR, or ComfyUI at home; None where there is none."""
    folder = Path(os.environ.get("COMFYUI_DIR", Path.home() / "ComfyUI"))
    return folder if (folder / "main.py").is_file() else None


def python_of(folder: Path) -> Path:
    """Returns the Python of a ComfyUI: COMFYUI_PYTHON, or that of the environment inside of it."""
    return Path(os.environ.get("COMFYUI_PYTHON", folder / "venv" / "bin" / "python"))


class Host:
    """One server, which may be killed and started again in the same folder."""

    def __init__(self, comfyui: Path, base: Path) -> None:
        self._comfyui = comfyui
        self.base = base
        self._server: subprocess.Popen[bytes] | None = None
        self._port = 0
        for name in ("models/checkpoints", "models/controlnet", "custom_nodes", "input", "output", "temp", "user"):
            (base / name).mkdir(parents=True, exist_ok=True)
        (base / "models" / "checkpoints" / CHECKPOINT).symlink_to(comfyui / "models" / "checkpoints" / CHECKPOINT)
        (base / "custom_nodes" / "remix-toolkit").symlink_to(ROOT)
        (base / "custom_nodes" / "pack-of-tests").symlink_to(Path(__file__).parent / "pack")

    @property
    def output(self) -> Path:
        return self.base / "output"

    @property
    def log(self) -> str:
        return (self.base / "log.txt").read_text(encoding="utf-8", errors="replace")

    def start(self) -> None:
        """Starts the server, on the port of the time before if there was one, and waits until it answers."""
        if not self._port:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self._port = free.getsockname()[1]
        command = [
            *(python_of(self._comfyui), "main.py", "--cpu", "--listen", "127.0.0.1", "--port", str(self._port)),
            *("--base-directory", self.base, "--disable-api-nodes", "--database-url", "sqlite:///:memory:"),
            *("--preview-method", "latent2rgb"),
        ]
        with open(self.base / "log.txt", "ab") as log:
            self._server = subprocess.Popen(
                command,
                cwd=self._comfyui,
                stdout=log,
                stderr=log,
                env={
                    **os.environ,
                    "OMP_NUM_THREADS": "1",
                    "OMP_WAIT_POLICY": "passive",
                    "PYTHONHASHSEED": "0",  # outputs are checked in the order of a set, and errors come in that order
                },
            )
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if self._server.poll() is not None:
                break
            try:
                self.get("/system_stats")
            except requests.ConnectionError:
                time.sleep(0.1)
            else:
                return
        raise AssertionError(f"ComfyUI did not start:\n{self.log[-3000:]}")

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        """Ends the server."""
        if self._server is not None:
            self._server.send_signal(how)
            self._server.wait()
            self._server = None

    def cpu(self) -> float:
        """Returns the seconds of processor time that the server has taken so far (on Linux)."""
        assert self._server is not None
        told = Path(f"/proc/{self._server.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")

    def peak(self) -> float:
        """Returns the most MiB that were resident since the last call (on Linux)."""
        assert self._server is not None
        about = Path(f"/proc/{self._server.pid}")
        (most,) = re.findall(r"^VmHWM:\s*(\d+) kB$", (about / "status").read_text(encoding="ascii"), re.MULTILINE)
        (about / "clear_refs").write_text("5", encoding="ascii")
        return int(most) / 1024

    def get(self, path: str) -> Any:
        """Returns the JSON of a GET."""
        answer = requests.get(f"http://127.0.0.1:{self._port}{path}", timeout=PATIENCE)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, body: Mapping[str, Any]) -> requests.Response:
        """Returns the answer to a POST."""
        return requests.post(f"http://127.0.0.1:{self._port}{path}", json=body, timeout=PATIENCE)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def websocket(self) -> str:
        return f"ws://127.0.0.1:{self._port}/ws"

    def queue(self, graph: Graph, client: str = "test", **extra: Any) -> str:
        """Returns the number of a prompt that now waits or runs; `Failed` where it is refused."""
        about = {"prompt": graph, "client_id": client, "prompt_id": str(uuid.uuid4())}
        answer = self.post("/prompt", {**about, "extra_data": extra})
        told = answer.json()
        for node, errors in (told.get("node_errors") or {}).items():
            raise Failed(node, errors["errors"][0]["details"] or errors["errors"][0]["message"])
        if not answer.ok:
            raise Failed("", str(told["error"]))
        return str(told["prompt_id"])

    def wait(self, prompt: str) -> dict[str, Any]:
        """Returns the outputs of a prompt, by node, when it is done; `Failed` with what the user would read."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            history = self.get(f"/history/{prompt}").get(prompt)
            if history is None:
                time.sleep(0.02)
                continue
            if history["status"]["status_str"] == "success":
                return dict(history["outputs"])
            kind, about = history["status"]["messages"][-1]
            raise Failed(about.get("node_id", ""), about.get("exception_message", kind).strip())
        raise AssertionError(f"not done after {PATIENCE} s:\n{self.log[-3000:]}")

    def run(self, graph: Graph) -> dict[str, Any]:
        """Returns the outputs of a prompt, by node."""
        return self.wait(self.queue(graph))
