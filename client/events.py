"""What a ComfyUI server says by itself while it works: the only file that imports websocket.

Messages are hints: how far a prompt is, how its picture looks, that something ended. Whether it did is asked over
HTTP. So a socket may drop, stay deaf or never open, and nothing but the progress bar is worse for it.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import queue
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import websocket

from remix.engine import Picture
from remix.errors import PictureError
from remix.motion import load_picture

log = logging.getLogger(__name__)

LARGEST = 4 * 2**20
"""The longest message, in bytes, that is read: a preview has 512 pixels a side, and texts are short."""

LONGEST_ID = 200
"""The most letters that are kept of a prompt's id; ours have 36."""

CONNECT = 5.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0
"""Seconds before a socket is opened again: doubled each time, up to the longest."""

WAITING = 256
"""The most messages that wait to be taken; more are dropped. Of previews only the last one waits."""

ENDS = ("execution_success", "execution_error", "execution_interrupted")


@dataclass(frozen=True)
class Message:
    """What was said: "progress" (`done` of `total`), "preview" (`data` is a picture file), "end", or "lost".

    A server may send any numbers: `done` is in 0..`total` here.

    `prompt` is whom it is about, "" where the server does not say.
    """

    kind: str
    prompt: str = ""
    done: int = 0
    total: int = 0
    data: bytes = b""

    def picture(self) -> Picture | None:
        """Returns the preview decoded; None when it is damaged."""
        try:
            return load_picture(io.BytesIO(self.data))
        except PictureError as error:
            log.debug("a preview cannot be read: %s", error)
            return None


class Events:
    """Listens in a thread of its own, from `start` to `close`, and opens the socket again whenever it ends.

    Without `previews` those that a server sends all the same are dropped as they come.
    """

    def __init__(
        self,
        address: str,
        header: Mapping[str, str],
        *,
        previews: bool = True,
        first_pause: float = FIRST_PAUSE,
    ) -> None:
        self._address = address
        self._header = [f"{name}: {value}" for name, value in header.items()]
        self._first_pause = first_pause
        self._previews = previews
        self._said: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._preview: Message | None = None
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._socket: websocket.WebSocket | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins to listen."""
        self._thread = threading.Thread(target=self._listen, name="remix-events", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends."""
        self._closing.set()
        self.reopen()
        if self._thread is not None:
            self._thread.join(CONNECT)

    def reopen(self) -> None:
        """Closes the socket at hand, so that another one is opened."""
        plain = self._socket.sock if self._socket is not None else None
        if plain is not None:
            with contextlib.suppress(OSError):
                plain.shutdown(2)  # both ways; that wakes who waits on it, also while it is being opened

    def wake(self) -> None:
        """Ends a `wait` at once; may be called from a signal handler."""
        self._said.put(Message("wake"))

    def wait(self, seconds: float) -> list[Message]:
        """Returns what was said since the last time, or the first thing that is said within so many seconds."""
        found: list[Message] = []
        with contextlib.suppress(queue.Empty):
            found.append(self._said.get(timeout=seconds))
            while True:
                found.append(self._said.get_nowait())
        with self._lock:
            latest, self._preview = self._preview, None
        return [*(message for message in found if message.kind != "preview"), *([latest] if latest else [])]

    def _listen(self) -> None:
        pause = self._first_pause
        while not self._closing.is_set():
            socket = self._socket = _Bounded()
            try:
                self._open(socket)
                while not self._closing.is_set():
                    self._take(*_received(socket))
                    pause = self._first_pause
            except (OSError, websocket.WebSocketException, ValueError) as error:
                log.debug("the socket to the server ended: %s", type(error).__name__)
            finally:
                socket.shutdown()  # type: ignore[no-untyped-call]  # without the farewell that `close` waits for
            self._tell(Message("lost"))
            self._closing.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _open(self, socket: websocket.WebSocket) -> None:
        # No Origin: servers compare it with their own name, and a proxy may have changed that. No proxies either.
        socket.connect(
            self._address,
            header=self._header,
            suppress_origin=True,
            redirect_limit=0,
            timeout=CONNECT,
            http_no_proxy=["*"],
        )
        socket.settimeout(None)

    def _take(self, binary: bool, data: bytes) -> None:
        if binary and not self._previews:
            return
        message = _preview(data) if binary else _told(data)
        if message is not None:
            self._tell(message)

    def _tell(self, message: Message) -> None:
        if message.kind == "preview":
            with self._lock:
                waits, self._preview = self._preview is not None, message
            if waits:
                return
            message = Message("preview")  # wakes who waits; the picture itself is in its own place
        if self._said.qsize() < WAITING:
            self._said.put(message)


class _Buffer(websocket.frame_buffer):
    """Refuses a frame by its announced length, before it is read."""

    def recv_length(self) -> None:
        super().recv_length()
        _refuse_long(self.length or 0)


class _Parts(websocket.continuous_frame):
    """Refuses a message whose parts together are too long."""

    def add(self, frame: Any) -> None:
        super().add(frame)
        _refuse_long(len(self.cont_data[1]) if self.cont_data else 0)


class _Bounded(websocket.WebSocket):
    """A socket that reads no message longer than `LARGEST`."""

    def __init__(self) -> None:
        super().__init__()
        self.frame_buffer = _Buffer(self._recv, False)
        self.cont_frame = _Parts(False, False)


def _refuse_long(length: int) -> None:
    if length > LARGEST:
        raise websocket.WebSocketPayloadException(f"a message of {length} bytes; at most {LARGEST} are read")


def _received(socket: websocket.WebSocket) -> tuple[bool, bytes]:
    """Whether the next message is binary, and what it is."""
    kind, data = socket.recv_data()
    if kind not in (websocket.ABNF.OPCODE_TEXT, websocket.ABNF.OPCODE_BINARY):
        raise websocket.WebSocketConnectionClosedException("closed by the server")
    return kind == websocket.ABNF.OPCODE_BINARY, data


def _told(data: bytes) -> Message | None:
    """The message in a text; None for what is of no use here, or makes no sense."""
    try:
        said = json.loads(data)
        kind, about = said["type"], said["data"]
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


def _preview(data: bytes) -> Message | None:
    """The preview in a binary message: event 1 is a format and a picture, event 4 JSON about it and a picture."""
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
