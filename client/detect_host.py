"""Detects which host a server is: for an address without an engine, and for servers that lack the API of an engine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress

from remix.client.auth import Auth
from remix.client.http import Http
from remix.client.masking import presentable_errors
from remix.errors import BadReply, HostRefused, Unsupported

PROBES: Mapping[str, tuple[str, ...]] = {
    "comfyui": ("/system_stats",),
    "a1111": ("/sdapi/v1/progress", "/internal/ping"),  # the second exists without --api too
}
"""Paths that return a JSON object only on the servers of an engine."""


TIMEOUT = 20.0
"""Timeout of each request of `engine_at` in seconds."""


def engine_at(
    url: str,
    auth: Auth | str | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    ca: str | os.PathLike[str] | None = None,
    insecure: bool = False,
) -> str:
    """Returns the name of the engine for the server at `url`.

    Raises `Unsupported` if the server is not ComfyUI, A1111 or Forge, `HostUnreachable` if nothing answers, and the
    errors of `Http`, such as for missing credentials.
    """
    http = Http(url, auth, headers=headers, ca=ca, insecure=insecure, timeout=TIMEOUT)
    with presentable_errors(http.credentials.mask):
        for engine, paths in PROBES.items():
            for path in paths:
                try:
                    with suppress(BadReply):  # HTML instead of JSON
                        if isinstance(http.get(path), dict):
                            return engine
                except HostRefused as error:
                    if error.status not in (404, 405):
                        raise
        names = " or ".join(f"--engine {engine}" for engine in PROBES)
        raise Unsupported(
            f"{http.address}: neither ComfyUI nor A1111 nor Forge answers there; correct the address, or add {names}"
        )


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
