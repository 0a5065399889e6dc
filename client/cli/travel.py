"""`remix travel`: writes a recipe that travels from picture to picture; `remix morph` shares its options."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from remix.client.cli.outputs import overwrite_option, print_data, refuse_present
from remix.client.cli.overrides import Overrides, override_options
from remix.client.pictures_travel import WAYS, Travel, common_folder, travel
from remix.job.files import write_text
from remix.plan.moments import length
from remix.plan.recipe_values import read_size
from remix.plan.wording import printable

OPTIONS = (
    click.option("--frames", default="4s", show_default=True, metavar="N", help="Number of frames, or a time."),
    click.option("--fps", type=float, default=12.0, show_default=True, help="Frames per second."),
    click.option(
        "--size",
        metavar="WxH",
        help="Size of the film; pictures are cropped evenly.  [default: the model's, or that of the settings]",
    ),
    click.option(
        "--by",
        "way",
        type=click.Choice(WAYS),
        default="auto",
        show_default=True,
        help="What travels: the settings that made the pictures, or the pictures. auto: settings if all have them.",
    ),
    click.option(
        "--denoise",
        type=click.FloatRange(0, 1),
        help="How much is redrawn half-way between two pictures.  [default: 0.75, without prompts 0.5]",
    ),
    click.option("--prompts", metavar="A|B", help="A prompt for each picture, separated by |."),
    click.option("--no-invert", is_flag=True, help="Redraw from the noise of the seed, not from that of the pictures."),
    click.option("--loop", is_flag=True, help="Lead back from the last picture to the first."),
)
"""The options of a travel, in addition to those that override a recipe."""


def travel_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the argument PICTURE... and these options to a verb, which receives them as `pictures` and `asked`."""

    @functools.wraps(command)
    def packed(**options: Any) -> None:
        asked = {
            name: options.pop(name)
            for name in ("frames", "fps", "size", "way", "denoise", "prompts", "no_invert", "loop")
        }
        command(**options, asked=asked)

    for option in reversed(OPTIONS):
        packed = option(packed)
    return click.argument("pictures", nargs=-1, required=True, metavar="PICTURE...", type=click.Path(path_type=Path))(
        override_options(packed)
    )


def travel_of(pictures: Sequence[Path], folder: Path, asked: Mapping[str, Any], overrides: Overrides) -> Travel:
    """Returns the travel that the options ask for, after printing its notes."""
    fields: dict[str, Any] = {"frames": length(asked["frames"]), "fps": asked["fps"]}
    if asked["size"] is not None:
        fields["width"], fields["height"] = read_size(asked["size"])
    if asked["no_invert"]:
        fields["invert"] = False
    prompts = [] if asked["prompts"] is None else [prompt.strip() for prompt in asked["prompts"].split("|")]
    found = travel(
        pictures,
        folder=folder,
        way=asked["way"],
        prompts=prompts,
        denoise=asked["denoise"],
        loop=asked["loop"],
        **fields,
    )
    for note in found.notes:
        click.echo(f"note    {printable(note)}", err=True)
    return Travel(overrides.apply(found.recipe), found.notes, found.way)


@click.command("travel")
@travel_options
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="Recipe to write (.toml or .json); printed if omitted."
)
@overwrite_option
def command(
    pictures: Sequence[Path], out: Path | None, overwrite: bool, asked: Mapping[str, Any], overrides: Overrides
) -> None:
    """Writes the recipe of a film that turns each PICTURE into the next.

    Pictures that say what made them travel by their prompts, seeds and settings; others are mixed and redrawn. Edit the
    recipe, and render it with remix render. remix morph does both at once.
    """
    if out is not None:
        refuse_present(out, overwrite)
    found = travel_of(pictures, common_folder(pictures) if out is None else out.absolute().parent, asked, overrides)
    if out is None:
        print_data(found.recipe.to_toml())
        return
    write_text(out, found.recipe.text_for(out))
    click.echo(f"recipe  {out}  {found.recipe.frames} frames, by {found.way}")
