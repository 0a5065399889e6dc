"""`remix demo`: renders a short film with the bundled model, without a download."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

import click

from remix.client.cli.render import advised, report, run
from remix.plan import Recipe


@click.command("demo")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), default=Path("remix-demo"), show_default=True, help="Job folder."
)
@click.option("--words", is_flag=True, help="Only print the words that the playground model knows.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
def command(out: Path, words: bool, quiet: bool) -> None:
    """Renders a short looping film with the bundled playground model.

    This is real diffusion, with the same engine that runs Stable Diffusion and a model that is small enough for any
    computer.
    """
    if words:
        from remix.client.playground import EXAMPLES
        from remix.client.playground import words as vocabulary

        for kind, known in vocabulary().items():
            click.echo(f"{kind:12}{', '.join(known)}")
        click.echo("for example " + "\n            ".join(EXAMPLES))
        return
    with as_file(files(__package__) / "demo.toml") as path:
        recipe = Recipe.load(path)
    [outcome] = run({out: recipe}, "local", quiet, new=False, film="film.mp4")
    if outcome.error is not None:
        raise advised(outcome.error)
    report(outcome)
