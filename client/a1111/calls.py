"""One long call at a time: sent, watched, and where its answer is lost, sent again once the server has nothing to do.

A1111 answers only when all is rendered. A connection that ends before does not end the work: the server goes on, and
holds its lock; so nothing is sent before it is idle.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from remix.client.a1111.server import Server, State
from remix.client.http import WITHIN, may_pass
from remix.errors import (
    BadReply,
    BlankFrame,
    HostError,
    HostRefused,
    HostSilent,
    HostUnreachable,
    OutOfMemory,
    RemixError,
    Unsupported,
)

log = logging.getLogger(__name__)

X = TypeVar("X")

UNFIT = 422
"""What the server says of a request that it cannot do; the Remix script says so in a sentence."""

BLANK = ("NansException", "BlankFrame")
"""What the server, and the Remix script there, call numbers that are no picture."""


@dataclass(frozen=True)
class Pace:
    """How long what takes, in seconds, and how often a request is sent at most.

    poll: between two questions how things stand; beside: for the answer to one; ask: for that to a question what the
    server has; lost: idle for so long, the server will not answer any more; back: how long a server that does not
    answer at all is waited for.
    """

    poll: float = 2.0
    beside: float = 10.0
    ask: float = WITHIN
    lost: float = 30.0
    back: float = 120.0
    sends: int = 3


@dataclass(frozen=True)
class Request:
    """What renders some frames: where it goes, what it says, and the seconds after which it has failed.

    One without frames is a trial.
    """

    path: str
    body: Mapping[str, Any]
    frames: tuple[int, ...]
    within: float

    @property
    def where(self) -> str:
        """The frames, for errors."""
        if not self.frames:
            return "a trial"
        first, last = self.frames[0], self.frames[-1]
        return f"frame {first}" if first == last else f"frames {first} to {last}"


class Stretch:
    """How long something has been so."""

    def __init__(self) -> None:
        self._since: float | None = None

    def held(self, so: bool) -> float:
        """Returns for how many seconds it has been so without a break, if it is so now; else 0."""
        now = time.monotonic()
        self._since = (self._since or now) if so else None
        return now - (self._since or now)


@dataclass
class Call:
    """A request under way, in a thread of its own; the task is what the server is told to call it."""

    request: Request
    task: str = field(default_factory=lambda: f"task(remix-{uuid.uuid4().hex})")
    answer: Any = None
    error: RemixError | None = None
    over: threading.Event = field(default_factory=threading.Event)

    def start(self, server: Server) -> Call:
        """Sends the request."""
        threading.Thread(target=self._run, args=(server,), daemon=True).start()
        return self

    def _run(self, server: Server) -> None:
        try:
            body = {**self.request.body, "force_task_id": self.task}
            self.answer = server.post(self.request.path, body, self.request.within)
        except RemixError as error:
            self.error = error
        finally:
            self.over.set()


class Calls:
    """Requests to one server, one after another; `anew` comes before one that is sent again."""

    def __init__(self, server: Server, pace: Pace, anew: Callable[[Calls], None]) -> None:
        self._server = server
        self._pace = pace
        self._anew = anew
        self._under_way: Call | None = None

    def start(self, request: Request) -> Call:
        """Sends a request and does not wait."""
        self._under_way = Call(request)
        return self._under_way.start(self._server)

    def answer(
        self, call: Call, read: Callable[[Any, Request], X], watch: Callable[[State], None], *, image: bool = False
    ) -> X:
        """Returns what `read` makes of the answer; where that gets lost, the request is sent again.

        It is sent `Pace.sends` times at most, and twice where a frame is blank. `watch` is told now and then how
        things stand, with a preview where `image` asks for it. Raises what the server refused, `OutOfMemory` where it
        says so, what `read` raises, and else what went wrong the last time.
        """
        for sent in range(1, self._pace.sends + 1):
            try:
                return read(self._awaited(call, watch, image), call.request)
            except BlankFrame as error:
                if sent > 1:
                    raise
                log.warning("%s; it is rendered once more", error)
                call = self.start(call.request)
                continue
            except HostError as error:
                _raise_lasting(error, call.request)
                lost = _named(error, f"{call.request.where}, sent {sent} times" if sent > 1 else call.request.where)
                self._server.renew()
                if sent < self._pace.sends:
                    log.warning("%s; it is sent again when the server is idle", lost)
                    call = self._again(call)
        raise lost

    def _again(self, call: Call) -> Call:
        """A lost request sent again, when the server is idle."""
        self._until_idle(call)
        if call.request.frames:
            self._anew(self)
        return self.start(call.request)

    def _awaited(self, call: Call, watch: Callable[[State], None], image: bool) -> Any:
        idle, silent = Stretch(), Stretch()
        while not call.over.wait(self._pace.poll):
            state = self._state(image)
            if silent.held(state is None) > self._pace.back:
                raise HostSilent(f"{self._server.address}: it has not said how things stand for {self._pace.back:g} s")
            if idle.held(state is not None and not state.busy) > self._pace.lost:
                raise HostSilent(
                    f"{self._server.address}: it has nothing to do, and has not answered for {self._pace.lost:g} s"
                )
            if state and state.busy and self._is_own(call) is not False:
                watch(state)
        if call.error is not None:
            raise call.error
        return call.answer

    def _is_own(self, call: Call) -> bool | None:
        try:
            return self._server.runs(call.task)
        except HostError as error:
            log.debug("%s", error)
            return None

    def _state(self, image: bool = False) -> State | None:
        """How things stand; None where the server does not say."""
        try:
            return self._server.state(image=image)
        except HostError as error:
            log.debug("%s", error)
            return None

    def _until_idle(self, call: Call) -> None:
        """Waits until what a lost call began is over, or the server is there again.

        Idle means idle twice in a row: between two requests that wait for each other there is a moment when nothing
        seems to run.
        """
        idle, silent, waited = 0, Stretch(), Stretch()
        while idle < 2:
            time.sleep(self._pace.poll)
            state = self._state()
            idle = idle + 1 if state and not state.busy else 0
            if silent.held(state is None) > self._pace.back:
                raise HostSilent(
                    f"{self._server.address}: it has not answered for {self._pace.back:g} s; what is finished is kept, "
                    "run the same again when the server is there"
                )
            if waited.held(True) > call.request.within:
                raise HostSilent(f"{self._server.address}: it is still busy after {call.request.within:g} s")
            if state and self._tells_over(call):
                return

    def _tells_over(self, call: Call) -> bool:
        try:
            return self._server.waits(call.task) is False
        except HostError as error:
            log.debug("%s", error)
            return False

    def withdraw(self) -> None:
        """Ends what is under way, where the server says that it is this that runs; others' work is left alone."""
        call = self._under_way
        if call is None or call.over.is_set():
            return
        try:
            if self._server.runs(call.task):
                self._server.interrupt()
        except HostError as error:
            log.info("%s: it could not be ended (%s)", call.request.where, error)


def _raise_lasting(error: HostError, request: Request) -> None:
    """Raises what would come again however often a request is sent, in the words of what it means."""
    if isinstance(error, (HostSilent, HostUnreachable, BadReply)):
        return
    if not isinstance(error, HostRefused):
        raise error
    kind = str(error.body.get("error", "")) if isinstance(error.body, Mapping) else ""
    if kind.startswith("OutOfMemory"):
        raise OutOfMemory(
            f"{request.where}: the server ran out of memory; make the size or the batch smaller, or start the server "
            f"with --medvram ({error})"
        ) from error
    if kind in BLANK:
        raise BlankFrame(
            f"{request.where}: the model gave numbers that are not finite, or one colour; start the server with "
            f"--no-half-vae or --no-half ({error})"
        ) from error
    detail = error.body.get("detail") if isinstance(error.body, Mapping) else None
    if error.status == UNFIT and isinstance(detail, str) and detail:
        raise Unsupported(f"{request.where}: {detail}") from error
    if not may_pass(error):
        raise _named(error, request.where) from error


def _named(error: HostError, where: str) -> HostError:
    """The same error, its message begun by what it was about."""
    message = f"{where}: {error}"
    if isinstance(error, HostRefused):
        return type(error)(message, error.status, error.body)
    return type(error)(message)
