"""`remix new`: writes a commented recipe to start from."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import click

from remix.errors import BadInput


@click.command("new")
@click.argument("file", type=click.Path(path_type=Path), default=Path("recipe.toml"))
def command(file: Path) -> None:
    """Writes a commented recipe to FILE (recipe.toml). An existing file is kept."""
    if file.suffix.lower() != ".toml":
        raise BadInput(f"{file}: is not a TOML file, and only TOML has comments; call it {_named(file)}")
    text = (files(__package__) / "new.toml").read_text(encoding="utf-8")
    try:
        with open(file, "x", encoding="utf-8") as target:
            target.write(text)
    except FileExistsError:
        raise BadInput(f"{file}: already exists; give another name") from None
    except OSError as error:
        raise BadInput(f"{file}: cannot be written ({error.strerror}); give another path") from error
    click.echo(f"{file}: edit it, then run: remix render {file} -o {file.stem}-film")


def _named(file: Path) -> Path:
    return file / "recipe.toml" if file.is_dir() else file.with_suffix(".toml")
