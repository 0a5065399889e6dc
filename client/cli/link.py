"""`remix link`: installs this checkout into a ComfyUI or an A1111, by a link."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

import remix
from remix.errors import BadInput

NAME = "remix-toolkit"
"""The name of the link."""

CLONE = Path(remix.__file__).resolve().parents[1]
"""The folder of the checkout, if this is one."""


@dataclass(frozen=True)
class Host:
    """A host: its name, its main file, the folder of its extensions, and the file of ours that it looks for there."""

    title: str
    main: str
    extensions: str
    entry: str


HOSTS = {
    "comfyui": Host("ComfyUI", "main.py", "custom_nodes", "custom_nodes/recipe.py"),
    "a1111": Host("A1111 or Forge", "launch.py", "extensions", "scripts/remix_toolkit.py"),
}

CHECKPOINTS = Path("models", "Stable-diffusion")
"""A1111's folder of checkpoints."""


@click.command("link")
@click.argument("host", type=click.Choice(list(HOSTS)))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--playground",
    is_flag=True,
    help="Also add the bundled model to the checkpoints of an A1111.",
)
def command(host: str, folder: Path, playground: bool) -> None:
    """Installs this checkout into the ComfyUI or A1111 in FOLDER, by a link to it.

    With a link, updating the checkout updates the host. Restart the host afterwards. --playground is for A1111; in
    ComfyUI the node Remix Playground loads the bundled model.
    """
    kind = HOSTS[host]
    if not (folder / kind.main).is_file():
        raise BadInput(f"{folder}: has no {kind.main}; give the folder of {kind.title}")
    if playground:
        _refuse_playground(host, folder)
    click.echo(f"{_installed(kind, folder) or _linked(kind, folder)}; restart {kind.title} to load it")
    if playground:
        from remix.playground.checkpoint import write_checkpoint

        place = write_checkpoint(folder / CHECKPOINTS)
        click.echo(f"{place}: the bundled model; choose it in the list of checkpoints")


def _refuse_playground(host: str, folder: Path) -> None:
    if host == "comfyui":
        raise BadInput("--playground: ComfyUI needs no file; the node Remix Playground loads the bundled model")
    if (folder / "modules_forge").is_dir():
        raise BadInput(f"--playground: {folder} is a Forge, which only loads model families that it knows; use A1111")
    if not (folder / CHECKPOINTS).is_dir():
        raise BadInput(f"{folder / CHECKPOINTS}: there is no such folder; start the host once, which makes it")


def _installed(kind: Host, folder: Path) -> str | None:
    """Returns where the toolkit already is among the host's extensions, as part of a sentence."""
    extensions = folder / kind.extensions
    clones = (place for place in sorted(extensions.glob("*")) if (place / kind.entry).is_file())
    clone = next((place for place in clones if (place / "remix" / "plan").is_dir()), None)
    return None if clone is None else f"{clone}: has Remix Toolkit already"


def _linked(kind: Host, folder: Path) -> str:
    """Links this checkout into the host and returns what was done."""
    place = folder / kind.extensions / NAME
    if not (CLONE / kind.entry).is_file():
        raise BadInput(
            f"{CLONE}: is an installed package without the parts for {kind.title}; clone the repository into "
            f"{folder / kind.extensions} instead"
        )
    if place.exists() or place.is_symlink():
        raise BadInput(f"{place}: exists and is not Remix Toolkit; move it away first")
    try:
        place.symlink_to(CLONE, target_is_directory=True)
    except OSError as error:
        raise BadInput(
            f"{place}: cannot be linked ({error.strerror or error}); on Windows turn on developer mode, or clone the "
            f"repository into {place.parent}"
        ) from error
    return f"{place}: linked to {CLONE}"
