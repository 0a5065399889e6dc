"""Draft films: only every few frames are rendered, and in-betweens show the others.

A draft costs what it renders, also with an even pace: its pictures are spaced by time, and the film is paced after the
fact. Its frames stay in the job, and a complete run keeps those that fit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from remix.engine.pacing import is_unmeasured
from remix.errors import BadInput, RemixError
from remix.job import is_job, recipe_of
from remix.job.identity import same_engine
from remix.job.job import Job
from remix.job.reading import read_about
from remix.motion.images import load_picture
from remix.motion.retiming import EvenPace, Loaded, Retimed, moments_between
from remix.plan import Recipe, Schedule, plan

SIDE = 8
"""The sides of a picture are multiples of this."""


def draft_frames(count: int, every: int) -> range | list[int]:
    """Returns the frames of a draft: every few, and the last. Raises BadInput for less than 1.

    >>> draft_frames(10, 4)
    [0, 4, 8, 9]
    """
    if every < 1:
        raise BadInput(f"every: {every}; give 1 for all frames, 4 for every fourth")
    return range(count) if every == 1 else sorted({*range(0, count, every), count - 1})


def scaled(recipe: Recipe, scale: float) -> Recipe:
    """Returns a recipe at a share of its size, in whole multiples of 8.

    Raises BadInput unless 0 < scale <= 1, and for a workflow or payload, which sets the size itself.

    >>> from remix.plan import Keyframe
    >>> small = scaled(Recipe(2, [Keyframe(prompt="a cat")], width=512, height=328), 0.5)
    >>> small.width, small.height
    (256, 168)
    """
    if not 0 < scale <= 1:
        raise BadInput(f"scale: {scale:g}; give a share of the size, such as 0.5")
    if recipe.has_own_settings:
        own = "workflow" if recipe.workflow is not None else "payload"
        raise BadInput(f"scale: {scale:g}, and the {own} sets the size of the pictures; change it there, or give 1")
    width, height = (max(SIDE, math.floor(side * scale / SIDE + 0.5) * SIDE) for side in (recipe.width, recipe.height))
    return recipe.replace(width=width, height=height)


def is_draft(folder: Path, schedule: Schedule, identity: Mapping[str, Any]) -> bool:
    """Returns whether a folder has an unfinished version of an unmeasured `schedule`, by the same engine.

    That is one whose pace is not measured yet, or one of the same pace with another budget.
    """
    if not is_unmeasured(schedule.recipe) or not is_job(folder):
        return False
    try:
        held, engine = recipe_of(folder), read_about(folder).get("engine")
        same = plan(held.replace(clock=None, rendered=None)).has_frames_of(schedule)
        recipe = schedule.recipe
        replaced = is_unmeasured(held) or (held.pace == recipe.pace and held.budget != recipe.budget)
        return same and replaced and isinstance(engine, dict) and same_engine(engine, identity)
    except RemixError:
        return False


def film_of(job: Job, shown: Sequence[int]) -> Retimed:
    """Returns the film of a job, of which the frames `shown` exist, with in-betweens for the others."""
    recipe = job.schedule.recipe
    loop = recipe.loop and recipe.frames > 1
    pictures = Loaded([job.frame_path(index) for index in shown], load_picture)
    moments = moments_between(recipe.frames, recipe.between, loop=loop)
    if len(shown) < recipe.frames:
        places = np.interp(moments, [*shown, recipe.frames] if loop else shown, range(len(shown) + loop))
        moments = [float(place) for place in places]
        if recipe.pace == "even" and recipe.clock is None:
            stops = [place for place, index in enumerate(shown) if index in recipe.positions()]
            pace = EvenPace(pictures, stops, loop=loop)
            moments = [pace(place) for place in moments]
    return Retimed(pictures, moments, loop=loop)


def draft_text(recipe: Recipe, shown: Sequence[int]) -> str:
    """Returns what a draft film depends on in addition to its frames, as text; "" for a complete film."""
    return "" if len(shown) == recipe.frames else f" draft {recipe.pace} {','.join(map(str, shown))}"
