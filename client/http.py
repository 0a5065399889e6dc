"""HTTP client for servers that render: JSON and pictures, retries, and errors that say what to do.

GET requests are tried three times. A POST is repeated only if no connection was made, since otherwise the server may
have processed it.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any, TypeVar

from remix.client.address import Endpoint, parse_address
from remix.client.auth import Auth, Credentials, read_auth, read_headers
from remix.client.masking import each_text, one_line, presentable_errors, shielded
from remix.client.pictures import decode_picture
from remix.client.statuses import explain, may_pass, retry_after, seconds_to_wait
from remix.client.transport import Reply, Transport, trusted_certificates
from remix.engine import Picture
from remix.errors import BadInput, BadReply, HostError, HostRefused, HostUnreachable

log = logging.getLogger(__name__)

T = TypeVar("T")

TIMEOUT = 60.0
"""Default timeout of a whole call in seconds."""

TEXT_LIMIT = 64 * 2**20
PICTURE_LIMIT = 256 * 2**20
FILE_LIMIT = 2**30
METADATA_LIMIT = 16 * 2**20
"""Bytes of a picture that are not its pixels, such as a workflow."""

MOST_VALUES = 1_000_000
"""Largest number of values in a JSON reply. Empty lists take three bytes each, and a hundred in memory."""

ERROR_LIMIT = 2**16
"""Bytes of an error page that are read."""

PAUSES = (0.5, 2.0)
"""Seconds between tries."""


class Http:
    """A client for one server. A path prefix in `url` is kept; user, password and query are sent as credentials.

    auth: an `Auth`, or a source for `read_auth`; headers: additional headers, name -> source as in `read_headers`; ca:
    a PEM file of trusted certificates, see `trusted_certificates`; timeout: seconds for a whole call. Raises `BadInput`
    if credentials would be sent unencrypted over a network, unless `insecure` is set. Calls raise `HostRefused` and the
    errors of `Transport`. Not thread-safe.
    """

    def __init__(
        self,
        url: str,
        auth: Auth | str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        ca: str | os.PathLike[str] | None = None,
        insecure: bool = False,
        timeout: float = TIMEOUT,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.address, in_url = parse_address(url)
        given = auth if isinstance(auth, Auth) else read_auth(auth)
        if in_url.auth and given:
            raise BadInput(f"url: it has a user, and auth is given too; leave one of them out ({self.address})")
        extra = read_headers(headers)
        if (given or in_url.auth) and "authorization" in (name.lower() for name, _ in extra):
            raise BadInput("header: Authorization is given by --auth or the URL too; leave one of them out")
        self.credentials = Credentials(given or in_url.auth, extra, in_url.query)
        if self.credentials and not self.address.is_secure and not insecure:
            raise BadInput(
                f"url: {self.address} is not encrypted, so anybody on the way could read the credentials; use https, "
                "a tunnel to 127.0.0.1, or --insecure"
            )
        self._certificates = trusted_certificates(ca)
        self._timeout = timeout
        self._pause = pause
        self._transport = Transport(self.address, self.credentials, self._certificates)

    def __repr__(self) -> str:
        return f"Http({str(self.address)!r}, {self.credentials!r})"

    def close(self) -> None:
        """Closes all connections."""
        self._transport.close()

    def abort(self) -> None:
        """Aborts a call in another thread, which raises `HostSilent` there."""
        self._transport.abort()

    def get(
        self,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        timeout: float | None = None,
        limit: int = TEXT_LIMIT,
        retry: bool = True,
    ) -> Any:
        """Returns the JSON reply to a GET. Tries three times, or once without `retry`."""

        def once() -> Any:
            return self._json(self._call("GET", path, timeout, limit, query=query), path)

        return self._repeat(once) if retry else once()

    def post(self, path: str, body: Any, *, timeout: float | None = None, limit: int = TEXT_LIMIT) -> Any:
        """Sends JSON by POST and returns the JSON reply, or None for an empty reply."""
        data = json.dumps(body, allow_nan=False).encode()
        headers = {"Content-Type": "application/json"}
        return self._json(self._send_once(path, timeout, limit, data=data, headers=headers), path)

    def upload(
        self, path: str, fields: Mapping[str, str], name: str, data: bytes, *, timeout: float | None = None
    ) -> Any:
        """Sends a form with `fields` and the file `data` in the field `image`, and returns the JSON reply."""
        form = {"image": (name, data, "application/octet-stream")}
        return self._json(self._send_once(path, timeout, TEXT_LIMIT, data=fields, files=form), path)

    def get_picture(
        self,
        path: str,
        query: Mapping[str, str],
        *,
        size: tuple[int, int] | None = None,
        timeout: float | None = None,
    ) -> Picture:
        """Returns the decoded picture from a GET, uint8 [height, width, 3]. Tries three times.

        `size` is the required width and height. See `decode_picture`.
        """
        limit = PICTURE_LIMIT if size is None else min(PICTURE_LIMIT, largest_picture(*size))

        def once() -> Picture:
            data = self._call("GET", path, timeout, limit, query=query)
            try:
                return decode_picture(data, size)
            except BadReply as error:
                raise BadReply(f"{self.address}{path}: {error}") from error

        return self._repeat(once)

    def get_bytes(self, path: str, query: Mapping[str, str], *, timeout: float | None = None) -> bytes:
        """Returns the bytes from a GET, up to `FILE_LIMIT`. Tries three times."""
        return self._repeat(lambda: self._call("GET", path, timeout, FILE_LIMIT, query=query))

    def endpoint(self, path: str, query: Mapping[str, str]) -> Endpoint:
        """Returns the endpoint of a websocket on this server."""
        pairs = [*query.items(), *self.credentials.query]
        url = self.address.websocket_url(path, pairs)
        return Endpoint(url, self.credentials.all_headers(), self._certificates)

    def shown(self, reply: Any, most: int = 500) -> str:
        """Returns a value from the server as one line for an error message, without secrets."""
        return one_line(reply, self.credentials.mask, most)

    def _json(self, body: bytes, path: str) -> Any:
        if not body:
            return None
        try:
            value = _parsed(body)
            return shielded(value, self.credentials.mask) if self.credentials else value
        except (ValueError, RecursionError) as error:
            shown = self.shown(_text(body), 80)
            reason = f"has more than {MOST_VALUES} values" if isinstance(error, _TooMany) else "is not JSON"
            raise BadReply(f"{self.address}{path}: the answer {reason} ({shown})") from error

    def _repeat(self, call: Callable[[], T]) -> T:
        """Returns the result of a call without side effects on the server. Tries three times."""
        for pause in PAUSES:
            try:
                return call()
            except HostError as error:
                if not may_pass(error):
                    raise
                log.info("%s", error)
                pause = seconds_to_wait(error, pause)
            self._pause(pause)
        return call()

    def _send_once(self, path: str, timeout: float | None, limit: int, **content: Any) -> bytes:
        """Returns the reply to a POST. Retries only while no connection is made."""
        for pause in PAUSES:
            try:
                return self._call("POST", path, timeout, limit, **content)
            except HostUnreachable as error:
                log.info("%s", error)
            self._pause(pause)
        return self._call("POST", path, timeout, limit, **content)

    def _call(self, method: str, path: str, timeout: float | None, limit: int, **content: Any) -> bytes:
        seconds = self._timeout if timeout is None else timeout
        reply = self._transport.send(method, path, timeout=seconds, limit=limit, **content)
        if reply.status != 200:
            raise self._refused(path, reply)
        return reply.body

    def _refused(self, path: str, reply: Reply) -> HostRefused:
        body = self._error_body(reply.body)
        mask = self.credentials.mask
        reason = explain(reply.status, reply.reason, body, mask, bool(self.credentials))
        message = f"{self.address}{path}: {reply.status}: {reason}"
        return HostRefused(message, reply.status, body, retry_after(reply.headers.get("Retry-After", "")))

    def _error_body(self, body: bytes) -> Any:
        """Returns the body of an error reply without secrets: a JSON value, otherwise text."""
        try:
            return each_text(_parsed(body), self.credentials.mask)
        except (ValueError, RecursionError):
            return self.credentials.mask(_text(body))


@contextmanager
def connected(url: str, **options: Any) -> Iterator[Http]:
    """Yields a client of the server at `url`, and closes it. Errors that leave the block contain no credentials.

    `options` are those of `Http`.
    """
    http = Http(url, **options)
    with closing(http), presentable_errors(http.credentials.mask):
        yield http


class _TooMany(ValueError):
    """A JSON text of more than `MOST_VALUES` values."""


def _parsed(body: bytes) -> Any:
    """Returns the value of a JSON text. Raises ValueError or RecursionError if there is none."""
    if sum(map(body.count, (b",", b"[", b"{"))) > MOST_VALUES:
        raise _TooMany
    return json.loads(body)


def largest_picture(width: int, height: int) -> int:
    """Returns the largest size in bytes of a picture file: 16 bits for each of four channels, and its metadata."""
    return 8 * width * height + METADATA_LIMIT


def _text(body: bytes) -> str:
    return body[:ERROR_LIMIT].decode("utf-8", "replace")
