"""Which tool a server is, where it does not have what an engine asks for."""

from __future__ import annotations

from collections.abc import Mapping

from remix.client.http import Http
from remix.errors import BadReply, HostRefused

SIGNS: Mapping[str, tuple[str, ...]] = {
    "comfyui": ("/system_stats",),
    "a1111": ("/sdapi/v1/progress", "/internal/ping"),  # the second is there without --api too
}
"""What the servers that an engine drives answer, and no others do."""


def is_there(http: Http, engine: str) -> bool:
    """Returns whether a server is one that `engine` drives."""
    return any(_has(http, path) for path in SIGNS[engine])


def _has(http: Http, path: str) -> bool:
    try:
        return isinstance(http.get(path), dict)
    except BadReply:  # a page where JSON was expected
        return False
    except HostRefused as error:
        return error.status == 401  # it is there, and wants to know who asks
