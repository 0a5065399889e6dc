"""Detects which host a server is, for servers that lack the API of an engine."""

from __future__ import annotations

from collections.abc import Mapping

from remix.client.http import Http
from remix.errors import BadReply, HostRefused

PROBES: Mapping[str, tuple[str, ...]] = {
    "comfyui": ("/system_stats",),
    "a1111": ("/sdapi/v1/progress", "/internal/ping"),  # the second exists without --api too
}
"""Paths that return a JSON object only on the servers of an engine."""


def is_there(http: Http, engine: str) -> bool:
    """Returns whether `engine` can use a server."""
    return any(_answers(http, path) for path in PROBES[engine])


def _answers(http: Http, path: str) -> bool:
    try:
        return isinstance(http.get(path), dict)
    except BadReply:  # HTML instead of JSON
        return False
    except HostRefused as error:
        return error.status == 401  # the path exists and requires credentials
