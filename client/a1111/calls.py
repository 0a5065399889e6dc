"""Requests that render, one at a time: sent, watched, and sent again if the answer is lost.

A1111 answers only when everything is rendered. A connection that ends early does not end the work: the server goes on
and holds its lock. So nothing is sent again before the server is idle.
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
from remix.client.masking import cut
from remix.client.statuses import GATEWAY_TIMEOUTS, may_pass
from remix.client.timeouts import Timeouts
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

T = TypeVar("T")

UNPROCESSABLE = 422
"""The status for a request that the server cannot do. The Remix script explains it in a sentence."""

BLANK = ("NansException", "BlankFrame")
"""Names of the errors of the server and of the Remix script for values that are not finite."""

LONGEST_WORDS = 2_000
"""Characters of a server's explanation that are shown."""


@dataclass(frozen=True)
class Request:
    """A request that renders `frames`, and the seconds after which it has failed. One without frames is a trial.

    keeps: the server keeps finished frames, so asking again does not render them again.
    """

    path: str
    body: Mapping[str, Any]
    frames: tuple[int, ...]
    timeout: float
    keeps: bool = False

    @property
    def where(self) -> str:
        """The frames, for error messages."""
        if not self.frames:
            return "a trial"
        first, last = self.frames[0], self.frames[-1]
        return f"frame {first}" if first == last else f"frames {first} to {last}"


class Stopwatch:
    """Measures for how long something has been true without a break."""

    def __init__(self) -> None:
        self._since: float | None = None

    def held(self, now_true: bool) -> float:
        """Returns for how many seconds it has been true, 0 if it is not true now."""
        now = time.monotonic()
        self._since = (self._since or now) if now_true else None
        return now - (self._since or now)


@dataclass
class Call:
    """A request under way in its own thread; `task` is the id under which the server knows it."""

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
            self.answer = server.post(self.request.path, body, self.request.timeout)
        except RemixError as error:
            self.error = error
        finally:
            self.over.set()


class Calls:
    """Requests to one server, one after another.

    before_resend: called before a request is sent again; cancelled: whether the run should end, which also ends
    waiting for a server that is away.
    """

    def __init__(
        self,
        server: Server,
        timeouts: Timeouts,
        before_resend: Callable[[Calls], None],
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._server = server
        self._timeouts = timeouts
        self._before_resend = before_resend
        self._cancelled = cancelled
        self._current: Call | None = None

    def start(self, request: Request) -> Call:
        """Sends a request and returns at once."""
        self._current = Call(request)
        return self._current.start(self._server)

    def answer(
        self, call: Call, read: Callable[[Any, Request], T], watch: Callable[[State], None], *, image: bool = False
    ) -> T:
        """Returns what `read` makes of the answer. If the answer is lost, the request is sent again.

        It is sent `Timeouts.sends` times at most, and twice if a frame is blank. `watch` is called from time to time
        with the server's state, which has a preview if `image` is set. Raises what the server refused, `OutOfMemory`,
        what `read` raises, and otherwise the error of the last time.
        """
        for sent in range(1, self._timeouts.sends + 1):
            try:
                return read(self._wait(call, watch, image), call.request)
            except BlankFrame as error:
                if sent > 1:
                    raise
                log.warning("%s; it is rendered once more", error)
                call = self.start(call.request)
                continue
            except HostError as error:
                _raise_permanent(error, call.request)
                self._refuse_slow_gateway(error, call)
                lost = _located(error, f"{call.request.where}, sent {sent} times" if sent > 1 else call.request.where)
                self._server.reconnect()
                if self._cancelled():
                    raise lost from error
                if sent < self._timeouts.sends:
                    log.warning("%s; it is sent again when the server is idle", lost)
                    call = self._resend(call)
        raise lost

    def _refuse_slow_gateway(self, error: HostError, call: Call) -> None:
        """Raises if a proxy gave up on a request that the server is still rendering: again it would do the same."""
        if not isinstance(error, HostRefused) or error.status not in GATEWAY_TIMEOUTS:
            return
        if not call.request.frames or call.request.keeps or not self._is_rendering(call):
            return
        raise _located(
            error,
            f"{call.request.where}: rendering takes longer than a proxy in front of the server waits for it, and the "
            "answer is lost then. Raise the proxy's limit (nginx: proxy_read_timeout), connect past it (for example "
            "through an SSH tunnel), or install Remix Toolkit on the server, which keeps finished frames",
        ) from error

    def _is_rendering(self, call: Call) -> bool:
        """Whether the server still renders a request; one without a page cannot tell whose work it does."""
        state = self._state()
        return state is not None and state.busy and self._runs(call) is not False

    def _resend(self, call: Call) -> Call:
        """Sends a lost request again, once the server is idle."""
        self._wait_until_idle(call)
        if call.request.frames:
            self._before_resend(self)
        return self.start(call.request)

    def _wait(self, call: Call, watch: Callable[[State], None], image: bool) -> Any:
        idle, silent, times = Stopwatch(), Stopwatch(), self._timeouts
        while not call.over.wait(times.poll):
            state = self._state(image)
            limit = min(times.offline, times.idle) if self._cancelled() else times.offline
            if silent.held(state is None) > limit:
                raise HostSilent(f"{self._server.address}: the server has not reported its state for {limit:g} s")
            if idle.held(state is not None and not state.busy) > times.idle:
                raise HostSilent(
                    f"{self._server.address}: the server is idle, and has not answered for {times.idle:g} s"
                )
            if state and state.busy and self._runs(call) is not False:
                watch(state)
        if call.error is not None:
            raise call.error
        return call.answer

    def _runs(self, call: Call) -> bool | None:
        """Whether the server works at a call; None if it does not say."""
        try:
            return self._server.is_running(call.task)
        except HostError as error:
            log.debug("%s", error)
            return None

    def _state(self, image: bool = False) -> State | None:
        """The server's state; None if it does not say."""
        try:
            return self._server.state(image=image)
        except HostError as error:
            log.debug("%s", error)
            return None

    def _wait_until_idle(self, call: Call) -> None:
        """Waits until the work of a lost call is over, or the server is back.

        Idle means idle twice in a row: between two requests that wait for each other there is a moment when nothing
        seems to run.
        """
        idle, silent, waited = 0, Stopwatch(), Stopwatch()
        while idle < 2:
            time.sleep(self._timeouts.poll)
            state = self._state()
            idle = idle + 1 if state and not state.busy else 0
            if silent.held(state is None) > (0 if self._cancelled() else self._timeouts.offline):
                raise HostSilent(
                    f"{self._server.address}: the server has not answered for {self._timeouts.offline:g} s; finished "
                    "frames are kept, run the same command again when the server is back"
                )
            if waited.held(True) > call.request.timeout:
                raise HostSilent(f"{self._server.address}: the server is still busy after {call.request.timeout:g} s")
            if state and self._is_over(call):
                return

    def _is_over(self, call: Call) -> bool:
        try:
            return self._server.is_pending(call.task) is False
        except HostError as error:
            log.debug("%s", error)
            return False

    def withdraw(self) -> None:
        """Interrupts the current request, if the server says that it is the one that runs; others are left alone."""
        call = self._current
        if call is None or call.over.is_set():
            return
        try:
            if self._server.is_running(call.task):
                self._server.interrupt()
        except HostError as error:
            log.info("%s: it could not be interrupted (%s)", call.request.where, error)


def _raise_permanent(error: HostError, request: Request) -> None:
    """Raises an error that would come again however often the request is sent, in words that say what it means."""
    if isinstance(error, (HostSilent, HostUnreachable, BadReply)):
        return
    if not isinstance(error, HostRefused):
        raise error
    body = error.body if isinstance(error.body, Mapping) else {}
    kind, detail = str(body.get("error", "")), body.get("detail")
    if kind.startswith("OutOfMemory"):
        raise OutOfMemory(
            f"{request.where}: the server ran out of memory; use a smaller size or batch, or start the server with "
            f"--medvram ({error})"
        ) from error
    if kind in BLANK:
        raise BlankFrame(
            f"{request.where}: the model's output is not finite, or of one color; start the server with "
            f"--no-half-vae or --no-half ({error})"
        ) from error
    if error.status == UNPROCESSABLE and isinstance(detail, str) and detail:
        raise Unsupported(f"{request.where}: {cut(detail, LONGEST_WORDS)}") from error
    if not may_pass(error):
        raise _located(error, request.where) from error


def _located(error: HostError, where: str) -> HostError:
    """The same error with a message that begins with where it happened."""
    message = f"{where}: {error}"
    if isinstance(error, HostRefused):
        return type(error)(message, error.status, error.body)
    return type(error)(message)
