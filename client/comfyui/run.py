"""One run on a server: submits prompts, watches them, fetches their frames, and resubmits lost prompts."""

from __future__ import annotations

import itertools
import logging
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from remix.client.comfyui.routes import AHEAD, PromptJob
from remix.client.comfyui.server import DONE, FAILED, LOST, QUEUED, RUNNING, PromptStatus, SavedFile, Server
from remix.client.events import Events, Message
from remix.client.statuses import SERVER_ERROR, may_pass, seconds_to_wait
from remix.client.timeouts import Timeouts
from remix.digest import canonical, sha256
from remix.engine import Event, Listener, Picture
from remix.engine.pictures import cropped, verified
from remix.errors import (
    BadReply,
    BlankFrame,
    EngineError,
    HostError,
    HostRefused,
    HostSilent,
    HostUnreachable,
    Interrupted,
    JobLost,
    OutOfMemory,
    WrongSize,
)
from remix.hosts.comfyui.graph import Nodes
from remix.plan import Schedule
from remix.plan.wording import cut

log = logging.getLogger(__name__)

X = TypeVar("X")

MOST_RETRIES = 3
"""Largest number of retries for lost work, and for a prompt that may not have arrived."""

INTERRUPTS_ONE = (0, 3, 64)
"""First ComfyUI version that interrupts a prompt by id. Older versions interrupt any running prompt."""

CANCEL_CHECKS = 10
"""Attempts to confirm that a cancelled prompt has stopped."""

LONGEST_WORDS = 2_000
"""Largest length of a node's error message."""

OUT_OF_MEMORY = ("OutOfMemoryError", "OutOfMemory")
ADVICE = "start the server with --fp32-vae, lower cfg, or use another model.vae"
"""Advice for blank pictures."""

NAMESPACE = uuid.UUID("6f1b7a0e-3c0e-5d6c-9a51-8a1f6f0f2f5e")
"""Namespace of prompt ids. The same work has the same id, so a resumed run finds it."""


class _Stopped(Exception):
    """Signal that a run was cancelled while it waited for a server."""


@dataclass
class PendingPrompt:
    """A prompt on the server: its id, the node that outputs the frames, and its status once it is done."""

    job: PromptJob
    prompt: str = ""
    node: str = ""
    status: PromptStatus | None = None
    attempt: int = 0
    lost: int = 0
    failed: bool = False
    redone: set[int] = field(default_factory=set)

    def __str__(self) -> str:
        if not self.job.frames:
            return "the workflow"
        first, last = self.job.frames[0], self.job.frames[-1]
        return f"frame {first}" if first == last else f"frames {first} to {last}"


class Run:
    """Context manager that renders on a server. On exit, its queued prompts are removed.

    Without a schedule, it runs workflows, see `files`.
    """

    def __init__(
        self,
        server: Server,
        schedule: Schedule | None,
        identity: Mapping[str, str],
        events: Events,
        listen: Listener,
        timeouts: Timeouts,
    ) -> None:
        self.batch = 1
        self.ahead = AHEAD
        self.extra: Mapping[str, Any] = {}
        self.names: Mapping[str, str] = {}
        self._server, self._schedule, self._identity = server, schedule, dict(identity)
        self._events, self._listen, self._timeouts = events, listen, timeouts
        self._cancelled = self._queue_cancelled = False
        self._pending: deque[PendingPrompt] = deque()
        self._heard = time.monotonic()

    def __enter__(self) -> Run:
        self._events.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        try:
            # An immediate stop must not wait for the server.
            self._end_remaining(checks=1 if kind is not None and not issubclass(kind, EngineError) else CANCEL_CHECKS)
        finally:
            self._events.close()

    def cancel(self) -> None:
        """Requests a stop after the running prompt. Safe to call from a signal handler."""
        self._cancelled = True
        self._events.wake()

    def pictures(self, jobs: Iterable[PromptJob]) -> Iterator[Picture]:
        """Yields the pictures of all jobs, in order.

        After `cancel`, yields only prompts that the server has started.
        """
        waiting = iter(jobs)
        try:
            while True:
                if self._cancelled:
                    waiting = iter(())
                    self._cancel_queued()
                for job in itertools.islice(waiting, self.ahead - len(self._pending)):
                    self._pending.append(PendingPrompt(job))  # first, so that it is always cleaned up
                    self._submit(self._pending[-1])
                if not self._pending:
                    return
                pending = self._pending[0]
                for index in pending.job.frames:
                    yield self._frame(pending, index)
                self._pending.popleft()
        except _Stopped:
            return

    def retrying(self, call: Callable[[], X]) -> X:
        """Returns the result of a call.

        Retries while the server is unreachable, for up to `Timeouts.offline` seconds.
        """
        end, pause, bad = time.monotonic() + self._timeouts.offline, self._timeouts.reconnect, 0
        warned = False
        while True:
            try:
                return call()
            except (HostUnreachable, HostSilent, BadReply, HostRefused) as error:
                bad += isinstance(error, BadReply) or getattr(error, "status", 0) == SERVER_ERROR
                if not may_pass(error) or bad >= MOST_RETRIES or time.monotonic() > end:
                    raise
                log.log(logging.INFO if warned else logging.WARNING, "%s (waiting for the server)", error)
                warned, wait = True, seconds_to_wait(error, pause)
            self._stop_if_cancelled()
            self._wait(min(wait, max(end - time.monotonic(), pause)))
            pause = min(2 * pause, self._timeouts.poll)

    def _wait(self, seconds: float) -> None:
        """Waits for `seconds`, or until the run is cancelled."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self._cancelled:
            self._events.wait(left)

    def _stop_if_cancelled(self) -> None:
        if self._cancelled:
            raise _Stopped

    def _cancel_queued(self) -> None:
        """Removes prompts that have not started from the server's queue. Running ones finish and are fetched."""
        if self._queue_cancelled:
            return
        self._queue_cancelled = True
        submitted = [pending for pending in self._pending if pending.prompt]
        self.retrying(
            lambda: self._server.cancel([each.prompt for each in submitted if each.status is None], running=False)
        )
        self._pending = deque(
            pending
            for pending in submitted
            if pending.status is not None or self.retrying(partial(self._server.status, pending.prompt)).state != LOST
        )

    def _submit(self, pending: PendingPrompt, known: Sequence[str] = (QUEUED, RUNNING, DONE)) -> None:
        """Submits a prompt, or finds it on the server, where a killed run may have left it queued, running or done.

        If the server reports a status that is not in `known`, this attempt has ended and the next one starts.
        """
        self._stop_if_cancelled()
        while True:
            nodes = self._graph(pending)
            status = self.retrying(lambda: self._server.status(pending.prompt))
            if status.state == LOST:
                self._send(pending, nodes)
                return
            if status.state in known:
                return
            pending.attempt += 1

    def _graph(self, pending: PendingPrompt) -> Nodes:
        """Returns the graph of this attempt, and sets the prompt's id, which is derived from the graph."""
        bare, _ = pending.job.graph("", self.batch)
        key = sha256(canonical([bare.digest(), self._identity, pending.attempt]).encode())
        pending.prompt = str(uuid.uuid5(NAMESPACE, key))
        pending.status = None
        graph, pending.node = pending.job.graph(key[:10], self.batch)
        return graph.nodes

    def _send(self, pending: PendingPrompt, nodes: Nodes) -> None:
        """Posts a prompt. If the outcome is unknown, checks the prompt's status before it posts again."""
        for left in reversed(range(MOST_RETRIES)):
            try:
                pending.prompt = self._server.submit(pending.prompt, nodes, self.extra)
                return
            except (HostUnreachable, HostSilent, BadReply, HostRefused) as error:
                if not may_pass(error):
                    raise
                if isinstance(error, HostRefused):
                    self._wait(seconds_to_wait(error, self._timeouts.reconnect))
                    self._stop_if_cancelled()
                if self.retrying(lambda: self._server.status(pending.prompt)).state != LOST:
                    return
                if not left:
                    raise

    def _frame(self, pending: PendingPrompt, index: int) -> Picture:
        """Returns a frame. Renders it once more if its file is blank or missing on the server."""
        while True:
            try:
                return self._fetch_frame(pending, index)
            except (HostError, BlankFrame) as error:
                gone = isinstance(error, HostRefused) and error.status == 404
                if gone and index in pending.redone:
                    raise BadReply(
                        f"frame {index}: the server made it twice, and has no file of it ({error})"
                    ) from error
                if not (gone or isinstance(error, BlankFrame | BadReply)) or index in pending.redone:
                    raise
                log.warning("%s; once more", error)
                if isinstance(error, BlankFrame):
                    self.retrying(self._server.free)
            pending.redone.add(index)
            self._submit(pending, (QUEUED, RUNNING))

    def _fetch_frame(self, pending: PendingPrompt, index: int) -> Picture:
        files = self._wait_done(pending).files.get(pending.node, ())
        if pending.job.counts and len(files) not in pending.job.counts:
            few, many = pending.job.counts[0], pending.job.counts[-1]
            raise EngineError(
                f"{pending}: the workflow gives {len(files)} pictures, and its clip has {few} or {many}; change the "
                "number of pictures there, or the clip in the recipe"
            )
        at = index - pending.job.first
        assert self._schedule is not None
        if at >= len(files):
            raise BadReply(f"frame {index}: the server reports {pending} as done, and names {len(files)} files for it")
        recipe = self._schedule.recipe
        size = (recipe.width, recipe.height)
        try:
            picture = self.retrying(lambda: self._server.view(files[at], size if pending.job.exact else None))
        except WrongSize as error:
            raise WrongSize(f"frame {index}: {error}") from error
        if not pending.job.exact:
            picture = cropped(picture, size, index, "workflow")
        return picture if pending.job.blank else verified(picture, self._schedule, index, ADVICE)

    def files(self, job: PromptJob) -> Mapping[str, tuple[SavedFile, ...]]:
        """Runs one job, and returns the files of each node.

        Raises `Interrupted` if the run is cancelled before the job is done.
        """
        pending = PendingPrompt(job)
        self._pending.append(pending)
        try:
            self._submit(pending)
            files = self._wait_done(pending).files
        except _Stopped:
            raise Interrupted("stopped before the server was done") from None
        self._pending.popleft()
        return files

    def upload(self, pictures: Mapping[str, Picture]) -> None:
        """Uploads pictures, and keeps the server's names for theirs as `names`."""
        self.names = {name: self.retrying(partial(self._server.upload, pictures[name])) for name in pictures}

    def size(self, job: PromptJob) -> dict[str, int]:
        """Returns the width and height of a job's first picture, as multiples of 8. Raises `BadReply` without one."""
        _, node = job.graph("", self.batch)
        files = self.files(job).get(node, ())
        if not files:
            raise BadReply("the workflow: the server reports it as done, and names no picture of it")
        height, width = self.retrying(lambda: self._server.view(files[0], None)).shape[:2]
        return {"width": width - width % 8, "height": height - height % 8}

    def _wait_done(self, pending: PendingPrompt) -> PromptStatus:
        """Waits until a prompt is done, and returns its status."""
        while pending.status is None:
            status = self.retrying(lambda: self._server.status(pending.prompt))
            if status.state == DONE:
                pending.status = status
            elif status.state == FAILED:
                self._handle_failure(pending, status.failure)
            elif status.state == LOST:
                self._resend(pending)
            else:
                self._watch(pending, status)
        return pending.status

    def _watch(self, pending: PendingPrompt, status: PromptStatus) -> None:
        """Reports progress messages until the next status request is due."""
        end = time.monotonic() + self._timeouts.poll
        while (left := end - time.monotonic()) > 0:
            messages = self._events.wait(left)
            if self._cancelled:
                self._cancel_queued()
                if pending not in self._pending:
                    raise _Stopped
            if any(message.prompt for message in messages):
                self._heard = time.monotonic()
            for message in messages:
                self._relay(message)
            if any(message.kind in ("end", "lost") for message in messages):
                return
        if status.state == RUNNING and time.monotonic() - self._heard > self._timeouts.silent:
            # A socket that opens before the server notices the end of the previous one never receives messages.
            self._heard = time.monotonic()
            self._events.reopen()

    def _relay(self, message: Message) -> None:
        pending = next((one for one in self._pending if message.prompt in (one.prompt, "")), None)
        if pending is None or message.kind not in ("progress", "preview"):
            return
        frames, total = pending.job.frames, max(message.total, 1)
        frame = frames[min(message.done * len(frames) // total, len(frames) - 1)] if frames else None
        preview = message.picture() if message.kind == "preview" else None
        if preview is not None or message.kind == "progress":
            self._listen(Event("steps", message.done, message.total, frame, preview))

    def _resend(self, pending: PendingPrompt) -> None:
        pending.lost += 1
        if pending.lost > MOST_RETRIES:
            raise JobLost(f"{pending}: the server forgot it {pending.lost} times; look into its log, then run it again")
        log.warning("%s: the server has forgotten it, as after a new start; sending it again", pending)
        self._submit(pending)

    def _handle_failure(self, pending: PendingPrompt, failure: Mapping[str, Any]) -> None:
        """Raises the error of a failed prompt with the node's message, or retries with a smaller batch."""
        message = cut(str(failure.get("exception_message") or "it does not say why").strip(), LONGEST_WORDS)
        kind = str(failure.get("exception_type") or "").rpartition(".")[2]
        if failure.get("kind") == "execution_interrupted":
            raise EngineError(
                f"{pending}: somebody interrupted it on the server; run the same command again to continue"
            )
        if kind in OUT_OF_MEMORY or "Allocation on device" in message:
            if pending.failed:
                raise OutOfMemory(f"{pending}: not even one frame fits into the server's memory; use a smaller size")
            log.warning("%s: the server's memory is full; continuing with one frame at a time", pending)
            self.batch = 1
        elif kind == "BlankFrame":
            raise BlankFrame(f"{message}; start the server with --fp32-vae, lower cfg, or use another model.vae")
        else:
            raise EngineError(f"{pending}: {cut(str(failure.get('node_type', 'a node')), 200)} says: {message}")
        pending.failed = True
        self.retrying(self._server.free)
        self._submit(pending)

    def _end_remaining(self, checks: int) -> None:
        """Cancels the remaining prompts of this run and no others. Finished ones can be found later."""
        left = [pending.prompt for pending in self._pending if pending.prompt and pending.status is None]
        if not left:
            return
        try:
            alone = self._server.version() >= INTERRUPTS_ONE
            for _ in range(checks):
                self._server.cancel(left, running=alone)
                left = [prompt for prompt in left if self._server.status(prompt).state in (QUEUED, RUNNING)]
                if not left or not alone:
                    break
                self._events.wait(self._timeouts.reconnect)
        except HostError as error:
            log.warning("%s; the server still renders what is queued there", error)
            return
        if left and not alone:
            log.warning(
                "this ComfyUI is too old to end one prompt alone; the running prompt finishes, the others were removed "
                "from its queue"
            )
