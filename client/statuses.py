"""HTTP statuses: which are temporary, how long to wait, and what to do about proxy errors."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

from remix.client.masking import one_line
from remix.errors import HostError, HostRefused, HostUntrusted, WrongSize

GATEWAYS = frozenset({502, 503, 504, *range(520, 531)})
"""Statuses of a proxy or tunnel whose server does not respond."""

GATEWAY_TIMEOUTS = frozenset({504, 524})
"""Statuses of a proxy that gave up waiting. The server may still be working."""

BUSY = frozenset({408, 425, 429})
"""The server asks the client to come back later. The request was not processed."""

SERVER_ERROR = 500
"""An error in the server's code. A retry may succeed; waiting longer does not help."""

LONGEST_WAIT = 60.0
"""Largest accepted Retry-After in seconds."""

ADVICE = {
    407: "the proxy on the way asks for credentials of its own; connect past it",
    413: "the request is too large for the proxy in front of the server; raise its limit (nginx: "
    "client_max_body_size), or connect past it, for example through an SSH tunnel",
    431: "the headers are too long for the proxy in front of the server; use a shorter token",
}
"""Advice for statuses from a proxy."""

_TITLE = re.compile(r"<title\b[^<>]{0,200}>([^<]{1,1000})<", re.IGNORECASE)
"""The title of an HTML page. Proxies put the reason there."""

_MARKUP = re.compile(r"[\s\ufeff]*<")
"""The start of an HTML or XML page. Without a title, nothing of such a page is shown."""


def may_pass(error: HostError) -> bool:
    """Returns whether a server error may be temporary."""
    if isinstance(error, HostUntrusted | WrongSize):
        return False
    return not isinstance(error, HostRefused) or error.status in GATEWAYS | BUSY | {SERVER_ERROR}


def seconds_to_wait(error: HostError, pause: float) -> float:
    """Returns the seconds to wait after an error: the server's Retry-After, but at least `pause`."""
    return max(pause, min(error.after, LONGEST_WAIT)) if isinstance(error, HostRefused) else pause


def retry_after(text: str) -> float:
    """Returns the seconds in a Retry-After header, which is a number or a date, or 0 for anything else.

    >>> retry_after("3"), retry_after(""), retry_after("soon")
    (3.0, 0.0, 0.0)
    """
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return 0.0


def explain(status: int, reason: str, body: Any, mask: Callable[[str], str], has_credentials: bool) -> str:
    """Returns why a server, or its proxy, refused a request, as one line without HTML.

    `body` is the reply, decoded if it is JSON. `reason` is the reason phrase of the status.
    """
    if 300 <= status < 400:
        return "redirects are not followed; give the server's own address"
    if status in GATEWAY_TIMEOUTS:
        return "the proxy in front of the server gave up waiting for it"
    if status in GATEWAYS:
        return "the proxy in front of the server gets no answer from it"
    if status == 401:
        return (
            "the server refused the credentials; check the user, password or token given by --auth or --header"
            if has_credentials
            else "authentication required; pass --auth"
        )
    if status in ADVICE:
        return ADVICE[status]
    if isinstance(body, str) and _MARKUP.match(body):
        title = _TITLE.search(body)
        body = title[1].strip() if title else ""
    shown = one_line(body, mask) or one_line(reason, mask)
    return f"{shown}; write https:// in the address" if status == 400 and "HTTPS port" in shown else shown
