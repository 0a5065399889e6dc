"""`remix explain`: runs an experiment with the bundled model and writes its page."""

from __future__ import annotations

from pathlib import Path

import click

from remix.client.cli.outputs import overwrite_option, refuse_present
from remix.client.cli.screen import waiting
from remix.client.lab import LANGUAGES, experiments, view_of
from remix.errors import BadInput


@click.command("explain")
@click.argument("names", nargs=-1, metavar="[EXPERIMENT]...", shell_complete=lambda *_: [*experiments()])
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Page; of several experiments, a folder.")
@click.option("--all", "every", is_flag=True, help="Run all experiments.")
@click.option("--language", default="en", show_default=True, type=click.Choice(LANGUAGES), help="Language of the page.")
@click.option("-q", "--quiet", is_flag=True, help="No elapsed time.")
@overwrite_option
def command(names: tuple[str, ...], out: Path | None, every: bool, language: str, quiet: bool, overwrite: bool) -> None:
    """Runs an EXPERIMENT that shows how diffusion works, and writes a page with pictures, curves and questions.

    Each takes less than a minute on two cores. Without a name, it lists the experiments.
    """
    if names and every:
        raise click.UsageError("--all: runs all experiments; leave their names out")
    if not names and not every:
        for name, about in experiments().items():
            click.echo(f"{name:10} {about}")
        return
    chosen = tuple(experiments()) if every else tuple(dict.fromkeys(names))
    if unknown := [name for name in chosen if name not in experiments()]:
        view_of(unknown[0])  # raises an error that names the nearest one
    pages = _pages(chosen, out)
    for page in pages:
        refuse_present(page, overwrite)
        page.parent.mkdir(parents=True, exist_ok=True)
    from remix.motion.atomic import atomic_write
    from remix.show.experiment import experiment_page
    from remix.show.page import require

    require()
    for name, page in zip(chosen, pages, strict=True):
        with waiting(f"running {name}", quiet):
            html = experiment_page(view_of(name, language))
        with atomic_write(page) as part:
            part.write_text(html, encoding="utf-8", newline="\n")
        click.echo(f"page    {page}")


def _pages(names: tuple[str, ...], out: Path | None) -> list[Path]:
    """Returns the page of each experiment. Raises BadInput for a file that is to hold several."""
    if out is not None and out.suffix == ".html":
        if len(names) > 1:
            raise BadInput(f"{out}: is one file, and there are {len(names)} experiments; give a folder")
        return [out]
    return [(out or Path()) / f"{name}.html" for name in names]
