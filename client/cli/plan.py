"""`remix plan`: prints the numbers of a recipe without rendering."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from remix.client import ENGINES
from remix.client.cli.outputs import overwrite_option, print_data, refuse_present
from remix.client.cli.overrides import Overrides, override_options
from remix.client.cli.schedules import Reading, schedule_options
from remix.client.playground import advice as playground
from remix.errors import BadInput
from remix.job import missing_pictures
from remix.plan import Recipe, Schedule, plan
from remix.plan.schedule import remarks_on
from remix.plan.wording import printable
from remix.show.table import chosen_rows, columns_of, letters_of, row_of

NUMBERS = ("frame", "time", "seed", "cfg", "denoise")


@click.command("plan")
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option(
    "--engine",
    default="local",
    show_default=True,
    type=click.Choice(tuple(ENGINES)),
    help="Engine that is to render it: local has the defaults of the bundled model for what the recipe leaves out.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the whole schedule as JSON.")
@click.option("--all", "everything", is_flag=True, help="Print a row for every frame.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the curves to this PNG file.")
@overwrite_option
@override_options
@schedule_options
def command(
    recipe: Path,
    engine: str,
    as_json: bool,
    everything: bool,
    plot: Path | None,
    overwrite: bool,
    overrides: Overrides,
    reading: Reading,
) -> None:
    """Prints what every frame of RECIPE is made of.

    RECIPE may also be a job folder, or a schedule of another tool; then the syntax that was read is printed too.
    """
    found = reading.read(recipe)
    asked, syntax = overrides.apply(found.recipe), found.syntax
    # Schedules of other tools and recipes for other engines name no model, but are not meant for the bundled one.
    bundled = engine == "local" and syntax is None and asked.model.checkpoint == playground.NAME
    schedule = plan(asked.fitted_to(playground.DEFAULTS) if bundled else asked)
    unknown = playground.remarks(schedule) if bundled and not recipe.is_dir() else []
    for sentence in (*_notes(asked), *remarks_on(schedule), *unknown):
        click.echo(f"note    {sentence}", err=True)
    if plot is not None:
        if plot.suffix.lower() != ".png":
            raise BadInput(f"--plot: {plot} is not a PNG file; call it {plot.with_suffix('.png')}")
        refuse_present(plot, overwrite)
        from remix.motion.pictures import save_picture
        from remix.show.plot import draw

        save_picture(plot, draw(schedule))
        click.echo(f"curves  {plot}", err=True)
    if as_json:
        print_data(_json(schedule, syntax) + "\n")
    elif plot is None or everything:
        _table(schedule, range(len(schedule)) if everything else chosen_rows(schedule))


def _json(schedule: Schedule, syntax: str | None) -> str:
    """Returns the schedule as JSON, with the syntax if it was read from another tool's text."""
    if syntax is None:
        return schedule.to_json()
    return json.dumps({**schedule.to_dict(), "syntax": syntax}, sort_keys=True, separators=(",", ":"))


def _notes(recipe: Recipe) -> Iterator[str]:
    """Yields notes on parts of a recipe that may be unintended."""
    yield from missing_pictures(recipe)
    written = "cfg" not in recipe.defaulted and recipe.cfg != Recipe.cfg
    if written and any(keyframe.cfg is not None for keyframe in recipe.keyframes):
        yield f"cfg: {recipe.cfg:g} above the keyframes is ignored, since keyframes set cfg"


def _table(schedule: Schedule, rows: Sequence[int]) -> None:
    """Prints the table. Texts that are too wide are replaced by letters, with a legend above."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # Output to a file has no maximum width.
    console = Console()
    if not console.is_terminal:
        console = Console(width=400)
    columns = columns_of(schedule)
    lines = [[printable(cell) for cell in row_of(schedule, index, columns)] for index in rows]
    if _width([columns, *lines]) > console.width and (letters := letters_of(schedule, rows)):
        legend = Table.grid(padding=(0, 2))
        for text, letter in letters.items():
            legend.add_row(Text(letter, "bold"), Text(printable(text), overflow="fold"))
        console.print(legend, "")
        lines = [[printable(cell) for cell in row_of(schedule, index, columns, letters)] for index in rows]
    table = Table(box=None, header_style="bold")
    for name, cells in zip(columns, zip(*lines, strict=True), strict=True):
        # Numbers are never cut or wrapped; the other columns shrink first.
        longest = max(len(word) for cell in cells for word in cell.split() or [""]) if name in NUMBERS else None
        table.add_column(name, overflow="fold", min_width=longest)
    keyframes = set(schedule.recipe.positions())
    for index, line in zip(rows, lines, strict=True):
        table.add_row(*map(Text, line), style="bold" if index in keyframes else "")
    console.print(table)
    if len(rows) < len(schedule):
        click.echo(f"{len(rows)} of {len(schedule)} frames (--all shows every one)", err=True)


def _width(lines: Sequence[Sequence[str]]) -> int:
    """Returns the width of a table with these lines on a terminal, with a space on both sides of each cell."""
    from rich.cells import cell_len

    return sum(2 + max(map(cell_len, column)) for column in zip(*lines, strict=True))
