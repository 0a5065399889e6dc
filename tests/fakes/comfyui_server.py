"""A ComfyUI server without models: it keeps a queue, paints frames from their numbers, and answers as the real one."""

from __future__ import annotations

import base64
import copy
import functools
import hashlib
import json
import re
import socket
import struct
import threading
import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from remix.digest import canonical, sha256
from remix.engine.pack import report
from remix.engine.parts import read_part
from remix.motion.pictures import png_bytes
from remix.plan import Frame
from tests.fakes.faults import Answer, Asked, Fault, FaultyServer, reset

RECORDED = Path(__file__).parent / "recorded" / "comfyui"
CHECKPOINTS = ("sd15.safetensors", "folder/other.ckpt")
Place = tuple[str, str, str]
"""Type, subfolder and name of a file."""


def recorded(name: str) -> Any:
    """Returns a reply of the real server, to be changed at will."""
    return json.loads(_text(name))


@functools.cache
def _text(name: str) -> str:
    return (RECORDED / f"{name}.json").read_text(encoding="utf-8")


def painted(frame: Frame, width: int, height: int) -> np.ndarray:
    """Returns the picture that the server's Remix nodes make of a frame."""
    made_of = {name: value for name, value in frame.to_dict().items() if name not in ("index", "image")}
    return _painted(canonical(made_of), width, height)


def _painted(text: str, width: int, height: int) -> np.ndarray:
    numbers = hashlib.sha256(text.encode()).digest()
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = np.frombuffer(numbers[:3], np.uint8)
    picture[: height // 2] ^= 0x55
    return picture


@dataclass
class Prompt:
    """What waits or runs."""

    number: float
    id: str
    graph: dict[str, Any]
    extra: dict[str, Any]
    interrupted: bool = False

    @property
    def row(self) -> list[Any]:
        outputs = [node for node, about in self.graph.items() if about["class_type"] in ("SaveImage", "RemixRender")]
        return [self.number, self.id, self.graph, self.extra, outputs]


class Trouble(Exception):
    """What a node of the server's raises: the exception's type and message."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass
class Script:
    """What the server is to do otherwise, each once, in order."""

    troubles: list[Trouble] = field(default_factory=list)
    rejections: list[str] = field(default_factory=list)
    black: int = 0
    empty: int = 0
    id: str = ""
    """What every prompt is called in the answer, as a hostile server does it."""
    name: str = ""
    """What every file is called in the history, as a hostile server does it."""
    progress: Sequence[tuple[int, int]] = ()
    """Wrong progress that is reported for every frame before the real one."""


class ComfyServer(FaultyServer):
    """`pack`: it has the Remix nodes; `seconds`: how long a frame takes; `token`: the one that it requires;
    `checkpoints`: those that it lists. `size` is that of all pictures, in place of the right one.

    `rendered` counts how often each frame was made, `ran` which prompts were; `files` are what lies on its disk, and
    outlives a new start, as they do. `deaf`: it forgets a client's new socket when it notices the end of the old one.
    """

    def __init__(
        self,
        faults: Sequence[Fault] = (),
        *,
        prefix: str = "",
        pack: bool = True,
        seconds: float = 0,
        token: str = "",
        version: str = "",
        script: Script | None = None,
        deaf: bool = True,
        loras: Sequence[str] = (),
        checkpoints: Sequence[str] = CHECKPOINTS,
        certificate: Path | None = None,
    ) -> None:
        super().__init__(faults, prefix=prefix, certificate=certificate)
        self.rendered: Counter[str] = Counter()
        self.ran: list[str] = []
        self.files: dict[Place, bytes] = {}
        self.cancelled: list[str] = []
        self.freed = 0
        self.ignores_ids = False
        self.argv: list[str] = []
        self._pack, self._seconds, self._token, self._deaf = pack, seconds, token, deaf
        self._version, self._loras = version, loras
        self.checkpoints = list(checkpoints)
        self.report: dict[str, Any] | None = {**report(None), "plain_attention": True}
        """What its Remix nodes report, None for older ones."""
        self.history_padding = ""
        self.modified: float | None = None
        self.size: tuple[int, int] | None = None
        self._script = script or Script()
        self._changed = threading.Condition(self.lock)
        self._sockets: dict[str, socket.socket] = {}
        self._life = 0
        self._numbers = 0
        self._blank()

    def _blank(self) -> None:
        self.pending: list[Prompt] = []
        self.running: Prompt | None = None
        self.history: dict[str, Any] = {}
        self._kept: dict[str, dict[str, Any]] = {}

    # its life

    def start(self) -> None:
        super().start()
        self._life += 1
        threading.Thread(target=self._work, args=(self._life,), daemon=True).start()

    def stop(self) -> None:
        self.forget()
        super().stop()
        with self._changed:
            self._life += 1
            self._changed.notify_all()

    def forget(self) -> None:
        with self._changed:
            if self.running is not None:
                self.running.interrupted = True
            self._blank()

    # what it answers

    def answer(self, asked: Asked) -> Answer:
        if self._token and asked.headers.get("Authorization") != f"Bearer {self._token}":
            return Answer({"error": "who are you"}, 401)
        if "Origin" in asked.headers:
            return Answer(b"", 403)
        words = asked.path.strip("/").split("/")
        found = getattr(self, f"_{asked.method}_{words[0]}".lower(), None)
        return Answer(b"404: Not Found", 404, "text/plain") if found is None else found(asked, *words[1:])

    def _get_system_stats(self, asked: Asked) -> Answer:
        reply = recorded("system_stats")
        if self._version:
            reply["system"]["comfyui_version"] = self._version
        if self.argv:
            reply["system"]["argv"] = self.argv
        return Answer(reply)

    def _get_object_info(self, asked: Asked, kind: str) -> Answer:
        about = recorded("object_info").get(kind)
        if about is None or (kind.startswith("Remix") and not self._pack):
            return Answer(recorded("unknown"))
        if kind == "CheckpointLoaderSimple":
            about["input"]["required"]["ckpt_name"] = ["COMBO", {"options": list(self.checkpoints)}]
        if kind == "LoraLoader":
            about["input"]["required"]["lora_name"] = [list(self._loras)]
        if kind == "LoadImage":
            places = ("/".join(filter(None, place[1:])) for place in self.files if place[0] == "input")
            about["input"]["required"]["image"][0] = sorted(places)
        return Answer({kind: about})

    def _get_remix(self, asked: Asked, _: str) -> Answer:
        there = self._pack and self.report is not None
        return Answer(self.report) if there else Answer(b"404: Not Found", 404, "text/plain")

    def _get_experiment(self, asked: Asked, models: str, folder: str) -> Answer:
        (row,) = recorded("models")
        row = {**row, "modified": self.modified or row["modified"]}
        return Answer([{**row, "name": name} for name in self.checkpoints] if folder == "checkpoints" else [])

    def _get_queue(self, asked: Asked) -> Answer:
        with self.lock:
            running = [self.running.row] if self.running else []
            return Answer({"queue_running": running, "queue_pending": [prompt.row for prompt in self.pending]})

    def _get_history(self, asked: Asked, prompt: str) -> Answer:
        with self.lock:
            if prompt not in self.history:
                return Answer(recorded("history_unknown"))
            padding = {"padding": self.history_padding} if self.history_padding else {}
            return Answer({prompt: {**self.history[prompt], **padding}})

    def _get_view(self, asked: Asked) -> Answer:
        if ".." in asked.query.get("filename", ""):
            return Answer(b"", 400)
        place = tuple(asked.query.get(name, "") for name in ("type", "subfolder", "filename"))
        data = self.files.get(place)  # type: ignore[arg-type]
        if data is not None and self.size is not None:
            data = png_bytes(np.zeros((self.size[1], self.size[0], 3), np.uint8))
        return Answer(b"", 404) if data is None else Answer(data, kind="image/png")

    def _post_prompt(self, asked: Asked) -> Answer:
        body = asked.json
        if self._script.rejections:
            reply = recorded(self._script.rejections.pop(0))
            return Answer(reply["body"], reply["status"])
        given = str(body.get("prompt_id") or uuid.uuid4())
        if str(uuid.UUID(given)) != given:
            return Answer({"error": {"type": "invalid_prompt_id", "message": "no"}, "node_errors": {}}, 400)
        if self.ignores_ids:
            given = str(uuid.uuid4())
        with self._changed:
            self._numbers += 1
            extra = {**body.get("extra_data", {}), "client_id": body["client_id"]}
            self.pending.append(Prompt(self._numbers, given, body["prompt"], extra))
            self._changed.notify_all()
        return Answer({**recorded("submitted"), "prompt_id": self._script.id or given, "number": self._numbers})

    def _post_queue(self, asked: Asked) -> Answer:
        with self.lock:
            deleted = asked.json.get("delete", [])
            self.cancelled += [prompt.id for prompt in self.pending if prompt.id in deleted]
            self.pending = [prompt for prompt in self.pending if prompt.id not in deleted]
        return Answer()

    def _post_interrupt(self, asked: Asked) -> Answer:
        with self.lock:
            wanted = asked.json.get("prompt_id")
            if self.running is not None and wanted in (None, self.running.id):
                self.running.interrupted = True
                self.cancelled.append(self.running.id)
        return Answer()

    def _post_free(self, asked: Asked) -> Answer:
        with self.lock:
            self.freed += 1
            self._kept.clear()
        return Answer()

    def _post_upload(self, asked: Asked, image: str) -> Answer:
        kind = asked.headers["Content-Type"].partition("boundary=")[2].encode()
        name = re.search(rb'filename="([^"]+)"', asked.body)
        subfolder = re.search(rb'name="subfolder"\r\n\r\n([^\r]*)', asked.body)
        assert name is not None
        assert subfolder is not None
        start = asked.body.index(b"\x89PNG")
        data = asked.body[start : asked.body.index(b"\r\n--" + kind, start)]
        place = ("input", subfolder[1].decode(), name[1].decode())
        self.files[place] = data
        return Answer({**recorded("uploaded"), "name": place[2], "subfolder": place[1]})

    # what it does

    def _work(self, life: int) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self.pending or self._life != life)
                if self._life != life:
                    return
                prompt = self.running = self.pending.pop(0)
                history = self.history
            self._say(prompt, "execution_start")
            entry = self._made(prompt)
            with self._changed:
                if self._life != life:
                    return
                if self.running is prompt:
                    self.running = None
                    history[prompt.id] = entry
            last = entry["status"]["messages"][-1]
            self._say(prompt, last[0])
            self._say(prompt, "executing", node=None)

    def _made(self, prompt: Prompt) -> dict[str, Any]:
        """The entry of a prompt in the history, after it was worked at."""
        try:
            outputs = self._outputs(prompt)
        except InterruptedError:
            return _entry("history_interrupted", prompt, {})
        except Trouble as error:
            entry = _entry("history_failed", prompt, {})
            entry["status"]["messages"][-1][1].update(exception_type=error.kind, exception_message=f"{error}\n")
            return entry
        return _entry("history_done", prompt, outputs)

    def _outputs(self, prompt: Prompt) -> dict[str, Any]:
        self.ran.append(prompt.id)
        if self._script.troubles:
            raise self._script.troubles.pop(0)
        if self._script.empty:
            self._script.empty -= 1
            return {}
        key = sha256(canonical(prompt.graph).encode())
        kept = self._kept.get(key)
        node = next(number for number, about in prompt.graph.items() if about["class_type"] in WRITERS)
        if kept is not None and (prompt.graph[node]["class_type"] == "SaveImage" or self._are_there(kept[node])):
            return kept
        write = self._rendered_job if prompt.graph[node]["class_type"] == "RemixRender" else self._saved_image
        names = write(prompt, prompt.graph[node]["inputs"])
        images = [{"filename": name, "subfolder": subfolder, "type": kind} for kind, subfolder, name in names]
        if self._script.name:
            images = [{**image, "filename": self._script.name} for image in images]
        with self.lock:
            self._kept[key] = {node: {"images": images}}
        return {node: {"images": images}}

    def _are_there(self, output: Mapping[str, Any]) -> bool:
        places = [(image["type"], image["subfolder"], image["filename"]) for image in output["images"]]
        return all(place in self.files for place in places)

    def _rendered_job(self, prompt: Prompt, inputs: Mapping[str, Any]) -> list[Place]:
        schedule = read_part(inputs["schedule"])
        recipe = schedule.recipe
        behind = {name: _behind(prompt.graph, inputs[name]) for name in ("model", "clip", "vae")}
        key = sha256(canonical([schedule.to_json(), behind]).encode())[:10]
        places = []
        wanted = range(inputs["first"], min(inputs["first"] + inputs["count"], len(schedule)))
        for index in wanted:
            place = ("output", f"{inputs['filename_prefix']}_{key}/frames", f"{index:06d}.png")
            if place not in self.files:
                picture = painted(schedule[index], recipe.width, recipe.height)
                self._paint(prompt, place, f"{key}/{index}", picture)
            for value, most in (*self._script.progress, (index - wanted[0] + 1, len(wanted))):
                self._say(prompt, "progress", value=value, max=most)
            places.append(place)
        return places

    def _saved_image(self, prompt: Prompt, inputs: Mapping[str, Any]) -> list[Place]:
        made_of = canonical(_behind(prompt.graph, inputs["images"]))
        latent = next((one["inputs"] for one in prompt.graph.values() if one["class_type"] == "EmptyLatentImage"), {})
        batch = next((one["inputs"] for one in prompt.graph.values() if one["class_type"] == "RepeatImageBatch"), {})
        folder, _, name = inputs["filename_prefix"].rpartition("/")
        places: list[Place] = []
        for number in range(batch.get("amount", 1)):
            about = f"{made_of} {number}" if number else made_of
            picture = _painted(about, latent.get("width", 32), latent.get("height", 16))
            places.append(("output", folder, f"{name}_{number + 1:05}_.png"))
            self._paint(prompt, places[-1], sha256(about.encode())[:10], picture)
        return places

    def _paint(self, prompt: Prompt, place: Place, name: str, picture: np.ndarray) -> None:
        if self._seconds:
            time.sleep(self._seconds)
        if prompt.interrupted:
            raise InterruptedError
        if self._script.black:
            self._script.black -= 1
            picture = np.zeros_like(picture)
        with self.lock:
            self.rendered[name] += 1
            self.files[place] = png_bytes(picture)

    # its sockets

    def upgrade(self, asked: Asked, connection: socket.socket) -> None:
        answer = self.answer(Asked("GET", "/queue", {}, asked.headers, b""))
        if answer.status != 200:
            connection.sendall(f"HTTP/1.1 {answer.status} No\r\nContent-Length: 0\r\n\r\n".encode())
            return
        key = asked.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        lines = ("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade")
        connection.sendall("\r\n".join([*lines, f"Sec-WebSocket-Accept: {accept}", "", ""]).encode())
        client = asked.query["clientId"]
        with self.lock:
            self._sockets[client] = connection
            send_text(connection, json.dumps({"type": "status", "data": {"sid": client}}))
        with suppress(OSError):
            while connection.recv(4096):
                pass
        with self.lock:
            # As the real server does: it forgets whichever socket the client has by now.
            if self._deaf or self._sockets.get(client) is connection:
                self._sockets.pop(client, None)

    def _say(self, prompt: Prompt, kind: str, **about: Any) -> None:
        with self.lock:
            connection = self._sockets.get(prompt.extra["client_id"])
            if connection is not None:
                try:
                    send_text(connection, json.dumps({"type": kind, "data": {"prompt_id": prompt.id, **about}}))
                except OSError:
                    self._sockets.pop(prompt.extra["client_id"])

    def say_bytes(self, data: bytes, *, announced: int | None = None) -> None:
        """Sends a binary message to all clients, perhaps with another length before it."""
        with self.lock:
            for connection in self._sockets.values():
                with suppress(OSError):  # it has just ended
                    send(connection, 2, data, announced)

    def say_text(self, kind: str, **about: Any) -> None:
        """Sends a message to all clients."""
        with self.lock:
            for connection in self._sockets.values():
                with suppress(OSError):  # it has just ended
                    send_text(connection, json.dumps({"type": kind, "data": about}))

    def drop_sockets(self) -> None:
        """Resets all sockets."""
        with self.lock:
            for connection in self._sockets.values():
                reset(connection)
            self._sockets.clear()


WRITERS = ("SaveImage", "RemixRender")


def _behind(graph: Mapping[str, Any], link: Any) -> Any:
    """What an input is, written out."""
    if not isinstance(link, list):
        return link
    node = graph[link[0]]
    return [link[1], node["class_type"], {name: _behind(graph, given) for name, given in node["inputs"].items()}]


def _entry(name: str, prompt: Prompt, outputs: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of the history in the form of a recorded one."""
    (entry,) = recorded(name).values()
    entry["prompt"], entry["outputs"], entry["meta"] = prompt.row, copy.deepcopy(dict(outputs)), {}
    for _, about in entry["status"]["messages"]:
        about["prompt_id"] = prompt.id
    return dict(entry)


def send_text(connection: socket.socket, text: str) -> None:
    """Sends a text over a websocket."""
    send(connection, 1, text.encode())


def send(connection: socket.socket, kind: int, data: bytes, announced: int | None = None) -> None:
    """Sends a message over a websocket, perhaps with another length before it."""
    length = len(data) if announced is None else announced
    if length < 126:
        head = struct.pack(">BB", 0x80 | kind, length)
    elif length < 2**16:
        head = struct.pack(">BBH", 0x80 | kind, 126, length)
    else:
        head = struct.pack(">BBQ", 0x80 | kind, 127, length)
    connection.sendall(head + data)
