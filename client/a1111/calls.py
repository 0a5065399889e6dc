"""Sends render requests one at a time, watches them, and resends a request whose reply is lost.

A1111 replies only after rendering everything. If the connection drops, the server keeps rendering and holds its lock,
so requests are resent only once the server is idle.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from remix.client.a1111.server import QUEUED, RUNNING, Server, State
from remix.client.statuses import GATEWAY_TIMEOUTS, may_pass
from remix.client.timeouts import Timeouts
from remix.engine import Event, Listener
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
from remix.plan.wording import cut

log = logging.getLogger(__name__)

T = TypeVar("T")

UNPROCESSABLE = 422
"""Status for a request that the server cannot fulfill. The Remix script adds an explanation."""

BLANK = ("NansException", "BlankFrame")
"""Error names that the server and the Remix script use for values that are not finite."""

LONGEST_WORDS = 2_000
"""Largest length of a server's explanation."""


class Stopped(Exception):
    """Signal that a run was cancelled, and that its current request has no picture to wait for."""


@dataclass(frozen=True)
class Request:
    """A request that renders `frames`, with its timeout in seconds. Without frames it is a trial.

    keeps: the server keeps finished frames, so a repeated request does not render them again. size: the width and
    height of its pictures, if they are not those of the body.
    """

    path: str
    body: Mapping[str, Any]
    frames: tuple[int, ...]
    timeout: float
    keeps: bool = False
    size: tuple[int, int] | None = None

    @property
    def where(self) -> str:
        """The frames, for error messages."""
        if not self.frames:
            return "a trial"
        first, last = self.frames[0], self.frames[-1]
        return f"frame {first}" if first == last else f"frames {first} to {last}"


class Stopwatch:
    """Timer for how long a condition has been true without interruption."""

    def __init__(self) -> None:
        self._since: float | None = None

    def held(self, now_true: bool) -> float:
        """Returns the seconds for which the condition has been true, or 0 if it is false now."""
        now = time.monotonic()
        self._since = (self._since or now) if now_true else None
        return now - (self._since or now)


@dataclass
class Call:
    """A request that runs in its own thread. `task` is its id on the server."""

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
            size = self.request.size or (int(body["width"]), int(body["height"]))
            self.answer = server.post(self.request.path, body, self.request.timeout, len(self.request.frames), size)
        except RemixError as error:
            self.error = error
        finally:
            self.over.set()


class Calls:
    """Requests to one server, one after another.

    before_resend: called before a request is resent; cancelled: returns whether the run should end, which also stops
    waiting for an unreachable server.
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
        """Sends a request and returns immediately."""
        self._current = Call(request)
        return self._current.start(self._server)

    def start_next(self, requests: Iterator[Request]) -> Call | None:
        """Sends the next request and returns immediately. Returns None if there is none."""
        request = next(requests, None)
        return None if request is None else self.start(request)

    def answer(
        self, call: Call, read: Callable[[Any, Request], T], watch: Callable[[State], None], *, image: bool = False
    ) -> T:
        """Returns the result of `read` for the reply. If the reply is lost, the request is resent.

        A request is sent at most `Timeouts.sends` times, and twice if a frame is blank. `watch` is called regularly
        with the server's state, which includes a preview if `image` is set. Raises the server's refusal, `OutOfMemory`,
        any error of `read`, or else the error of the last attempt. Once the run is cancelled, raises `Stopped` for a
        trial, and for a request that the server has not begun.
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
        """Raises if a proxy timed out while the server is still rendering, since a retry would time out too."""
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
        """Returns whether the server still renders a request. A server without its page cannot tell requests apart."""
        state = self._state()
        return state is not None and state.busy and self._may_run(call)

    def _resend(self, call: Call) -> Call:
        """Resends a lost request once the server is idle."""
        self._wait_until_idle(call)
        if call.request.frames:
            self._before_resend(self)
        return self.start(call.request)

    def _wait(self, call: Call, watch: Callable[[State], None], image: bool) -> Any:
        idle, silent, times = Stopwatch(), Stopwatch(), self._timeouts
        while not call.over.wait(times.poll):
            if self._cancelled():
                self._stop_unbegun(call)
            state = self._state(image)
            limit = min(times.offline, times.idle) if self._cancelled() else times.offline
            if silent.held(state is None) > limit:
                raise HostSilent(f"{self._server.address}: the server has not reported its state for {limit:g} s")
            if idle.held(state is not None and not state.busy) > times.idle:
                raise HostSilent(
                    f"{self._server.address}: the server is idle, and has not answered for {times.idle:g} s"
                )
            if state and state.busy and self._may_run(call):
                watch(state)
        if call.error is not None:
            raise call.error
        return call.answer

    def _stop_unbegun(self, call: Call) -> None:
        """Raises `Stopped` if a call is a trial, or still queued behind other requests.

        A1111 can interrupt what it renders, but cannot take back what is queued.
        """
        request = call.request
        if request.frames:
            if self._task_state(call) != QUEUED:
                return
            log.warning(
                "%s: the server is busy with another request and cannot take this one back; it will render it %s",
                request.where,
                "and keep it for the next run" if request.keeps else "although nothing waits for it",
            )
        self._server.reconnect()
        raise Stopped

    def _may_run(self, call: Call) -> bool:
        """Returns whether the server is rendering a call, or does not report what it renders."""
        return self._task_state(call) in (RUNNING, None)

    def _task_state(self, call: Call) -> str | None:
        try:
            return self._server.task_state(call.task)
        except HostError as error:
            log.debug("%s", error)
            return None

    def _state(self, image: bool = False) -> State | None:
        """Returns the server's state, or None if it does not report one."""
        try:
            return self._server.state(image=image)
        except HostError as error:
            log.debug("%s", error)
            return None

    def _wait_until_idle(self, call: Call) -> None:
        """Waits until a lost call has finished, or the server is back.

        The server must be idle twice in a row: between two queued requests, nothing seems to run for a moment.
        """
        idle, silent, waited = 0, Stopwatch(), Stopwatch()
        while idle < 2:
            time.sleep(self._timeouts.poll)
            if self._cancelled():
                raise Stopped
            state = self._state()
            idle = idle + 1 if state and not state.busy else 0
            if silent.held(state is None) > self._timeouts.offline:
                raise HostSilent(
                    f"{self._server.address}: the server has not answered for {self._timeouts.offline:g} s; finished "
                    "frames are kept, run the same command again when the server is back"
                )
            if waited.held(True) > call.request.timeout:
                raise HostSilent(f"{self._server.address}: the server is still busy after {call.request.timeout:g} s")
            if state and self._task_state(call) == "":
                return

    def withdraw(self) -> None:
        """Interrupts the current request if the server reports that it is running. Other requests are unaffected."""
        call = self._current
        if call is None or call.over.is_set():
            return
        try:
            if self._server.task_state(call.task) == RUNNING:
                self._server.interrupt()
        except HostError as error:
            log.info("%s: it could not be interrupted (%s)", call.request.where, error)


def reporting_steps(request: Request, listen: Listener) -> Callable[[State], None]:
    """Returns a function that reports the steps of a request, with previews, from the server's state."""

    def watch(state: State) -> None:
        if state.steps:
            listen(Event("steps", state.step, state.steps, frame=request.frames[0], preview=state.preview()))

    return watch


def _raise_permanent(error: HostError, request: Request) -> None:
    """Raises an error that a retry cannot fix, with an explanation."""
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
    """Returns the same error with the location at the start of its message."""
    message = f"{where}: {error}"
    if isinstance(error, HostRefused):
        return type(error)(message, error.status, error.body)
    return type(error)(message)
