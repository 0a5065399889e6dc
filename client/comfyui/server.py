"""Client of a ComfyUI server's API: nodes and models, the status of prompts, and output pictures."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, ClassVar
from urllib.parse import quote

from remix.client.detect_host import is_there
from remix.client.http import Http
from remix.client.packs import read_pack
from remix.digest import sha256
from remix.engine import Picture
from remix.engine.pack import Pack
from remix.errors import BadReply, HostRefused, HostSilent, HostUnreachable, Unsupported, WorkflowRejected
from remix.hosts.comfyui.graph import Nodes
from remix.hosts.model_names import slashed
from remix.motion.pictures import png_bytes

log = logging.getLogger(__name__)

UPLOADS = "remix"
"""Subfolder of the server's input folder for uploaded pictures."""

FILES_TIMEOUT = 5.0
"""Timeout in seconds for the list of model files. With thousands on a slow disk, a server may not answer at all."""

HISTORY_LIMIT = 8 * 2**20
"""Largest size in bytes of a history entry: the graph, which includes the recipe, and file names."""

LONGEST_ID = 200
"""Largest length of a prompt's id. A UUID has 36 characters."""

MOST_LINES = 20
"""Largest number of reasons that an error shows for a rejected prompt."""

QUEUED, RUNNING, DONE, FAILED, LOST = "queued", "running", "done", "failed", "lost"

PLACE = re.compile(r"(?P<path>.*?)(?: \[(?P<kind>input|output|temp)\])?", re.DOTALL)
"""The name of a file as loaders take it, with its folder and the kind of its place."""


@dataclass(frozen=True)
class SavedFile:
    """An output file on the server. Its names are used only in requests to the server, never as local paths."""

    KEYS: ClassVar = ("filename", "subfolder", "type")

    filename: str
    subfolder: str
    folder: str

    @property
    def query(self) -> dict[str, str]:
        """The query of a request to /view."""
        return dict(zip(self.KEYS, (self.filename, self.subfolder, self.folder), strict=True))


@dataclass(frozen=True)
class PromptStatus:
    """Status of a prompt: `state`, the files of each node once it is done, and the failure if it failed."""

    state: str
    files: Mapping[str, tuple[SavedFile, ...]] = field(default_factory=dict)
    failure: Mapping[str, Any] = field(default_factory=dict)


class Server:
    """A ComfyUI server. `client` is the client id, to which the server addresses its messages."""

    def __init__(self, http: Http, client: str) -> None:
        self.http = http
        self._client = client
        self._nodes: dict[str, Mapping[str, Any] | None] = {}
        self._unlisted: set[str] = set()
        self._packs: dict[str, Pack] = {}

    def version(self) -> tuple[int, ...]:
        """Returns the server's version, or () if the server does not report it."""
        system = _object(_object(self.http.get("/system_stats"), "/system_stats").get("system") or {}, "system")
        text = str(system.get("comfyui_version") or "")
        parts = text.lstrip("v").split(".")
        return tuple(int(part) for part in parts if re.fullmatch(r"[0-9]{1,9}", part))

    def node(self, kind: str, *, again: bool = False) -> Mapping[str, Any] | None:
        """Returns the server's description of a node class, or None if it has no such class.

        Raises `Unsupported`, naming the host, for a server that is not ComfyUI.
        """
        if again or kind not in self._nodes:
            path = f"/object_info/{quote(kind)}"
            try:
                answer = self.http.get(path)
            except HostRefused as error:
                if error.status != 404:
                    raise
                if is_there(self.http, "a1111"):
                    raise Unsupported(f"{self.http.address}: this is an A1111 or Forge; use --engine a1111") from error
                raise Unsupported(f"{self.http.address}: this is no ComfyUI; is it the right address?") from error
            self._nodes[kind] = _object(answer, path).get(kind)
        return self._nodes[kind]

    def inputs(self, kind: str, *, again: bool = False) -> dict[str, Any]:
        """Returns the inputs of a node class by name, or {} if there is no such class."""
        where = f"/object_info/{kind}"
        about = _object(_object(self.node(kind, again=again) or {}, where).get("input") or {}, where)
        required, optional = (_object(about.get(part) or {}, where) for part in ("required", "optional"))
        return {**required, **optional}

    def pack(self, checkpoint: str = "") -> Pack:
        """Returns what the server's Remix nodes report about themselves and a checkpoint."""
        if checkpoint not in self._packs:
            self._packs[checkpoint] = read_pack(self.http, checkpoint)
        return self._packs[checkpoint]

    def choices(self, kind: str, name: str, *, again: bool = False) -> list[str]:
        """Returns the choices of an input. Supports the old format (a list) and the new one (options).

        With `again`, ignores the cached answer and asks the server.
        """
        about = self.inputs(kind, again=again).get(name) or [[]]
        if not isinstance(about, list):
            raise BadReply(f"/object_info/{kind}: {type(about).__name__} where the input {name!r} was expected")
        listed = about[0]
        if listed == "COMBO":
            listed = _maybe(about[1]).get("options") if len(about) > 1 else []
        return [choice for choice in listed if isinstance(choice, str)] if isinstance(listed, list) else []

    def file_details(self, folder: str, names: Iterable[str]) -> dict[str, str]:
        """Returns the size and age of model files in a folder by name, without those that the server does not list.

        Only a job's identity uses this, so a server that stalls or fails here must not end a run. A job whose files
        were listed in an earlier run continues; see `remix.job.identity.same_engine`.
        """
        try:
            listed = self.http.get(f"/experiment/models/{quote(folder)}", timeout=FILES_TIMEOUT, retry=False)
        except (BadReply, HostRefused, HostSilent, HostUnreachable) as error:
            if getattr(error, "status", 0) != 404 and folder not in self._unlisted:  # 404: too old for such a list
                self._unlisted.add(folder)
                log.warning("%s; in this run, another file of the same name would not be noticed", error)
            return {}
        wanted, found = {slashed(name): name for name in names}, dict[str, str]()
        for about in listed if isinstance(listed, list) else []:
            if isinstance(about, dict) and (name := wanted.get(slashed(str(about.get("name"))))):
                found.setdefault(name, f"{about.get('size')} bytes of {_moment(about.get('modified') or 0)}")
        return found

    def upload(self, picture: Picture) -> str:
        """Uploads a picture and returns its name for the server's nodes. The same pixels have the same name."""
        data = png_bytes(picture)
        name = f"{sha256(picture.tobytes())[:24]}_{picture.shape[1]}x{picture.shape[0]}.png"
        fields = {"type": "input", "subfolder": UPLOADS, "overwrite": "true"}
        answer = _object(self.http.upload("/upload/image", fields, name, data), "/upload/image")
        if (answer.get("name"), answer.get("subfolder")) != (name, UPLOADS):
            raise BadReply(f"/upload/image: it says {str(answer)[:200]}, where {UPLOADS}/{name} was sent")
        return f"{UPLOADS}/{name}"

    def input_details(self, name: str) -> str | None:
        """Returns the size and hash of a file in the server's folders of inputs, None if the server does not send it.

        `name` may have a folder, and end with the kind of its place, as in ``x/a.png [output]``. Only a job's identity
        uses this, so a server that fails here must not end a run.
        """
        found = PLACE.fullmatch(slashed(name))
        assert found is not None
        folder, _, file = found["path"].rpartition("/")
        try:
            data = self.http.get_bytes(
                "/view", {"filename": file, "subfolder": folder, "type": found["kind"] or "input"}
            )
        except (BadReply, HostRefused, HostSilent, HostUnreachable) as error:
            log.warning("%s: %s; another file of the same name would not be noticed", name, error)
            return None
        return f"{len(data)} bytes with SHA-256 {sha256(data)[:24]}"

    def view(self, file: SavedFile, size: tuple[int, int] | None) -> Picture:
        """Returns an output picture. Raises `WrongSize` if its width and height are not `size`; None accepts any."""
        return self.http.get_picture("/view", file.query, size=size)

    def download(self, file: SavedFile) -> bytes:
        """Returns the bytes of an output file."""
        return self.http.get_bytes("/view", file.query)

    def submit(self, prompt: str, nodes: Nodes, extra: Mapping[str, Any]) -> str:
        """Queues a prompt and returns its id: `prompt`, or the id that an old server assigned.

        Raises `WorkflowRejected` with a line for each invalid input. After `HostSilent`, `BadReply` or a gateway error,
        the prompt may be queued nevertheless: check `status`.
        """
        body = {"prompt": nodes, "client_id": self._client, "prompt_id": prompt, "extra_data": dict(extra)}
        try:
            answer = _object(self.http.post("/prompt", body), "/prompt")
        except HostRefused as error:
            raise _rejected(error, self.http.shown) from error
        given = str(answer.get("prompt_id") or prompt)
        if len(given) > LONGEST_ID:
            raise BadReply(f"/prompt: the id of the prompt has {len(given)} characters; is this a ComfyUI server?")
        if answer.get("node_errors"):
            self.cancel([given], running=False)
            raise WorkflowRejected(_lines(answer, self.http.shown), 200, answer)
        return given

    def status(self, prompt: str) -> PromptStatus:
        """Returns the status of a prompt: queued, running, done, failed, or lost if the server does not know it.

        A prompt moves from the queue to the history in one step, so reading the queue first and then the history cannot
        miss it.
        """
        early = self._history(prompt)
        if early is not None:
            return early
        queue = _object(self.http.get("/queue"), "/queue")
        for name, state in (("queue_running", RUNNING), ("queue_pending", QUEUED)):
            waiting = queue.get(name) or []
            if not isinstance(waiting, list):
                raise BadReply(f"/queue: {type(waiting).__name__} where the list {name!r} was expected")
            if any(isinstance(item, list) and item[1:2] == [prompt] for item in waiting):
                return PromptStatus(state)
        return self._history(prompt) or PromptStatus(LOST)

    def _history(self, prompt: str) -> PromptStatus | None:
        path = f"/history/{quote(prompt)}"
        entry = _object(self.http.get(path, limit=HISTORY_LIMIT) or {}, path).get(prompt)
        if entry is None:
            return None
        status = _object(_object(entry, path).get("status") or {}, path)
        if status.get("status_str") == "error":
            return PromptStatus(FAILED, failure=_failure(status))
        outputs = _object(entry.get("outputs") or {}, path)
        return PromptStatus(DONE, {node: _saved_files(output) for node, output in outputs.items()})

    def cancel(self, prompts: Iterable[str], *, running: bool = True) -> None:
        """Removes prompts from the queue and, with `running`, interrupts those that run.

        Other prompts are unaffected.
        """
        listed = list(prompts)
        self.http.post("/queue", {"delete": listed})
        for prompt in listed if running else []:
            self.http.post("/interrupt", {"prompt_id": prompt})

    def free(self) -> None:
        """Frees the server's loaded models and cached results."""
        self.http.post("/free", {"unload_models": True, "free_memory": True})


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadReply(f"{where}: {type(value).__name__} where a table was expected; is this a ComfyUI server?")
    return value


def _moment(seconds: Any) -> str:
    """Returns the modification time that a server reports for a file, in seconds since 1970, as ISO 8601."""
    try:
        return f"{datetime.fromtimestamp(int(seconds), timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    except (TypeError, ValueError, OverflowError, OSError) as error:
        raise BadReply(f"/experiment/models: {str(seconds)[:40]!r} where the time of a file was expected") from error


def _maybe(value: Any) -> dict[str, Any]:
    """Returns a dict unchanged, and {} for anything else."""
    return value if isinstance(value, dict) else {}


def _saved_files(output: Any) -> tuple[SavedFile, ...]:
    """Returns the files in a node's history entry: pictures, then videos and others."""
    images = _maybe(output).get("images")
    others = [each for name, value in _maybe(output).items() if name != "images" for each in _listed(value)]
    found = []
    for image in images if isinstance(images, list) else []:
        names = [name for key in SavedFile.KEYS if isinstance(name := _maybe(image).get(key), str)]
        if len(names) < len(SavedFile.KEYS):
            raise BadReply(f"/history: {str(image)[:200]!r} names no file")
        found.append(SavedFile(*names))
    for other in others:
        names = [name for key in SavedFile.KEYS if isinstance(name := _maybe(other).get(key), str)]
        found += [SavedFile(*names)] if len(names) == len(SavedFile.KEYS) else []
    return tuple(found)


def _listed(value: Any) -> list[Any]:
    """Returns a list unchanged, and [] for anything else."""
    return value if isinstance(value, list) else []


def _failure(status: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the last message of a failed prompt, with its kind."""
    messages = status.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else None
    if not isinstance(last, list) or len(last) != 2:
        return {"kind": "execution_error"}
    return {**_maybe(last[1]), "kind": str(last[0])}


def _rejected(error: HostRefused, shown: Callable[..., str]) -> HostRefused:
    if error.status == 403:
        return HostRefused(
            f"{error}; the server minds where requests come from: start it with --enable-cors-header, and give the "
            "address with the path that its proxy uses",
            error.status,
            error.body,
        )
    if _maybe(_maybe(error.body).get("error")):
        return WorkflowRejected(_lines(error.body, shown), error.status, error.body)
    return error


def _lines(body: Mapping[str, Any], shown: Callable[..., str]) -> str:
    """Returns one line for each invalid input: node, input, value and reason."""
    lines = []
    for number, node in _maybe(body.get("node_errors")).items():
        errors = _maybe(node).get("errors")
        for wrong in map(_maybe, errors if isinstance(errors, list) else []):
            extra = _maybe(wrong.get("extra_info"))
            value = extra.get("received_value")
            text = shown(value, 80) if value is not None else ""
            text = f' is "{text}"' if isinstance(value, str) else f" is {text}" if text else ""
            name = extra.get("input_name", "inputs")
            # If the details are only the input's name, the reason is in the message.
            details = wrong.get("details")
            reason = details if details and details != name else wrong.get("message")
            lines.append(f"{shown(node.get('class_type'))} ({shown(number)}), {shown(name)}{text}: {shown(reason)}")
    about = _maybe(body.get("error"))
    if not lines:
        lines = [": ".join(shown(about[part]) for part in ("message", "details") if about.get(part))]
    more = [f"and {len(lines) - MOST_LINES} more"] if len(lines) > MOST_LINES else []
    return "the server refuses the workflow; " + "\n".join(lines[:MOST_LINES] + more)
