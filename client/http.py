"""HTTP with a server that renders: the only file that imports requests.

Every call has a deadline for the whole of it, whatever the server drips. Redirects are errors. What comes is capped,
counted against what was announced, and decoded before anybody uses it. Connections that were never made are tried
again, and so are GETs; nothing else is, because it may have been done.
"""

from __future__ import annotations

import io
import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

from remix import __version__
from remix.client.address import take_apart
from remix.client.auth import Auth, read_auth
from remix.client.masking import each_text, shielded
from remix.engine import Picture
from remix.errors import (
    BadInput,
    BadReply,
    HostError,
    HostRefused,
    HostSilent,
    HostUnreachable,
    PictureError,
)
from remix.motion import load_picture
from remix.plan.wording import printable

log = logging.getLogger(__name__)

CONNECT = 5.0
"""Seconds in which a server has to take a connection."""

WITHIN = 60.0
"""Seconds in which a whole call has to be over, where nobody says otherwise."""

TEXT_LIMIT = 64 * 2**20
PICTURE_LIMIT = 256 * 2**20
WORDS = 2**16
"""How many bytes are read of what a server says in place of an answer."""

PAUSES = (0.5, 2.0)
"""Seconds between tries."""

GATEWAYS = frozenset({502, 503, 504, *range(520, 531)})
"""What a proxy or tunnel in front of the server says when the server does not answer it."""

BUSY = frozenset({408, 425, 429})
"""The server asks the client to come back later. The request was not processed."""

SERVER_ERROR = 500
"""An error in the server's own code. The next try may succeed; longer waiting does not help."""

LONGEST_WAIT = 60.0
"""The most seconds that a server may ask to wait (Retry-After)."""

ADVICE = {
    407: "the proxy on the way asks for credentials of its own; connect past it",
    413: "what is sent is too large for the proxy in front of the server; raise its limit (nginx: "
    "client_max_body_size), or connect past it, for example through an SSH tunnel",
    431: "the proxy in front of the server takes no headers of this length; use a shorter token",
}
"""What to do about a status that a proxy gives."""


class Http:
    """One server, by its base address; a path prefix in it is kept, user and password in it are moved out.

    `auth` is an `Auth`, or where `read_auth` finds one; `within` is how many seconds a whole call may take where it
    does not say itself. Raises `BadInput` where a secret would be sent readable over
    a network, unless `insecure`. Errors that calls raise: `HostUnreachable`, `HostSilent`, `BadReply`, `HostRefused`.
    Proxies and ~/.netrc of the environment are not used. One thread at a time.
    """

    def __init__(
        self,
        url: str,
        auth: Auth | str | None = None,
        *,
        insecure: bool = False,
        within: float = WITHIN,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.address, own = take_apart(url)
        self.auth = auth if isinstance(auth, Auth) else read_auth(auth)
        if own and self.auth:
            raise BadInput(f"url: it holds a user, and auth is given too; leave one of them out ({self.address})")
        self.auth = self.auth or own
        if self.auth and not self.address.is_private and not insecure:
            raise BadInput(
                f"url: {self.address} would be sent a secret that anybody on the way can read; use https, a tunnel to "
                "127.0.0.1, or --insecure"
            )
        self._within = within
        self._pause = pause
        self._session = _session(self.auth)
        self._socket: Any = None

    def __repr__(self) -> str:
        return f"Http({str(self.address)!r}, {self.auth!r})"

    def close(self) -> None:
        """Closes all connections."""
        self._session.close()

    def give_up(self) -> None:
        """Ends a call that another thread is waiting on, with its connection: it gets `HostSilent`."""
        if (socket := self._socket) is not None:
            _shut(socket)
        self._session.close()

    def get(self, path: str, query: Mapping[str, str] | None = None, *, within: float | None = None) -> Any:
        """Returns the JSON of a GET, tried three times."""
        return self._again(lambda: self._json(self._call("GET", path, within, TEXT_LIMIT, query=query), path))

    def post(self, path: str, body: Any, *, within: float | None = None, limit: int = TEXT_LIMIT) -> Any:
        """Returns the JSON that a POST of JSON is answered with, None for an empty answer; sent once at most."""
        data = json.dumps(body, allow_nan=False).encode()
        headers = {"Content-Type": "application/json"}
        return self._json(self._once("POST", path, within, limit, data=data, headers=headers), path)

    def upload(
        self, path: str, fields: Mapping[str, str], name: str, data: bytes, *, within: float | None = None
    ) -> Any:
        """Returns the JSON that is answered to a form with `fields` and the file `data`, its field called `image`."""
        form = {"image": (name, data, "application/octet-stream")}
        return self._json(self._once("POST", path, within, TEXT_LIMIT, fields=fields, files=form), path)

    def picture(self, path: str, query: Mapping[str, str], *, within: float | None = None) -> Picture:
        """Returns the picture of a GET, whole and decoded, uint8 [height, width, 3]; tried three times."""

        def once() -> Picture:
            data = self._call("GET", path, within, PICTURE_LIMIT, query=query)
            try:
                return load_picture(io.BytesIO(data))
            except PictureError as error:
                raise BadReply(f"{self._at(path)}: {len(data)} bytes that are no whole picture ({error})") from error

        return self._again(once)

    def told(self, said: Any, most: int = 500) -> str:
        """Returns what a server said, a text or a JSON value, on one line of at most `most` characters.

        It has *** in place of the secret, and escapes in place of what a terminal would obey.
        """
        try:
            masked = each_text(said, self.auth.masked)
            text = masked if isinstance(masked, str) else json.dumps(masked, ensure_ascii=False)
        except RecursionError:
            return "something that is nested too deeply"
        flat = " ".join(printable(text).split())
        return flat if len(flat) <= most else f"{flat[: most - 3]}..."

    def _json(self, body: bytes, path: str) -> Any:
        if not body:
            return None
        try:
            said = json.loads(body)
            return shielded(said, self.auth.masked) if self.auth else said
        except (ValueError, RecursionError) as error:
            raise BadReply(f"{self._at(path)}: the answer is not JSON ({self.told(_text(body), 80)})") from error

    def _at(self, path: str) -> str:
        return f"{self.address}{path}"

    def _again(self, call: Callable[[], Any]) -> Any:
        """What a call without consequences gives, tried three times."""
        for pause in PAUSES:
            try:
                return call()
            except HostError as error:
                if not may_pass(error):
                    raise
                log.info("%s", error)
                pause = wait_of(error, pause)
            self._pause(pause)
        return call()

    def _once(self, method: str, path: str, within: float | None, limit: int, **asked: Any) -> bytes:
        """What a call with consequences gives: tried again only while it was never sent."""
        for pause in PAUSES:
            try:
                return self._call(method, path, within, limit, **asked)
            except HostUnreachable as error:
                log.info("%s", error)
            self._pause(pause)
        return self._call(method, path, within, limit, **asked)

    def _call(
        self,
        method: str,
        path: str,
        within: float | None,
        limit: int,
        *,
        query: Mapping[str, str] | None = None,
        **asked: Any,
    ) -> bytes:
        """The body of one answer, whole."""
        fields = asked.pop("fields", None)
        within = self._within if within is None else within
        try:
            with self._deadline(within) as over:
                answer = self._session.request(
                    method,
                    self.address.of(path, query),
                    data=asked.pop("data", fields),
                    timeout=(min(CONNECT, within), within),
                    allow_redirects=False,
                    stream=True,
                    **asked,
                )
                with answer:
                    body = _whole(answer, limit, self._at(path))
        except BadReply as error:
            if not over.is_set():
                raise
            raise self._lost(path, error, within, True) from error
        except requests.exceptions.RequestException as error:
            raise self._lost(path, error, within, over.is_set()) from error
        if answer.status_code >= 500:
            self._session.close()  # some servers cut a kept connection after an error of their own
        if answer.status_code != 200:
            raise self._refused(path, answer, body)
        return body

    @contextmanager
    def _deadline(self, seconds: float) -> Iterator[threading.Event]:
        """Within it, a call that is not over in so many seconds loses its connection; gives whether that happened.

        A time limit on each read alone would let a server that drips hold a caller for ever, and urllib3 sends within
        the time that it has to connect. A call goes over one socket: nothing is sent twice below here.
        """
        end, over = time.monotonic() + seconds, threading.Event()
        timer: threading.Timer | None = None

        def watch(socket: Any) -> None:
            nonlocal timer
            socket.settimeout(seconds)
            if timer is not None:
                return

            def close() -> None:
                over.set()
                _shut(socket)

            self._socket = socket
            timer = threading.Timer(max(0.0, end - time.monotonic()), close)
            timer.daemon = True
            timer.start()

        _call.watch = watch
        try:
            yield over
        finally:
            _call.watch = self._socket = None
            if timer is not None:
                timer.cancel()

    def _lost(self, path: str, error: Exception, within: float, over: bool) -> HostError:
        reason = self.told(str(_reason(error)), 200)
        if _is_unsent(error):
            return HostUnreachable(f"{self.address}: nothing answers ({_unmade(reason)}); is the server running there?")
        if over or any(isinstance(each, TimeoutError | requests.exceptions.Timeout) for each in _chain(error)):
            return HostSilent(f"{self._at(path)}: no whole answer within {within:g} s")
        return HostSilent(f"{self._at(path)}: the connection was lost ({reason})")

    def _refused(self, path: str, answer: requests.Response, body: bytes) -> HostRefused:
        status, said = answer.status_code, self._read(body)
        after = _seconds(answer.headers.get("Retry-After", ""))
        return HostRefused(f"{self._at(path)}: {status}: {self._reason_of(status, answer, said)}", status, said, after)

    def _reason_of(self, status: int, answer: requests.Response, said: Any) -> str:
        """Why a server or a proxy in front of it refused, in a sentence."""
        if 300 <= status < 400:
            return "redirects are not followed; give the server's own address"
        if status in GATEWAYS:
            return "a proxy in front of the server says that the server does not answer"
        if status == 401:
            return (
                "the server refused the credentials; check the user, password or token that --auth gives"
                if self.auth
                else "authentication required; pass --auth"
            )
        if status in ADVICE:
            return ADVICE[status]
        if isinstance(said, str) and (title := _TITLE.search(said)):
            said = title[1]
        told = self.told(said) or self.told(answer.reason)
        if status == 400 and "HTTPS port" in told:
            return f"{told}; write https:// in the address"
        return told

    def _read(self, body: bytes) -> Any:
        """What a server says in place of an answer, without the secret: JSON, or else a text."""
        try:
            return each_text(json.loads(body), self.auth.masked)
        except (ValueError, RecursionError):
            return self.auth.masked(_text(body))


def _session(auth: Auth) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.auth = _Header(auth)
    # Lengths are compared with what was announced, so nothing may be packed on the way.
    session.headers.update({"User-Agent": f"remix-toolkit/{__version__}", "Accept-Encoding": "identity"})
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(max_retries=0))
    return session


class _Header(requests.auth.AuthBase):
    """The header Authorization, or none; being there, it keeps requests from reading ~/.netrc."""

    def __init__(self, auth: Auth) -> None:
        self._value = auth.header()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._value is not None:
            request.headers["Authorization"] = self._value
        return request


_call = threading.local()
"""What ends the call of this thread when its time is over."""


class _Timed:
    """A connection that says which socket it sends over and waits on, so that a deadline can close it."""

    sock: Any

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()  # type: ignore[attr-defined]
        watch = getattr(_call, "watch", None)
        if watch is not None:
            watch(self.sock)
        super().send(data)  # type: ignore[misc]


class _Connection(_Timed, urllib3.connection.HTTPConnection):
    pass


class _TlsConnection(_Timed, urllib3.connection.HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}


def _shut(socket: Any) -> None:
    """Ends a connection both ways; closing it alone would not wake who waits on it."""
    try:
        socket.shutdown(2)
    except OSError:
        log.debug("a connection was closed already when it was given up")


def _whole(answer: requests.Response, limit: int, where: str) -> bytes:
    """The body of an answer; BadReply where it is longer than `limit`, or not as long as it said."""
    announced = answer.headers.get("Content-Length", "")
    expected = int(announced) if re.fullmatch(r"[0-9]{1,18}", announced) else None
    if expected is None and answer.headers.get("Transfer-Encoding", "").lower() != "chunked":
        raise BadReply(f"{where}: the answer does not say how long it is, or was cut in its headers")
    if expected is not None and expected > limit:
        raise BadReply(f"{where}: {expected} bytes were announced; at most {limit} are read")
    body = bytearray()
    for piece in answer.iter_content(2**16):
        body += piece
        if len(body) > limit:
            raise BadReply(f"{where}: more than {limit} bytes came; no more are read")
    if expected is not None and len(body) != expected:
        raise BadReply(f"{where}: {len(body)} bytes came where {expected} were announced")
    return bytes(body)


_TITLE = re.compile(r"<title>([^<]{1,200})</title>", re.IGNORECASE)
"""The title of a page: proxies answer with one, and their reason is in it."""


def may_pass(error: HostError) -> bool:
    """Returns whether trouble with a server may be over after a while."""
    return not isinstance(error, HostRefused) or error.status in GATEWAYS | BUSY | {SERVER_ERROR}


def wait_of(error: HostError, pause: float) -> float:
    """Returns how many seconds to wait after an error: as many as the server asks for, and at least `pause`."""
    return max(pause, min(error.after, LONGEST_WAIT)) if isinstance(error, HostRefused) else pause


def _seconds(text: str) -> float:
    """The seconds of a header Retry-After: a number, or the date at which they are over; 0 for anything else.

    >>> _seconds("3"), _seconds(""), _seconds("soon")
    (3.0, 0.0, 0.0)
    """
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return 0.0


def _text(body: bytes) -> str:
    return body[:WORDS].decode("utf-8", "replace")


def _is_unsent(error: Exception) -> bool:
    """Whether a connection was never made, which is the only trouble after which a POST may be sent again."""
    never = (requests.exceptions.ConnectTimeout, urllib3.exceptions.NewConnectionError)
    return any(isinstance(each, never) for each in _chain(error))


def _unmade(reason: str) -> str:
    """Why a connection was never made, without the words of libraries.

    >>> _unmade("_Connection(host='a', port=1): Failed to establish a new connection: [Errno 111] Connection refused")
    'Connection refused'
    """
    return re.sub(r"^_\w+\([^)]*\): |Failed to establish a new connection: |\[Errno -?[0-9]+\] ", "", reason)


def _reason(error: Exception) -> object:
    """The last words of an error that wraps others."""
    *_, last = _chain(error)
    return _wrapped(last) or type(last).__name__


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and those that it wraps, in order."""
    seen: object = error
    while isinstance(seen, BaseException):
        yield seen
        seen = _wrapped(seen)


def _wrapped(error: BaseException) -> object:
    return getattr(error, "reason", None) or (error.args[-1] if error.args else None)
