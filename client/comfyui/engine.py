"""The ComfyUI engine: renders the frames of a recipe on a server."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from remix.client.auth import Auth
from remix.client.comfyui.choosing import Choice, choose
from remix.client.comfyui.connection import URL, Connection
from remix.client.comfyui.routes import per_call
from remix.client.comfyui.run import Run
from remix.client.timeouts import Timeouts
from remix.engine import Capabilities, Engine, Listener, Picture
from remix.engine.blocks import checked_batch
from remix.job.inputs import load_inputs
from remix.plan import Recipe, Schedule, plan


class ComfyUI(Engine):
    """Engine that renders on the ComfyUI server at `url`, with the Remix nodes if installed, else built-in nodes.

    auth, headers, ca, insecure: as in `Http`. batch: frames that are sampled together; None chooses by picture size.
    For a recipe with a workflow, prompts that are queued at once. previews: request previews from the server. Raises
    `BadInput` for an invalid address or invalid credentials. Frames that the server already rendered for a run that was
    killed are reused.
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
        self._batch = checked_batch(batch)
        self._connection = Connection(
            url, timeouts, previews=previews, auth=auth, headers=headers, ca=ca, insecure=insecure
        )
        self._run: Run | None = None
        self._chosen: Choice | None = None

    def __repr__(self) -> str:
        return f"ComfyUI({self._connection.http!r})"

    def capabilities(self, schedule: Schedule) -> Capabilities:
        """Returns the capabilities of the route that the schedule will use."""
        self._chosen = None  # the server may have changed since
        return self._choice(schedule).route.capabilities()

    def _check(self, schedule: Schedule) -> list[str]:
        return self._choice(schedule).remarks

    def defaults(self, recipe: Recipe) -> Mapping[str, Any]:
        """Returns a model's recommended settings; with a workflow, its whole numbers, and the size of its pictures.

        The size is that of the first frame. The run that follows finds this frame finished on the server.
        """
        if recipe.workflow is None:
            return super().defaults(recipe)
        schedule = plan(recipe)
        route = self._choice(schedule).route
        if not {"width", "height"} & recipe.defaulted:
            return route.defaults()
        with self._started(schedule, load_inputs(recipe), lambda event: None) as run:
            return {**route.defaults(), **run.size(next(route.jobs([0], run.batch, run.names)))}

    def identity(self, schedule: Schedule) -> dict[str, str]:
        """Returns the engine's name, and the server's names, sizes and ages of the model files.

        Includes the film's prompts if each frame depends on all of them.
        """
        with self._connection.presentable():
            return {"engine": self.name, **self._choice(schedule).route.identity()}

    def batch_size(self, schedule: Schedule) -> int:
        """Returns the number of frames that are sampled together if the server has the Remix nodes."""
        return per_call(schedule.recipe, self._batch)

    def cancel(self) -> None:
        """Stops a running `render` after the current prompt. Prompts that it has queued are removed."""
        if self._run is not None:
            self._run.cancel()

    def close(self) -> None:
        """Closes the connections to the server."""
        self._connection.close()

    def render(
        self, schedule: Schedule, frames: Sequence[int], inputs: Mapping[str, Picture], listen: Listener
    ) -> Iterator[Picture]:
        """Yields the pictures of these frames in this order.

        Raises `HostUnreachable` if the server stays unreachable, `JobLost` if it loses the same prompt repeatedly,
        `WorkflowRejected`, `OutOfMemory`, `BlankFrame`, or `EngineError` with the message of the node that failed.
        """
        with self._started(schedule, inputs, listen) as run:
            yield from run.pictures(self._choice(schedule).route.jobs(frames, run.batch, run.names))

    def texts(self, index: int) -> Mapping[str, str]:
        """Returns the graph of a frame of the recipe's own workflow, with which ComfyUI opens it."""
        return self._chosen.route.texts(index, self._run.names) if self._chosen and self._run else {}

    @contextmanager
    def _started(self, schedule: Schedule, inputs: Mapping[str, Picture], listen: Listener) -> Iterator[Run]:
        """Yields a run whose `inputs` are on the server."""
        with self._connection.run(schedule, self.identity(schedule), listen) as self._run:
            self._run.batch, self._run.ahead = self._choice(schedule).route.at_once(self._batch)
            self._run.upload(inputs)
            yield self._run

    def _choice(self, schedule: Schedule) -> Choice:
        """Returns the route for a schedule, chosen once per run, and remarks."""
        if self._chosen is None or self._chosen.schedule != schedule:
            with self._connection.presentable():
                self._chosen = choose(self._connection.server, schedule)
        return self._chosen
