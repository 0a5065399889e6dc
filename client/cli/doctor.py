"""`remix doctor`: what is here, what is missing, and the command that installs it."""

from __future__ import annotations

import importlib.util
import platform
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click

from remix import __version__
from remix.errors import MissingPackage, RemixError

INSTALL = 'pip install -c constraints.txt -e ".[local]"'
ALWAYS = ("numpy", "Pillow", "imageio", "imageio-ffmpeg", "requests", "websocket-client", "click", "rich")
FOR_LOCAL = ("torch", "diffusers", "transformers", "safetensors", "accelerate")


@dataclass(frozen=True)
class Finding:
    """One line of the report; `mend` is what to do where something is wrong."""

    what: str
    found: str
    mend: str = ""


@click.command("doctor")
def command() -> None:
    """Reports versions, encoders, devices and models, and says how to install what is missing.

    Ends with exit code 1 when something is missing that `remix demo` needs.
    """
    findings = [*_system(), *_packages(), *_encoders(), *_devices(), *_playground()]
    width = max(len(finding.what) for finding in findings)
    for finding in findings:
        mark = click.style("missing", fg="red") if finding.mend else click.style("ok", fg="green")
        click.echo(f"{finding.what:{width}}  {finding.found}  {mark}")
    for command_line in dict.fromkeys(finding.mend for finding in findings if finding.mend):
        click.echo(f"to mend: {command_line}")
    if any(finding.mend for finding in findings):
        raise click.exceptions.Exit(1)


def _system() -> list[Finding]:
    python = f"{platform.python_version()} ({sys.executable})"
    return [Finding("remix-toolkit", __version__), Finding("python", python), Finding("system", platform.platform())]


def _packages() -> list[Finding]:
    found = []
    for name in (*ALWAYS, *FOR_LOCAL):
        try:
            found.append(Finding(name, version(name)))
        except PackageNotFoundError:
            mend = INSTALL if name in FOR_LOCAL else 'pip install -c constraints.txt -e "."'
            found.append(Finding(name, "not installed", mend))
    return found


def _encoders() -> list[Finding]:
    """Tries every film format on two small pictures: what is listed as working has worked here."""
    import numpy as np

    from remix.motion import FORMATS, ffmpeg_exe, ffmpeg_version, write_video

    try:
        exe = ffmpeg_exe()
    except MissingPackage as error:
        return [Finding("ffmpeg", "not found", str(error))]
    found = [Finding("ffmpeg", f"{ffmpeg_version(exe)} ({exe})")]
    pictures = [np.full((16, 16, 3), level, np.uint8) for level in (40, 200)]
    with tempfile.TemporaryDirectory() as folder:
        for name, row in FORMATS.items():
            try:
                write_video(pictures, Path(folder) / f"film{row.suffix}", 12, format=name)
                found.append(Finding(f"  {name}", row.about))
            except RemixError as error:
                found.append(Finding(f"  {name}", str(error), "pip install -U imageio-ffmpeg"))
    return found


def _devices() -> list[Finding]:
    if importlib.util.find_spec("torch") is None:
        return []
    import torch

    found = [Finding("cpu", f"{torch.get_num_threads()} threads")]
    for index in range(torch.cuda.device_count()):
        card = torch.cuda.get_device_properties(index)
        found.append(Finding(f"cuda:{index}", f"{card.name}, {card.total_memory / 2**30:.0f} GiB"))
    if torch.backends.mps.is_available():
        found.append(Finding("mps", "Apple GPU"))
    return found


def _playground() -> list[Finding]:
    from remix.client.playground import WEIGHTS

    size = sum(path.stat().st_size for path in WEIGHTS.rglob("*") if path.is_file())
    if not (WEIGHTS / "model_index.json").is_file():
        return [Finding("playground", f"no model in {WEIGHTS}", "reinstall the package: its weights are not there")]
    return [Finding("playground", f"{size / 2**20:.1f} MiB in {WEIGHTS}")]
