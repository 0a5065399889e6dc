"""Files that a verb writes where the user says: what is there already stays, unless asked."""

from __future__ import annotations

from pathlib import Path

import click

from remix.errors import BadInput

overwrite_option = click.option("--overwrite", is_flag=True, help="Write over a file that is there already.")


def refuse_present(path: Path, overwrite: bool) -> None:
    """Raises BadInput where something lies at `path`, unless it may be written over."""
    if path.exists() and not overwrite:
        raise BadInput(f"{path}: is there already; give another name, or --overwrite")
