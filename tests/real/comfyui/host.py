"""A real ComfyUI in a folder of its own, on a free port of 127.0.0.1, with this repository and a pack of the tests."""

from __future__ import annotations

import os
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from remix.motion import ffmpeg_exe
from tests.real.server import ROOT, Server

CHECKPOINT = "sd15_nano_pooled.ckpt"
"""A checkpoint in SD 1.5's layout, as small as can be, in COMFYUI_DIR/models/checkpoints."""


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


@contextmanager
def host_alone() -> Iterator[Host]:
    """Yields a started host in a folder of its own, for commands that need one; fails where there is none."""
    comfyui = installed()
    assert comfyui is not None, "no ComfyUI: set COMFYUI_DIR to the folder of one"
    with tempfile.TemporaryDirectory() as base:
        host = Host(comfyui, Path(base))
        try:
            host.start()
            yield host
        finally:
            host.stop()


class Host(Server):
    """One server with the checkpoint, this repository and the pack of the tests."""

    name = "ComfyUI"
    first_question = "/system_stats"
    patience = 300.0

    def __init__(self, comfyui: Path, base: Path) -> None:
        super().__init__(comfyui, base)
        for name in ("models/checkpoints", "models/controlnet", "custom_nodes", "input", "output", "temp", "user"):
            (base / name).mkdir(parents=True, exist_ok=True)
        (base / "models" / "checkpoints" / CHECKPOINT).symlink_to(comfyui / "models" / "checkpoints" / CHECKPOINT)
        (base / "custom_nodes" / "remix-toolkit").symlink_to(ROOT)
        (base / "custom_nodes" / "pack-of-tests").symlink_to(Path(__file__).parent / "pack")
        (base / "bin").mkdir(exist_ok=True)
        (base / "bin" / "ffmpeg").symlink_to(ffmpeg_exe())  # which ComfyUI's environment may lack

    @property
    def output(self) -> Path:
        return self.base / "output"

    def command(self) -> Sequence[str | Path]:
        return [
            *(python_of(self.program), "main.py", "--cpu", "--listen", "127.0.0.1", "--port", str(self.port)),
            *("--base-directory", self.base, "--disable-api-nodes", "--database-url", "sqlite:///:memory:"),
            *("--preview-method", "latent2rgb"),
        ]

    def environment(self) -> Mapping[str, str]:
        path = f"{self.base / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
        return {
            "PATH": path,
            "PYTHONHASHSEED": "0",  # outputs are checked in the order of a set, and errors come in that order
        }

    def post(self, path: str, body: Mapping[str, Any]) -> requests.Response:
        """Returns the answer to a POST."""
        return requests.post(f"{self.url}{path}", json=body, timeout=self.patience)

    @property
    def websocket(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    def queue(self, graph: Graph, client: str = "test", **extra: Any) -> str:
        """Returns the number of a prompt that now waits or runs; `Failed` where it is refused."""
        about = {"prompt": graph, "client_id": client, "prompt_id": str(uuid.uuid4())}
        answer = self.post("/prompt", {**about, "extra_data": extra})
        reply = answer.json()
        for node, errors in (reply.get("node_errors") or {}).items():
            raise Failed(node, errors["errors"][0]["details"] or errors["errors"][0]["message"])
        if not answer.ok:
            raise Failed("", str(reply["error"]))
        return str(reply["prompt_id"])

    def wait(self, prompt: str) -> dict[str, Any]:
        """Returns the outputs of a prompt, by node, when it is done; `Failed` with what the user would read."""
        end = time.monotonic() + self.patience
        while time.monotonic() < end:
            history = self.get(f"/history/{prompt}").get(prompt)
            if history is None:
                time.sleep(0.02)
                continue
            if history["status"]["status_str"] == "success":
                return dict(history["outputs"])
            kind, about = history["status"]["messages"][-1]
            raise Failed(about.get("node_id", ""), about.get("exception_message", kind).strip())
        raise AssertionError(f"not done after {self.patience} s:\n{self.log[-3000:]}")

    def run(self, graph: Graph) -> dict[str, Any]:
        """Returns the outputs of a prompt, by node."""
        return self.wait(self.queue(graph))
