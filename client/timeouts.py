"""How long an engine waits for its server."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from remix.client.http import TIMEOUT


@dataclass(frozen=True)
class Timeouts:
    """Times in seconds, and how often a request that renders is sent.

    poll: between two looks at the work.
    request: for a request that does not render.
    status: for a request that asks how the work stands.
    offline: a server that does not answer at all is waited for this long.
    idle: a server that has nothing to do for this long will not answer a request any more.
    silent: a websocket that says nothing for this long while the server works is opened again.
    reconnect: before a websocket is opened again, at first.
    sends: times that a request that renders is sent at most.
    sleep: waits between two tries.
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
