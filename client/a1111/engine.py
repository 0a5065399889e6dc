"""The A1111 engine: a recipe's frames to requests, and answers to pictures, one request ahead of what is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from remix.client.a1111 import plain, scripted
from remix.client.a1111.calls import Call, Calls, Pace, Request
from remix.client.a1111.replies import check_answer, check_model, pictures_in, read_answer
from remix.client.a1111.server import Server, State
from remix.client.a1111.settings import as_they_are, check_lossless, doubts, overrides
from remix.client.a1111.stock import Choice, Stock, choose
from remix.client.auth import Auth
from remix.client.batches import checked_batch
from remix.client.masking import errors_masked
from remix.engine import Event, Listener, Picture
from remix.engine.agreement import read_differently
from remix.errors import Interrupted
from remix.plan import Schedule

URL = "http://127.0.0.1:7860"
"""Where A1111 and Forge are when nobody says otherwise."""


@dataclass(frozen=True)
class Prepared:
    """What a schedule means on the server: its stock, what of it is chosen, and the settings of each request."""

    schedule: Schedule
    stock: Stock
    choice: Choice
    settings: Mapping[str, Any]

    @property
    def scripted(self) -> bool:
        """Whether the server has the Remix script."""
        return scripted.NAME in self.stock.scripts


class A1111:
    """Renders on a running A1111 or Forge, whose API is on (``--api``).

    url: the server's address, a path prefix included; auth: who asks, as `read_auth` reads it, or an `Auth`
    (``--api-auth``); insecure: send that over plain http; batch: frames at once where the server has the Remix
    script, None chooses by picture size. Without the script frames are rendered one by one, and what the server's
    own API cannot do as a recipe means it is refused. The server's settings are left as they are.
    """

    name = "a1111"

    def __init__(
        self,
        url: str = URL,
        auth: Auth | str | None = None,
        insecure: bool = False,
        batch: int | None = None,
        *,
        previews: bool = False,
        pace: Pace | None = None,
    ) -> None:
        self._batch = checked_batch(batch)
        self._previews = previews
        self._pace = pace or Pace()
        self._server = Server(
            url, auth, insecure=insecure, pause=self._pause, beside=self._pace.beside, ask=self._pace.ask
        )
        self._cancelled = False
        self._prepared: Prepared | None = None

    def __repr__(self) -> str:
        return f"A1111({self._server.address!r})"

    def _pause(self, seconds: float) -> None:
        """Waits between two tries: as long as `Http` says at the usual pace, and less at a quicker one."""
        time.sleep(seconds * self._pace.poll / Pace.poll)

    def check(self, schedule: Schedule) -> list[str]:
        """Returns remarks; raises `Unsupported`, naming the field, for what this server does not have or cannot do.

        HostError where the server cannot be asked.
        """
        with errors_masked(self._server.masked):
            return self._check(schedule)

    def _check(self, schedule: Schedule) -> list[str]:
        stock = self._server.stock()
        check_lossless(stock)
        choice = choose(stock, schedule)
        settings = overrides(stock, choice, schedule.recipe.model.clip_skip)
        self._prepared = Prepared(schedule, stock, choice, settings)
        remarks = [] if self._prepared.scripted else plain.check(schedule)
        return [*remarks, *doubts(stock, schedule.recipe.model.clip_skip), *read_differently(schedule.recipe)]

    def identity(self, schedule: Schedule) -> dict[str, str]:
        """Returns the engine's name and the server's names of the checkpoint, the VAE and the LoRAs."""
        choice = self._prepare(schedule).choice
        loras = {f"lora {number + 1}": name for number, name in enumerate(choice.loras.values())}
        vae = {"vae": choice.vae} if choice.vae else {}
        return {"engine": self.name, "checkpoint": choice.checkpoint.name, **vae, **loras}

    def cancel(self) -> None:
        """Asks a running `render` to end after the request at hand."""
        self._cancelled = True

    def render(
        self, schedule: Schedule, frames: Sequence[int], inputs: Mapping[str, Picture], listen: Listener
    ) -> Iterator[Picture]:
        """Yields the pictures of these frames in this order; the next request is sent before they are taken.

        An answer that is lost is waited for and asked again; see `Calls.answer` for what is raised when that does
        not help. `WrongModel` when another model rendered, `BlankFrame` for a frame of one colour, twice.
        """
        with errors_masked(self._server.masked):
            yield from self._render(schedule, frames, inputs, listen)

    def _render(
        self, schedule: Schedule, frames: Sequence[int], inputs: Mapping[str, Picture], listen: Listener
    ) -> Iterator[Picture]:
        self._cancelled = False
        prepared = self._prepare(schedule)
        calls = Calls(self._server, self._pace, partial(self._try, prepared))
        requests = iter(self._requests(prepared, frames, inputs))
        try:
            self._try(prepared, calls)
            call = self._start(calls, requests)
            while call is not None:
                pictures = calls.answer(
                    call, partial(self._read, prepared), self._watch(call.request, listen), image=self._previews
                )
                call = None if self._cancelled else self._start(calls, requests)
                yield from pictures
        finally:
            calls.withdraw()

    def _prepare(self, schedule: Schedule) -> Prepared:
        if self._prepared is None or self._prepared.schedule != schedule:
            self.check(schedule)
        assert self._prepared is not None
        return self._prepared

    def _requests(self, prepared: Prepared, frames: Sequence[int], inputs: Mapping[str, Picture]) -> Iterator[Request]:
        schedule, stock, choice, settings = prepared.schedule, prepared.stock, prepared.choice, prepared.settings
        if prepared.scripted:
            yield from scripted.requests(schedule, frames, stock, choice, settings, inputs, self._batch)
            return
        for index in frames:
            yield plain.request(schedule, index, choice, settings, inputs)

    def _try(self, prepared: Prepared, calls: Calls) -> None:
        """Loads the model before the first frame, and makes sure that settings will be put back.

        Done again where an answer was lost: it may be that the server was started anew.
        """
        settings = as_they_are(prepared.stock, prepared.settings)
        request = plain.trial(settings, plain.seconds(prepared.schedule, 1))

        def read(reply: Any, request: Request) -> None:
            check_model(read_answer(reply, request.where), prepared.choice)

        calls.answer(calls.start(request), read, lambda state: None)

    @staticmethod
    def _start(calls: Calls, requests: Iterator[Request]) -> Call | None:
        request = next(requests, None)
        return None if request is None else calls.start(request)

    def _read(self, prepared: Prepared, reply: Any, request: Request) -> list[Picture]:
        """The pictures of an answer, each verified."""
        answer = read_answer(reply, request.where)
        check_answer(answer, prepared.schedule, prepared.choice)
        # Only the state tells that somebody ended it in the middle, and only until the next request.
        state = self._server.state()
        if state.interrupted or state.skipped:
            raise Interrupted(
                f"{request.where}: somebody at the server interrupted it; what is finished is kept, run the same again"
            )
        return pictures_in(answer, request.frames, prepared.schedule)

    def _watch(self, request: Request, listen: Listener) -> Callable[[State], None]:
        def watch(state: State) -> None:
            if state.steps:
                listen(Event("steps", state.step, state.steps, frame=request.frames[0], preview=state.preview()))

        return watch
