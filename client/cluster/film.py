"""A film that a pool is rendering: its blocks, its results on their way to the job, and the members it compares."""

from __future__ import annotations

import queue
from collections import Counter
from collections.abc import Mapping, Sequence

from remix.client.cluster.members import Facts, Inputs, Shot
from remix.client.cluster.sharing import Sharing
from remix.engine import Picture, WorkerEvent
from remix.engine.agreement import disagreement
from remix.engine.blocks import blocks
from remix.errors import Unsupported
from remix.job.identity import differing, same_engine, without_file_details
from remix.motion.pictures import Difference, difference
from remix.plan import Schedule

NAP = 0.1
"""Seconds between two checks for whether a film has ended."""

WAITING = 16
"""Finished frames that may wait to be stored, before workers have to wait."""


class Film:
    """The state of a film. The pool's lock guards all of it but `results`.

    `witness` holds the pictures of the first block by a member that counts: other members have to render the same.
    """

    def __init__(
        self, schedule: Schedule, frames: Sequence[int], inputs: Mapping[str, Picture], batch: int, lead: str
    ) -> None:
        self.schedule, self.inputs, self.lead = schedule, Inputs(inputs), lead
        wanted = set(frames)
        parts = [part for block in blocks(len(schedule), batch) if (part := [i for i in block if i in wanted])]
        self.total = len(wanted)
        self.sharing = Sharing(parts)
        self.probe = parts[0]
        self.witness: dict[int, Picture] = {}
        self.witnessed_by = ""
        self.results: queue.Queue[Shot | WorkerEvent] = queue.Queue(WAITING)
        self.admitted, self.busy = set[str](), set[str]()
        self.aside: dict[str, Exception] = {}
        self.unable_to_begin = set[str]()
        self.done: Counter[str] = Counter()
        self.error: BaseException | None = None
        self.stopping = self.over = False

    @property
    def is_witnessed(self) -> bool:
        """Whether the pictures to compare with are complete."""
        return len(self.witness) == len(self.probe)

    @property
    def is_ending(self) -> bool:
        return self.stopping or self.over or self.error is not None

    def put(self, result: Shot | WorkerEvent) -> None:
        """Hands over a result. Waits while many are on their way, and gives up once the film is over."""
        while not self.over:
            try:
                return self.results.put(result, timeout=NAP)
            except queue.Full:
                pass

    def report(self, worker: str, doing: str) -> None:
        """Reports what a worker does, unless the results are behind."""
        if not self.results.full():
            self.put(self.event(worker, doing))

    def event(self, worker: str, doing: str) -> WorkerEvent:
        """Returns a worker's progress."""
        pace = self.sharing.pace(worker)
        return WorkerEvent("worker", self.done[worker], self.total, worker=worker, doing=doing, seconds=pace)

    def compare(self, name: str, shots: Sequence[Shot]) -> Difference:
        """Returns the largest difference between a member's pictures of the first block and the witness.

        Raises `Unsupported` if they are other pictures.
        """
        found = [difference(self.witness[shot.index], shot.picture) for shot in shots]
        worst = Difference(min(each.psnr for each in found), max(each.off for each in found))
        if not worst.agrees():
            raise Unsupported(
                f"{name}: renders other pictures of frame {self.probe[0]} than {self.witnessed_by} ({worst}); compare "
                "their checkpoint, VAE and precision, or leave one of the two out"
            )
        return worst


def look_of(schedule: Schedule) -> tuple[object, ...]:
    """Returns the settings by which members have been compared: films with the same need no other comparison."""
    recipe = schedule.recipe
    return (
        *(recipe.model, recipe.width, recipe.height, recipe.sampler, recipe.scheduler, recipe.steps),
        *(recipe.mix, recipe.lengths, recipe.reading),
    )


def refuse_other(lead: str, known: Facts, name: str, facts: Facts, schedule: Schedule) -> None:
    """Raises `Unsupported` if a member is known to render other frames than the one called `lead`."""
    one, other = (without_file_details(each.identity, sizes=True) for each in (known, facts))
    reason = None
    if one["engine"] != other["engine"]:
        reason = disagreement(one["engine"], other["engine"], schedule)
    elif not same_engine(one, other, same_film=True):
        reason = differing(one, other)
    if reason is not None:
        raise Unsupported(f"{name}: does not render the same frames as {lead}: {reason}; leave one of the two out")
