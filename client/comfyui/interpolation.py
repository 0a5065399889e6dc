"""In-betweens by a frame interpolation model of a ComfyUI, RIFE or FILM, with the server's own nodes."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import TypeVar

from remix.client.comfyui.run import MOST_RETRIES
from remix.client.comfyui.server import DONE, FAILED, LOST, SavedFile, Server
from remix.client.statuses import SERVER_ERROR, may_pass, seconds_to_wait
from remix.errors import BadInput, BadReply, EngineError, HostError, JobLost, Unsupported
from remix.hosts.comfyui.editing import spelled
from remix.hosts.comfyui.graph import Graph, Nodes
from remix.motion import Picture
from remix.plan.wording import cut, nearest

X = TypeVar("X")

LOADER, NODE = "FrameInterpolationModelLoader", "FrameInterpolate"
LOADED = "model_name"

MOST = 16
"""The largest `multiplier` of the node: parts into which it divides the time between two pictures."""

MOST_FAILURES = 60
"""Times that a request may fail in a row, for about a minute, as at a proxy whose server restarts."""

POLL, LONGEST_POLL, LONGEST_WORDS = 0.05, 1.0, 500
"""The first and the longest pause between two questions, in seconds; the largest length of a node's error message."""


def parts_of(step: Fraction) -> int:
    """Returns the parts into which in-betweens every `step` pictures divide the time between two pictures.

    Raises BadInput for more than the server's node can make.

    >>> parts_of(Fraction(1, 4)), parts_of(Fraction(12, 30))
    (4, 5)
    """
    if step.denominator > MOST:
        raise BadInput(
            f"--method: a model of ComfyUI divides the time between two pictures into at most {MOST} parts, and this "
            f"rate needs {step.denominator}; give --between up to {MOST - 1}, or another --to-fps"
        )
    return step.denominator


class Interpolation:
    """The model `name` of a server, as a `Method` of `Retimed`, with `parts` from each picture to the next.

    Raises Unsupported for a server without these nodes, and BadInput for a model that it does not have.
    """

    def __init__(self, server: Server, name: str, parts: int, *, pause: Callable[[float], None] = time.sleep) -> None:
        if server.node(LOADER) is None or server.node(NODE) is None:
            raise Unsupported(f"--method: this ComfyUI has no node {NODE}; update it, or leave --method out")
        models = server.choices(LOADER, LOADED)
        if (found := spelled(name, models)) not in models:
            there = nearest(name, models) if models else "it has none in its folder models/frame_interpolation"
            raise BadInput(f"--method: this ComfyUI has no frame interpolation model {name!r}; {there}")
        self.server, self.pause, self.parts = server, pause, parts
        self._name = found

    def __call__(self, first: Picture, second: Picture) -> ServerBetween:
        """Returns what is between two pictures. The server works when the first of it is asked for."""
        return ServerBetween(self, first, second)

    def made(self, first: Picture, second: Picture) -> list[Picture]:
        """Returns the in-betweens of two pictures."""
        graph = Graph()
        names = [self._retried(partial(self.server.upload, picture)) for picture in (first, second)]
        one, two = (graph.one("LoadImage", image=name) for name in names)
        images = graph.one("ImageBatch", image1=one, image2=two)
        model = graph.one(LOADER, **{LOADED: self._name})
        film = graph.one(NODE, interp_model=model, images=images, multiplier=self.parts)
        shown = graph.one("PreviewImage", images=film)
        prompt = self._submitted(graph.nodes)
        try:
            files = self._done(prompt).get(shown.node, ())
        except KeyboardInterrupt:
            self.server.cancel([prompt])
            raise
        if len(files) != self.parts + 1:
            raise EngineError(f"{NODE}: the server made {len(files)} pictures where {self.parts + 1} were expected")
        size = first.shape[1], first.shape[0]
        return [self._retried(partial(self.server.view, file, size)) for file in files[1:-1]]

    def _submitted(self, nodes: Nodes) -> str:
        """Queues a prompt and returns its id. If the answer is lost, sends it again only if it did not arrive."""
        prompt, attempts = str(uuid.uuid4()), itertools.count()

        def attempt() -> str:
            if next(attempts) and self.server.status(prompt).state != LOST:
                return prompt
            return self.server.submit(prompt, nodes, {})

        return self._retried(attempt)

    def _retried(self, call: Callable[[], X]) -> X:
        """Returns the result of a call. Retries while a proxy or the server does not answer.

        An error in the server's code, or a reply that cannot be read, is tried less often.
        """
        pause, bad = POLL, 0
        for _ in range(MOST_FAILURES):
            try:
                return call()
            except HostError as error:
                bad += isinstance(error, BadReply) or getattr(error, "status", 0) == SERVER_ERROR
                if not may_pass(error) or bad >= MOST_RETRIES:
                    raise
                self.pause(seconds_to_wait(error, pause))
                pause = min(2 * pause, LONGEST_POLL)
        return call()

    def _done(self, prompt: str) -> Mapping[str, Sequence[SavedFile]]:
        pause = POLL
        while True:
            status = self._retried(partial(self.server.status, prompt))
            if status.state == DONE:
                return status.files
            if status.state == FAILED:
                message = cut(str(status.failure.get("exception_message", "it says no more")).strip(), LONGEST_WORDS)
                raise EngineError(f"{status.failure.get('node_type', NODE)}: {message}")
            if status.state == LOST:
                raise JobLost("the server lost a prompt with two pictures; run the same command again")
            self.pause(pause)
            pause = min(2 * pause, LONGEST_POLL)


@dataclass
class ServerBetween:
    """The in-betweens of two pictures, made on the server all at once."""

    interpolation: Interpolation
    first: Picture
    second: Picture
    _made: Sequence[Picture] = ()

    def at(self, moments: Sequence[float]) -> list[Picture]:
        """Returns the pictures at `moments`, multiples of one part of the time between the pictures."""
        self._made = self._made or [self.first, *self.interpolation.made(self.first, self.second), self.second]
        return [self._made[round(moment * self.interpolation.parts)] for moment in moments]
