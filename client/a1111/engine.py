"""The A1111 engine: turns frames into requests and replies into pictures. It sends one request ahead."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from remix.client.a1111.calls import Calls, Request, Stopped, reporting_steps
from remix.client.a1111.payload import PreparedPayload, prepare_payload
from remix.client.a1111.prepared import Prepared, prepare
from remix.client.a1111.replies import read_answer, remarks_in
from remix.client.a1111.scripted import MOST_AT_ONCE
from remix.client.a1111.server import Server
from remix.client.auth import Auth
from remix.client.http import Http
from remix.client.masking import presentable_errors
from remix.client.playground import advice as playground
from remix.client.timeouts import Timeouts
from remix.engine import Capabilities, Engine, Listener, Picture
from remix.engine.agreement import read_differently
from remix.engine.blocks import checked_batch, frames_at_once
from remix.errors import HostError
from remix.plan import Recipe, Schedule, plan

log = logging.getLogger(__name__)

URL = "http://127.0.0.1:7860"
"""Default address of A1111 and Forge."""


class A1111(Engine):
    """Engine that renders on a running A1111 or Forge, started with ``--api``.

    url: the server's address, including any path prefix; auth (for ``--api-auth``), headers, ca, insecure: as in
    `Http`; batch: frames rendered together if the server has the Remix script; None chooses by picture size. Without
    the script, frames are rendered one by one, and recipes that the server's own API cannot render are rejected. The
    server's settings are not changed.
    """

    name = "a1111"

    def __init__(
        self,
        url: str = URL,
        auth: Auth | str | None = None,
        insecure: bool = False,
        batch: int | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        ca: str | os.PathLike[str] | None = None,
        previews: bool = False,
        timeouts: Timeouts | None = None,
    ) -> None:
        self._batch = checked_batch(batch)
        self._previews = previews
        self._timeouts = timeouts or Timeouts()
        connect = partial(Http, url, auth, headers=headers, ca=ca, insecure=insecure)
        self._server = Server(connect, self._timeouts)
        self._cancelled = False
        self._prepared: Prepared | PreparedPayload | None = None
        self._remarked: set[str] = set()
        self._infotexts: dict[int, str] = {}

    def __repr__(self) -> str:
        return f"A1111({self._server.address!r})"

    def capabilities(self, schedule: Schedule) -> Capabilities:
        """Returns the server's capabilities. With the Remix script, it has more.

        Raises `Unsupported` for a model, sampler or scheduler that the server lacks, and `HostError` if it does not
        answer.
        """
        with presentable_errors(self._server.mask):
            own = schedule.recipe.payload is not None
            self._prepared = prepare_payload(self._server, schedule) if own else prepare(self._server, schedule)
            return self._prepared.capabilities

    def _check(self, schedule: Schedule) -> list[str]:
        prepared = self._prepare(schedule)
        if isinstance(prepared, PreparedPayload):
            return prepared.remarks
        return [*prepared.remarks, *playground.remarks(schedule), *read_differently(schedule)]

    def identity(self, schedule: Schedule) -> dict[str, str]:
        """Returns the engine's name and the server's names of the checkpoint, the VAE and the LoRAs.

        Includes the film's prompts, and its first seed, if each frame depends on them.
        """
        return {"engine": self.name, **self._prepare(schedule).identity}

    def defaults(self, recipe: Recipe) -> Mapping[str, Any]:
        """Returns a model's recommended settings; with a payload, its whole numbers, and the size of its pictures."""
        if recipe.payload is None:
            return super().defaults(recipe)
        prepared = self._prepare(plan(recipe))
        assert isinstance(prepared, PreparedPayload)
        return prepared.defaults()

    def texts(self, index: int) -> Mapping[str, str]:
        """Returns the server's infotext of a frame of a payload."""
        return {"parameters": self._server.mask(self._infotexts[index])} if index in self._infotexts else {}

    def batch_size(self, schedule: Schedule) -> int:
        """Returns the number of frames that are sampled together if the server has the Remix script."""
        return self._batch or frames_at_once(schedule.recipe.width, schedule.recipe.height, MOST_AT_ONCE)

    def cancel(self) -> None:
        """Stops a running `render` after the current request, or at once if the server has not begun that."""
        self._cancelled = True

    def close(self) -> None:
        """Closes the connections to the server."""
        self._server.close()

    def render(
        self, schedule: Schedule, frames: Sequence[int], inputs: Mapping[str, Picture], listen: Listener
    ) -> Iterator[Picture]:
        """Yields the pictures of these frames in this order. The next request is sent before a picture is yielded.

        A request whose reply is lost is resent; see `Calls.answer` for the errors if that fails. Raises `WrongModel` if
        another model rendered, and `BlankFrame` if a frame has a single color twice.
        """
        with presentable_errors(self._server.mask):
            yield from self._render(schedule, frames, inputs, listen)

    def _render(
        self, schedule: Schedule, frames: Sequence[int], inputs: Mapping[str, Picture], listen: Listener
    ) -> Iterator[Picture]:
        self._cancelled = False
        prepared = self._prepare(schedule)
        calls = Calls(self._server, self._timeouts, partial(self._try, prepared), lambda: self._cancelled)
        requests = prepared.requests(frames, inputs, self._batch)
        try:
            self._try(prepared, calls)
            call = calls.start_next(requests)
            while call is not None:
                watch = reporting_steps(call.request, listen)
                pictures = calls.answer(call, partial(self._read, prepared), watch, image=self._previews)
                call = None if self._cancelled else calls.start_next(requests)
                yield from pictures
        except HostError as error:
            if not self._cancelled:
                raise
            log.info("%s", error)
        except Stopped:
            return
        finally:
            calls.withdraw()

    def _prepare(self, schedule: Schedule) -> Prepared | PreparedPayload:
        if self._prepared is None or self._prepared.schedule != schedule:
            self.check(schedule)
        assert self._prepared is not None
        return self._prepared

    def _try(self, prepared: Prepared | PreparedPayload, calls: Calls) -> None:
        """Loads the model before the first frame, and ensures that the server's settings are restored.

        Repeated after a lost reply, since the server may have restarted.
        """

        if (trial := prepared.trial()) is None:
            return

        def read(reply: Any, request: Request) -> None:
            prepared.check_model(read_answer(reply, request.where))

        calls.answer(calls.start(trial), read, lambda state: None)

    def _read(self, prepared: Prepared | PreparedPayload, reply: Any, request: Request) -> list[Picture]:
        """Returns the verified pictures of a reply."""
        answer = read_answer(reply, request.where)
        pictures = prepared.pictures(answer, request)
        self._infotexts |= prepared.infotexts(answer, request)
        for remark in remarks_in(answer):
            if remark not in self._remarked:
                self._remarked.add(remark)
                log.warning("%s: %s", request.where, remark)
        self._server.state().refuse_interrupted(request.where)  # the reply does not show it
        return pictures
