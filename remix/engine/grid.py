"""Renders the cells of a grid with an engine, and writes the grid as a picture and as a page."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from remix import __version__
from remix.engine.protocol import Engine, Event, Listener
from remix.engine.render import render
from remix.errors import BadInput, Interrupted
from remix.job import frame_path, is_job, job_folder, read_metadata
from remix.job.metadata import KEY
from remix.job.opening import warn
from remix.motion.atomic import atomic_write
from remix.motion.pictures import save_picture
from remix.motion.regular import BLOCK, open_file
from remix.plan import plan
from remix.plan.grid import Grid, cells_of, films_of
from remix.show.grid import LARGEST_CELL, GridView, Place, coordinates_of, grid_page, grid_picture, settings_of

SHEET_OF = "grid"
"""Marks the picture of a grid in its metadata, so that a later run may replace it."""

PAGE_OF = b"by <code>remix grid</code>"
"""Marks the page of a grid."""

JOB_NAME = "cells"
"""The first part of the names of the job folders of cells."""


@dataclass(frozen=True)
class RenderedGrid:
    """A rendered grid: what it shows, the number of distinct pictures, and how many of them this run rendered."""

    view: GridView
    pictures: int
    rendered: int


def render_grid(
    grid: Grid,
    engine: Engine,
    folder: Path,
    *,
    title: str = "grid",
    listen: Listener = lambda event: None,
    stop: Callable[[], bool] = lambda: False,
    tell: Callable[[str], None] = warn,
) -> RenderedGrid:
    """Renders the missing cells of a grid into job folders below `folder`, and returns what there is to show.

    Cells with the same settings are one job, whatever their prompts, seeds and guidance. Finished cells of other grids
    in the same folder are reused. Everything is checked before the first cell is rendered. `listen` receives events for
    all cells together, `tell` each remark once. The other arguments are those of `render`.

    Raises RecipeError for a value that the recipe cannot have, and the errors of `render`.
    """
    remarks = set[str]()

    def tell_once(sentence: str) -> None:
        if sentence not in remarks:
            remarks.add(sentence)
            tell(sentence)

    cells = cells_of(grid, lambda recipe: recipe.fitted_to(engine.defaults(recipe)).settled())
    films = films_of(cells)
    schedules = [plan(film.recipe) for film in films]
    for schedule in schedules:
        engine.check(schedule)
    donors = [path for path in sorted(folder.iterdir()) if is_job(path)] if folder.is_dir() else []
    pictures, rendered, before, total = dict[Place, Path](), 0, 0, sum(map(len, schedules))
    for film, schedule in zip(films, schedules, strict=True):
        if stop():
            raise Interrupted(
                f"{folder}: stopped with {total - before} of {total} cells left; run it again to continue"
            )
        job = job_folder(folder, JOB_NAME, schedule, engine.identity(schedule))
        outcome = render(
            schedule,
            engine,
            job,
            film=None,
            report=False,
            donors=[donor for donor in donors if donor != job],
            listen=_shifted(listen, before, total),
            stop=stop,
            tell=tell_once,
        )
        rendered += outcome.rendered
        before += len(schedule)
        pictures |= {place: frame_path(job, index) for index, places in enumerate(film.places) for place in places}
    ordered = {cell.place: pictures[cell.place] for cell in cells}
    model = tuple(engine.identity(schedules[0]).items())
    return RenderedGrid(GridView(title, grid, cells, ordered, model), total, rendered)


def _shifted(listen: Listener, before: int, total: int) -> Listener:
    """Returns a listener for one of several jobs, which reports the frames of all of them."""

    def shifted(event: Event) -> None:
        listen(Event("frames", before + event.done, total) if event.stage == "frames" else event)

    return shifted


def grid_texts(view: GridView) -> dict[str, str]:
    """Returns the metadata of a grid's picture: its recipe, its axes and its engine."""
    names = ("x", "y", "z")
    axes = {
        name: {"field": axis.name, "values": list(axis.values)}
        for name in names
        if (axis := getattr(view.grid, name)) is not None
    }
    about: dict[str, object] = {
        "sheet": SHEET_OF,
        "axes": axes,
        "recipe": view.grid.recipe.to_dict(),
        "engine": dict(view.model),
    }
    about["toolkit"] = __version__
    return {KEY: json.dumps(about)}


def write_grid(view: GridView, path: Path, largest: int = LARGEST_CELL) -> Path:
    """Writes a grid as a PNG, atomically, and returns `path`."""
    return save_picture(path, grid_picture(view, largest), grid_texts(view))


def write_grid_page(view: GridView, path: Path) -> Path:
    """Writes a grid as one HTML page, atomically, and returns `path`."""
    with atomic_write(path) as part:
        part.write_text(grid_page(view), encoding="utf-8", errors="backslashreplace", newline="\n")
    return path


def refuse_other_file(path: Path) -> None:
    """Raises BadInput if `path` exists and is neither the picture nor the page of a grid."""
    if not path.exists():
        return
    if path.suffix.lower() == ".png":
        made = read_metadata(path).remix if path.is_file() else None
        is_ours = made is not None and made.get("sheet") == SHEET_OF
    else:
        is_ours = path.is_file() and _is_page(path)
    if not is_ours:
        raise BadInput(f"{path}: exists and is not a grid; give another name, or pass --overwrite")


def _is_page(path: Path) -> bool:
    """Returns whether a file is the page of a grid. The mark is near its end, behind all pictures."""
    with open_file(path) as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - BLOCK))
        return PAGE_OF in file.read(BLOCK)


def as_plain(view: GridView) -> list[dict[str, object]]:
    """Returns the cells of a grid as JSON values: place, labels, settings and picture."""
    return [
        {
            "place": list(cell.place),
            "labels": coordinates_of(view.grid, cell.place),
            "settings": settings_of(cell),
            "picture": str(view.pictures[cell.place]),
        }
        for cell in view.cells
    ]
