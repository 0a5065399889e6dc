"""`remix lab`: the kit of a course, and the page that a student hands in."""

from __future__ import annotations

from pathlib import Path

import click

from remix.client.lab import LANGUAGES, hand_in, new_kit


@click.group("lab")
def command() -> None:
    """Prepares a course on how image models work."""


@command.command("new")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--language", default="en", show_default=True, type=click.Choice(LANGUAGES), help="Language of the texts."
)
@click.option("--teacher", is_flag=True, help="Add the plan of the day and the teacher's page.")
def new(folder: Path, language: str, teacher: bool) -> None:
    """Writes the kit of a course: worksheets, notebooks, workflows.

    FOLDER also gets a glossary and a file for answers.
    """
    for path in new_kit(folder, language, teacher=teacher):
        click.echo(f"kit     {path}")


@command.command("hand-in")
@click.argument("folder", type=click.Path(path_type=Path))
def hand_in_command(folder: Path) -> None:
    """Gathers a student's answers and results on one page.

    The page is hand-in.html in FOLDER. It replaces an earlier one.
    """
    from remix.show.page import require

    require()
    click.echo(f"page    {hand_in(folder)}")
