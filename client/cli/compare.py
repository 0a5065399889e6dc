"""`remix compare`: renders one recipe on several engines and compares the frames."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isinf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remix import __version__
from remix.client import ENGINES
from remix.client.cli.engines import servers_options
from remix.client.cli.outputs import print_data
from remix.client.cli.render import origins, run
from remix.client.cli.schedules import Reading, schedule_options
from remix.engine import Outcome
from remix.engine.agreement import remarks
from remix.errors import BadInput, Interrupted, RemixError
from remix.job import FRAMES, read_metadata
from remix.job.metadata import KEY
from remix.plan import Recipe
from remix.plan.wording import nearest, printable

if TYPE_CHECKING:
    from remix.client.compare import Pair
    from remix.motion.pictures import Difference

SHEET = "compare.png"
SHEET_OF = "compare"
"""Marks the sheet in its metadata, so that a later run may replace it."""


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
@click.option("--psnr", default=55.0, show_default=True, help="Smallest allowed PSNR of a frame, in dB.")
@click.option("--off", default=2, show_default=True, help="Largest allowed difference of a color channel, of 255.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bars.")
@schedule_options
def command(
    recipe: Path,
    engines: str,
    out: Path,
    checkpoint: Sequence[str],
    psnr: float,
    off: int,
    as_json: bool,
    quiet: bool,
    reading: Reading,
    options: Mapping[str, Mapping[str, Any]],
) -> None:
    """Renders RECIPE with each engine, one after another, and compares their frames.

    Each engine has its own job in the folder. If you run the same command again, only what is missing is rendered. The
    exit code is 1 if two engines differ by more than --psnr and --off allow, or an engine failed.
    """
    names, loaded = _names(engines), reading.recipe(recipe)
    _refuse_other_sheet(out / SHEET)
    own = _checkpoints(checkpoint, names)
    for remark in remarks(loaded, names):
        click.echo(f"note    {remark}", err=True)
    frames, failed = dict[str, list[Path]](), dict[str, str]()
    for name in names:
        try:
            outcome = _rendered(_with(loaded, own.get(name)), out / name, name, quiet, options.get(name, {}))
        except Interrupted:
            raise
        except RemixError as error:
            failed[name] = str(error)
            click.echo(f"{name}: {printable(str(error))}", err=True)
            continue
        if not as_json:
            _report_job(name, outcome)
        frames[name] = [outcome.folder / FRAMES / f"{index:06d}.png" for index in range(outcome.frames)]
    pairs = _compared(frames, out) if len(frames) > 1 else []
    if as_json:
        print_data(json.dumps(_as_plain(pairs, failed, out, psnr, off), ensure_ascii=False) + "\n")
    elif pairs:
        _report(pairs, out, psnr, off)
    if failed or not all(pair.worst.agrees(psnr, off) for pair in pairs):
        raise click.exceptions.Exit(1)


def _refuse_other_sheet(path: Path) -> None:
    """Raises BadInput before rendering if another file has the sheet's path."""
    if not os.path.lexists(path):
        return
    made = read_metadata(path).remix if path.is_file() else None
    if made is None or made.get("sheet") != SHEET_OF:
        raise BadInput(f"{path}: exists and is not a sheet of remix compare; move it, or give another folder")


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
    recipe = recipe.settled()  # the same size and sampler for all engines
    return recipe if checkpoint is None else recipe.replace(model=replace(recipe.model, checkpoint=checkpoint))


def _rendered(recipe: Recipe, folder: Path, name: str, quiet: bool, options: Mapping[str, Any]) -> Outcome:
    """Renders the missing frames on an engine and returns the outcome."""
    [outcome] = run({folder: recipe}, name, quiet, new=False, film=None, **options)
    if outcome.error is not None:
        raise outcome.error
    return outcome


def _report_job(name: str, outcome: Outcome) -> None:
    click.echo(f"{name:8}{outcome.folder}  {outcome.frames} frames{origins(outcome)}")


def _compared(frames: Mapping[str, Sequence[Path]], out: Path) -> list[Pair]:
    """Writes the sheet and returns the differences of every pair of engines."""
    from remix.client.compare import compare, sheet
    from remix.motion.pictures import save_picture

    pairs = compare(frames)
    about = {"engine": ", ".join(frames), "sheet": SHEET_OF, "toolkit": __version__}
    save_picture(out / SHEET, sheet(frames, pairs), {KEY: json.dumps(about)})
    return pairs


def _as_plain(pairs: Sequence[Pair], failed: Mapping[str, str], out: Path, psnr: float, off: int) -> dict[str, Any]:
    """Returns the result as JSON values. The PSNR of equal pictures is null."""

    def plain(apart: Difference) -> dict[str, Any]:
        return {"psnr": None if isinf(apart.psnr) else apart.psnr, "off": apart.off}

    return {
        "sheet": str(out / SHEET) if pairs else None,
        "pairs": [
            {
                "engines": list(pair.engines),
                "agree": pair.worst.agrees(psnr, off),
                "worst": plain(pair.worst),
                "frames": [plain(frame) for frame in pair.frames],
            }
            for pair in pairs
        ],
        "failed": dict(failed),
    }


def _report(pairs: Sequence[Pair], out: Path, psnr: float, off: int) -> None:
    """Prints the differences of every frame, and whether each pair agrees."""
    titles = [" - ".join(pair.engines) for pair in pairs]
    widths = [max(len(title), 14) for title in titles]
    click.echo(
        "  ".join(["frame", *(f"{title:{width}}" for title, width in zip(titles, widths, strict=True))]).rstrip()
    )
    for index in range(len(pairs[0].frames)):
        cells = [f"{pair.frames[index]!s:{width}}" for pair, width in zip(pairs, widths, strict=True)]
        click.echo("  ".join([f"{index:5}", *cells]).rstrip())
    cells = [f"{pair.worst!s:{width}}" for pair, width in zip(pairs, widths, strict=True)]
    click.echo("  ".join(["worst", *cells]).rstrip())
    click.echo(f"sheet   {out / SHEET}")
    for pair, title in zip(pairs, titles, strict=True):
        verdict = click.style("agree", fg="green") if pair.worst.agrees(psnr, off) else click.style("differ", fg="red")
        click.echo(f"{title}: {verdict} (at least {psnr:g} dB and no color off by more than {off})")
