"""Job folders below the host's output folder: where they lie, and which of them a run goes on with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from glob import escape
from pathlib import Path

from remix.errors import BadInput, RemixError
from remix.job import is_job, recipe_of
from remix.job.files import inside, safe_name
from remix.job.journal import canonical, sha256
from remix.plan import Recipe, plan

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


def unfinished(
    root: Path, name: str, drawn: Callable[[int], Recipe], seed: int, made_by: Mapping[str, str]
) -> Recipe | None:
    """Returns the recipe of the newest job that is this one but for its drawn seed, and lacks frames; else None.

    `drawn` gives the recipe as it is with any seed in the place of `seed`, which is the one that was drawn now.
    """
    recipe, other = drawn(seed), drawn((seed + 1) % SEEDS)
    now = seeds_of(recipe)
    # The first seed that follows the drawn one is as far from it in every job, or is the drawn one.
    place = next((at for at, seeds in enumerate(zip(now, seeds_of(other), strict=False)) if len({*seeds}) > 1), None)
    if place is None:
        return None
    folders = [folder for folder in root.glob(f"{escape(name)}_*") if is_job(folder)] if root.is_dir() else []
    for folder in sorted(folders, key=lambda folder: folder.stat().st_mtime, reverse=True):
        try:
            held = recipe_of(folder).replace(folder=recipe.folder)
        except RemixError:
            continue
        found = seeds_of(held)
        if len(found) != len(now) or len(list((folder / "frames").glob("*.png"))) >= held.frames:
            continue
        before = {(seed + found[place] - now[place]) % SEEDS, found[place]}
        if any(drawn(each) == held for each in before) and job_folder(root, name, held, made_by) == folder:
            return held
    return None


SEEDS = 2**32
"""How many seeds a drawn one may be."""


def seeds_of(recipe: Recipe) -> list[int]:
    """Returns all seeds that keyframes set, in their order."""
    return [seed for keyframe in recipe.keyframes if keyframe.seed is not None for seed in keyframe.seed.values]
