"""`remix plan`: the numbers of a recipe, before anything is rendered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from remix.client.cli.outputs import overwrite_option, refuse_present
from remix.client.cli.schedules import Reading, schedule_options
from remix.errors import BadInput
from remix.job import missing_pictures
from remix.plan import Schedule, plan
from remix.plan.table import chosen_rows, columns_of, row_of


@click.command("plan")
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="The whole schedule as one JSON text.")
@click.option("--all", "everything", is_flag=True, help="A row for every frame.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the curves into this PNG file.")
@overwrite_option
@schedule_options
def command(
    recipe: Path, as_json: bool, everything: bool, plot: Path | None, overwrite: bool, reading: Reading
) -> None:
    """Prints what every frame of RECIPE is made of.

    RECIPE may also be a job folder, or a schedule of another tool.
    """
    loaded = reading.recipe(recipe)
    schedule = plan(loaded)
    for sentence in missing_pictures(loaded):
        click.echo(f"note    {sentence}", err=True)
    if plot is not None:
        if plot.suffix.lower() != ".png":
            raise BadInput(f"--plot: {plot} is not a PNG file; call it {plot.with_suffix('.png')}")
        refuse_present(plot, overwrite)
        from remix.job.plot import draw
        from remix.motion.images import save_picture

        save_picture(plot, draw(schedule))
        click.echo(f"curves  {plot}", err=True)
    if as_json:
        click.echo(schedule.to_json())
    elif plot is None or everything:
        _table(schedule, range(len(schedule)) if everything else chosen_rows(schedule))


def _table(schedule: Schedule, rows: Sequence[int]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    keyframes = set(schedule.recipe.positions())
    columns = columns_of(schedule)
    table = Table(*columns, box=None, header_style="bold")
    for index in rows:
        table.add_row(*map(Text, row_of(schedule, index, columns)), style="bold" if index in keyframes else "")
    # Piped into a file there is no terminal width to fit, and a cut-off prompt would be a loss.
    console = Console()
    if not console.is_terminal:
        console = Console(width=400)
    console.print(table)
    if len(rows) < len(schedule):
        click.echo(f"{len(rows)} of {len(schedule)} frames (--all shows every one)", err=True)
