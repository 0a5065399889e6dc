"""Measures a playground model: ``python -m remix.client.playground.check [FOLDER]``.

It makes pictures of plain prompts with a seed each, lets the judge tell what they show, and
prints the shares that are right. The same judge on real drawings comes first: it is the ceiling.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from remix.client.playground import WEIGHTS
from remix.client.playground.settings import require_packages
from remix.errors import RemixError


def report(folder: Path, *, steps: int, cfg: float, sheet: Path | None = None) -> Iterator[str]:
    """Returns the lines of a report on the model in `folder`, each as soon as it is known.

    With `sheet`, a page of samples is written there at the end. Raises BadInput where `folder` holds
    no model, MissingPackage without torch.
    """
    require_packages()
    from remix.client.playground import measure

    pipeline = measure.load(folder)
    asked = measure.tasks()
    yield f"{steps} steps of {type(pipeline.scheduler).__name__}, cfg {cfg}\n"
    yield "| prompts | pictures | thing | its colour | background | all |\n|---|---|---|---|---|---|"
    for name, group in asked.items():
        yield _row(f"{name}, real drawings", measure.shares(group, measure.real_drawings(group)), len(group))
    start = time.process_time()
    made = {}
    for name, group in asked.items():
        prompts = [task.prompt for task in group]
        made[name] = measure.generate(pipeline, prompts, steps=steps, cfg=cfg)
        yield _row(name, measure.shares(group, made[name]), len(group))
    spent = (time.process_time() - start) / sum(map(len, asked.values()))
    single = measure.by_thing(asked["seen pairs"], made["seen pairs"])
    yield "\nthings: " + ", ".join(f"{thing} {share:.2f}" for thing, share in single.items())
    yield f"{spent:.2f} CPU seconds a picture"
    if sheet is not None:
        samples = measure.generate(pipeline, measure.SHOWN, steps=steps, cfg=cfg)
        measure.sheet(samples, measure.SHOWN).save(sheet, optimize=True)
        yield f"{sheet}: written"


def _row(name: str, values: Sequence[float | None], count: int) -> str:
    return " | ".join([f"| {name}", str(count), *("-" if v is None else f"{v:.2f}" for v in values)]) + " |"


@click.command(context_settings={"show_default": True})
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path), default=WEIGHTS)
@click.option("--steps", default=16, help="Steps of the sampler.")
@click.option("--cfg", default=2.5, help="Guidance.")
@click.option("--sheet", type=click.Path(dir_okay=False, path_type=Path), help="Write samples as a PNG.")
def main(folder: Path, steps: int, cfg: float, sheet: Path | None) -> None:
    """Measure how often the model in FOLDER draws what its prompts say."""
    try:
        for line in report(folder, steps=steps, cfg=cfg, sheet=sheet):
            click.echo(line)
    except RemixError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
