"""A connection to a ComfyUI: its API, the socket with its messages, and the runs that use both."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from remix.client.comfyui.run import Run
from remix.client.comfyui.server import Server
from remix.client.events import Events
from remix.client.http import Http
from remix.client.masking import presentable_errors
from remix.client.timeouts import Timeouts
from remix.engine import Listener
from remix.plan import Schedule

URL = "http://127.0.0.1:8188"
"""Default address of ComfyUI."""


class Connection:
    """A client of one server, known there by the id `client`. `options` are those of `Http`.

    previews: request previews from the server.
    """

    def __init__(self, url: str, timeouts: Timeouts | None, *, previews: bool = False, **options: Any) -> None:
        self._timeouts, self._previews = timeouts or Timeouts(), previews
        self.client = str(uuid.uuid4())
        self.http = Http(url, timeout=self._timeouts.request, pause=self._timeouts.sleep, **options)
        self.server = Server(self.http, self.client)

    def presentable(self) -> AbstractContextManager[None]:
        """Returns a context manager that hides the credentials in the errors of its block."""
        return presentable_errors(self.http.credentials.mask)

    @contextmanager
    def run(self, schedule: Schedule | None, identity: Mapping[str, str], listen: Listener) -> Iterator[Run]:
        """Yields a run on the server. Its prompts have ids that follow from `identity` and their graphs."""
        events = Events(
            self.http.endpoint("/ws", {"clientId": self.client}),
            previews=self._previews,
            first_pause=self._timeouts.reconnect,
        )
        run = Run(self.server, schedule, identity, events, listen, self._timeouts)
        run.extra = {"preview_method": "latent2rgb"} if self._previews else {}
        with self.presentable(), run:
            yield run

    def close(self) -> None:
        """Closes the connections to the server."""
        self.http.close()
