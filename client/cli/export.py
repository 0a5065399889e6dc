"""`remix export`: writes a recipe as a schedule for another tool."""

from __future__ import annotations

from pathlib import Path

import click

from remix.client.cli.completion import among
from remix.client.cli.outputs import overwrite_option, print_data, refuse_present
from remix.client.cli.schedules import Reading, schedule_options
from remix.job.files import write_text
from remix.syntax import WRITTEN, write


@click.command("export")
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "name",
    required=True,
    metavar="NAME",
    shell_complete=among(WRITTEN),
    help=f"One of: {', '.join(WRITTEN)}.",
)
@click.option("-o", "--out", type=click.Path(path_type=Path), help="File to write; printed if omitted.")
@click.option(
    "--field",
    help="What to write: cfg, denoise, strength, seed or sampler as deforum-values; prompt or negative as "
    "animatediff-evolved.",
)
@overwrite_option
@schedule_options
def command(recipe: Path, name: str, out: Path | None, field: str | None, overwrite: bool, reading: Reading) -> None:
    """Writes RECIPE as a schedule for another tool, and lists what that tool's text cannot express.

    RECIPE may also be a job folder.
    """
    made = write(reading.recipe(recipe), name, field=field)
    if out is None:
        print_data(made.text)
    else:
        refuse_present(out, overwrite)
        write_text(out, made.text)
        click.echo(f"{name}  {out}")
    for sentence in made.lost:
        click.echo(f"lost    {sentence}", err=True)
