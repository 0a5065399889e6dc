"""Measures a playground model: ``python -m remix.client.playground.check [FOLDER]``.

It makes pictures of prompts from the world's grammar with a seed each, looks at what they show, and
prints the shares that are right next to the bars. The same eyes on real drawings come first: they
are the ceiling. Then come prompt travels, time and size.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from remix.client.playground import WEIGHTS
from remix.client.playground.settings import STEPS_AND_CFG, require_packages
from remix.errors import RemixError

BARS = (0.90, 0.95, 0.97, 0.80)
"""The shares that a good model reaches on the grammar's prompts: things, their colors, backgrounds, all at once."""

MEGABYTES, SECONDS_TO_LOAD, SECONDS_A_PICTURE = 20, 2.0, 1.0
"""The largest size of the model, and the longest times on one processor core."""

HEAD = "| prompts | pictures | thing | its color | background | all |\n|---|---|---|---|---|---|"
"""The head of the table of shares."""


def report(
    folder: Path, *, steps: int, cfg: float, prompts: int, travels: int, sheet: Path | None = None
) -> Iterator[str]:
    """Returns the lines of a report on the model in `folder`, each as soon as it is known.

    With `sheet`, a page of samples is written there at the end. Raises BadInput where `folder` holds
    no model, MissingPackage without torch.
    """
    require_packages()
    from remix.client.playground import measure

    pipeline = measure.load(folder)
    yield f"{steps} steps of {type(pipeline.scheduler).__name__}, cfg {cfg}\n"
    yield from _table(pipeline, measure.grammar_tasks(prompts), steps, cfg)
    if travels:
        yield from _travels(pipeline, measure.grammar_tasks(2 * travels, seed=1), steps, cfg)
    yield from _costs(pipeline, folder, steps, cfg)
    if sheet is not None:
        samples = measure.generate(pipeline, measure.SHOWN, steps=steps, cfg=cfg)
        measure.sheet(samples, measure.SHOWN).save(sheet, optimize=True)
        yield f"{sheet}: written"


def _table(pipeline: Any, tasks: Sequence[Any], steps: int, cfg: float) -> Iterator[str]:
    """Returns the table's lines, with the classifier's accuracy before and the single things after it."""
    from remix.client.playground import classifier, measure

    accuracies = ", ".join(
        f"{name} {share:.3f}" for name, share in classifier.accuracy(measure.ACCURACY_PICTURES).items()
    )
    yield f"classifier on drawn pictures that it was not trained on: {accuracies}\n"
    yield HEAD
    kept = measure.held_out_tasks()
    for name, group in (("grammar", tasks), ("held-out pairs", kept)):
        found = measure.marks(group, measure.drawn(group))
        yield _row(f"{name}, real drawings", measure.shares(found), len(group))
    found = measure.marks(tasks, measure.generate(pipeline, [t.prompt for t in tasks], steps=steps, cfg=cfg))
    yield _row("bars", BARS, len(tasks))
    yield _row("grammar", measure.shares(found), len(tasks))
    for name, pair in (("of these one thing", False), ("of these two things", True)):
        some = [mark for task, mark in zip(tasks, found, strict=True) if (task.scene.neighbor is not None) == pair]
        if some:
            yield _row(name, measure.shares(some), len(some))
    pictures = measure.generate(pipeline, [t.prompt for t in kept], steps=steps, cfg=cfg)
    yield _row("held-out pairs", measure.shares(measure.marks(kept, pictures)), len(kept))
    single = measure.by_thing(tasks, found)
    yield "\none thing alone: " + ", ".join(f"{thing} {share:.2f}" for thing, share in single.items())


def _travels(pipeline: Any, tasks: Sequence[Any], steps: int, cfg: float) -> Iterator[str]:
    from remix.client.playground import travel

    made = travel.travels(pipeline, tasks, steps=steps, cfg=cfg)
    clean, steady = (sum(getattr(one, name) for one in made) for name in ("clean", "steady"))
    yield f"\n{len(made)} prompt travels of {travel.FRAMES} frames"
    yield (
        f"grain at most {travel.GRAIN} and sharpness at least {travel.SHARPNESS} in every frame: {clean} of {len(made)}"
        f" (worst {max(one.grain for one in made):.3f}, {min(one.sharpness for one in made):.2f})"
    )
    yield (
        f"away from the first and towards the last frame, at most {travel.SLACK} back: {steady} of {len(made)}"
        f" (worst {max(one.back for one in made):.2f})\n"
    )


def _costs(pipeline: Any, folder: Path, steps: int, cfg: float) -> Iterator[str]:
    from remix.client.playground import measure

    start = time.process_time()
    measure.generate(pipeline, measure.SHOWN[:1], steps=steps, cfg=cfg)
    spent = time.process_time() - start
    start = time.process_time()
    measure.load(folder)  # not for the first time, so that importing diffusers does not count
    loaded = time.process_time() - start
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
    yield f"{spent:.2f} CPU seconds a picture (at most {SECONDS_A_PICTURE})"
    yield f"{loaded:.2f} CPU seconds to load (at most {SECONDS_TO_LOAD})"
    yield f"{size:.1f} MB (at most {MEGABYTES})"


def _row(name: str, values: Sequence[float], count: int) -> str:
    return " | ".join([f"| {name}", str(count), *(f"{value:.3f}" for value in values)]) + " |"


@click.command(context_settings={"show_default": True})
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path), default=WEIGHTS)
@click.option("--steps", default=STEPS_AND_CFG[0], help="Steps of the sampler.")
@click.option("--cfg", default=STEPS_AND_CFG[1], help="Guidance.")
@click.option("--prompts", default=500, help="Prompts from the grammar.")
@click.option("--travels", default=20, help="Prompt travels; 0 for none.")
@click.option("--sheet", type=click.Path(dir_okay=False, path_type=Path), help="Write samples as a PNG.")
def main(folder: Path, steps: int, cfg: float, prompts: int, travels: int, sheet: Path | None) -> None:
    """Measure how often the model in FOLDER draws what its prompts say."""
    try:
        require_packages()
        import torch

        torch.set_num_threads(1)
        for line in report(folder, steps=steps, cfg=cfg, prompts=prompts, travels=travels, sheet=sheet):
            click.echo(line)
    except RemixError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
