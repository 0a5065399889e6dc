"""What in a schedule may not be what its author means, in sentences for the user."""

from __future__ import annotations

from collections.abc import Sequence

from remix.plan.denoise import DENOISE_OF_PICTURES, WHOLE, is_between
from remix.plan.schedule import Schedule

IN_STAGES = ("ddim_uniform",)
"""Schedulers that take every n-th level of the model, with a whole n: many lengths have the same levels."""


def remarks_on(schedule: Schedule) -> list[str]:
    """Returns a sentence for each thing that may not be meant: what it is, where, and what to do."""
    found = []
    if forgotten := [
        frame.index for frame in schedule if frame.image is not None and frame.mask is None and frame.denoise > WHOLE
    ]:
        have = "has" if len(forgotten) == 1 else "have"
        found.append(
            f"image: {_frames(forgotten)} {have} denoise 1, which leaves nothing of the picture; set denoise below 1, "
            f"such as {DENOISE_OF_PICTURES:g}"
        )
    recipe = schedule.recipe
    moving = {
        frame.denoise for frame in schedule if frame.image is not None and is_between(recipe.steps, frame.denoise)
    }
    if recipe.scheduler in IN_STAGES and len(moving) > 1:
        found.append(
            f"denoise: moves in stages with scheduler {recipe.scheduler!r}, which has the same noise levels for many "
            'lengths; use another one, such as "normal"'
        )
    return found


def _frames(indices: Sequence[int]) -> str:
    """Rising frames in words: all of them where they lie side by side, else the first."""
    first, last = indices[0], indices[-1]
    if first == last:
        return f"frame {first}"
    if last - first + 1 == len(indices):
        return f"frames {first} to {last}"
    return f"frame {first} and {len(indices) - 1} others"
