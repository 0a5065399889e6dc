"""`remix import`: converts a schedule of another tool to a recipe."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from remix.client.cli.outputs import overwrite_option, print_data, refuse_present
from remix.client.cli.schedules import Reading, schedule_options
from remix.errors import BadInput
from remix.job.files import write_text
from remix.plan import Recipe
from remix.plan.documents import MAX_DIGITS
from remix.plan.schedule import plan
from remix.syntax import SYNTAXES, read


@click.command("import", epilog=f"Syntaxes: {', '.join(SYNTAXES)}.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="Recipe to write (.toml or .json); printed if omitted."
)
@schedule_options
@click.option("--seed", type=int, help="Main seed if the schedule has none (s in expressions).")
@click.option("--before", default="", help="Text before every prompt.")
@click.option("--after", default="", help="Text after every prompt.")
@click.option(
    "--number",
    "numbers",
    multiple=True,
    metavar="NAME=VALUES",
    help="A name for expressions: pw_a=0.5, or pw_a=0:(0), 24:(1)",
)
@click.option("--field", help="Field of values without a name: cfg, denoise, strength, seed or sampler.")
@click.option("--image", type=click.Path(path_type=Path), help="Init picture of all frames, for denoise.")
@click.option("--spacing", metavar="N,N,...", help="Frames from each stage to the next.")
@click.option("--loop", is_flag=True, help="Close the film to a loop, if the schedule cannot say so.")
@overwrite_option
def command(
    file: Path,
    out: Path | None,
    reading: Reading,
    seed: int | None,
    before: str,
    after: str,
    numbers: tuple[str, ...],
    field: str | None,
    image: Path | None,
    spacing: str | None,
    loop: bool,
    overwrite: bool,
) -> None:
    """Writes FILE, a schedule of another tool, as a recipe.

    FILE may also be a picture that carries a ComfyUI workflow or A1111 settings. The syntax is detected. Notes list
    what is read differently here or has no place in a recipe.
    """
    if file.is_dir():
        raise BadInput(
            f"{file}: is a folder, and a schedule is a file; for a job's recipe: remix inspect {file} --recipe"
        )
    if out is not None:
        refuse_present(out, overwrite)
    recipe = reading.recipe(
        file,
        seed=seed,
        before=before,
        after=after,
        numbers=dict(_numbers(text, reading) for text in numbers),
        field=field,
        image=_relative(image, out),
        spacing=_spacing(spacing),
        loop=loop,
    )
    if out is None:
        print_data(recipe.to_toml())
        return
    write_text(out, recipe.text_for(out))
    click.echo(f"recipe  {out}  {recipe.frames} frames, {len(recipe.keyframes)} keyframes")


def _relative(image: Path | None, out: Path | None) -> str | None:
    """Returns the path of the picture relative to the folder of the recipe."""
    if image is None:
        return None
    if not image.is_file():
        raise BadInput(f"--image: there is no picture {image}; give the path of one")
    folder = out.parent if out is not None else Path()
    try:
        return Path(os.path.relpath(image, folder)).as_posix()
    except ValueError:  # on another Windows drive
        return image.absolute().as_posix()


def _spacing(text: str | None) -> list[int]:
    parts = [part.strip() for part in text.split(",")] if text else []
    for part in parts:
        if not part.isdecimal() or len(part) > MAX_DIGITS:
            raise BadInput(f"--spacing: {part[:40]!r} is not a number of frames; write 12, or 12,24,36")
    return [int(part) for part in parts]


def _numbers(text: str, reading: Reading) -> tuple[str, Any]:
    """Returns the name and the value per frame from ``pw_a=0:(0), 24:(1)`` or ``pw_a=0.5``."""
    name, sign, values = (part.strip() for part in text.partition("="))
    if not sign or not name.isidentifier():
        raise BadInput(f"--number: {text[:40]!r} has no name and value; write pw_a=0.5, or pw_a=0:(0), 24:(1)")
    schedule = values if ":" in values else f"0:({values})"
    parts = read(
        schedule, "deforum-values", source=f"--number {name}", field="cfg", frames=reading.length, fps=reading.fps
    )
    recipe: Recipe = parts.recipe()
    return name, [frame.cfg for frame in plan(recipe)]
