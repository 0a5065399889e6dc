"""Measures finished frames where films often jump: over the seam of a loop, and where denoise changes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from remix.job.job import Job
from remix.motion import load_picture
from remix.motion.perceptual import Look, distance, look
from remix.show.motion import Motion

SAMPLES = 24
"""The number of steps that are compared with the one over the seam."""

SEEN = 0.75
"""A loop error from which a seam is remarked on, in typical steps."""


def seam_remark(job: Job) -> str | None:
    """Returns a sentence if the finished frames of a loop jump or rest at the seam, else None."""
    count = len(job.schedule)
    if not job.schedule.recipe.loop or count < 4:
        return None
    looks: dict[int, Look] = {}

    def step(index: int) -> float:
        a, b = (_look(job, looks, each % count) for each in (index, index + 1))
        return distance(a, b)

    sampled = {k * (count - 2) // min(SAMPLES, count - 2) for k in range(min(SAMPLES, count - 2))}
    motion = Motion(tuple(map(step, [*sorted(sampled | {0, count - 2}), count - 1])), True, 0.0)
    if (error := motion.loop_error) is None or error < SEEN:
        return None
    before, seam, after = (motion.steps[i] / motion.typical for i in (-2, -1, 0))
    if job.schedule.recipe.pace == "linear":
        advice = 'pace = "even" spaces the change evenly'
    else:
        advice = "try another seed, or a keyframe near it"
    return (
        f"loop: the picture changes by {seam:.1f} typical steps from the last frame to the first, after a step of "
        f"{before:.1f} and before one of {after:.1f}; {advice}"
    )


def denoise_remark(job: Job, pause: Callable[[], None]) -> str | None:
    """Returns a sentence if the picture jumps while denoise changes, else None. Calls `pause` before each picture.

    Equal steps of denoise do not make equal steps in the picture: a model may redraw a shape within one of them. With
    an even pace, jumps are reported when it is measured.
    """
    frames = list(job.schedule)
    places = [
        index
        for index, (one, two) in enumerate(pairwise(frames))
        if one.image is not None and two.image is not None and one.denoise != two.denoise
    ]
    if job.schedule.recipe.pace != "linear" or len(places) < 3:
        return None
    looks: dict[int, Look] = {}
    steps = []
    for index in places:
        pause()
        steps.append(distance(_look(job, looks, index), _look(job, looks, index + 1)))
        del looks[index]
    motion = Motion(tuple(steps), False, 0.0)
    if not (jumps := motion.jumps()):
        return None
    most = max(jumps, key=steps.__getitem__)
    times = "once" if len(jumps) == 1 else f"{len(jumps)} times"
    return (
        f"denoise: the picture jumps {times} while denoise changes, most from frame {places[most]} to "
        f"{places[most] + 1}, by {steps[most] / motion.typical:.1f} typical steps; "
        'pace = "even" spaces the change evenly'
    )


def _look(job: Job, looks: dict[int, Look], index: int) -> Look:
    if index not in looks:
        looks[index] = look(load_picture(job.frame_path(index)))
    return looks[index]
