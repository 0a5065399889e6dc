"""A relay between a client and a server that makes the connection bad; its faults have the names of toxiproxy's."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.fakes.faults import reset

PIECE = 2**14


@dataclass(frozen=True)
class Toxic:
    """What is wrong with connections whose first line begins with `path` ("" is all of them).

    It is wrong toward the client, but for the last kind.

    latency     each piece comes `at` milliseconds late
    bandwidth   `at` kilobytes in a second
    slow_close  the end of the connection comes `at` milliseconds late
    timeout     nothing comes, and after `at` milliseconds the connection ends
    reset_peer  the connection is reset `at` milliseconds after it was made
    slicer      pieces are cut into slices of `at` bytes, 5 milliseconds apart
    limit_data  after `at` bytes the connection is reset
    upload      what comes from the client goes on at `at` kilobytes in a second

    `most` is how many connections it is done to; 0: to all.
    """

    kind: str
    at: int = 0
    path: str = ""
    most: int = 0


class Proxy:
    """A relay to the server at `url`; `url` of its own is what a client is given. `connections` counts by path."""

    def __init__(self, url: str, *toxics: Toxic) -> None:
        self._target = urlsplit(url)
        self._toxics = list(toxics)
        self._done = [0] * len(self._toxics)
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self.connections: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}{self._target.path}"

    @contextmanager
    def started(self) -> Iterator[Proxy]:
        """Within it the relay works."""
        threading.Thread(target=self._accept, daemon=True).start()
        try:
            yield self
        finally:
            self._listener.close()
            self.cut()

    def cut(self) -> None:
        """Resets all open connections."""
        with self._lock:
            ending, self._open = self._open, set()
        for connection in ending:
            reset(connection)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        try:
            first = client.recv(PIECE)
            words = first.split(b" ", 2)
            path = words[1].decode("latin-1") if len(words) > 1 else ""
            toxic = self._toxic(path)
            server = socket.create_connection((self._target.hostname or "", self._target.port or 80))
        except OSError:
            reset(client)
            return
        with self._lock:
            self._open |= {client, server}
        server.sendall(first)
        upload = toxic.at if toxic and toxic.kind == "upload" else 0
        threading.Thread(target=_pump, args=(client, server, upload), daemon=True).start()
        _poisoned(server, client, toxic)
        with self._lock:
            self._open -= {client, server}

    def _toxic(self, path: str) -> Toxic | None:
        with self._lock:
            self.connections.append(path)
            for number, toxic in enumerate(self._toxics):
                here = path.removeprefix(self._target.path)
                if here.startswith(toxic.path) and (not toxic.most or self._done[number] < toxic.most):
                    self._done[number] += 1
                    return toxic
        return None


def _pump(source: socket.socket, target: socket.socket, kilobytes: int) -> None:
    try:
        while piece := source.recv(PIECE):
            if kilobytes:
                time.sleep(len(piece) / (kilobytes * 1000))
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        reset(target)


def _poisoned(server: socket.socket, client: socket.socket, toxic: Toxic | None) -> None:
    kind, at = (toxic.kind, toxic.at) if toxic else ("", 0)
    sent = 0
    try:
        if kind in ("timeout", "reset_peer"):
            time.sleep(at / 1000)
            reset(client)
            reset(server)
            return
        while piece := server.recv(PIECE):
            if kind == "latency":
                time.sleep(at / 1000)
            if kind == "bandwidth":
                time.sleep(len(piece) / (at * 1000))
            if kind == "limit_data" and sent + len(piece) > at:
                client.sendall(piece[: at - sent])
                reset(client)
                reset(server)
                return
            size = at if kind == "slicer" else len(piece)
            for start in range(0, len(piece), size):
                client.sendall(piece[start : start + size])
                if kind == "slicer":
                    time.sleep(0.005)
            sent += len(piece)
        if kind == "slow_close":
            time.sleep(at / 1000)
        client.close()
        server.close()
    except OSError:
        reset(client)
        reset(server)
