"""Continues a job with another engine, if the table lists the two as agreeing and a rendered frame confirms it.

A server reports its models by name and seldom by hash, so the pictures themselves are compared. The new engine renders
the first and the last finished frame once more. Frames that are init pictures show nothing of an engine.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from remix.engine.agreement import disagreement
from remix.engine.restoring import is_exact, restored
from remix.errors import Interrupted, OtherRecipe
from remix.job.job import Job
from remix.motion.images import load_picture
from remix.motion.pictures import Difference, difference

if TYPE_CHECKING:
    from remix.engine.protocol import Engine, Listener
    from remix.job.inputs import Inputs

log = logging.getLogger(__name__)


def move(job: Job, engine: Engine, inputs: Inputs, listen: Listener) -> None:
    """Hands a job over to `engine` from the one that started it, and logs this.

    Raises `OtherRecipe` if the two are not known to agree on such a recipe, or if a frame differs. Raises `Interrupted`
    if the engine was stopped before this was known.
    """
    assert job.begun_with is not None
    before, now = job.begun_with["engine"], job.engine["engine"]
    lacking = set(job.missing())
    rendered = job.schedule.recipe.rendered
    finished = [index for index in rendered or range(len(job.schedule)) if index not in lacking]
    sampled = [index for index in finished if not is_exact(job.schedule, index)]
    if not sampled:
        log.warning("%s: was begun on %s, which rendered nothing; it is rendered on %s", job.folder, before, now)
        job.move(())
        return
    reason = disagreement(before, now, job.schedule)
    if reason is not None:
        raise OtherRecipe(
            f"{job.folder}: was begun on {before}, and does not continue on {now}: {reason}; use {before}, or "
            "give another folder"
        )
    witnesses = sorted({sampled[0], sampled[-1]})
    worst = _apart(job, engine, witnesses, inputs, listen)
    names = " and ".join(map(str, witnesses))
    if not worst.agrees():
        raise OtherRecipe(
            f"{job.folder}: was begun on {before}, and does not continue on {now}: frame {names}, rendered again, is "
            f"not the same ({worst}); is it the same checkpoint, VAE and precision? Use {before}, or give another "
            "folder"
        )
    log.warning(
        "%s: was begun on %s, continues on %s; frame %s, rendered again to compare: %s",
        *(job.folder, before, now, names, worst),
    )
    job.move(finished)


def _apart(job: Job, engine: Engine, witnesses: list[int], inputs: Inputs, listen: Listener) -> Difference:
    """Returns the largest difference between the engine's pictures of these frames and those in the job."""
    found = [
        difference(load_picture(job.frame_path(index)), picture)
        for index, picture in restored(engine, job.schedule, witnesses, inputs, listen)
    ]
    if len(found) < len(witnesses):
        raise Interrupted(f"{job.folder}: stopped before it was known whether it can continue here; run it again")
    return Difference(min(each.psnr for each in found), max(each.off for each in found))
