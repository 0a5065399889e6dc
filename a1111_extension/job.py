"""Job folders below the host's output folder: where they lie, and which of them a run goes on with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from glob import escape
from pathlib import Path

from remix.errors import BadInput, RemixError
from remix.job import is_job, recipe_of
from remix.job.files import inside, safe_name
from remix.job.journal import canonical, sha256
from remix.plan import Mix, Recipe, plan

SHORT = 10
"""How many digits of its key a folder's name has."""


def job_folder(root: Path, name: str, recipe: Recipe, made_by: Mapping[str, str], *, new: bool = False) -> Path:
    """Returns the folder of a job below `root`: the same for the same recipe and host.

    With `new` it is one that is not there yet. BadInput for a name that leads anywhere else.
    """
    if safe_name(name) != name or not name:
        raise BadInput(f"name: {name!r} is not a name of a folder; write one such as film")
    key = sha256(canonical([plan(recipe).to_dict(), dict(made_by)]).encode())
    folder = inside(root, f"{name}_{key[:SHORT]}")
    count = 1
    while new and folder.exists():
        count += 1
        folder = inside(root, f"{name}_{key[:SHORT]}_{count}")
    return folder


def unfinished(root: Path, name: str, recipe: Recipe, made_by: Mapping[str, str]) -> Recipe | None:
    """Returns the recipe of the newest job that is this one but for its drawn seed, and lacks frames; else None."""
    folders = [folder for folder in root.glob(f"{escape(name)}_*") if is_job(folder)] if root.is_dir() else []
    for folder in sorted(folders, key=lambda folder: folder.stat().st_mtime, reverse=True):
        try:
            held = recipe_of(folder)
        except RemixError:
            continue
        if len(list((folder / "frames").glob("*.png"))) >= held.frames:
            continue
        drawn = held.keyframes[0].seed
        if drawn is not None and with_seed(recipe, drawn) == held and job_folder(root, name, held, made_by) == folder:
            return held.replace(folder=recipe.folder)
    return None


def with_seed(recipe: Recipe, seed: Mix[int]) -> Recipe:
    """Returns the recipe with another seed at its beginning."""
    start, *rest = recipe.keyframes
    return recipe.replace(keyframes=(replace(start, seed=seed), *rest))
