"""Job folders below the host's output folder: where they lie, and which of them a run goes on with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from remix.errors import RemixError
from remix.job import is_job, recipe_of, siblings
from remix.job import job_folder as folder_of_frames
from remix.plan import Mix, Recipe, plan


def job_folder(root: Path, name: str, recipe: Recipe, engine: Mapping[str, str], *, new: bool = False) -> Path:
    """Returns the folder of a job below `root`: the same for the same frames from the same host, at whatever rate.

    With `new` it is one that is not there yet. BadInput for a name that leads anywhere else.
    """
    first = folder = folder_of_frames(root, name, plan(recipe), engine)
    count = 1
    while new and folder.exists():
        count += 1
        folder = first.with_name(f"{first.name}_{count}")
    return folder


def unfinished(root: Path, name: str, recipe: Recipe, engine: Mapping[str, str]) -> Recipe | None:
    """Returns the recipe of the newest job that is this one but for its drawn seed, and lacks frames; else None."""
    for folder in siblings(root, name, begun=True):
        try:
            held = recipe_of(folder).replace(folder=recipe.folder)
        except RemixError:
            continue
        if not is_job(folder) or len(list((folder / "frames").glob("*.png"))) >= held.frames:
            continue
        drawn = held.keyframes[0].seed
        if drawn is None or with_seed(recipe, drawn) != held:
            continue
        if job_folder(root, name, held, engine) == folder:
            return held
    return None


def with_seed(recipe: Recipe, seed: Mix[int]) -> Recipe:
    """Returns the recipe with another seed at its beginning."""
    start, *rest = recipe.keyframes
    return recipe.replace(keyframes=(replace(start, seed=seed), *rest))
