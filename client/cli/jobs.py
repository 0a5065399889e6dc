"""`remix jobs`: lists the jobs below a folder."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import click

from remix.client.cli.outputs import print_data
from remix.errors import BadInput
from remix.job.listing import ListedJob, jobs_below
from remix.plan.wording import cut, printable

WIDEST = 48
"""The maximum number of characters of a prompt in the list."""

UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


@click.command("jobs")
@click.argument("folder", type=click.Path(path_type=Path), default=".")
@click.option("--unfinished", is_flag=True, help="List only jobs that are not finished.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per job.")
def command(folder: Path, unfinished: bool, as_json: bool) -> None:
    """Lists the jobs in FOLDER (default: the current one) and below, the last changed first.

    FOLDER may be ComfyUI's output folder. To continue an unfinished job, run the command that started it again; for a
    job of ComfyUI, drop one of its frames into ComfyUI and queue the workflow.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder}: is not a folder; give one that contains jobs")
    jobs = [job for job in jobs_below(folder) if not unfinished or job.state != "finished"]
    if as_json:
        for job in jobs:
            print_data(json.dumps(_plain(job), ensure_ascii=False) + "\n")
        return
    if not jobs:
        click.echo(f"no {'unfinished ' if unfinished else ''}jobs below {folder}")
    rows = [("state", "frames", "changed", "size", "prompt", "folder"), *(_row(job, folder) for job in jobs)]
    for line in _aligned(rows) if jobs else ():
        click.echo(printable(line))


def _plain(job: ListedJob) -> dict[str, object]:
    return {
        "folder": str(job.folder),
        "state": job.state,
        "frames": job.frames,
        "finished": job.finished,
        "prompt": job.prompt,
        "width": job.width,
        "height": job.height,
        "fps": job.fps,
        "bytes": job.size,
        "changed": round(job.changed, 3),
        "problem": job.problem,
    }


def _row(job: ListedJob, root: Path) -> tuple[str, ...]:
    text = " ".join((job.problem or job.prompt).split())
    return (
        job.state,
        f"{job.finished}/{job.frames}",
        age(time.time() - job.changed) if job.changed else "-",
        f"{job.size / 10**6:.1f} MB",
        cut(text, WIDEST),
        str(job.folder.relative_to(root)),
    )


def age(seconds: float) -> str:
    """Returns a duration in its largest unit.

    >>> age(5), age(200), age(7300), age(200_000)
    ('now', '3 min ago', '2 h ago', '2 d ago')
    """
    for length, unit in UNITS:
        if seconds >= length:
            return f"{seconds // length:.0f} {unit} ago"
    return "now"


def _aligned(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row in rows:
        yield "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
