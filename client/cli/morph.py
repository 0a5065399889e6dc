"""`remix morph`: renders a film that turns one picture into the next, without a recipe."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from remix.client import ENGINES
from remix.client.cli.completion import among
from remix.client.cli.engines import engine_options
from remix.client.cli.overrides import Overrides, override_options
from remix.client.cli.render import advised, report, run
from remix.errors import BadInput
from remix.motion import load_picture
from remix.plan import Recipe
from remix.plan.moments import length

AT_PICTURES = 0.3
"""The denoise of the frames that show a picture."""


@click.command("morph")
@click.argument("pictures", nargs=-1, required=True, metavar="PICTURE...", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="Job folder.")
@click.option("--frames", default="4s", show_default=True, metavar="N", help="Number of frames, or a time.")
@click.option("--fps", type=float, default=12.0, show_default=True, help="Frames per second.")
@click.option("--size", metavar="WxH", help="Size of the film; pictures are cropped evenly.  [default: the model's]")
@click.option(
    "--denoise",
    type=click.FloatRange(0, 1),
    default=0.75,
    show_default=True,
    help=f"How much is redrawn half-way between two pictures. At the pictures it is {AT_PICTURES}, or less.",
)
@click.option("--prompts", metavar="A|B", help="A prompt for each picture, separated by |.")
@click.option("--loop", is_flag=True, help="Lead back from the last picture to the first.")
@click.option("--engine", default="local", show_default=True, shell_complete=among(ENGINES), help="As in render.")
@override_options
@engine_options
@click.option("--film", default="film.mp4", show_default=True, help="Film file; its suffix is the format.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
def command(
    pictures: Sequence[Path],
    out: Path,
    frames: str,
    fps: float,
    size: str | None,
    denoise: float,
    prompts: str | None,
    loop: bool,
    engine: str,
    overrides: Overrides,
    options: Mapping[str, Any],
    film: str,
    quiet: bool,
) -> None:
    """Renders a film that turns each PICTURE into the next.

    The pictures are mixed as latents, and the model redraws what is in between: more half-way, less at the pictures.
    --prompts says what they show. Run the same line again to go on; `remix inspect FOLDER --recipe` prints the recipe.
    """
    if len(pictures) < 2:
        raise BadInput(f"{pictures[0]}: is one picture; give two or more")
    texts = [] if prompts is None else [prompt.strip() for prompt in prompts.split("|")]
    if texts and len(texts) != len(pictures):
        raise BadInput(f"--prompts: {len(texts)} for {len(pictures)} pictures; give one for each, separated by |")
    for picture in pictures:
        load_picture(picture)  # before a model is loaded
    folder = Path(os.path.commonpath([picture.absolute().parent for picture in pictures]))
    names = [picture.absolute().relative_to(folder).as_posix() for picture in pictures]
    given = {} if size is None else {"size": size}
    plain: dict[str, Any] = {"frames": length(frames), "fps": fps, "loop": loop, "pace": "even", **given}
    plain["keyframes"] = keyframes_of(names, denoise, loop, texts)
    recipe = overrides.apply(Recipe.from_dict(plain, folder=str(folder)))
    [outcome] = run({out: recipe}, engine, quiet, new=False, film=film, **options)
    if outcome.error is not None:
        raise advised(outcome.error)
    report(outcome)


def keyframes_of(names: Sequence[str], denoise: float, loop: bool, prompts: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Returns a keyframe for each picture, evenly spaced, and one half-way to the next that is redrawn more.

    >>> [keyframe["at"] for keyframe in keyframes_of(["a.png", "b.png"], 0.75, False)]
    ['0%', '50%', '100%']
    """
    count = 2 * len(names)
    span = count if loop else count - 2
    least = min(AT_PICTURES, denoise)
    keyframes: list[dict[str, Any]] = []
    for place in range(count if loop else count - 1):
        at = f"{100 * place / span:.10g}%"
        if place % 2:
            keyframes.append({"at": at, "denoise": denoise})
            continue
        keyframes.append({"at": at, "denoise": least, "image": names[place // 2]})
        if prompts:
            keyframes[-1]["prompt"] = prompts[place // 2]
    return keyframes
