"""A fake server of a host, whose faults are data."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

DRIP = 0.05
"""Seconds between the bytes of an answer that drips."""

STATUS = 503
KINDS = ("cut", "cut_head", "drip", "stall", "reset", "refuse", "status", "garbage", "forget", "lie_length")


@dataclass(frozen=True)
class Fault:
    """What goes wrong with the `nth` request (from 1) whose path begins with `path`; 0: with each of them.

    cut         the connection ends after `at` bytes of the body, though more were announced
    cut_head    the connection ends after `at` bytes of the answer, in its headers
    drip        the body comes one byte after another, `DRIP` seconds apart
    stall       it is done, and no answer comes
    reset       it is done, and the connection is reset in place of an answer
    refuse      the connection is reset before anything is done
    status      nothing is done, and the answer is the status `at` (503 when left out)
    garbage     it is done, and the answer is of as many bytes, which mean nothing
    forget      the server forgets all its work first, as one that was started again
    lie_length  `at` more bytes are announced than come
    """

    path: str
    nth: int
    do: str
    at: int = 0

    def __post_init__(self) -> None:
        assert self.do in KINDS, self.do


@dataclass
class Asked:
    """A request as it came; `path` is that below the prefix, still quoted."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Answer:
    """What is answered; a `body` that is not bytes is sent as JSON.

    `headers` may say how long it is, or that it comes in chunks; `reason` goes with the status. Without `length` it
    ends with the connection.
    """

    body: Any = b""
    status: int = 200
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    reason: str | None = None
    length: bool = True

    @property
    def data(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class FaultyServer:
    """A server on a free port of 127.0.0.1, with `answer` to be written; `asked` records "METHOD path" of all.

    `prefix` is a path that all addresses begin with; `certificate` is a PEM file with a certificate and its key, for
    TLS. Within `started()` it serves.
    """

    def __init__(self, faults: Sequence[Fault] = (), *, prefix: str = "", certificate: Path | None = None) -> None:
        self.prefix = prefix
        self._certificate = certificate
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.lock = threading.RLock()
        self.ending = threading.Event()
        self._faults = list(faults)
        self._seen = [0] * len(self._faults)
        self._server: _Server | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http{'s' if self._certificate else ''}://127.0.0.1:{self._port}{self.prefix}"

    def answer(self, asked: Asked) -> Answer:
        """Returns what a request is answered; to be written."""
        raise NotImplementedError

    def forget(self) -> None:
        """Forgets all work, as a server that was started again."""

    def upgrade(self, asked: Asked, connection: socket.socket) -> None:
        """Takes over a connection that asks for a websocket; to be written where there are any."""

    def fault(self, path: str) -> Fault | None:
        """Returns what is to go wrong with this request, and counts it."""
        with self.lock:
            found = None
            for number, fault in enumerate(self._faults):
                if path.startswith(fault.path):
                    self._seen[number] += 1
                    if found is None and fault.nth in (0, self._seen[number]):
                        found = fault
            return found

    def start(self) -> None:
        """Begins to serve, on the port of the time before if there was one."""
        self.ending.clear()
        self._server = _Server(("127.0.0.1", self._port), self)
        self._port = self._server.server_address[1]
        if self._certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Ends, and cuts all connections, as a process that is killed."""
        self.ending.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.cut()
            self._server.server_close()
            self._server = None

    @contextlib.contextmanager
    def started(self) -> Iterator[FaultyServer]:
        """Within it the server serves."""
        self.start()
        try:
            yield self
        finally:
            self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, place: tuple[str, int], fake: FaultyServer) -> None:
        self.fake = fake
        self._open: set[socket.socket] = set()
        super().__init__(place, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing: clients of these tests go away in the middle."""

    def cut(self) -> None:
        for connection in list(self._open):
            reset(connection)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    # One write for each answer: two small ones would wait for each other (Nagle).
    wbufsize = -1

    def log_message(self, *words: Any) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        fake = self.server.fake
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if not parts.path.startswith(fake.prefix):
            self._send(Answer(b"", 404))
            return
        path = parts.path[len(fake.prefix) :]
        query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        asked = Asked(self.command, path, query, dict(self.headers.items()), body)
        with fake.lock:
            fake.asked.append(f"{self.command} {path}")
            fake.headers.append(asked.headers)
        fault = fake.fault(path)
        if fault is None:
            self._done(asked)
        else:
            self._fail(asked, fault)

    def _done(self, asked: Asked) -> None:
        if asked.headers.get("Upgrade", "").lower() == "websocket":
            self.close_connection = True
            self.server.fake.upgrade(asked, self.connection)
        else:
            self._send(self.server.fake.answer(asked))

    def _fail(self, asked: Asked, fault: Fault) -> None:
        fake = self.server.fake
        if fault.do == "forget":
            fake.forget()
            self._done(asked)
        elif fault.do == "refuse":
            self._reset()
        elif fault.do == "status":
            self._send(Answer(b"something is wrong", fault.at or STATUS, "text/plain"))
        else:
            self._spoil(fake.answer(asked), fault)

    def _spoil(self, answer: Answer, fault: Fault) -> None:
        data = answer.data
        if fault.do == "stall":
            self.server.fake.ending.wait()
            self._reset()
        elif fault.do == "reset":
            self._reset()
        elif fault.do == "garbage":
            self._send(Answer(bytes(7 * position % 251 for position in range(len(data))), answer.status, answer.kind))
        elif fault.do == "lie_length":
            self._send(answer, announced=len(data) + (fault.at or 1))
            self._reset(politely=True)
        elif fault.do == "cut_head":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"[: fault.at or None])
            self.wfile.flush()
            self._reset(politely=True)
        elif fault.do == "cut":
            self._send(Answer(data[: fault.at], answer.status, answer.kind), announced=len(data))
            self._reset(politely=True)
        else:
            self._drip(answer)

    def _drip(self, answer: Answer) -> None:
        self._send(Answer(b"", answer.status, answer.kind), announced=len(answer.data))
        for byte in answer.data:
            if self.server.fake.ending.wait(DRIP):
                return
            try:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
            except OSError:  # the client has disconnected
                self.close_connection = True
                return

    def _send(self, answer: Answer, announced: int | None = None) -> None:
        data = answer.data
        self.send_response(answer.status, answer.reason)
        self.send_header("Content-Type", answer.kind)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if "Transfer-Encoding" in answer.headers:
            data = b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data)
        elif not answer.length:
            self.send_header("Connection", "close")
        elif "Content-Length" not in answer.headers:
            self.send_header("Content-Length", str(len(data) if announced is None else announced))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def _reset(self, *, politely: bool = False) -> None:
        self.close_connection = True
        if not politely:
            reset(self.connection)


def reset(connection: socket.socket) -> None:
    """Ends a connection with a reset, as a process that is killed does."""
    with contextlib.suppress(OSError):  # it has ended already
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
