"""Output of verbs: files, which are kept unless the user passes `--overwrite`, and data on standard output."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from remix.errors import BadInput
from remix.plan.wording import printable

overwrite_option = click.option("--overwrite", is_flag=True, help="Replace an existing file.")


def refuse_present(path: Path, overwrite: bool) -> None:
    """Raises BadInput if `path` exists and may not be replaced."""
    if path.exists() and not overwrite:
        raise BadInput(f"{path}: already exists; give another name, or pass --overwrite")


def print_data(text: str) -> None:
    """Prints JSON, TOML or a schedule. A pipe or file gets UTF-8, whatever the encoding of the console.

    In an encoding such as Windows' cp1252, other characters would be lost, or make JSON invalid. A terminal gets no
    control characters.
    """
    stdout = sys.stdout
    if stdout.isatty() or not hasattr(stdout, "buffer"):
        click.echo(printable(text), nl=False)
        return
    stdout.flush()
    stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
    stdout.buffer.flush()
