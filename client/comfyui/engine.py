"""The ComfyUI engine: a recipe's frames, made by a server."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from remix.catalog.samplers import require_sampler
from remix.catalog.schedulers import require_scheduler
from remix.client.auth import Auth
from remix.client.batches import checked_batch
from remix.client.comfyui.names import Names
from remix.client.comfyui.routes import Bare, Route, Through, at_once
from remix.client.comfyui.run import Run
from remix.client.comfyui.server import Server
from remix.client.events import Events
from remix.client.http import Http
from remix.client.masking import presentable_errors
from remix.client.prompts import refuse_lora_tags, refuse_over_steps
from remix.client.timeouts import Timeouts
from remix.engine import Listener, Picture
from remix.engine.agreement import read_differently
from remix.errors import Unsupported
from remix.plan import Schedule, prompts_of

URL = "http://127.0.0.1:8188"
"""Where ComfyUI listens when it is not told otherwise."""


class ComfyUI:
    """Renders on the ComfyUI server at `url`: through the Remix nodes where it has them, else through its own.

    auth, headers, ca, insecure: as in `Http`; batch: frames that are sampled together, None chooses by picture size;
    previews: ask the server for pictures in the making. Raises `BadInput` for an address or credentials that cannot
    be used. What the server has rendered already, for a run
    that was killed, is found and not rendered again.
    """

    name = "comfyui"

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
        self._timeouts = timeouts or Timeouts()
        self._client = str(uuid.uuid4())
        self._http = Http(
            url,
            auth,
            headers=headers,
            ca=ca,
            insecure=insecure,
            timeout=self._timeouts.request,
            pause=self._timeouts.sleep,
        )
        self._server = Server(self._http, self._client)
        self._batch = checked_batch(batch)
        self._previews = previews
        self._run: Run | None = None

    def __repr__(self) -> str:
        return f"ComfyUI({self._http!r})"

    def check(self, schedule: Schedule) -> list[str]:
        """Returns remarks; raises `Unsupported`, naming the field, for what this server cannot do."""
        with presentable_errors(self._http.credentials.mask):
            return self._check(schedule)

    def _check(self, schedule: Schedule) -> list[str]:
        prompts, recipe = prompts_of(schedule.recipe), schedule.recipe
        refuse_lora_tags(prompts)
        refuse_over_steps(prompts, self.name)
        require_sampler(recipe.sampler, self._server.choices("KSampler", "sampler_name"), "the server")
        require_scheduler(recipe.scheduler, self._server.choices("KSampler", "scheduler"), "the server")
        _, remarks = self._route(schedule)
        return [*remarks, *read_differently(recipe)]

    def identity(self, schedule: Schedule) -> dict[str, str]:
        """Returns the engine's name, and the server's names of the model's files with their sizes and ages."""
        with presentable_errors(self._http.credentials.mask):
            return {"engine": self.name, **Names.find(self._server, schedule).identity(self._server)}

    def cancel(self) -> None:
        """Asks a running `render` to end after the prompt at work; what this run has queued behind it is taken out."""
        if self._run is not None:
            self._run.cancel()

    def render(
        self, schedule: Schedule, frames: Sequence[int], inputs: Mapping[str, Picture], listen: Listener
    ) -> Iterator[Picture]:
        """Yields the pictures of these frames in this order.

        Raises `HostUnreachable` when the server stays away, `JobLost` when it forgets the same work again and again,
        `WorkflowRejected`, `OutOfMemory`, `BlankFrame`, or `EngineError` with the words of the node that failed.
        """
        with presentable_errors(self._http.credentials.mask):
            route, _ = self._route(schedule)
            with Run(self._server, schedule, self.identity(schedule), self._events(), listen, self._timeouts) as run:
                self._run = run
                run.batch = self._batch or at_once(schedule)
                run.extra = {"preview_method": "latent2rgb"} if self._previews else {}
                uploaded = {name: run.patiently(partial(self._server.upload, inputs[name])) for name in inputs}
                yield from run.pictures(route.pieces(frames, run.batch, uploaded))

    def _events(self) -> Events:
        endpoint = self._http.endpoint("/ws", {"clientId": self._client})
        return Events(endpoint, previews=self._previews, first_pause=self._timeouts.reconnect)

    def _route(self, schedule: Schedule) -> tuple[Route, list[str]]:
        """The way that gives these frames, the one through our nodes if it can; `Unsupported` where neither can."""
        names = Names.find(self._server, schedule)
        through = Through(self._server, schedule, names)
        try:
            return through, through.check()
        except Unsupported as error:
            bare = Bare(self._server, schedule, names)
            try:
                remarks = bare.check()
            except Unsupported as other:
                if self._server.node("RemixRender") is None:
                    raise
                raise Unsupported(f"{error}; and frame by frame, {other}") from other
            return bare, [f"{error}; it goes frame by frame through the server's own nodes", *remarks]
