"""`remix grid`: renders a recipe with other values of its fields in each cell of a labeled grid."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from remix.client import open_engine
from remix.client.cli.engines import chosen, engine_option, engine_options
from remix.client.cli.outputs import overwrite_option, print_data
from remix.client.cli.overrides import Overrides, override_options
from remix.client.cli.schedules import Reading, schedule_options
from remix.client.cli.screen import progress, stoppable
from remix.errors import BadInput, RecipeError
from remix.plan.axes import Axis, read_axis
from remix.plan.grid import Grid, cells_of


@click.command("grid")
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("--x", metavar="AXIS", help="Field and values of the columns, such as steps=1,2,4.")
@click.option("--y", metavar="AXIS", help="Field and values of the rows.")
@click.option("--z", metavar="AXIS", help="Field and values of further grids below the first.")
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Picture of the grid, a .png.")
@click.option("--page", is_flag=True, help="Also write a page next to the picture, in which each cell can be enlarged.")
@click.option("--at", default="0", show_default=True, metavar="MOMENT", help="Moment of the recipe: 24, 2s or 50%.")
@click.option("--cell", type=click.IntRange(min=16), help="Longest side of a cell in the picture.  [default: 512]")
@click.option("--cells", type=click.Path(path_type=Path), metavar="FOLDER", help="Job folders.  [default: OUT-cells]")
@engine_option
@override_options
@engine_options
@click.option("--json", "as_json", is_flag=True, help="Print the cells as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
@overwrite_option
@schedule_options
def command(
    recipe: Path,
    x: str | None,
    y: str | None,
    z: str | None,
    out: Path,
    page: bool,
    at: str,
    cell: int | None,
    cells: Path | None,
    engine: str | None,
    overrides: Overrides,
    options: Mapping[str, Any],
    as_json: bool,
    quiet: bool,
    overwrite: bool,
    reading: Reading,
) -> None:
    """Renders RECIPE once for each pair of values of two axes, and writes a picture with labeled axes.

    An AXIS is a field and its values. If you run the same command again, or with more values, only missing cells are
    rendered.

    \b
    steps=1,2,4,8                    values of a field
    cfg=1..9..2                      a range with a step
    "prompt:a red {house,boat}"      a prompt with words in braces
    "prompt=a house|a boat, at sea"  whole prompts, separated by |
    "prompt[a dog]=0..1..0.25"       the share of a value in a mix
    "word[red]=red,blue"             words in place of a word of the prompt
    "loras[film grain]=0,0.5,1"      strengths of a LoRA
    at=0%,50%,100%                   moments of the recipe
    KSampler.cfg=5,7                 an input of the recipe's workflow, or a field
                                     of its payload
    """
    asked = overrides.apply(reading.recipe(recipe))
    columns, rows, blocks = (_axis(name, text, asked.has_own_settings) for name, text in (("x", x), ("y", y), ("z", z)))
    grid = Grid(asked, columns, rows, blocks, _moment(at))
    if not grid.axes:
        raise click.UsageError("say what to compare, such as --x steps=1,2,4,8")
    outputs = _outputs(out, page, overwrite)
    cells_of(grid)  # so that a wrong value is reported before a model is loaded
    from remix.engine.grid import as_plain, render_grid, write_grid, write_grid_page
    from remix.show.grid import LARGEST_CELL

    folder = cells or out.with_name(f"{out.stem}-cells")
    with (
        open_engine(chosen(engine, options), **options) as opened,
        stoppable(opened) as stop,
        progress(quiet) as listen,
    ):
        found = render_grid(grid, opened, folder, title=recipe.stem, listen=listen, stop=stop)
    write_grid(found.view, out, cell or LARGEST_CELL)
    if page:
        write_grid_page(found.view, outputs[1])
    if as_json:
        plain = {"grid": str(out), "page": str(outputs[1]) if page else None, "cells": as_plain(found.view)}
        print_data(json.dumps(plain, ensure_ascii=False) + "\n")
        return
    kept = found.pictures - found.rendered
    again = f" ({kept} were there already)" if kept else ""
    click.echo(f"cells   {folder}  {found.pictures}{again}")
    click.echo(f"grid    {out}")
    if page:
        click.echo(f"page    {outputs[1]}")


def _axis(name: str, text: str | None, inputs: bool) -> Axis | None:
    if text is None:
        return None
    try:
        return read_axis(text, inputs=inputs)
    except RecipeError as error:
        raise RecipeError(error.problem, path=error.path, source=f"--{name}") from error


def _moment(at: str) -> int | str:
    return int(at) if at.isdecimal() else at


def _outputs(out: Path, page: bool, overwrite: bool) -> list[Path]:
    """Returns the files to write. Raises BadInput if one of them is not a PNG, or another file has its place."""
    from remix.engine.grid import refuse_other_file

    if out.suffix.lower() != ".png":
        raise BadInput(f"{out}: a grid is a PNG; call it {out.with_suffix('.png')}")
    outputs = [out, *([out.with_suffix(".html")] if page else [])]
    if page:
        from remix.show.page import require

        require()
    if not overwrite:
        for path in outputs:
            refuse_other_file(path)
    return outputs
