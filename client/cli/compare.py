"""`remix compare`: one recipe on several engines, and how far their pictures are apart."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from remix import __version__
from remix.client import ENGINES
from remix.client.cli.engines import servers_options
from remix.client.cli.render import run
from remix.client.cli.schedules import Reading, schedule_options
from remix.engine.agreement import remarks
from remix.errors import BadInput, Interrupted, RemixError
from remix.job import FRAMES, read_metadata
from remix.job.metadata import KEY
from remix.plan import Recipe
from remix.plan.wording import nearest, printable

SHEET = "compare.png"
SHEET_OF = "compare"
"""What the metadata of our sheet says, by which a later run knows it."""


@click.command("compare")
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("--engines", required=True, help=f"Two or more, with commas between: {','.join(ENGINES)}.")
@click.option(
    "-o", "--out", required=True, type=click.Path(path_type=Path), help="Folder; a job for each engine in it."
)
@servers_options
@click.option(
    "--checkpoint", multiple=True, metavar="ENGINE=NAME", help="Checkpoint of an engine, in place of the recipe's."
)
@click.option("--psnr", default=55.0, show_default=True, help="Least PSNR of a frame, in dB.")
@click.option("--off", default=2, show_default=True, help="Most that a colour of a pixel may be off, of 255.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bars.")
@schedule_options
def command(
    recipe: Path,
    engines: str,
    out: Path,
    checkpoint: Sequence[str],
    psnr: float,
    off: int,
    quiet: bool,
    reading: Reading,
    options: Mapping[str, Mapping[str, Any]],
) -> None:
    """Renders RECIPE with each engine, one after another, and compares their frames.

    Each engine has a job of its own in the folder: run the same line again and only what is missing is rendered. Ends
    with exit code 1 when the pictures of two engines are further apart than --psnr and --off, or an engine failed.
    """
    names, loaded = _names(engines), reading.recipe(recipe)
    _refuse_other_sheet(out / SHEET)
    own = _checkpoints(checkpoint, names)
    for remark in remarks(loaded, names):
        click.echo(f"note    {remark}", err=True)
    frames: dict[str, list[Path]] = {}
    for name in names:
        try:
            frames[name] = _rendered(_with(loaded, own.get(name)), out / name, name, quiet, options.get(name, {}))
        except Interrupted:
            raise
        except RemixError as error:
            click.echo(f"{name}: {printable(str(error))}", err=True)
    agree = _report(frames, out, psnr, off) if len(frames) > 1 else False
    if not agree or len(frames) < len(names):
        raise click.exceptions.Exit(1)


def _refuse_other_sheet(path: Path) -> None:
    """Raises BadInput, before hours of rendering, where something lies that is no sheet of an earlier run."""
    if not os.path.lexists(path):
        return
    made = read_metadata(path).remix if path.is_file() else None
    if made is None or made.get("sheet") != SHEET_OF:
        raise BadInput(f"{path}: is there already, and no sheet of remix compare; move it, or give another folder")


def _names(engines: str) -> list[str]:
    names = [name.strip() for name in engines.split(",") if name.strip()]
    for name in names:
        if name not in ENGINES:
            raise BadInput(f"engines: there is no {name!r}; {nearest(name, ENGINES)}")
    if len(names) < 2 or len(set(names)) < len(names):
        raise BadInput(f"engines: {engines!r}; give two or more, each once, such as comfyui,local")
    return names


def _checkpoints(given: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    for (name, _, checkpoint), text in zip(pairs, given, strict=True):
        if name not in names or not checkpoint:
            raise BadInput(f"checkpoint: {text!r}; write ENGINE=NAME with one of {', '.join(names)}")
    return {name: checkpoint for name, _, checkpoint in pairs}


def _with(recipe: Recipe, checkpoint: str | None) -> Recipe:
    recipe = recipe.settled()  # one size and one sampler for all of them
    return recipe if checkpoint is None else recipe.replace(model=replace(recipe.model, checkpoint=checkpoint))


def _rendered(recipe: Recipe, folder: Path, name: str, quiet: bool, options: Mapping[str, Any]) -> list[Path]:
    """The files of an engine's frames, in order, rendered as far as they are missing."""
    [outcome] = run({folder: recipe}, name, quiet, new=False, film=None, **options)
    if outcome.error is not None:
        raise outcome.error
    kept = outcome.frames - outcome.rendered
    click.echo(f"{name:8}{outcome.folder}  {outcome.frames} frames{f' ({kept} were there already)' if kept else ''}")
    return [outcome.folder / FRAMES / f"{index:06d}.png" for index in range(outcome.frames)]


def _report(frames: Mapping[str, Sequence[Path]], out: Path, psnr: float, off: int) -> bool:
    """Prints every frame's differences, writes the sheet, and returns whether all pairs agree."""
    from remix.client.compare import compare, sheet
    from remix.motion.pictures import save_picture

    pairs = compare(frames)
    titles = [" - ".join(pair.engines) for pair in pairs]
    widths = [max(len(title), 14) for title in titles]
    click.echo(
        "  ".join(["frame", *(f"{title:{width}}" for title, width in zip(titles, widths, strict=True))]).rstrip()
    )
    for index in range(len(pairs[0].frames)):
        told = [f"{pair.frames[index]!s:{width}}" for pair, width in zip(pairs, widths, strict=True)]
        click.echo("  ".join([f"{index:5}", *told]).rstrip())
    told = [f"{pair.worst!s:{width}}" for pair, width in zip(pairs, widths, strict=True)]
    click.echo("  ".join(["worst", *told]).rstrip())
    about = {"engine": ", ".join(frames), "sheet": SHEET_OF, "toolkit": __version__}
    save_picture(out / SHEET, sheet(frames, pairs), {KEY: json.dumps(about)})
    click.echo(f"sheet   {out / SHEET}")
    for pair, title in zip(pairs, titles, strict=True):
        verdict = click.style("agree", fg="green") if pair.worst.agrees(psnr, off) else click.style("differ", fg="red")
        click.echo(f"{title}: {verdict} (at least {psnr:g} dB and no colour off by more than {off})")
    return all(pair.worst.agrees(psnr, off) for pair in pairs)
