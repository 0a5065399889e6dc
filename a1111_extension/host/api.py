"""Routes of the host's API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modules import script_callbacks

LOGIN_OF = "/sdapi/v1/sd-models"
"""A route of the host whose login, if any, applies to ours too."""


def on_api(path: str, answer: Callable[..., Any]) -> None:
    """Adds a GET route to the host's API as soon as it starts, if it has one."""

    def add(demo: Any, app: Any) -> None:
        for route in app.routes:
            if getattr(route, "path", "") == LOGIN_OF:
                app.add_api_route(path, answer, methods=["GET"], dependencies=route.dependencies)
                return

    script_callbacks.on_app_started(add)
