"""Sends one request and reads the reply. Only this file imports requests and urllib3.

Each request has a deadline for the whole reply, however slowly it arrives. Redirects are not followed. Replies are
limited in size and checked against their announced length. Nothing is sent twice; see `http` for retries.
"""

from __future__ import annotations

import logging
import os
import re
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import quote, urlencode

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.util.ssl_match_hostname import CertificateError

from remix import __version__
from remix.client.address import Address
from remix.client.auth import Credentials
from remix.client.masking import Mask, one_line
from remix.errors import BadInput, BadReply, HostError, HostSilent, HostUnreachable, HostUntrusted

CONNECT = 5.0
"""Connect timeout in seconds."""

CHUNK, PACKED_CHUNK = 2**16, 2**12
"""Bytes read at once. Fewer for a compressed reply, since each byte may expand a thousandfold."""

UNPACKED = ("gzip", "x-gzip", "deflate")
"""Supported content encodings. None is requested, but some proxies compress anyway."""

CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")

OTHER_NAME = "it is for another address; use the name in the certificate as the address"
CERTIFICATE_ADVICE = {10: "it has expired; renew it on the server", 62: OTHER_NAME, 64: OTHER_NAME}
"""OpenSSL verification error code -> advice."""

UNTRUSTED_ADVICE = "pass --ca FILE with that certificate, or with that of the authority that issued it (PEM)"


@dataclass(frozen=True)
class Reply:
    """A complete reply."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


def trusted_certificates(ca: str | os.PathLike[str] | None) -> str:
    """Returns the file or folder of trusted certificates.

    This is `ca`, otherwise REQUESTS_CA_BUNDLE or SSL_CERT_FILE from the environment, otherwise the bundle that requests
    installs. Raises `BadInput` for a file without certificates.
    """
    source = "ca" if ca is not None else next((name for name in CA_VARIABLES if os.environ.get(name)), "")
    if not source:
        return requests.utils.DEFAULT_CA_BUNDLE_PATH
    path = os.fspath(ca) if ca is not None else os.environ[source]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(**{"capath" if os.path.isdir(path) else "cafile": path})
    except ssl.SSLError as error:
        raise BadInput(f"{source}: {path} contains no certificate; give a PEM file (BEGIN CERTIFICATE)") from error
    except OSError as error:
        raise BadInput(f"{source}: {path} cannot be read ({error.strerror}); give a PEM file") from error
    return path


class Transport:
    """Connection to one server, for one request at a time.

    Raises `HostUnreachable` if nothing was sent, `HostUntrusted` if the server's certificate is not trusted,
    `HostSilent` if no complete reply arrived, and `BadReply` for a reply that is too long or damaged. Proxies from the
    environment and ~/.netrc are not used.
    """

    def __init__(self, address: Address, credentials: Credentials, certificates: str) -> None:
        self.address = address
        self._credentials = credentials
        self._session = _session(credentials, certificates)
        self._socket: Any = None

    def close(self) -> None:
        """Closes all connections."""
        self._session.close()

    def abort(self) -> None:
        """Aborts a request in another thread, which raises `HostSilent` there."""
        if (socket := self._socket) is not None:
            _shut_down(socket)
        self._session.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        timeout: float,
        limit: int,
        query: Mapping[str, str] | None = None,
        **content: Any,
    ) -> Reply:
        """Returns the reply to a request. `content` is data, files and headers as in requests.

        timeout: seconds for the whole reply; limit: largest size of the reply in bytes.
        """
        _current.query = urlencode(self._credentials.query, quote_via=quote)
        _current.mask = self._credentials.mask
        with self._deadline(timeout) as expired:
            try:
                answer = self._session.request(
                    method,
                    self.address.url(path, (query or {}).items()),
                    timeout=(min(CONNECT, timeout), timeout),
                    allow_redirects=False,
                    stream=True,
                    **content,
                )
                with answer:
                    body = _body(answer, limit, f"{self.address}{path}", self._credentials.mask)
            except BadReply:
                if not expired.is_set():
                    raise
                raise self._timed_out(path, timeout) from None
            except requests.exceptions.RequestException as error:
                self._raise(error, path, timeout, expired.is_set())
        if answer.status_code >= 500:
            self._session.close()  # some servers close a reused connection after an internal error
        return Reply(answer.status_code, answer.reason or "", answer.headers, body)

    @contextmanager
    def _deadline(self, seconds: float) -> Iterator[threading.Event]:
        """Closes the connection if a request takes longer than `seconds`. Yields an event that is set in that case.

        A timeout on each read would let a server that sends byte by byte block the caller forever, and urllib3 applies
        the connect timeout to sending.
        """
        end, expired = time.monotonic() + seconds, threading.Event()
        timer: threading.Timer | None = None

        def watch(socket: Any) -> None:
            nonlocal timer
            socket.settimeout(seconds)
            if timer is not None:
                return

            def cut() -> None:
                expired.set()
                _shut_down(socket)

            self._socket = socket
            timer = threading.Timer(max(0.0, end - time.monotonic()), cut)
            timer.daemon = True
            timer.start()

        _current.watch = watch
        try:
            yield expired
        finally:
            _current.watch = _current.mask = self._socket = None
            if timer is not None:
                timer.cancel()

    def _raise(self, error: Exception, path: str, timeout: float, expired: bool) -> NoReturn:
        """Raises the error of this package that corresponds to an error of requests."""
        reason = one_line(str(_reason(error)), self._credentials.mask, 200)
        if isinstance(error, requests.exceptions.ContentDecodingError):
            raise BadReply(f"{self.address}{path}: the answer is compressed, and damaged ({reason})") from error
        for each in _chain(error):
            if isinstance(each, ssl.SSLError | CertificateError) and (untrusted := self._untrusted(each)) is not None:
                raise untrusted from error
        if _is_unsent(error):
            raise HostUnreachable(
                f"{self.address}: nothing answers ({_without_prefix(reason)}); is the server running there?"
            ) from error
        if expired or any(isinstance(each, TimeoutError | requests.exceptions.Timeout) for each in _chain(error)):
            raise self._timed_out(path, timeout) from error
        raise HostSilent(f"{self.address}{path}: the connection was lost ({reason})") from error

    def _timed_out(self, path: str, timeout: float) -> HostSilent:
        return HostSilent(f"{self.address}{path}: no complete answer within {timeout:g} s")

    def _untrusted(self, error: ssl.SSLError | CertificateError) -> HostError | None:
        if isinstance(error, CertificateError):  # urllib3 1.26 compares the names itself
            return HostUntrusted(f"{self.address}: the server's certificate is not accepted; {OTHER_NAME}")
        if isinstance(error, ssl.SSLCertVerificationError):
            advice = CERTIFICATE_ADVICE.get(error.verify_code, UNTRUSTED_ADVICE)
            return HostUntrusted(
                f"{self.address}: the server's certificate is not accepted ({error.verify_message}); {advice}"
            )
        if error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
            return HostUntrusted(f"{self.address}: the server does not use TLS; write http:// in the address")
        return None


def _session(credentials: Credentials, certificates: str) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.verify = certificates
    session.auth = _Unchanged()
    session.headers.update(
        {"User-Agent": f"remix-toolkit/{__version__}", "Accept-Encoding": "identity", **credentials.all_headers()}
    )
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(max_retries=0))
    return session


class _Unchanged(requests.auth.AuthBase):
    """An auth object without credentials. Without an auth object, requests would read ~/.netrc."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


_current = threading.local()
"""State of this thread's request: `watch` is called with its socket, `query` is added to its URL, and `mask` masks its
secrets."""


class _Masked(logging.Filter):
    """Masks secrets in what urllib3 logs, such as headers that it cannot parse."""

    def filter(self, record: logging.LogRecord) -> bool:
        if (mask := getattr(_current, "mask", None)) is not None:
            record.msg, record.args, record.exc_info = mask(record.getMessage()), (), None
        return True


for _name in ("urllib3.connection", "urllib3.connectionpool"):
    logging.getLogger(_name).addFilter(_Masked())


class _Watched:
    """A connection that passes its socket to the request's deadline, and adds the secret query only when sending."""

    sock: Any

    def putrequest(self, method: str, url: str, *arguments: Any, **options: Any) -> Any:
        # urllib3 logs its URL, so the query is not part of it.
        if query := getattr(_current, "query", ""):
            url = f"{url}{'&' if '?' in url else '?'}{query}"
        return super().putrequest(method, url, *arguments, **options)  # type: ignore[misc]

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()  # type: ignore[attr-defined]
        watch = getattr(_current, "watch", None)
        if watch is not None:
            watch(self.sock)
        super().send(data)  # type: ignore[misc]


class _Connection(_Watched, urllib3.connection.HTTPConnection):
    pass


class _TlsConnection(_Watched, urllib3.connection.HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}


def _shut_down(socket: Any) -> None:
    """Shuts down a connection in both directions. Unlike closing, this wakes a thread that waits on it."""
    with suppress(OSError):  # already closed
        socket.shutdown(2)


def _body(answer: requests.Response, limit: int, where: str, mask: Mask) -> bytes:
    """Returns the body of a reply. Raises BadReply if it exceeds `limit` or differs from its announced length."""
    announced = answer.headers.get("Content-Length")
    if announced is not None and not re.fullmatch(r"[0-9]{1,18}", announced):
        raise BadReply(f"{where}: the answer's Content-Length is not a number")
    expected = None if announced is None else int(announced)
    if expected is not None and expected > limit:
        raise BadReply(f"{where}: {expected} bytes were announced; at most {limit} are read")
    packing = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if packing not in ("identity", "", *UNPACKED):
        shown = one_line(answer.headers["Content-Encoding"], mask, 40)
        raise BadReply(f"{where}: the answer is compressed as {shown!r}, though no compression was asked for")
    body = bytearray()
    for chunk in answer.iter_content(PACKED_CHUNK if packing in UNPACKED else CHUNK):
        body += chunk
        if len(body) > limit:
            raise BadReply(f"{where}: the answer has more than {limit} bytes; no more are read")
    came = answer.raw.tell()
    if expected is not None and came != expected:
        raise BadReply(f"{where}: {came} bytes came where {expected} were announced")
    is_chunked = "chunked" in answer.headers.get("Transfer-Encoding", "").lower()
    if expected is None and not body and not is_chunked:
        raise BadReply(f"{where}: the answer is empty and does not say how long it is; it may have been cut")
    return bytes(body)


def _is_unsent(error: Exception) -> bool:
    """Returns whether no connection was made. Only then may a POST be repeated."""
    unsent = (requests.exceptions.ConnectTimeout, urllib3.exceptions.NewConnectionError)
    return any(isinstance(each, unsent) for each in _chain(error))


def _without_prefix(reason: str) -> str:
    """Returns why no connection was made, without library prefixes.

    >>> _without_prefix("<remix.client.transport._Connection object at 0x7f4b>: Connection refused")
    'Connection refused'
    >>> _without_prefix("_Connection(host='a', port=1): Failed to establish a new connection: [Errno 111] Refused")
    'Refused'
    """
    return re.sub(r"^_\w+\([^)]*\): |^<[^>]*>: |Failed to establish a new connection: |\[Errno -?[0-9]+\] ", "", reason)


def _reason(error: Exception) -> object:
    """Returns the innermost reason of an error that wraps others."""
    *_, last = _chain(error)
    return _wrapped(last) or type(last).__name__


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yields an error and the errors that it wraps, outermost first."""
    each: object = error
    while isinstance(each, BaseException):
        yield each
        each = _wrapped(each)


def _wrapped(error: BaseException) -> object:
    return getattr(error, "reason", None) or (error.args[-1] if error.args else None)
