"""`remix morph`: renders a film that turns one picture into the next, without a recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from remix.client.cli.engines import engine_option, engine_options
from remix.client.cli.overrides import Overrides
from remix.client.cli.render import advised, report, run
from remix.client.cli.travel import travel_of, travel_options
from remix.client.pictures_travel import common_folder, ends
from remix.job import frame_path, recipe_of


@click.command("morph")
@travel_options
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="Job folder.")
@engine_option
@engine_options
@click.option("--film", default="film.mp4", show_default=True, help="Film file; its suffix is the format.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
def command(
    pictures: Sequence[Path],
    out: Path,
    engine: str | None,
    asked: Mapping[str, Any],
    overrides: Overrides,
    options: Mapping[str, Any],
    film: str,
    quiet: bool,
) -> None:
    """Renders a film that turns each PICTURE into the next.

    Pictures that say what made them travel by their prompts, seeds and settings; other pictures are mixed, and the
    model redraws what is in between. The pictures themselves are in the film, unchanged. To continue a film that
    stopped, run the same command again. remix travel writes the recipe.
    """
    found = travel_of(pictures, common_folder(pictures), asked, overrides)
    [outcome] = run({out: found.recipe}, engine, quiet, new=False, film=film, **options)
    if outcome.error is not None:
        raise advised(outcome.error)
    report(outcome)
    made = recipe_of(outcome.folder)
    frames = [frame_path(outcome.folder, index) for index in range(made.frames)]
    for name, apart in ends(made, pictures, frames):
        click.echo(f"picture {name}  {'exactly' if apart.off == 0 else f'reproduced at {apart.psnr:.1f} dB'}")
