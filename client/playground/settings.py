"""What a training run depends on, and the folder that it claims. Pure Python."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path

from remix.errors import BadInput, MissingPackage

LOG_LINES = "%(asctime)s %(message)s"
"""The format of the training's log."""

STEPS_AND_CFG = (16, 2.5)
"""The sampler's steps and the guidance with which the model is measured and shown."""


def require_packages() -> None:
    """Raises MissingPackage where torch, diffusers or transformers is not installed."""
    for name in ("torch", "diffusers", "transformers"):
        if importlib.util.find_spec(name) is None:
            raise MissingPackage.of("the playground model", name, extra="local")


def require_model(folder: Path) -> None:
    """Raises BadInput where `folder` holds no diffusers pipeline."""
    if not (folder / "model_index.json").is_file():
        raise BadInput(f"{folder}: holds no model_index.json; give the folder of a diffusers pipeline")


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a run depends on. Everything is counted in steps and samples, never in minutes.

    `steps` are the UNet's and `batch` its samples a step in each of `processes`; `pictures` is how
    many are drawn for it. The text encoder and the decoder have step counts of their own. `start` is
    the folder of a finished model to train on, "" to begin from nothing. `bf16` computes the UNet in
    bfloat16, which only processors made for it do faster.
    """

    seed: int = 0
    pictures: int = 120_000
    text_steps: int = 400
    decoder_steps: int = 2_000
    steps: int = 5_000
    batch: int = 32
    processes: int = 2
    rate: float = 1e-3
    device: str = "cpu"
    save_every: int = 100
    start: str = ""
    bf16: bool = False

    def __post_init__(self) -> None:
        for name in ("pictures", "text_steps", "decoder_steps", "steps", "batch", "processes", "save_every"):
            if getattr(self, name) < 1:
                raise BadInput(f"{name}: {getattr(self, name)} is below 1; give a count of 1 or more")
        if self.batch % 2:
            raise BadInput(f"batch: {self.batch} is odd; its halves see other noise times, give an even number")
        if self.processes > 1 and self.device != "cpu":
            raise BadInput(f"processes: {self.processes} on {self.device}; only the CPU takes several, give 1")


_MAY_CHANGE = ("steps", "decoder_steps", "save_every")


def claim(folder: Path, settings: Settings, *, resume: bool) -> None:
    """Makes `folder` the place of a run with `settings`, or checks that it already is (`resume`).

    A resumed run may differ in `steps`, `decoder_steps` and `save_every` alone. Raises BadInput where the folder holds
    a run and `resume` is off, or that run has other settings.
    """
    path = folder / "settings.json"
    if path.exists():
        if not resume:
            raise BadInput(f"{folder}: holds a run already; give --resume to continue it, or another folder")
        before = json.loads(path.read_text(encoding="utf-8"))
        now = dataclasses.asdict(settings)
        other = [name for name in now if name not in _MAY_CHANGE and now[name] != before[name]]
        if other:
            changes = ", ".join(f"{name} {before[name]} became {now[name]}" for name in other)
            raise BadInput(f"{path}: {changes}; resume with the settings that the run began with")
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dataclasses.asdict(settings), indent=1) + "\n", encoding="utf-8")
