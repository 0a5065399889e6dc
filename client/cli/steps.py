"""`remix steps`: shows every denoising step of a picture as a film, a sheet and a page with a slider."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from remix import __version__
from remix.client import open_engine
from remix.client.cli.engines import offload_option, quantize_option
from remix.client.cli.outputs import overwrite_option, refuse_present
from remix.client.cli.overrides import Overrides, override_options
from remix.client.cli.schedules import Reading, schedule_options
from remix.client.cli.screen import progress, stoppable
from remix.engine import Event, Listener
from remix.errors import BadInput
from remix.plan import Keyframe, Recipe, plan

if TYPE_CHECKING:
    from remix.client.local import Local
    from remix.show.steps import StepsView

RATE = 3
"""The frames per second of the film."""


@click.command("steps")
@click.argument("recipe", metavar="RECIPE|PROMPT")
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Folder for film, sheet and page.")
@click.option("--at", default="0", show_default=True, metavar="MOMENT", help="Moment of the recipe: 24, 2s or 50%.")
@click.option("--film", default="steps.mp4", show_default=True, help="Film file; its suffix is the format.")
@override_options
@click.option("--device", help="Device: auto, cpu, cuda, cuda:1, mps.  [default: auto]")
@click.option(
    "--precision",
    type=click.Choice(("auto", "full")),
    help="auto is half on CUDA, full is always float32.  [default: auto]",
)
@offload_option
@quantize_option
@click.option(
    "--embeddings", metavar="FOLDER", help="Textual inversions.  [default: embeddings, if there is such a folder]"
)
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
@overwrite_option
@schedule_options
def command(
    recipe: str,
    out: Path,
    at: str,
    film: str,
    overrides: Overrides,
    device: str | None,
    precision: str | None,
    offload: str | None,
    quantize: str | None,
    embeddings: str | None,
    quiet: bool,
    overwrite: bool,
    reading: Reading,
) -> None:
    """Shows every denoising step of one picture of RECIPE, or of a PROMPT for the bundled model.

    Each step shows the noisy latent as the model sees it, the model's estimate of the clean picture, and what guidance
    adds, with the noise level. It writes a film, a sheet, and a page with a slider. It needs the local engine.
    """
    found = overrides.apply(_recipe(recipe, reading))
    outputs = [out / film, out / "steps.png", out / "steps.html"]
    if os.path.realpath(outputs[0]) in map(os.path.realpath, outputs[1:]):
        raise BadInput(f"--film: {outputs[0].name} is the name of the sheet or the page; give another one")
    for path in outputs:
        refuse_present(path, overwrite)
    from remix.job.metadata import KEY
    from remix.motion import save_picture, write_video
    from remix.motion.atomic import atomic_write
    from remix.motion.formats import format_of
    from remix.show.page import require
    from remix.show.steps import step_frames, steps_page, steps_sheet

    require()
    format_of(outputs[0])  # before a model is loaded
    for folder in (out, outputs[0].parent):
        folder.mkdir(parents=True, exist_ok=True)
    options = {"precision": precision, "offload": offload, "quantize": quantize, "embeddings": embeddings}
    opened = open_engine("local", device=device, **options)
    with opened as engine, stoppable(engine), progress(quiet) as listen:
        title = Path(recipe).stem if Path(recipe).exists() else recipe
        view, still = _view(cast("Local", engine), found, at, title, listen)
    texts = {KEY: json.dumps({"sheet": "steps", "recipe": still.to_dict(), "toolkit": __version__})}
    write_video(step_frames(view), outputs[0], RATE, metadata=texts)
    save_picture(outputs[1], steps_sheet(view), texts)
    with atomic_write(outputs[2]) as part:
        part.write_text(steps_page(view), encoding="utf-8", errors="backslashreplace", newline="\n")
    for name, path in zip(("film", "sheet", "page"), outputs, strict=True):
        click.echo(f"{name:7} {path}")


def _recipe(recipe: str, reading: Reading) -> Recipe:
    """Returns the recipe in a file or job folder, or one for a prompt: a text with a space that is no path."""
    path = Path(recipe)
    if path.exists() or " " not in recipe.strip():
        return reading.recipe(path)
    return Recipe(1, [Keyframe(prompt=recipe)])


def _view(engine: Local, recipe: Recipe, at: str, title: str, listen: Listener) -> tuple[StepsView, Recipe]:
    from remix.client.local.steps import steps_of
    from remix.job.inputs import input_hashes
    from remix.motion.images import load_picture
    from remix.motion.pictures import fit
    from remix.plan.grid import Grid, cells_of, films_of
    from remix.show.grid import settings_of
    from remix.show.steps import StepsView

    # A grid of one cell, which is the moment alone.
    grid = Grid(recipe, at=int(at) if at.isdecimal() else at)
    [cell] = cells_of(grid, lambda each: each.fitted_to(engine.defaults(each)).settled())
    [film] = films_of([cell])
    schedule = plan(film.recipe)
    for sentence in engine.check(schedule):
        click.echo(f"remix: {sentence}", err=True)
    still = schedule.recipe
    input_hashes(still)  # raises an error for a missing picture
    places = {name: Path(still.folder or ".", name) for name in still.pictures()}
    inputs = {name: fit(load_picture(path), still.width, still.height) for name, path in places.items()}
    listen(Event("frames", 0, 1))
    steps, picture = steps_of(engine, schedule, 0, inputs, listen)
    listen(Event("frames", 1, 1))
    if not steps:
        raise BadInput("denoise: 0 samples nothing, so there are no steps to show; give a moment with another denoise")
    settings = settings_of(cell)
    return StepsView(title, steps, still.steps, picture, settings["prompt"], settings), still
