"""The ComfyUI engine: renders the frames of a recipe on a server."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from remix.client.auth import Auth
from remix.client.comfyui.names import Names
from remix.client.comfyui.own_workflow import OwnWorkflow
from remix.client.comfyui.routes import RemixNodes, Route, StockNodes
from remix.client.comfyui.run import Run
from remix.client.comfyui.server import Server
from remix.client.events import Events
from remix.client.http import Http
from remix.client.masking import presentable_errors
from remix.client.playground import advice as playground
from remix.client.timeouts import Timeouts
from remix.engine import Capabilities, Engine, Listener, Picture
from remix.engine.agreement import read_differently
from remix.engine.blocks import checked_batch, frames_at_once
from remix.engine.tags import with_tags_applied
from remix.errors import Unsupported
from remix.job import input_hashes
from remix.motion import load_picture
from remix.plan import Recipe, Schedule, plan

URL = "http://127.0.0.1:8188"
"""Default address of ComfyUI."""


MOST_AT_ONCE = 8
"""Largest default batch: frames that are sampled together."""


class ComfyUI(Engine):
    """Engine that renders on the ComfyUI server at `url`, with the Remix nodes if installed, else built-in nodes.

    auth, headers, ca, insecure: as in `Http`. batch: frames that are sampled together; None chooses by picture size.
    For a recipe with a workflow, prompts that are queued at once.
    previews: request previews from the server. Raises `BadInput` for an invalid address or invalid credentials. Frames
    that the server already rendered for a run that was killed are reused.
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
        self._chosen: tuple[Schedule, Route, list[str]] | None = None

    def __repr__(self) -> str:
        return f"ComfyUI({self._http!r})"

    def capabilities(self, schedule: Schedule) -> Capabilities:
        """Returns the capabilities of the route that the schedule will use."""
        with presentable_errors(self._http.credentials.mask):
            return self._choose(schedule)[0].capabilities()

    def _check(self, schedule: Schedule) -> list[str]:
        with presentable_errors(self._http.credentials.mask):
            remarks = self._route(schedule)[1]
        if schedule.recipe.workflow is not None:
            return remarks
        return [*remarks, *playground.remarks(schedule), *read_differently(schedule)]

    def defaults(self, recipe: Recipe) -> Mapping[str, Any]:
        """Returns a model's recommended settings; with a workflow, the size of its pictures, from the first frame.

        The run that follows finds this frame finished on the server.
        """
        if recipe.workflow is None:
            return super().defaults(recipe)
        if not {"width", "height"} & recipe.defaulted:
            return {}
        schedule = plan(recipe)
        self.check(schedule)
        inputs = {name: load_picture(Path(recipe.folder, name)) for name in input_hashes(recipe)}
        with presentable_errors(self._http.credentials.mask):
            route, _ = self._route(schedule)
            with self._started(schedule, inputs, lambda event: None) as (run, uploaded):
                width, height = run.size(next(iter(route.jobs([0], run.batch, uploaded))))
        return {"width": width - width % 8, "height": height - height % 8}

    def identity(self, schedule: Schedule) -> dict[str, str]:
        """Returns the engine's name, and the server's names, sizes and ages of the model files.

        Includes the film's prompts if each frame depends on all of them.
        """
        with presentable_errors(self._http.credentials.mask):
            route = self._route(schedule)[0]
            return {"engine": self.name, **route.identity()}

    def batch_size(self, schedule: Schedule) -> int:
        """Returns the number of frames that are sampled together if the server has the Remix nodes."""
        return self._batch or frames_at_once(schedule.recipe.width, schedule.recipe.height, MOST_AT_ONCE)

    def cancel(self) -> None:
        """Stops a running `render` after the current prompt. Prompts that it has queued are removed."""
        if self._run is not None:
            self._run.cancel()

    def close(self) -> None:
        """Closes the connections to the server."""
        self._http.close()

    def render(
        self, schedule: Schedule, frames: Sequence[int], inputs: Mapping[str, Picture], listen: Listener
    ) -> Iterator[Picture]:
        """Yields the pictures of these frames in this order.

        Raises `HostUnreachable` if the server stays unreachable, `JobLost` if it loses the same prompt repeatedly,
        `WorkflowRejected`, `OutOfMemory`, `BlankFrame`, or `EngineError` with the message of the node that failed.
        """
        with presentable_errors(self._http.credentials.mask):
            route, _ = self._route(schedule)
            with self._started(schedule, inputs, listen) as (run, uploaded):
                yield from run.pictures(route.jobs(frames, run.batch, uploaded))

    @contextmanager
    def _started(
        self, schedule: Schedule, inputs: Mapping[str, Picture], listen: Listener
    ) -> Iterator[tuple[Run, Mapping[str, str]]]:
        """Returns a context manager for a run, with the server's names of the `inputs`, which it uploads."""
        with Run(self._server, schedule, self.identity(schedule), self._events(), listen, self._timeouts) as run:
            self._run = run
            if schedule.recipe.workflow is not None:
                run.ahead = self._batch or run.ahead
            else:
                run.batch = self.batch_size(schedule)
            run.extra = {"preview_method": "latent2rgb"} if self._previews else {}
            yield run, {name: run.retrying(partial(self._server.upload, inputs[name])) for name in inputs}

    def _events(self) -> Events:
        endpoint = self._http.endpoint("/ws", {"clientId": self._client})
        return Events(endpoint, previews=self._previews, first_pause=self._timeouts.reconnect)

    def _route(self, schedule: Schedule) -> tuple[Route, list[str]]:
        """Returns the route for a schedule, chosen once per run, and remarks."""
        if self._chosen is None or self._chosen[0] != schedule:
            self._chosen = (schedule, *self._choose(schedule))
        return self._chosen[1:]

    def _choose(self, schedule: Schedule) -> tuple[Route, list[str]]:
        """Returns the route of the Remix nodes if it can render a schedule, otherwise that of the built-in nodes.

        A recipe with a workflow uses that. Raises `Unsupported` if none can."""
        if schedule.recipe.workflow is not None:
            own = OwnWorkflow(self._server, schedule)
            return own, own.check()
        schedule = with_tags_applied(schedule)
        names = Names.find(self._server, schedule)
        remix_nodes = RemixNodes(self._server, schedule, names)
        try:
            return remix_nodes, remix_nodes.check()
        except Unsupported as error:
            stock_nodes = StockNodes(self._server, schedule, names)
            try:
                remarks = stock_nodes.check()
            except Unsupported as other:
                if self._server.node("RemixRender") is None:
                    raise
                raise (
                    error if str(other) == str(error) else Unsupported(f"{error}; and frame by frame, {other}")
                ) from other
            return stock_nodes, [f"{error}; frames are rendered one by one on the server's own nodes", *remarks]
