"""Output files of verbs. Existing files are kept unless the user passes `--overwrite`."""

from __future__ import annotations

from pathlib import Path

import click

from remix.errors import BadInput

overwrite_option = click.option("--overwrite", is_flag=True, help="Replace an existing file.")


def refuse_present(path: Path, overwrite: bool) -> None:
    """Raises BadInput if `path` exists and may not be replaced."""
    if path.exists() and not overwrite:
        raise BadInput(f"{path}: already exists; give another name, or pass --overwrite")
