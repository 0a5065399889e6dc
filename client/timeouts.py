"""How long an engine waits for a server."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from remix.client.http import TIMEOUT


@dataclass(frozen=True)
class Timeouts:
    """Timeouts in seconds, and the number of attempts of a render request.

    poll: between two status requests.
    request: timeout of a request that does not render.
    status: timeout of a status request.
    offline: how long to wait for a server that does not answer at all.
    idle: after this long without work, the server is assumed to have dropped the request.
    silent: a websocket without messages for this long is reopened while the server works.
    reconnect: before a websocket is first reopened.
    sends: largest number of attempts of a render request.
    sleep: waits between two attempts.
    """

    poll: float = 2.0
    request: float = TIMEOUT
    status: float = 10.0
    offline: float = 300.0
    idle: float = 30.0
    silent: float = 30.0
    reconnect: float = 0.5
    sends: int = 3
    sleep: Callable[[float], None] = time.sleep
