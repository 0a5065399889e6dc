"""A real A1111 or Forge with a folder of its own, on a free port of 127.0.0.1, with this repository as an extension."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import requests
from PIL import Image

ROOT = Path(__file__).parents[3]
CHECKPOINT = "both-sd15.safetensors"
"""A small checkpoint in SD 1.5's layout with its yaml, in WEBUI_DIR/models/Stable-diffusion."""

OPTIONS = {"show_progress_type": "Approx cheap", "randn_source": "CPU", "samples_save": False}
PATIENCE = 600.0
FLAGS = (
    *("--skip-prepare-environment", "--skip-torch-cuda-test", "--no-download-sd-model", "--do-not-download-clip"),
    *("--no-hashing", "--server-name", "127.0.0.1", "--api"),
)


@dataclass(frozen=True)
class Kind:
    """A web UI: what variable says where it is, where it is at home without it, and how it runs on a processor."""

    name: str
    variable: str
    home: str | None
    flags: tuple[str, ...]

    def installed(self) -> Path | None:
        """Returns the folder of one to test with; None where there is none."""
        told = os.environ.get(self.variable, self.home and str(Path.home() / self.home))
        if told is None:
            return None
        folder = Path(told)
        return folder if (folder / "launch.py").is_file() and self.python(folder).is_file() else None

    def python(self, folder: Path) -> Path:
        """Returns its Python: that of the environment inside of it, unless a variable says another."""
        return Path(os.environ.get(self.variable.replace("_DIR", "_PYTHON"), folder / "venv" / "bin" / "python"))


A1111 = Kind(
    "A1111",
    "WEBUI_DIR",
    "stable-diffusion-webui",
    ("--use-cpu", "all", "--no-half", "--precision", "full", "--disable-nan-check"),
)
FORGE = Kind(
    "Forge",
    "FORGE_DIR",
    None,  # these tests take a minute and more: they run where they are asked for
    ("--always-cpu", "--disable-xformers", "--attention-pytorch"),
)


@dataclass(frozen=True)
class Answer:
    """What the API gave: its status, its JSON, and the pictures in it, uint8 [height, width, 3]."""

    status: int
    body: dict[str, Any]

    @property
    def pictures(self) -> list[np.ndarray]:
        return [np.asarray(picture.convert("RGB")) for picture in self.images]

    @property
    def images(self) -> list[Image.Image]:
        assert self.status == 200, self.body
        return [Image.open(io.BytesIO(base64.b64decode(image))) for image in self.body["images"]]

    @property
    def info(self) -> dict[str, Any]:
        return dict(json.loads(self.body["info"]))

    @property
    def about(self) -> dict[str, Any]:
        """What the script says of its run."""
        return dict(self.info["extra_generation_params"])

    @property
    def said(self) -> str:
        """The sentence of an error, wherever this host puts it."""
        return str(self.body.get("detail") or self.body.get("errors") or self.body.get("message"))


class Host:
    """One server, which may be killed and started again in the same folder."""

    def __init__(self, kind: Kind, webui: Path, base: Path, checkpoint: str = CHECKPOINT) -> None:
        self._kind, self._webui, self.base = kind, webui, base
        self._server: subprocess.Popen[bytes] | None = None
        self._port = 0
        self.checkpoint = webui / "models" / "Stable-diffusion" / checkpoint
        (base / "extensions").mkdir(parents=True, exist_ok=True)
        (base / "extensions" / "remix-toolkit").symlink_to(ROOT)
        (base / "config.json").write_text(json.dumps(OPTIONS), encoding="utf-8")

    @property
    def log(self) -> str:
        return (self.base / "log.txt").read_text(encoding="utf-8", errors="replace")

    @property
    def jobs(self) -> Path:
        """Where the jobs of txt2img lie."""
        return self._output("txt2img")

    def _output(self, kind: str) -> Path:
        (found,) = {*self.base.glob(f"output*/{kind}-images/remix"), self.base / "outputs" / f"{kind}-images" / "remix"}
        return found

    def start(self) -> None:
        """Starts the server and waits until it has loaded the checkpoint."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        command = [
            *(str(self._kind.python(self._webui)), "launch.py", *self._kind.flags, *FLAGS, "--port", str(self._port)),
            *("--gradio-allowed-path", str(self._webui)),  # Forge's page has its scripts there
            *("--data-dir", str(self.base), "--ckpt-dir", str(self.checkpoint.parent), "--ckpt", str(self.checkpoint)),
        ]
        alone = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "GRADIO_ANALYTICS_ENABLED": "False"}
        threads = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", "PYTHONUNBUFFERED": "1"}
        with open(self.base / "log.txt", "ab") as log:
            earlier = len(self.log)
            self._server = subprocess.Popen(
                command, cwd=self._webui, stdout=log, stderr=log, env={**os.environ, **alone, **threads}
            )
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self._server.poll() is None:
            # A request that comes between the page and the API ends the server: "Cannot add middleware after ...".
            if "Startup time" not in self.log[earlier:]:
                time.sleep(0.2)
                continue
            try:
                self.get("/sdapi/v1/script-info")
            except (requests.ConnectionError, requests.HTTPError):
                time.sleep(0.2)
            else:
                return
        raise AssertionError(f"{self._kind.name} did not start:\n{self.log[-3000:]}")

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

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def get(self, path: str) -> Any:
        """Returns the JSON of a GET."""
        answer = requests.get(f"{self.url}{path}", timeout=PATIENCE)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, **body: Any) -> Answer:
        """Returns the answer to a POST below /sdapi/v1."""
        answer = requests.post(f"{self.url}/sdapi/v1/{path}", json=body, timeout=PATIENCE)
        return Answer(answer.status_code, answer.json())

    def remix(self, *args: Any, kind: str = "txt2img", **fields: Any) -> Answer:
        """Returns what the script gives for these arguments."""
        return self.post(kind, script_name="remix", script_args=list(args), **fields)

    def plain(self, kind: str = "txt2img", **fields: Any) -> np.ndarray:
        """Returns the one picture that the host makes by itself."""
        (picture,) = self.post(kind, **fields).pictures
        return picture


def encoded(picture: np.ndarray) -> str:
    """Returns a picture as the API takes it."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")
