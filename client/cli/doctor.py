"""`remix doctor`: lists what is installed, what is missing, and how to install it."""

from __future__ import annotations

import importlib.util
import json
import platform
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click

from remix import __version__
from remix.client.cli.engines import server_options
from remix.client.cli.outputs import print_data
from remix.client.diagnosis import DIFFERS, MISSING, OK, Finding
from remix.errors import MissingPackage, RemixError, install_command
from remix.plan.wording import printable

ALWAYS = ("numpy", "Pillow", "imageio-ffmpeg", "requests", "websocket-client", "click", "rich", "Jinja2", "pygal")
FOR_LOCAL = ("torch", "diffusers", "transformers", "safetensors", "accelerate")


COLORS = {OK: "green", DIFFERS: "yellow", MISSING: "red"}


@click.command("doctor")
@click.option("--url", help="Address of a ComfyUI, A1111 or Forge to look at in place of this machine.")
@server_options
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(url: str | None, as_json: bool, **server: Any) -> None:
    """Reports versions, encoders, devices and models, and how to install what is missing.

    With --url it checks a server: what it is, whether Remix Toolkit is installed there, and which of its settings make
    its pictures differ from those of other tools. The exit code is 1 if something is missing.
    """
    if url is None:
        findings = [*_system(), *_packages(), *_encoders(), *_extras(), *_devices(), *_playground()]
    else:
        from remix.client.servers import diagnose

        findings = diagnose(url, **server)
    if as_json:
        plain = [{"what": each.what, "found": each.found, "state": each.mark, "fix": each.mend} for each in findings]
        print_data(json.dumps(plain, ensure_ascii=False, indent=2) + "\n")
    else:
        _report(findings)
    if any(finding.mark == MISSING for finding in findings):
        raise click.exceptions.Exit(1)


def _report(findings: Sequence[Finding]) -> None:
    width = max(len(finding.what) for finding in findings)
    for finding in findings:
        mark = click.style(finding.mark, fg=COLORS[finding.mark])
        click.echo(f"{finding.what:{width}}  {printable(finding.found)}  {mark}")
    for state, label in ((MISSING, "to fix"), (DIFFERS, "to align")):
        fixes: dict[str, list[str]] = {}
        for finding in findings:
            if finding.mark == state and finding.mend:
                fixes.setdefault(finding.mend, []).append(finding.what)
        for fix, whats in fixes.items():
            about = "" if state == MISSING else f"{', '.join(whats)}: "
            click.echo(printable(f"{label}: {about}{fix}"))


def _system() -> list[Finding]:
    python = f"{platform.python_version()} ({sys.executable})"
    return [Finding("remix-toolkit", __version__), Finding("python", python), Finding("system", platform.platform())]


def _packages() -> list[Finding]:
    found = []
    for name in (*ALWAYS, *FOR_LOCAL):
        try:
            found.append(Finding(name, version(name)))
        except PackageNotFoundError:
            found.append(Finding(name, "not installed", install_command("local" if name in FOR_LOCAL else "")))
    return found


def _encoders() -> list[Finding]:
    """Returns a finding for each film format, after encoding two small pictures with it."""
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


def _extras() -> list[Finding]:
    """Returns a finding for each optional part. One that is not installed is no fault."""
    from remix.motion.inbetween import opencv

    try:
        return [Finding("in-betweens", f"OpenCV {opencv().__version__}")]
    except MissingPackage as error:
        return [Finding("in-betweens", str(error), state=OK)]


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
