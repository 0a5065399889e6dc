"""One run on a server: prompts are kept in flight, watched, brought in, and sent again when they are lost."""

from __future__ import annotations

import logging
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from remix.client.comfyui.routes import Piece
from remix.client.comfyui.server import DONE, FAILED, LOST, QUEUED, RUNNING, Fate, Server
from remix.client.events import Events, Message
from remix.client.masking import cut
from remix.client.statuses import SERVER_ERROR, may_pass, seconds_to_wait
from remix.client.timeouts import Timeouts
from remix.digest import canonical, sha256
from remix.engine import Event, Listener, Picture
from remix.errors import (
    BadReply,
    BlankFrame,
    EngineError,
    HostError,
    HostRefused,
    HostSilent,
    HostUnreachable,
    JobLost,
    OutOfMemory,
    WrongSize,
)
from remix.hosts.comfyui.graph import Nodes
from remix.motion import only_colour
from remix.plan import Schedule

log = logging.getLogger(__name__)

X = TypeVar("X")

AHEAD = 2
"""Prompts that the server has at once: while the pictures of one are fetched, it works at the next."""

TIMES = 3
"""How often work that the server forgot is sent again, and a prompt that may not have arrived."""

FOR_ONE = (0, 3, 64)
"""Since when the server ends the prompt that is named; an older one would end whichever runs."""

LOOKS = 10
"""How often it is looked whether what was ended has ended."""

LONGEST_WORDS = 2_000
"""Characters of a node's error that are shown."""

OUT_OF_MEMORY = ("OutOfMemoryError", "OutOfMemory")
OURS = uuid.UUID("6f1b7a0e-3c0e-5d6c-9a51-8a1f6f0f2f5e")
"""The namespace of prompt ids: the same work has the same id, so that a run that goes on finds it."""


class _Stopped(Exception):
    """The run is to end, while a server was waited for."""


@dataclass
class Flight:
    """A piece of work that the server has: the prompt's id, the node whose files count, and what became of it."""

    piece: Piece
    prompt: str = ""
    node: str = ""
    fate: Fate | None = None
    attempt: int = 0
    lost: int = 0
    failed: bool = False
    redone: set[int] = field(default_factory=set)

    def __str__(self) -> str:
        first, last = self.piece.frames[0], self.piece.frames[-1]
        return f"frame {first}" if first == last else f"frames {first} to {last}"


class Run:
    """Within it, pictures come from a server; at its end, nothing that it queued there is left to be worked at."""

    def __init__(
        self,
        server: Server,
        schedule: Schedule,
        identity: Mapping[str, str],
        events: Events,
        listen: Listener,
        timeouts: Timeouts,
    ) -> None:
        self.batch = 1
        self.extra: Mapping[str, Any] = {}
        self._server, self._schedule, self._identity = server, schedule, dict(identity)
        self._events, self._listen, self._timeouts = events, listen, timeouts
        self._cancelled = self._thinned = False
        self._flying: deque[Flight] = deque()
        self._heard = time.monotonic()

    def __enter__(self) -> Run:
        self._events.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        try:
            # Whoever stops at once is not made to wait for a server.
            self._leave(looks=1 if kind is not None and not issubclass(kind, EngineError) else LOOKS)
        finally:
            self._events.close()

    def cancel(self) -> None:
        """Asks for an end after what the server works at; may be called from a signal handler."""
        self._cancelled = True
        self._events.wake()

    def pictures(self, pieces: Sequence[Piece]) -> Iterator[Picture]:
        """Yields the pictures of all pieces in order; when it was cancelled, of those that the server has begun."""
        waiting = deque(pieces)
        try:
            while waiting or self._flying:
                if self._cancelled:
                    waiting.clear()
                    self._thin_out()
                while waiting and len(self._flying) < AHEAD:
                    self._flying.append(Flight(waiting.popleft()))  # first, so that it is ended whatever happens
                    self._launch(self._flying[-1])
                if not self._flying:
                    return
                flight = self._flying[0]
                for index in flight.piece.frames:
                    yield self._picture(flight, index)
                self._flying.popleft()
        except _Stopped:
            return

    def patiently(self, call: Callable[[], X]) -> X:
        """Returns what a call gives, repeated while the server is away, as long as patience lasts."""
        end, pause, bad = time.monotonic() + self._timeouts.offline, self._timeouts.reconnect, 0
        told = False
        while True:
            try:
                return call()
            except (HostUnreachable, HostSilent, BadReply, HostRefused) as error:
                bad += isinstance(error, BadReply) or getattr(error, "status", 0) == SERVER_ERROR
                if not may_pass(error) or bad >= TIMES or time.monotonic() > end:
                    raise
                log.log(logging.INFO if told else logging.WARNING, "%s (waiting for the server)", error)
                told, wait = True, seconds_to_wait(error, pause)
            self._refuse_if_cancelled()
            self._wait(min(wait, max(end - time.monotonic(), pause)))
            pause = min(2 * pause, self._timeouts.poll)

    def _wait(self, seconds: float) -> None:
        """Waits so many seconds, or until it is cancelled."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self._cancelled:
            self._events.wait(left)

    def _refuse_if_cancelled(self) -> None:
        if self._cancelled:
            raise _Stopped

    def _thin_out(self) -> None:
        """Takes out of the server's queue what it has not begun; what it has, ends and is brought in."""
        if self._thinned:
            return
        self._thinned = True
        begun = [flight for flight in self._flying if flight.prompt]
        self.patiently(lambda: self._server.cancel([each.prompt for each in begun if each.fate is None], running=False))
        self._flying = deque(
            flight
            for flight in begun
            if flight.fate is not None or self.patiently(partial(self._server.fate, flight.prompt)).state != LOST
        )

    def _launch(self, flight: Flight, known: Sequence[str] = (QUEUED, RUNNING, DONE)) -> None:
        """Sends a flight on its way, or finds it there: work of a run that was killed may be under way, or done.

        A try of which the server says anything but `known` is over, and the next one is made.
        """
        self._refuse_if_cancelled()
        while True:
            nodes = self._written(flight)
            fate = self.patiently(lambda: self._server.fate(flight.prompt))
            if fate.state == LOST:
                self._send(flight, nodes)
                return
            if fate.state in known:
                return
            flight.attempt += 1

    def _written(self, flight: Flight) -> Nodes:
        """Returns what a flight asks for at this try; it settles under which id."""
        bare, _ = flight.piece.graph("", self.batch)
        key = sha256(canonical([bare.digest(), self._identity, flight.attempt]).encode())
        flight.prompt = str(uuid.uuid5(OURS, key))
        flight.fate = None
        graph, flight.node = flight.piece.graph(key[:10], self.batch)
        return graph.nodes

    def _send(self, flight: Flight, nodes: Nodes) -> None:
        """Posts a prompt once: when it is not known whether it was taken, the server is asked before it is repeated."""
        for left in reversed(range(TIMES)):
            try:
                flight.prompt = self._server.submit(flight.prompt, nodes, self.extra)
                return
            except (HostUnreachable, HostSilent, BadReply, HostRefused) as error:
                if not may_pass(error):
                    raise
                if isinstance(error, HostRefused):
                    self._wait(seconds_to_wait(error, self._timeouts.reconnect))
                    self._refuse_if_cancelled()
                if self.patiently(lambda: self._server.fate(flight.prompt)).state != LOST:
                    return
                if not left:
                    raise

    def _picture(self, flight: Flight, index: int) -> Picture:
        """A frame of a flight; what the server has lost of its files, or made blank, it makes once more."""
        while True:
            try:
                return self._brought(flight, index)
            except (HostError, BlankFrame) as error:
                gone = isinstance(error, HostRefused) and error.status == 404
                if gone and index in flight.redone:
                    raise BadReply(
                        f"frame {index}: the server made it twice, and has no file of it ({error})"
                    ) from error
                if not (gone or isinstance(error, BlankFrame | BadReply)) or index in flight.redone:
                    raise
                log.warning("%s; once more", error)
                if isinstance(error, BlankFrame):
                    self.patiently(self._server.free)
            flight.redone.add(index)
            self._launch(flight, (QUEUED, RUNNING))

    def _brought(self, flight: Flight, index: int) -> Picture:
        made = self._landed(flight).made.get(flight.node, ())
        at = index - flight.piece.first
        if at >= len(made):
            raise BadReply(f"frame {index}: the server says that it is done, and names {len(made)} files for {flight}")
        recipe = self._schedule.recipe
        try:
            picture = self.patiently(lambda: self._server.view(made[at], (recipe.width, recipe.height)))
        except WrongSize as error:
            raise WrongSize(f"frame {index}: {error}") from error
        if self._schedule[index].denoise > 0 and (colour := only_colour(picture)):
            raise BlankFrame(
                f"frame {index}: every pixel of the picture is {colour}; start the server with --fp32-vae, "
                "lower cfg, or use another model.vae"
            )
        return picture

    def _landed(self, flight: Flight) -> Fate:
        """What became of a flight, once it is done."""
        while flight.fate is None:
            fate = self.patiently(lambda: self._server.fate(flight.prompt))
            if fate.state == DONE:
                flight.fate = fate
            elif fate.state == FAILED:
                self._failed(flight, fate.trouble)
            elif fate.state == LOST:
                self._lost(flight)
            else:
                self._watch(flight, fate)
        return flight.fate

    def _watch(self, flight: Flight, fate: Fate) -> None:
        """Passes on what is said, until it is time to look again."""
        end = time.monotonic() + self._timeouts.poll
        while (left := end - time.monotonic()) > 0:
            said = self._events.wait(left)
            if self._cancelled:
                self._thin_out()
                if flight not in self._flying:
                    raise _Stopped
            if any(message.prompt for message in said):
                self._heard = time.monotonic()
            for message in said:
                self._relay(message)
            if any(message.kind in ("end", "lost") for message in said):
                return
        if fate.state == RUNNING and time.monotonic() - self._heard > self._timeouts.silent:
            # A socket that was opened before the end of the last one was noticed is told nothing, ever.
            self._heard = time.monotonic()
            self._events.reopen()

    def _relay(self, message: Message) -> None:
        flight = next((one for one in self._flying if message.prompt in (one.prompt, "")), None)
        if flight is None or message.kind not in ("progress", "preview"):
            return
        frames, total = flight.piece.frames, max(message.total, 1)
        frame = frames[min(message.done * len(frames) // total, len(frames) - 1)]
        preview = message.picture() if message.kind == "preview" else None
        if preview is not None or message.kind == "progress":
            self._listen(Event("steps", message.done, message.total, frame, preview))

    def _lost(self, flight: Flight) -> None:
        flight.lost += 1
        if flight.lost > TIMES:
            raise JobLost(f"{flight}: the server forgot it {flight.lost} times; look into its log, then run it again")
        log.warning("%s: the server has forgotten it, as after a new start; sending it again", flight)
        self._launch(flight)

    def _failed(self, flight: Flight, trouble: Mapping[str, Any]) -> None:
        """What a failed prompt means: an error with the node's own words, or one more try with less at once."""
        message = cut(str(trouble.get("exception_message") or "it does not say why").strip(), LONGEST_WORDS)
        kind = str(trouble.get("exception_type") or "").rpartition(".")[2]
        if trouble.get("kind") == "execution_interrupted":
            raise EngineError(f"{flight}: somebody interrupted it on the server; run the same line again to go on")
        if kind in OUT_OF_MEMORY or "Allocation on device" in message:
            if flight.failed:
                raise OutOfMemory(f"{flight}: not even one frame fits into the server's memory; use a smaller size")
            log.warning("%s: the server's memory is full; going on with one frame at a time", flight)
            self.batch = 1
        elif kind == "BlankFrame":
            raise BlankFrame(f"{message}; start the server with --fp32-vae, lower cfg, or use another model.vae")
        else:
            raise EngineError(f"{flight}: {cut(str(trouble.get('node_type', 'a node')), 200)} says: {message}")
        flight.failed = True
        self.patiently(self._server.free)
        self._launch(flight)

    def _leave(self, looks: int) -> None:
        """Ends what this run still has on the server, and nothing else; what is finished there is found again."""
        left = [flight.prompt for flight in self._flying if flight.prompt and flight.fate is None]
        if not left:
            return
        try:
            alone = self._server.version() >= FOR_ONE
            for _ in range(looks):
                self._server.cancel(left, running=alone)
                left = [prompt for prompt in left if self._server.fate(prompt).state in (QUEUED, RUNNING)]
                if not left or not alone:
                    break
                self._events.wait(self._timeouts.reconnect)
        except HostError as error:
            log.warning("%s; what was queued there goes on", error)
            return
        if left and not alone:
            log.warning(
                "this ComfyUI is too old to end one prompt alone; what runs goes on, the rest is out of its queue"
            )
