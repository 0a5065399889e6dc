"""What the members of a pool report for a schedule: all are asked at once, before its first frame is rendered."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence

from remix.client.cluster.film import NAP, refuse_other
from remix.client.cluster.members import Facts, Member, WorkerDied
from remix.client.film_queue import is_passing
from remix.errors import Unsupported
from remix.plan import Schedule

PATIENCE = 15.0
"""Seconds to wait for the other members once one has answered. Later ones join while the film runs."""

KEPT = 8
"""Number of schedules whose surveys are kept."""


class Survey:
    """What the members report for a schedule. `lead` is the first of them that answered."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.facts: dict[str, Facts] = {}
        self.errors: dict[str, BaseException] = {}
        self.lead = ""

    def refuse_misfits(self, founders: Collection[str]) -> None:
        """Raises the error of a founder that cannot render the schedule, or renders other frames than the lead.

        An error that may pass is none, unless no member has answered.
        """
        for name, error in self.errors.items():
            if not self.facts:
                raise error
            if name in founders and not is_failure(error):
                raise Unsupported(f"{name}: {error}") if isinstance(error, Unsupported) else error
        self.lead = next(iter(self.facts))
        for name, facts in self.facts.items():
            if name in founders:
                refuse_other(self.lead, self.facts[self.lead], name, facts, self.schedule)


class Surveys:
    """Makes surveys and keeps the newest. `changed` is the pool's lock, and `founders` are its first members."""

    def __init__(self, changed: threading.Condition, founders: Collection[str]) -> None:
        self._changed, self._founders = changed, founders
        self._kept: list[Survey] = []

    def of(self, schedule: Schedule, members: Callable[[], Sequence[Member]]) -> Survey:
        """Returns the survey of a schedule, the kept one or a new one among `members()`.

        Raises `Unsupported` for a founder that does not fit, and the error of a member if none answers.
        """
        with self._changed:
            for known in self._kept:
                if known.schedule is schedule:
                    return known
        survey, asked = Survey(schedule), members()
        for member in asked:
            threading.Thread(target=self._ask, args=(member, survey), daemon=True).start()
        with self._changed:
            self._wait(survey, len(asked))
            order = [member.name for member in asked]
            survey.facts = {name: survey.facts[name] for name in order if name in survey.facts}
            survey.errors = {name: survey.errors[name] for name in order if name in survey.errors}
            survey.refuse_misfits(self._founders)
            self._kept = [survey, *self._kept][:KEPT]
        return survey

    def _wait(self, survey: Survey, members: int) -> None:
        """Waits until all members have reported or failed, but not long for those that let the others wait."""
        first: float | None = None
        while len(survey.facts) + len(survey.errors) < members:
            first = time.monotonic() if first is None and survey.facts else first
            if first is not None and time.monotonic() > first + PATIENCE:
                return
            self._changed.wait(NAP)

    def _ask(self, member: Member, survey: Survey) -> None:
        try:
            facts = member.facts(survey.schedule)
        except BaseException as error:  # noqa: BLE001 - the thread that waits raises it
            with self._changed:
                survey.errors[member.name] = error
                self._changed.notify_all()
        else:
            with self._changed:
                survey.facts = {**survey.facts, member.name: facts}
                self._changed.notify_all()


def is_failure(error: BaseException) -> bool:
    """Returns whether an error may pass, or is that of a process or a machine that ended."""
    return isinstance(error, WorkerDied) or is_passing(error)
