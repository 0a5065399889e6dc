"""A real A1111 or Forge with a folder of its own, on a free port of 127.0.0.1, with this repository as an extension."""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import requests
from PIL import Image

from tests.real.server import ROOT, Server

CHECKPOINT = "both-sd15.safetensors"
"""A small checkpoint in SD 1.5's layout with its yaml, in WEBUI_DIR/models/Stable-diffusion."""

EXTENSIONS = Path(__file__).with_name("extensions")
"""Extensions of the tests' own, each in a folder."""

OPTIONS = {"show_progress_type": "Approx cheap", "randn_source": "CPU", "samples_save": False}
FLAGS = (
    *("--skip-prepare-environment", "--skip-torch-cuda-test"),
    *("--no-hashing", "--server-name", "127.0.0.1", "--api"),
)
NO_DOWNLOADS = ("--no-download-sd-model", "--do-not-download-clip")


@dataclass(frozen=True)
class Kind:
    """A web UI: what variable says where it is, where it is at home without it, how it runs on a processor, and
    the settings that it needs.
    """

    name: str
    variable: str
    home: str | None
    flags: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)

    def installed(self) -> Path | None:
        """Returns the folder of one to test with; None where there is none."""
        place = os.environ.get(self.variable, self.home and str(Path.home() / self.home))
        if place is None:
            return None
        folder = Path(place)
        return folder if (folder / "launch.py").is_file() and self.python(folder).is_file() else None

    def python(self, folder: Path) -> Path:
        """Returns its Python: that of the environment inside of it, unless a variable says another."""
        return Path(os.environ.get(self.variable.replace("_DIR", "_PYTHON"), folder / "venv" / "bin" / "python"))


A1111 = Kind(
    "A1111",
    "WEBUI_DIR",
    "stable-diffusion-webui",
    ("--use-cpu", "all", "--no-half", "--precision", "full", "--disable-nan-check", *NO_DOWNLOADS),
)
FORGE = Kind(
    "Forge",
    "FORGE_DIR",
    None,  # these tests take a minute and more: they run where they are asked for
    ("--always-cpu", "--disable-xformers", "--attention-pytorch", *NO_DOWNLOADS),
)
FORGE_NEO = Kind(
    "Forge Neo",
    "FORGE_NEO_DIR",
    None,
    ("--cpu", "--use-pytorch-cross-attention", "--skip-python-version-check", "--skip-version-check"),
    # Without its version, the start waits for a key; it has no flag for a checkpoint.
    {"VERSION_UID": "PY313", "sd_model_checkpoint": "tiny-sd15.safetensors"},
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
    def message(self) -> str:
        """The sentence of an error, wherever this host puts it."""
        return str(self.body.get("detail") or self.body.get("errors") or self.body.get("message"))


class Host(Server):
    """One server with a checkpoint, and this repository as an extension."""

    first_question = "/sdapi/v1/script-info"
    patience = 600.0

    def __init__(
        self, kind: Kind, webui: Path, base: Path, checkpoint: str = CHECKPOINT, extensions: Sequence[str] = ()
    ) -> None:
        super().__init__(webui, base)
        self._kind, self.name = kind, kind.name
        self.checkpoint = webui / "models" / "Stable-diffusion" / checkpoint
        (base / "extensions").mkdir(parents=True, exist_ok=True)
        (base / "extensions" / "remix-toolkit").symlink_to(ROOT)
        for name in extensions:
            (base / "extensions" / name).symlink_to(EXTENSIONS / name)
        (base / "extensions" / "pack-of-tests").symlink_to(Path(__file__).parent / "pack")
        (base / "config.json").write_text(json.dumps(OPTIONS | kind.options), encoding="utf-8")

    @property
    def jobs(self) -> Path:
        """Where the jobs of txt2img lie."""
        return self._output("txt2img")

    def _output(self, kind: str) -> Path:
        (found,) = {*self.base.glob(f"output*/{kind}-images/remix"), self.base / "outputs" / f"{kind}-images" / "remix"}
        return found

    def command(self) -> Sequence[str | Path]:
        return [
            *(self._kind.python(self.program), "launch.py", *self._kind.flags, *FLAGS, "--port", str(self.port)),
            *("--gradio-allowed-path", self.program),  # Forge's page has its scripts there
            *("--data-dir", self.base, "--ckpt-dir", self.checkpoint.parent, "--ckpt", self.checkpoint),
        ]

    def environment(self) -> Mapping[str, str]:
        alone = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "GRADIO_ANALYTICS_ENABLED": "False"}
        return {**alone, "PYTHONUNBUFFERED": "1"}

    def listens(self, printed: str) -> bool:
        # A request that comes between the page and the API ends the server: "Cannot add middleware after ...".
        return "Startup time" in printed

    def post(self, path: str, **body: Any) -> Answer:
        """Returns the answer to a POST below /sdapi/v1."""
        answer = requests.post(f"{self.url}/sdapi/v1/{path}", json=body, timeout=self.patience)
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
