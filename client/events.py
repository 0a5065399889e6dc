"""Websocket messages of a ComfyUI server. Only this file imports websocket.

Messages are only hints: progress of a prompt, a preview, the end of something. The client confirms the end over HTTP,
so a socket that drops, stays silent or never opens affects nothing but the progress bar.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import queue
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import websocket

from remix.client.address import Endpoint
from remix.engine import Picture
from remix.errors import PictureError
from remix.motion import load_picture

log = logging.getLogger(__name__)

LARGEST = 4 * 2**20
"""Largest accepted message in bytes. Previews have 512 pixels a side, and texts are short."""

LONGEST_ID = 200
"""Characters of a prompt's id that are kept. Our own ids have 36."""

CONNECT = 5.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0
"""Seconds before a socket is reopened. The pause doubles each time, up to the longest."""

WAITING = 256
"""Largest number of unread messages; further ones are dropped. Only the latest preview is kept."""

ENDS = ("execution_success", "execution_error", "execution_interrupted")


@dataclass(frozen=True)
class Message:
    """A message of kind "progress" (`done` of `total`), "preview" (`data` is a picture file), "end" or "lost".

    `done` is clamped to 0..`total`. `prompt` is the id of the prompt, or "" if the server omits it.
    """

    kind: str
    prompt: str = ""
    done: int = 0
    total: int = 0
    data: bytes = b""

    def picture(self) -> Picture | None:
        """Returns the decoded preview, or None if it is damaged."""
        try:
            return load_picture(io.BytesIO(self.data))
        except PictureError as error:
            log.debug("a preview cannot be read: %s", error)
            return None


class Events:
    """Listener in a separate thread, from `start` to `close`. It reopens the socket whenever it ends.

    Without `previews`, previews from the server are dropped.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        previews: bool = True,
        first_pause: float = FIRST_PAUSE,
    ) -> None:
        self._endpoint = endpoint
        self._first_pause = first_pause
        self._previews = previews
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._preview: Message | None = None
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._socket: websocket.WebSocket | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Starts listening."""
        self._thread = threading.Thread(target=self._listen, name="remix-events", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops listening and closes the socket."""
        self._closing.set()
        self.reopen()
        if self._thread is not None:
            self._thread.join(CONNECT)

    def reopen(self) -> None:
        """Closes the current socket. A new one is opened automatically."""
        plain = self._socket.sock if self._socket is not None else None
        if plain is not None:
            with contextlib.suppress(OSError):
                plain.shutdown(2)  # both directions; wakes the thread even while it connects

    def wake(self) -> None:
        """Ends a `wait` immediately. Safe to call from a signal handler."""
        self._messages.put(Message("wake"))

    def wait(self, seconds: float) -> list[Message]:
        """Returns the messages since the last call. If there are none, waits up to `seconds` for one."""
        found: list[Message] = []
        with contextlib.suppress(queue.Empty):
            found.append(self._messages.get(timeout=seconds))
            while True:
                found.append(self._messages.get_nowait())
        with self._lock:
            latest, self._preview = self._preview, None
        return [*(message for message in found if message.kind != "preview"), *([latest] if latest else [])]

    def _listen(self) -> None:
        pause = self._first_pause
        while not self._closing.is_set():
            socket = self._socket = _BoundedSocket(self._endpoint.certificates)
            try:
                self._open(socket)
                while not self._closing.is_set():
                    self._read(*_received(socket))
                    pause = self._first_pause
            except (OSError, websocket.WebSocketException, ValueError) as error:
                log.debug("the socket to the server ended: %s", type(error).__name__)
            finally:
                # `close` would wait for the server's reply
                socket.shutdown()  # type: ignore[no-untyped-call]
            self._put(Message("lost"))
            self._closing.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _open(self, socket: websocket.WebSocket) -> None:
        # No Origin header: servers compare it with their own name, which a proxy may have changed. No proxies either.
        socket.connect(
            self._endpoint.url,
            header=[f"{name}: {value}" for name, value in self._endpoint.headers.items()],
            suppress_origin=True,
            redirect_limit=0,
            timeout=CONNECT,
            http_no_proxy=["*"],
        )
        socket.settimeout(None)

    def _read(self, binary: bool, data: bytes) -> None:
        if binary and not self._previews:
            return
        message = _parse_preview(data) if binary else _parse_text(data)
        if message is not None:
            self._put(message)

    def _put(self, message: Message) -> None:
        if message.kind == "preview":
            with self._lock:
                is_waiting, self._preview = self._preview is not None, message
            if is_waiting:
                return
            message = Message("preview")  # wakes `wait`; the picture is stored in `_preview`
        if self._messages.qsize() < WAITING:
            self._messages.put(message)


class _Buffer(websocket.frame_buffer):
    """Frame buffer that rejects a frame whose announced length is too large."""

    def recv_length(self) -> None:
        super().recv_length()
        _refuse_long(self.length or 0)


class _Parts(websocket.continuous_frame):
    """Message buffer that rejects a message whose parts are too long in total."""

    def add(self, frame: Any) -> None:
        super().add(frame)
        _refuse_long(len(self.cont_data[1]) if self.cont_data else 0)


class _BoundedSocket(websocket.WebSocket):
    """A socket that accepts messages up to `LARGEST` bytes and trusts the certificates in a file or folder."""

    def __init__(self, certificates: str) -> None:
        super().__init__(sslopt={"ca_cert_path" if os.path.isdir(certificates) else "ca_certs": certificates or None})
        self.frame_buffer = _Buffer(self._recv, False)
        self.cont_frame = _Parts(False, False)


def _refuse_long(length: int) -> None:
    if length > LARGEST:
        raise websocket.WebSocketPayloadException(f"a message of {length} bytes; at most {LARGEST} are read")


def _received(socket: websocket.WebSocket) -> tuple[bool, bytes]:
    """Returns whether the next message is binary, and its data."""
    kind, data = socket.recv_data()
    if kind not in (websocket.ABNF.OPCODE_TEXT, websocket.ABNF.OPCODE_BINARY):
        raise websocket.WebSocketConnectionClosedException("closed by the server")
    return kind == websocket.ABNF.OPCODE_BINARY, data


def _parse_text(data: bytes) -> Message | None:
    """Returns the message in a text, or None if it is not needed or cannot be parsed."""
    try:
        message = json.loads(data)
        kind, about = message["type"], message["data"]
        prompt = _id(about)
        if kind == "progress":
            total = max(int(about["max"]), 0)
            return Message("progress", prompt, min(max(int(about["value"]), 0), total), total)
        if kind in ENDS or (kind == "executing" and about.get("node") is None):
            return Message("end", prompt)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        log.debug("a message that cannot be read: %s", error)
    return None


def _id(about: Mapping[str, Any]) -> str:
    return str(about.get("prompt_id") or "")[:LONGEST_ID]


def _parse_preview(data: bytes) -> Message | None:
    """Returns the preview in a binary message: event 1 is a format and a picture, event 4 is JSON and a picture."""
    try:
        (event,) = struct.unpack_from(">I", data)
        (number,) = struct.unpack_from(">I", data, 4)
        if event == 1:
            return Message("preview", data=data[8:])
        if event == 4:
            about = json.loads(data[8 : 8 + number])
            return Message("preview", _id(about), data=data[8 + number :])
    except (struct.error, ValueError, AttributeError, RecursionError) as error:
        log.debug("a binary message that cannot be read: %s", error)
    return None
