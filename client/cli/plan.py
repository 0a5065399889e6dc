"""`remix plan`: the numbers of a recipe, before anything is rendered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from remix.client.cli.schedules import Reading, schedule_options
from remix.errors import BadInput
from remix.plan import Frame, Mix, Schedule, plan
from remix.plan.mix import UNITS, share_out

ROWS = 25
"""How many frames the table shows unless all are asked for; keyframes are always among them."""


@click.command("plan")
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="The whole schedule as one JSON text.")
@click.option("--all", "everything", is_flag=True, help="A row for every frame.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the curves into this PNG file.")
@schedule_options
def command(recipe: Path, as_json: bool, everything: bool, plot: Path | None, reading: Reading) -> None:
    """Prints what every frame of RECIPE is made of.

    RECIPE may also be a schedule of another tool.
    """
    schedule = plan(reading.recipe(recipe))
    if plot is not None:
        if plot.suffix.lower() != ".png":
            raise BadInput(f"--plot: {plot} is not a PNG file; call it {plot.with_suffix('.png')}")
        from remix.client.cli.plot import draw
        from remix.motion.images import save_picture

        save_picture(plot, draw(schedule))
        click.echo(f"curves  {plot}", err=True)
    if as_json:
        click.echo(schedule.to_json())
    elif plot is None or everything:
        _table(schedule, range(len(schedule)) if everything else _chosen(schedule))


def _chosen(schedule: Schedule) -> Sequence[int]:
    """The keyframes, and frames evenly between them up to `ROWS`."""
    total = len(schedule)
    if total <= ROWS:
        return range(total)
    spread = {k * (total - 1) // (ROWS - 1) for k in range(ROWS)}
    return sorted(spread | set(schedule.recipe.positions()[:ROWS]))


def _table(schedule: Schedule, rows: Sequence[int]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    keyframes = set(schedule.recipe.positions())
    columns = [name for name in ("negative", "image", "mask", "loras", "cfg", "denoise") if _travels(schedule, name)]
    table = Table("frame", "time", "prompt", "seed", *columns, box=None, header_style="bold")
    for index in rows:
        frame = schedule[index]
        cells = [_cell(getattr(frame, name)) for name in ("prompt", "seed", *columns)]
        time = f"{index / schedule.recipe.fps:.2f}s"
        style = "bold" if index in keyframes else ""
        table.add_row(*(Text(cell) for cell in (str(index), time, *cells)), style=style)
    # Piped into a file there is no terminal width to fit, and a cut-off prompt would be a loss.
    console = Console()
    if not console.is_terminal:
        console = Console(width=400)
    console.print(table)
    if len(rows) < len(schedule):
        click.echo(f"{len(rows)} of {len(schedule)} frames (--all shows every one)", err=True)


def _travels(schedule: Schedule, name: str) -> bool:
    first = getattr(schedule[0], name)
    shown_anyway = name in ("cfg",)
    return shown_anyway or any(getattr(frame, name) != first for frame in schedule) or name_is_set(schedule[0], name)


def name_is_set(frame: Frame, name: str) -> bool:
    """Whether a field of a frame says more than nothing."""
    value = getattr(frame, name)
    return bool(value.items != (("", 1.0),)) if isinstance(value, Mix) else value not in (None, 1.0, ())


def _cell(value: object) -> str:
    if isinstance(value, Mix):
        if len(value.items) == 1:
            return str(value.items[0][0])
        # In thousandths that sum to 1, as the weights do.
        thousandths = share_out([round(weight * UNITS) * 1000 for weight in value.weights], UNITS)
        return " + ".join(f"{n / 1000:.3f} {part}" for n, part in zip(thousandths, value.values, strict=True))
    if isinstance(value, tuple):
        return ", ".join(f"{lora.strength:.3g} {lora.name}" for lora in value)
    return "-" if value is None else f"{value:g}"
