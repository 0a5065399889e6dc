"""`Pool`: several engines that render a film together, as one engine."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from remix.client.cluster.film import NAP, Film, look_of, refuse_other
from remix.client.cluster.members import EngineMember, Member, Shot, Worker, WorkerDied
from remix.client.cluster.survey import Survey, Surveys, is_failure
from remix.engine import Capabilities, Engine, Listener, Picture, WorkerEvent
from remix.engine.pictures import verified
from remix.errors import BadInput, EngineError
from remix.job.identity import without_file_details
from remix.plan import Recipe, Schedule

log = logging.getLogger(__name__)

T = TypeVar("T")

PAUSE, LONGEST_PAUSE = 5.0, 60.0
"""Seconds before a member that failed gets work again: the first, which doubles each time, and the longest."""

TRIES = 3
"""A film fails if each member has failed this many times in a row."""

LOSSES = 8
"""A film fails if this many workers have died while they rendered the same block."""

NOBODY = "no worker is left for this film; run it again with others"


class Pool(Engine):
    """Engine that spreads the frames of a film over several engines, and gets the film that one of them renders alone.

        with Pool([Local("cuda:0"), Local("cuda:1")]) as pool:
            render(recipe, pool, "film")

    A member is an open engine, which is used in a thread of this process and closed with the pool, or a `Worker`, which
    Ray runs in another process (extra "cluster"); an engine's name is short for `Worker(name)`. `address` is that of a
    Ray cluster, "auto" for the one this machine belongs to; None starts workers on this machine only.

    Before a member counts, it renders the first block as well, which has to be the same as that of the others. A member
    that fails loses its unfinished frames to others, and gets work again after a pause. One that returns wrong pictures
    is put aside for this film, and the log names it. `join` and `leave` work while films are rendered.
    """

    name = "pool"
    films_at_once = 2

    def __init__(
        self,
        members: Sequence[Engine | Worker | str],
        *,
        address: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        pause: float = PAUSE,
    ) -> None:
        if not members:
            raise BadInput('members: is empty; give engines or workers, such as Pool(["local", "local"])')
        self._address, self._clock, self._pause = address, clock, pause
        self._changed = threading.Condition()
        self._members: dict[str, Member] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._films: list[Film] = []
        self._last: dict[str, Film] = {}
        self._failures: Counter[str] = Counter()
        self._rests: dict[str, float] = {}
        self._agreed: dict[tuple[object, ...], set[str]] = {}
        self._local = threading.local()
        self._cluster: Any = None
        self._closed = False
        for member in members:
            self.join(member)
        self._founders = frozenset(self._members)
        """The members that the pool began with. One of these that does not fit is an error before the first frame."""
        self._surveys = Surveys(self._changed, self._founders)

    def __repr__(self) -> str:
        return f"Pool({', '.join(self._members)})"

    @property
    def members(self) -> tuple[str, ...]:
        """The names of the members."""
        return tuple(self._members)

    def join(self, member: Engine | Worker | str) -> str:
        """Adds a member, which takes part in running films once its pictures have been compared. Returns its name."""
        with self._changed:
            added = self._opened(Worker(member) if isinstance(member, str) else member)
            self._members[added.name] = added
            if self._films:
                self._start(added)
            return added.name

    def leave(self, name: str) -> None:
        """Removes a member. It finishes the frames in progress, and others get the rest of its blocks."""
        with self._changed:
            if name not in self._members:
                raise BadInput(f"member: there is no {name!r}; use one of {', '.join(self._members)}")
            member = self._members.pop(name)
            self._changed.notify_all()
        member.cancel()
        if name not in self._threads:
            member.close()

    def _opened(self, member: Engine | Worker) -> Member:
        """Returns a new member with a name that no other has."""
        base = repr(member) if isinstance(member, Worker) else member.name
        taken = {*self._members, *self._threads}
        name = next(each for number in range(1, len(taken) + 2) if (each := f"{base}#{number}") not in taken)
        name = base if "=" in base and base not in taken else name
        if isinstance(member, Engine):
            return EngineMember(member, name)
        from remix.client.cluster.ray_member import Cluster, RayMember

        if self._cluster is None:
            self._cluster = Cluster(self._address)
        return RayMember(self._cluster, member, name)

    def capabilities(self, schedule: Schedule) -> Capabilities:
        """Returns what the first member that answers can render. `check` asks all of them."""
        return self._first(lambda member: member.capabilities(schedule))

    def defaults(self, recipe: Recipe) -> Mapping[str, Any]:
        """Returns the recommended settings of a recipe's model, from the first member that answers."""
        return self._first(lambda member: member.defaults(recipe))

    def check(self, schedule: Schedule) -> list[str]:
        """Returns the remarks of all members, with the names of those that differ.

        Raises `Unsupported` if a member cannot render the schedule or is known to render other frames than the first.
        """
        survey = self._survey(schedule)
        lead = survey.facts[survey.lead]
        remarks = list(lead.remarks)
        for name, facts in survey.facts.items():
            remarks += [f"{name}: {remark}" for remark in facts.remarks if remark not in lead.remarks]
        return [*remarks, *(f"{name}: {error}; it joins once it answers" for name, error in survey.errors.items())]

    def identity(self, schedule: Schedule) -> Mapping[str, str]:
        """Returns the identity of the first member that answered, without the details of its model files."""
        survey = self._survey(schedule)
        return without_file_details(survey.facts[survey.lead].identity)

    def setting(self, schedule: Schedule) -> Mapping[str, str]:
        """Returns the setting of the first member that answered."""
        survey = self._survey(schedule)
        return survey.facts[survey.lead].setting

    def batch_size(self, schedule: Schedule) -> int:
        """Returns the largest batch of the members."""
        return max(facts.batch for facts in self._survey(schedule).facts.values())

    def texts(self, index: int) -> Mapping[str, str]:
        """Returns the metadata of the frame that this thread has just received."""
        shot: Shot | None = getattr(self._local, "shot", None)
        return shot.texts if shot is not None and shot.index == index else {}

    def render(
        self, schedule: Schedule, frames: Sequence[int], inputs: Mapping[str, Picture], listen: Listener
    ) -> Iterator[Picture]:
        """Yields the pictures of these frames in this order. Pictures that are finished early wait in memory."""
        early: dict[int, Picture] = {}
        wanted = iter(frames)
        index = next(wanted, None)
        for number, picture in self.render_unordered(schedule, frames, inputs, listen):
            early[number] = picture
            while index in early:
                yield early.pop(index)
                index = next(wanted, None)

    def render_unordered(
        self, schedule: Schedule, frames: Sequence[int], inputs: Mapping[str, Picture], listen: Listener
    ) -> Iterator[tuple[int, Picture]]:
        """Yields frames and pictures as the members finish them.

        Raises the error of a frame that two members cannot render, and that of the last member if none is left.
        """
        if not frames:
            return
        film, received = self._begin(schedule, frames, inputs), 0
        try:
            while received < film.total:
                try:
                    result = film.results.get(timeout=NAP)
                except queue.Empty:
                    if film.error is not None:
                        raise film.error from None
                    if film.stopping and not film.busy and film.results.empty():
                        return
                    if film.stopping:  # `listen` may raise to stop at once
                        for name in tuple(film.busy):
                            listen(film.event(name, "finishing the frames in progress"))
                    if not film.busy and film.aside.keys() >= self._members.keys():
                        raise EngineError(
                            "no worker is left for this film; add one, and run it again to continue"
                        ) from None
                    continue
                if isinstance(result, WorkerEvent):
                    listen(result)
                    continue
                self._local.shot, received = result, received + 1
                yield result.index, result.picture
            for name in sorted(film.done):
                listen(film.event(name, "waiting"))
        finally:
            self._end(film)

    def cancel(self) -> None:
        """Stops all films after the frames in progress."""
        for film in tuple(self._films):
            film.stopping = True
            for name in tuple(film.busy):
                if (member := self._members.get(name)) is not None:
                    member.cancel()

    def close(self) -> None:
        """Closes all members, and ends the processes that the pool has started."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self.cancel()
        for member in self._members.values():
            member.close()
        for thread in tuple(self._threads.values()):
            thread.join(NAP)
        if self._cluster is not None:
            self._cluster.close()

    def _members_now(self) -> tuple[Member, ...]:
        """Returns the members. Raises `EngineError` if there are none."""
        if members := tuple(self._members.values()):
            return members
        raise EngineError(NOBODY)

    def _survey(self, schedule: Schedule) -> Survey:
        return self._surveys.of(schedule, self._members_now)

    def _first(self, ask: Callable[[Member], T]) -> T:
        failed = list[EngineError]()
        for member in self._members_now():
            try:
                return ask(member)
            except EngineError as error:
                failed.append(error)
        raise failed[0]

    def _begin(self, schedule: Schedule, frames: Sequence[int], inputs: Mapping[str, Picture]) -> Film:
        lead, batch = self._survey(schedule).lead, self.batch_size(schedule)
        with self._changed:
            film = Film(schedule, frames, inputs, batch, lead)
            self._films.append(film)
            self._closed = False
            for member in self._members.values():
                film.sharing.join(member.name)
                self._start(member)
            self._changed.notify_all()
        return film

    def _end(self, film: Film) -> None:
        with self._changed:
            film.over = True
            self._films.remove(film)
            self._last = {name: last for name, last in self._last.items() if last is not film}
            late = [self._members[name] for name in film.busy if name in self._members]
            self._changed.notify_all()
        for member in late:
            member.cancel()

    def _start(self, member: Member) -> None:
        """Starts the thread of a member, unless it runs."""
        thread = self._threads.get(member.name)
        if thread is None or not thread.is_alive():
            thread = threading.Thread(target=self._work, args=(member,), name=member.name, daemon=True)
            self._threads[member.name] = thread
            thread.start()

    def _work(self, member: Member) -> None:
        """Renders blocks with a member until the pool is closed or the member leaves."""
        while (task := self._next(member)) is not None:
            film, blocks = task
            try:
                self._render(member, film, blocks) if blocks else self._admit(member, film)
            except Exception as error:  # noqa: BLE001 - an error of one member must not end the others
                self._failed(member, film, error)
            except BaseException as error:  # noqa: BLE001 - the thread that receives the frames raises it
                film.error = error
            with self._changed:
                film.sharing.release(member.name)
                film.busy.discard(member.name)
                self._changed.notify_all()
        if member.name not in self._members:
            member.close()

    def _next(self, member: Member) -> tuple[Film, tuple[int, ...]] | None:
        """Returns a film and blocks of it, no blocks if the member has to be compared first. Waits for work."""
        name = member.name
        with self._changed:
            while not self._closed and self._members.get(name) is member:
                if self._clock() >= self._rests.get(name, 0.0) and (task := self._choose(name)) is not None:
                    task[0].busy.add(name)
                    self._last[name] = task[0]
                    return task
                self._changed.wait(NAP)
            return None

    def _choose(self, name: str) -> tuple[Film, tuple[int, ...]] | None:
        now, last = self._clock(), self._last.get(name)
        films = [film for film in self._films if not film.is_ending and name not in film.aside]
        films.sort(key=lambda film: film is not last)  # its model is loaded
        for late in (False, True):
            for film in films:
                agreed = self._agreed.get(look_of(film.schedule), set())
                if name in film.admitted or name in agreed:
                    film.admitted.add(name)
                    if blocks := film.sharing.pull(name, now, late=late):
                        return film, blocks
                elif (film.is_witnessed or not agreed) and film.sharing.has_work(name, now, late=late):
                    return film, ()
        return None

    def _admit(self, member: Member, film: Film) -> None:
        """Renders the first block with a member, and compares it with those of other members."""
        name = member.name
        film.report(name, "comparing its pictures")
        survey = self._survey(film.schedule)
        facts = survey.facts.get(name) or member.facts(film.schedule)
        refuse_other(survey.lead, survey.facts[survey.lead], name, facts, film.schedule)
        shots = [self._checked(film, shot) for shot in member.render(film.schedule, film.probe, film.inputs)]
        if film.is_ending:
            return
        if len(shots) < len(film.probe):
            raise WorkerDied(f"returned {len(shots)} of {len(film.probe)} frames")
        with self._changed:
            if not film.is_witnessed:
                film.witness, film.witnessed_by = {shot.index: shot.picture for shot in shots}, name
            elif (apart := film.compare(name, shots)).off:
                log.warning("%s: its frames differ slightly from those of %s: %s", name, film.witnessed_by, apart)
            film.admitted.add(name)
            self._agreed.setdefault(look_of(film.schedule), set()).add(name)
        for shot in shots:
            self._deliver(name, film, shot)

    def _render(self, member: Member, film: Film, blocks: Sequence[int]) -> None:
        name, sharing = member.name, film.sharing
        with self._changed:
            frames = sharing.frames(blocks)
        film.report(name, f"rendering {_span(frames)}")
        for shot in member.render(film.schedule, frames, film.inputs):
            self._deliver(name, film, self._checked(film, shot))
            with self._changed:
                needed = sharing.is_needed(name)
            if film.is_ending or not needed or name not in self._members:
                member.cancel()
            if film.over:
                return
        with self._changed:
            short = sharing.is_needed(name) and not film.is_ending and self._members.get(name) is member
        if short:
            raise WorkerDied(f"stopped before it had rendered {_span(frames)}")
        film.report(name, "waiting")

    @staticmethod
    def _checked(film: Film, shot: Shot) -> Shot:
        verified(shot.picture, film.schedule, shot.index)
        return shot

    def _deliver(self, name: str, film: Film, shot: Shot) -> None:
        with self._changed:
            self._failures[name] = 0
            first = film.sharing.finish(name, shot.index, self._clock())
            if shot.index in film.probe and not film.is_witnessed:
                film.witness[shot.index], film.witnessed_by = shot.picture, name
            film.done[name] += first
        if first:
            film.put(shot)
            film.report(name, f"rendered frame {shot.index}")

    def _failed(self, member: Member, film: Film, error: Exception) -> None:
        """Decides what happens after a member's error: another try after a pause, no more work, or the film's end."""
        name = member.name
        with self._changed:
            if film.is_ending or self._members.get(name) is not member:
                return
            if is_failure(error):
                losses = film.sharing.lose(name)
                fatal, doing = losses >= LOSSES, self._rest(name, error)
            else:
                refused = film.sharing.refuse(name) if name in film.admitted else film.unable_to_begin
                refused.add(name)
                film.aside[name] = error
                differs = name not in film.admitted and isinstance(error, BadInput) and name in self._founders
                fatal, doing = differs or len(refused) > 1, f"put aside: {error}"
            down = all(each in film.aside or self._failures[each] >= TRIES for each in self._members)
            if fatal or down:
                film.error = error
                return
        log.warning("%s", doing if doing.startswith(name) else f"{name}: {doing}")
        film.report(name, doing)

    def _rest(self, name: str, error: Exception) -> str:
        """Gives a member a pause, longer after each failure in a row. Returns a sentence on it."""
        failures = self._failures[name] = self._failures[name] + 1
        pause = 0.0 if failures == 1 and isinstance(error, WorkerDied) else self._pause * 2 ** (failures - 1)
        pause = min(pause, LONGEST_PAUSE)
        self._rests[name] = self._clock() + pause
        return f"{error}; gets work again in {pause:g} s"


def _span(frames: Sequence[int]) -> str:
    return f"frame {frames[0]}" if len(frames) == 1 else f"frames {frames[0]} to {frames[-1]}"
