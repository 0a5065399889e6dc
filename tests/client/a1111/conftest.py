"""A fake server, an engine for it that does not wait long, and a recipe that the server can do by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from remix.client.a1111 import A1111
from remix.client.timeouts import Timeouts
from remix.plan import Recipe
from tests.fakes.a1111_server import A1111Server

QUICK = Timeouts(poll=0.01, status=0.2, idle=0.1, offline=0.3, sleep=lambda seconds: time.sleep(seconds / 200))

PLAIN = {
    "frames": 5,
    "size": [64, 64],
    "steps": 4,
    "model": "both-sd15.safetensors",
    "keyframes": [{"prompt": "a red apple", "seed": 5, "cfg": 3}, {"cfg": 9}],
}

Serve = Callable[..., A1111Server]


def recipe(**changes: Any) -> Recipe:
    """Returns the plain recipe with some fields changed."""
    return Recipe.from_dict({**PLAIN, **changes})


def engine(server: A1111Server, **options: Any) -> A1111:
    """Returns an engine for a server, which does not wait long."""
    return A1111(server.url, **{"timeouts": QUICK, **options})


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts fake servers, and ends them."""
    with ExitStack() as servers:

        def start(*arguments: Any, **options: Any) -> A1111Server:
            server = A1111Server(*arguments, **options)
            servers.enter_context(server.started())
            return server

        yield start
