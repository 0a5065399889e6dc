"""The workflow of the request that the host is checking: the other widgets of a node whose text it checks.

The host reports an error once for each widget that a node's check reads, so a check reads the text alone and finds the
others here. This file has no nodes.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from server import PromptServer

_queued: ContextVar[Any] = ContextVar("queued", default=None)
"""The prompt of the request. Each request is checked in a context of its own."""


def remember(request: dict[str, Any]) -> dict[str, Any]:
    """Remembers the prompt of a request, and returns the request unchanged. The host calls this before its checks."""
    _queued.set(request.get("prompt"))
    return request


def widget(node: type[Any], name: str) -> Any:
    """Returns the value of a widget of the node that is checked, None if it is unknown or connected."""
    prompt, number = _queued.get(), getattr(getattr(node, "hidden", None), "unique_id", None)
    found = prompt.get(number) if isinstance(prompt, dict) else None
    value = found.get("inputs", {}).get(name) if isinstance(found, dict) else None
    return None if isinstance(value, list) else value


def add_handler() -> None:
    """Lets the host pass its requests to `remember`. Must run before the server starts."""
    PromptServer.instance.add_on_prompt_handler(remember)
