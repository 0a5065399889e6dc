"""Job folders below the host's output folder: their paths, the job that a run resumes, and parts of films."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from remix.engine.parts import read_part
from remix.errors import RecipeError, RemixError
from remix.job import is_job, recipe_of, siblings
from remix.job import job_folder as folder_of_frames
from remix.plan import Recipe, Schedule, plan
from remix.plan import fields as check
from remix.plan.moments import MAX_FRAMES

from .settings import LARGEST_BATCH

FILM = re.compile(r"[0-9a-f]{10}", re.ASCII)
FIELDS = ("part", "film", "start", "first", "count", "batch")


@dataclass(frozen=True)
class PartRequest:
    """A client's request: the frames `wanted` of a part of a film that the client has planned.

    `film` is the film's key and `start` the part's first frame in it; together they name the job folder. Each call of
    the host renders `batch` frames.
    """

    part: Schedule
    film: str
    start: int
    wanted: range
    batch: int

    @classmethod
    def read(cls, data: Mapping[str, Any], folder: str) -> PartRequest:
        """Returns a request. Raises RecipeError, naming the field, for invalid data.

        The pictures of the request are saved in `folder`.
        """
        found = check.only(data, FIELDS)
        for name in FIELDS:
            if name not in found:
                raise RecipeError("is missing; send the whole request", path=name)
        with check.under("part"):
            part = read_part(found["part"], folder)
        film = check.text(found["film"], "film", 10)
        if not FILM.fullmatch(film):
            raise RecipeError(
                f"{check.show(film)} is not the key of a film; send 10 digits of 0-9 and a-f", path="film"
            )
        first = check.integer(found["first"], "first", 0, len(part) - 1)
        count = check.integer(found["count"], "count", 1, len(part) - first)
        start, batch = (
            check.integer(found["start"], "start", 0, MAX_FRAMES),
            check.integer(found["batch"], "batch", 1, LARGEST_BATCH),
        )
        return cls(part, film, start, range(first, first + count), batch)


def job_folder(root: Path, name: str, schedule: Schedule, engine: Mapping[str, str], *, new: bool = False) -> Path:
    """Returns the folder of a job below `root`: the same for the same frames from the same host, at any frame rate.

    With `new`, it is a folder that does not exist yet. Raises BadInput for a name that leads outside of `root`.
    """
    first = folder = folder_of_frames(root, name, schedule, engine)
    count = 1
    while new and folder.exists():
        count += 1
        folder = first.with_name(f"{first.name}_{count}")
    return folder


def unfinished(
    root: Path, name: str, planned: Schedule, drawn: Callable[[int], Recipe], seed: int, engine: Mapping[str, str]
) -> Schedule:
    """Returns the schedule of the newest unfinished job that differs only in its random seed, or else `planned`.

    `drawn` reads the recipe with any seed in place of `seed`, the random seed of `planned`. It is called only for jobs
    with other seeds that are otherwise the same.
    """
    recipe = planned.recipe
    now = seeds_of(recipe)
    for folder in siblings(root, name, begun=True):
        try:
            held = recipe_of(folder).replace(folder=recipe.folder)
        except RemixError:
            continue
        if not is_job(folder) or len(list((folder / "frames").glob("*.png"))) >= held.frames:
            continue
        found = seeds_of(held)
        if _without_seeds(held) != _without_seeds(recipe) or len(found) != len(now) or found == now:
            continue
        # The first seed that depends on the random one has the same offset from it in every job, or is the random one.
        other, own = next(pair for pair in zip(found, now, strict=True) if pair[0] != pair[1])
        if any(drawn(each) == held for each in {(seed + other - own) % SEEDS, other}):
            schedule = plan(held)
            if job_folder(root, name, schedule, engine) == folder:
                return schedule
    return planned


def _without_seeds(recipe: Recipe) -> Recipe:
    return recipe.replace(keyframes=tuple(replace(keyframe, seed=None) for keyframe in recipe.keyframes))


SEEDS = 2**32
"""The number of possible random seeds."""


def seeds_of(recipe: Recipe) -> list[int]:
    """Returns all seeds that keyframes set, in order."""
    return [seed for keyframe in recipe.keyframes if keyframe.seed is not None for seed in keyframe.seed.values]
