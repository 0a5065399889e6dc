"""`remix render`: a recipe to frames and a film."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from remix.client import ENGINES, open_engine
from remix.client.cli.completion import among
from remix.client.cli.engines import engine_options
from remix.client.cli.schedules import Reading, schedule_options
from remix.client.cli.screen import progress, stoppable
from remix.engine import Event, Outcome, render
from remix.errors import OtherRecipe
from remix.job import recipe_of
from remix.plan import Recipe


@click.command("render")
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Job folder; made if it is not there.")
@click.option(
    "--engine",
    default="local",
    show_default=True,
    shell_complete=among(ENGINES),
    help=f"One of: {', '.join(ENGINES)}.",
)
@click.option("--checkpoint", help="Checkpoint, in place of the recipe's.")
@engine_options
@click.option("--film", default="film.mp4", show_default=True, help="Film file; its suffix is the format.")
@click.option("--no-film", is_flag=True, help="Frames alone.")
@click.option(
    "--new", is_flag=True, help="Replace frames of another recipe's or model's job; those that are the same are kept."
)
@click.option("--json", "as_json", is_flag=True, help="What there is in the end as one JSON object.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
@schedule_options
def command(
    recipe: Path,
    out: Path | None,
    engine: str,
    checkpoint: str | None,
    film: str,
    no_film: bool,
    new: bool,
    as_json: bool,
    quiet: bool,
    reading: Reading,
    options: Mapping[str, Any],
) -> None:
    """Renders RECIPE into a job folder: frames, film, contact sheet.

    Run the same line again after any kind of end: only what is missing is rendered. RECIPE may be the job
    folder itself, or a schedule of another tool.
    """
    if recipe.is_dir():
        reading.refuse_for(recipe)
        out = out or recipe
        loaded, syntax = recipe_of(recipe), None
    else:
        loaded, syntax = reading.read(recipe)
    if out is None:
        raise click.UsageError(f"say where to: remix render {recipe} -o FOLDER")
    if checkpoint is not None:
        loaded = loaded.replace(model=replace(loaded.model, checkpoint=checkpoint))
    try:
        outcome = run(loaded, out, engine, quiet, new=new, film=None if no_film else film, **options)
    except OtherRecipe as error:
        raise OtherRecipe(f"{error}, or pass --new to replace what is not the same") from error
    if as_json:
        click.echo(json.dumps({**as_plain(outcome), **({"syntax": syntax} if syntax else {})}, ensure_ascii=False))
    else:
        report(outcome)


def run(recipe: Recipe, out: Path, engine: str, quiet: bool, *, new: bool, film: str | None, **options: Any) -> Outcome:
    """Renders with a progress bar and a polite Ctrl-C; returns what the run left."""
    opened = open_engine(engine, **options)
    with stoppable(opened) as stop, progress(quiet) as listen:

        def told(event: Event) -> None:
            stop()
            listen(event)

        return render(recipe, opened, out, new=new, film=film, listen=told, stop=stop)


def as_plain(outcome: Outcome) -> dict[str, Any]:
    """Returns an outcome as JSON values; its error, if it has one, as a sentence."""
    plain = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(outcome).items()}
    error = plain.pop("error")
    return plain if error is None else {**plain, "error": str(error)}


def report(outcome: Outcome) -> None:
    """Says what there is now and where."""
    kept = outcome.frames - outcome.rendered
    again = f" ({kept} were there already)" if kept else ""
    click.echo(f"frames  {outcome.folder / 'frames'}  {outcome.frames}{again}")
    if outcome.film:
        click.echo(f"film    {outcome.film}")
    if outcome.sheet:
        click.echo(f"sheet   {outcome.sheet}")
