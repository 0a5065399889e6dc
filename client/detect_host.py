"""Recognizes which host a server is, if it does not have what an engine asks for."""

from __future__ import annotations

from collections.abc import Mapping

from remix.client.http import Http
from remix.errors import BadReply, HostRefused

PROBES: Mapping[str, tuple[str, ...]] = {
    "comfyui": ("/system_stats",),
    "a1111": ("/sdapi/v1/progress", "/internal/ping"),  # the second exists without --api too
}
"""Paths that only the servers of an engine answer with a table."""


def is_there(http: Http, engine: str) -> bool:
    """Returns whether a server is one that `engine` drives."""
    return any(_answers(http, path) for path in PROBES[engine])


def _answers(http: Http, path: str) -> bool:
    try:
        return isinstance(http.get(path), dict)
    except BadReply:  # a page where JSON was expected
        return False
    except HostRefused as error:
        return error.status == 401  # it exists, and asks for credentials
