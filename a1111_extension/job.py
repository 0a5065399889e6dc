"""Job folders below the host's output folder: where they lie, and which of them a run goes on with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from remix.errors import RemixError
from remix.job import is_job, recipe_of, siblings
from remix.job import job_folder as folder_of_frames
from remix.plan import Recipe, plan


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


def unfinished(
    root: Path, name: str, drawn: Callable[[int], Recipe], seed: int, engine: Mapping[str, str]
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
    for folder in siblings(root, name, begun=True):
        try:
            held = recipe_of(folder).replace(folder=recipe.folder)
        except RemixError:
            continue
        found = seeds_of(held)
        if not is_job(folder) or len(found) != len(now) or len(list((folder / "frames").glob("*.png"))) >= held.frames:
            continue
        before = {(seed + found[place] - now[place]) % SEEDS, found[place]}
        if any(drawn(each) == held for each in before) and job_folder(root, name, held, engine) == folder:
            return held
    return None


SEEDS = 2**32
"""How many seeds a drawn one may be."""


def seeds_of(recipe: Recipe) -> list[int]:
    """Returns all seeds that keyframes set, in their order."""
    return [seed for keyframe in recipe.keyframes if keyframe.seed is not None for seed in keyframe.seed.values]
