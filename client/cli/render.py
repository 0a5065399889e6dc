"""`remix render`: renders recipes into frames and films."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

import click

from remix.client import open_engine, render_all
from remix.client.cli.cluster import Crew, crew_options
from remix.client.cli.engines import chosen, engine_option, engine_options
from remix.client.cli.outputs import print_data
from remix.client.cli.overrides import Overrides, override_options
from remix.client.cli.schedules import Reading, schedule_options
from remix.client.cli.screen import LABELS, progress, stoppable
from remix.client.recipes import default_folder
from remix.engine import Event, Listener, Outcome, WorkerEvent
from remix.errors import BadInput, Interrupted, OtherRecipe
from remix.plan import Recipe
from remix.plan.recipe import BUDGETS
from remix.plan.wording import printable

MOST_FILMS = 100_000
"""Largest number of variants of a recipe."""

RETRIES = 2
"""Number of retries of a film after a server error, if there are several films."""


@click.command("render")
@click.argument("recipes", nargs=-1, required=True, metavar="RECIPE...", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Job folder; several recipes: a folder for theirs.")
@engine_option
@override_options
@engine_options
@crew_options
@click.option("--film", default="film.mp4", show_default=True, help="Film file; its suffix is the format.")
@click.option("--audio", type=click.Path(path_type=Path), metavar="FILE", help="Sound; cut where the film ends.")
@click.option("--no-film", is_flag=True, help="Render frames only.")
@click.option("--no-report", is_flag=True, help="Write no report.html.")
@click.option(
    "--count",
    type=click.IntRange(1, MOST_FILMS),
    metavar="N",
    help="Render N variants of a recipe, each into a folder of its own, with other choices in its prompts.",
)
@click.option(
    "--every",
    type=click.IntRange(min=1),
    default=1,
    metavar="N",
    help="Draft: render every Nth frame and the last, with in-betweens for the others. Run without it to complete it.",
)
@click.option(
    "--budget",
    type=click.FloatRange(*BUDGETS),
    metavar="SHARE",
    help="Rendered pictures per frame. 0.5 renders half of the frames and in-betweens show the others.",
)
@click.option(
    "--scale",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    metavar="FACTOR",
    help="Draft: render at this share of the size, such as 0.5, into a folder of its own.",
)
@click.option("--new", is_flag=True, help="Replace frames of another recipe or model; equal frames are kept.")
@click.option(
    "--retries",
    type=click.IntRange(min=0),
    help=f"How often to retry a film after a server error.  [default: {RETRIES} with several recipes, else 0]",
)
@click.option("--preview", is_flag=True, help="Show a preview of the picture in a terminal with colors.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, one line for each recipe.")
@click.option("--events", type=click.File("a", encoding="utf-8"), help="Append a JSON line for each event; - prints.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
@schedule_options
def command(
    recipes: Sequence[Path],
    out: Path | None,
    engine: str | None,
    overrides: Overrides,
    film: str,
    audio: Path | None,
    no_film: bool,
    no_report: bool,
    count: int | None,
    every: int,
    budget: float | None,
    scale: float,
    new: bool,
    retries: int | None,
    preview: bool,
    as_json: bool,
    events: TextIO | None,
    quiet: bool,
    reading: Reading,
    options: Mapping[str, Any],
    crew: Crew,
) -> None:
    """Renders each RECIPE into a job folder: frames, film, contact sheet.

    If a render stops for any reason, run the same command again: only what is missing is rendered. RECIPE may be a job
    folder, or a schedule of another tool. Several recipes share the engine and its model; one that fails does not stop
    the others.
    """
    if audio is not None and no_film:
        raise click.UsageError("--audio: belongs to the film; leave --no-film out")
    films, syntaxes = dict[Path, Recipe](), list[str | None]()
    for path, folder in zip(recipes, scaled_folders(_folders(recipes, out), scale), strict=True):
        if folder in films:
            raise BadInput(f"{path}: its job folder is {folder}, as for another recipe; rename one of the two")
        loaded, syntax = _read(path, reading, overrides)
        if budget is not None:
            loaded = loaded.replace(budget=budget, rendered=None)
        for place, film_recipe in {folder: loaded}.items() if count is None else variants_of(loaded, folder, count):
            films[place] = film_recipe
            syntaxes.append(syntax)
    several = len(films) > 1
    outcomes = run(
        films,
        engine,
        quiet,
        new=new,
        film=None if no_film else film,
        audio=audio,
        report=False if no_report else None,
        every=every,
        scale=scale,
        retries=(RETRIES if several else 0) if retries is None else retries,
        events=events,
        previews=preview or None,
        crew=crew,
        **options,
    )
    for outcome, syntax in zip(outcomes, syntaxes, strict=True):
        if outcome.error is not None and not several:
            raise advised(outcome.error)
        if as_json:
            plain = {**as_plain(outcome), **({"syntax": syntax} if syntax else {})}
            print_data(json.dumps(plain, ensure_ascii=False) + "\n")
        else:
            report(outcome)
    _fail_for([outcome.error for outcome in outcomes if outcome.error is not None])


def variants_of(recipe: Recipe, folder: Path, count: int) -> Iterator[tuple[Path, Recipe]]:
    """Yields the job folders and recipes of consecutive variants of a recipe, the first with its own number."""
    if recipe.variants is None:
        raise BadInput(
            f'--count: {count} films would be alike, because {folder.name} sets no variants; write variants = "film",'
            " and prompts such as {red|green} cats"
        )
    for number in range(recipe.variant, recipe.variant + count):
        yield folder / f"{number:04d}", recipe.replace(variant=number)


def _folders(recipes: Sequence[Path], out: Path | None) -> list[Path]:
    """Returns the job folder of each recipe: `out` for a single recipe, subfolders for several.

    A recipe that is a job folder keeps that folder.
    """
    folders = []
    for path in recipes:
        name = default_folder(path, 1)
        if len(recipes) == 1 and out is not None:
            folders.append(out)
        elif isinstance(name, Path) or path.is_dir():
            folders.append(path)
        elif out is None:
            raise click.UsageError(f"say where to: remix render {' '.join(map(str, recipes))} -o FOLDER")
        else:
            folders.append(out / name)
    return folders


def scaled_folders(folders: Sequence[Path], scale: float) -> list[Path]:
    """Returns the folders of drafts at another size, next to those of the films.

    >>> [folder.name for folder in scaled_folders([Path("film")], 0.5)], scaled_folders([Path("film")], 1)[0].name
    (['film-0.5x'], 'film')
    """
    if scale == 1:
        return list(folders)
    named = [folder if folder.name not in ("", "..") else folder.resolve() for folder in folders]
    return [folder.with_name(f"{folder.name}-{scale:g}x") for folder in named]


def _read(path: Path, reading: Reading, overrides: Overrides) -> tuple[Recipe, str | None]:
    """Returns the recipe at a path with the overrides, and the syntax if it is a schedule of another tool."""
    if path.is_dir():
        reading.refuse_for(path, overrides.options())
    found = reading.read(path)
    return overrides.apply(found.recipe), found.syntax


def run(
    films: Mapping[Path, Recipe],
    engine: str | None,
    quiet: bool,
    *,
    new: bool,
    film: str | None,
    audio: Path | None = None,
    report: bool | None = None,
    every: int = 1,
    scale: float = 1,
    retries: int = 0,
    events: TextIO | None = None,
    crew: Crew | None = None,
    **options: Any,
) -> list[Outcome]:
    """Renders films into their job folders with a progress bar and Ctrl-C, and returns their outcomes."""
    pool = crew.pool(engine or "local", options) if crew is not None else None
    screens = _ScreenOfAll if pool is not None and len(films) > 1 else _Screen
    with (
        open_engine(chosen(engine, options), **options) if pool is None else pool as opened,
        stoppable(opened) as stop,
        screens(quiet, len(films)) as screen,
    ):

        def listen(event: dict[str, Any]) -> None:
            stop()
            screen.show(event)
            if events is not None:
                event.pop("preview", None)
                click.echo(json.dumps(event, ensure_ascii=False), file=events)

        return render_all(
            films,
            engines=[opened],
            new=new,
            film=film,
            audio=audio,
            report=report,
            every=every,
            scale=scale,
            retries=retries,
            events=listen,
            stop=stop,
        )


class _Screen:
    """Display of the progress of one film after another."""

    def __init__(self, quiet: bool, films: int) -> None:
        self._quiet, self._films = quiet, films
        self._shown = ExitStack()
        self._listen: Listener = lambda event: None

    def __enter__(self) -> _Screen:
        return self

    def __exit__(self, *error: object) -> None:
        self._shown.close()

    def show(self, event: Mapping[str, Any]) -> None:
        """Shows an event of `render_all`."""
        kind = event["event"]
        if kind == "start":
            self._shown.close()
            if self._films > 1 and not self._quiet:
                click.echo(f"{event['film'] + 1} of {self._films}  {event['folder']}", err=True)
            self._listen = self._shown.enter_context(progress(self._quiet))
        elif kind == "retry":
            self._shown.close()
            click.echo(_next_try(event), err=True)
        elif kind in SHOWN:
            self._listen(_event(event))
        else:
            self._shown.close()


class _ScreenOfAll(_Screen):
    """Display of films that are rendered at once: one bar for all of them, and a line for each worker."""

    def __enter__(self) -> _Screen:
        self._listen = self._shown.enter_context(progress(self._quiet))
        self._counts: dict[tuple[str, str], dict[int, tuple[int, int]]] = {}
        return self

    def show(self, event: Mapping[str, Any]) -> None:
        """Shows an event of `render_all`, with the sums of all films that have begun."""
        kind = event["event"]
        if kind == "retry":
            click.echo(_next_try(event), err=True)
        elif kind in SHOWN:
            counts = self._counts.setdefault((kind, event.get("worker", "")), {})
            counts[event["film"]] = (event["done"], event["total"])
            done, total = (sum(each) for each in zip(*counts.values(), strict=True))
            self._listen(_event({**event, "done": done, "total": total}))


SHOWN = frozenset({"steps", "worker", *LABELS})
"""The events that a bar shows."""


def _event(event: Mapping[str, Any]) -> Event:
    done, total = event["done"], event["total"]
    if event["event"] != "worker":
        return Event(event["event"], done, total, event.get("frame"), event.get("preview"))
    worker, doing, seconds = event["worker"], event["doing"], event["seconds"]
    return WorkerEvent("worker", done, total, worker=worker, doing=doing, seconds=seconds)


def _next_try(event: Mapping[str, Any]) -> str:
    return f"{printable(event['message'])}; next try in {event['seconds']:g} s"


def advised(error: Exception) -> Exception:
    """Returns the error, with the option that helps if there is one."""
    if not isinstance(error, OtherRecipe):
        return error
    advice = OtherRecipe(f"{error}, or pass --new to replace the frames that differ")
    advice.__cause__ = error
    return advice


def _fail_for(errors: Sequence[Exception]) -> None:
    """Exits with the code for the errors of several films, if any."""
    if any(isinstance(error, Interrupted) for error in errors):
        raise Interrupted("stopped; run the same command again to continue")
    if errors:
        raise click.exceptions.Exit(2 if all(isinstance(error, BadInput) for error in errors) else 1)


def as_plain(outcome: Outcome) -> dict[str, Any]:
    """Returns an outcome as JSON values, with its error as text."""
    plain: dict[str, Any] = {
        name: str(value) if isinstance(value, Path) else value for name, value in vars(outcome).items()
    }
    del plain["schedule"]  # the job folder contains it
    error: Exception | None = plain.pop("error")
    return plain if error is None else {**plain, "error": str(advised(error))}


def origins(outcome: Outcome) -> str:
    """Returns how many frames this run did not render, in parentheses; an empty text if it rendered all."""
    rendered = None if outcome.schedule is None else outcome.schedule.recipe.rendered
    inbetweens = 0 if rendered is None else outcome.frames - len(rendered)
    kept = outcome.frames - inbetweens - outcome.rendered
    parts = [f"{inbetweens} in-betweens"] * (inbetweens > 0) + [f"{kept} were there already"] * (kept > 0)
    return f" ({', '.join(parts)})" if parts else ""


def report(outcome: Outcome) -> None:
    """Prints where the frames, the film, the contact sheet and the report are."""
    if outcome.error is not None:
        click.echo(f"failed  {outcome.folder}  {printable(str(advised(outcome.error)))}", err=True)
        return
    click.echo(f"frames  {outcome.folder / 'frames'}  {outcome.frames}{origins(outcome)}")
    if outcome.film:
        click.echo(f"film    {outcome.film}")
    if outcome.sheet:
        click.echo(f"sheet   {outcome.sheet}")
    if outcome.report:
        click.echo(f"report  {outcome.report}")
