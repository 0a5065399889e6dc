"""Client of one server's API: its models, its state, and the call that renders."""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from remix.client.a1111.models import ServerModels
from remix.client.detect_host import is_there
from remix.client.http import METADATA_LIMIT, PICTURE_LIMIT, Http, largest_picture
from remix.client.packs import read_pack
from remix.client.pictures import decode_picture
from remix.client.statuses import SERVER_ERROR
from remix.client.timeouts import Timeouts
from remix.engine import Picture
from remix.engine.pack import Pack
from remix.errors import BadReply, HostError, HostRefused, Interrupted, Unsupported

log = logging.getLogger(__name__)

API = "/sdapi/v1"
LISTS = ("sd-models", "sd-vae", "loras", "samplers", "schedulers", "options", "script-info")
OPTIONAL: Mapping[str, list[Any]] = {"loras": [], "sd-vae": []}
"""Lists that may return 404: the part of the server is turned off, or Forge keeps them elsewhere."""

REFRESH = ("refresh-checkpoints", "refresh-vae", "refresh-loras")
"""Endpoints that make the server rescan its folders."""

QUEUED, RUNNING = "queued", "running"

MOST_PREVIEW = 4 * 2**20
"""Largest length in characters of a preview that is decoded."""


@dataclass(frozen=True)
class State:
    """The state of a server: whether it renders, at which step, and whether a user interrupted it.

    A request that was `interrupted` or `skipped` succeeds with an unfinished picture.
    """

    busy: bool
    step: int = 0
    steps: int = 0
    interrupted: bool = False
    skipped: bool = False
    image: str | None = None

    def preview(self) -> Picture | None:
        """Returns the current preview, uint8 [height, width, 3], or None if there is none or it cannot be decoded."""
        if not self.image or len(self.image) > MOST_PREVIEW:
            return None
        try:
            return decode_base64(self.image)
        except BadReply as error:
            log.debug("a preview was not shown: %s", error)
            return None

    def refuse_interrupted(self, where: str) -> None:
        """Raises `Interrupted` if a user interrupted the request at `where`. It shows only until the next request."""
        if self.interrupted or self.skipped:
            raise Interrupted(
                f"{where}: somebody at the server interrupted it; what is finished is kept, run the same again"
            )


class Server:
    """An A1111 or Forge server. `post` may run in its own thread while other methods are called.

    connect: creates an HTTP client for the server. Its `pause` waits between attempts.
    """

    def __init__(self, connect: Callable[..., Http], timeouts: Timeouts) -> None:
        self._connect = connect
        self._timeouts = timeouts
        self._work = self._connect(timeout=timeouts.request, pause=timeouts.sleep)
        # The state is polled anyway, so a failed attempt is repeated immediately.
        self._beside = self._connect(timeout=timeouts.status, pause=lambda seconds: None)
        self._knows_tasks = True

    @property
    def address(self) -> str:
        """The server's address, without secrets."""
        return str(self._work.address)

    def mask(self, text: str) -> str:
        """Returns `text` with secrets replaced by ***."""
        return self._work.credentials.mask(text)

    def models(self, *, refresh: bool = False) -> ServerModels:
        """Returns the server's models and settings. With `refresh`, the server rescans its folders first.

        Raises `Unsupported` if the API is turned off or too old. A list that fails because of an extension is replaced
        as far as possible, with a remark.
        """
        if refresh:
            for name in REFRESH:
                self._refresh(name)
        lists, remarks = {}, []
        for name in LISTS:
            try:
                lists[name] = self._list(name)
            except HostRefused as error:
                if error.status != SERVER_ERROR or name not in _SUBSTITUTES:
                    raise
                lists[name], remark = _SUBSTITUTES[name](self, error)
                remarks.append(remark)
        return ServerModels.read(self.address, lists, remarks)

    def pack(self, checkpoint: str = "") -> Pack:
        """Returns what the server's Remix script reports about itself and a checkpoint."""
        return read_pack(self._work, checkpoint)

    def _refresh(self, name: str) -> None:
        try:
            self._work.post(f"{API}/{name}", {})
        except HostError as error:
            log.info("%s", error)

    def _list(self, name: str) -> Any:
        try:
            return self._work.get(f"{API}/{name}")
        except HostRefused as error:
            if error.status != 404:
                raise
            if name in OPTIONAL:
                return OPTIONAL[name]
            if is_there(self._work, "comfyui"):
                raise Unsupported(f"{self.address}: this is a ComfyUI; use --engine comfyui") from error
            advice = "use A1111 1.9 or newer" if name == "schedulers" else "start the server with --api"
            raise Unsupported(f"{self.address}{API}/{name}: there is no such API; {advice}") from error

    def _options_otherwise(self, error: HostRefused) -> tuple[Any, str]:
        """Returns the settings from another source if their list fails, or None, and a remark."""
        options = body_of_invalid_reply(error) or self._page_config()
        how = "" if options else "; those of a fresh server are assumed"
        return options, f"the server fails to list its settings, probably because of an extension{how} ({error})"

    def _page_config(self) -> Any:
        """Returns the settings from the page for bug reports, or None on a server without pages."""
        try:
            config = self._work.get("/internal/sysinfo").get("Config")
        except (HostError, AttributeError) as error:
            log.info("%s", error)
            return None
        return config if isinstance(config, dict) else None

    def _scripts_otherwise(self, error: HostRefused) -> tuple[Any, str]:
        """Returns the names of the scripts without details if the detailed list fails, and a remark."""
        names: Any = None
        try:
            names = self._work.get(f"{API}/scripts").get("txt2img")
        except (HostError, AttributeError) as other:
            log.info("%s", other)
        known = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
        # The Remix script fills in missing arguments.
        scripts = [{"name": name, "args": [None]} for name in known]
        how = "" if known else "; frames are rendered without the Remix script"
        return scripts, f"the server fails to list its scripts, probably because of an extension{how} ({error})"

    def _none_otherwise(self, error: HostRefused) -> tuple[Any, str]:
        """Returns no LoRAs or VAEs if their list fails, and a remark. Most recipes name none."""
        return [], f"the server fails to list some of its files, probably because of an extension ({error})"

    def fields(self) -> Any:
        """Returns the description of the API, None if the server does not publish it."""
        try:
            return self._work.get("/openapi.json")
        except HostError as error:
            log.info("%s", error)
            return None

    def post(self, path: str, body: Mapping[str, Any], timeout: float, frames: int, size: tuple[int, int]) -> Any:
        """Sends a render request for a number of frames of this width and height once and returns the reply."""
        pictures = frames * largest_picture(*size)
        limit = min(PICTURE_LIMIT, METADATA_LIMIT + pictures * 4 // 3)  # base64
        return self._work.post(path, body, timeout=timeout, limit=limit)

    def reconnect(self) -> None:
        """Opens a new connection for rendering, since the old one may be broken or about to break.

        Forge resets a connection some time after an error on it. An abandoned call ends with its connection.
        """
        self._work.abort()
        self._work = self._connect(timeout=self._timeouts.request, pause=self._timeouts.sleep)

    def close(self) -> None:
        """Closes all connections."""
        self._work.close()
        self._beside.close()

    def state(self, *, image: bool = False) -> State:
        """Returns the state. With `image`, it includes a preview, which the server must decode first."""
        query = {} if image else {"skip_current_image": "true"}
        answer = self._beside.get(f"{API}/progress", query)
        try:
            state = answer["state"]
            return State(
                busy=bool(state["job_count"]) or bool(state["job"]),
                step=int(state["sampling_step"]),
                steps=int(state["sampling_steps"]),
                interrupted=bool(state["interrupted"]),
                skipped=bool(state["skipped"]),
                image=answer.get("current_image"),
            )
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise BadReply(f"{self.address}{API}/progress: the answer is not a state ({error!r})") from error

    def task_state(self, task: str) -> str | None:
        """Returns `QUEUED`, `RUNNING`, or "" for a task that is neither; None if the server does not report tasks.

        A server without its page (--nowebui) does not track tasks.
        """
        if not self._knows_tasks:
            return None
        try:
            answer = self._beside.post("/internal/progress", {"id_task": task, "live_preview": False})
        except HostRefused as error:
            log.debug("the server does not tell tasks apart: %s", error)
            self._knows_tasks = False
            return None
        if not isinstance(answer, Mapping):
            return None
        return RUNNING if answer.get("active") else QUEUED if answer.get("queued") else ""

    def interrupt(self) -> None:
        """Interrupts the server's current request, no matter which client sent it."""
        self._beside.post(f"{API}/interrupt", {})


_SUBSTITUTES: Mapping[str, Callable[[Server, HostRefused], tuple[Any, str]]] = {
    "loras": Server._none_otherwise,
    "sd-vae": Server._none_otherwise,
    "options": Server._options_otherwise,
    "script-info": Server._scripts_otherwise,
}
"""Fallback for each list that the server fails to return."""


def body_of_invalid_reply(error: HostRefused) -> dict[str, Any] | None:
    """Returns the reply that a server withheld because it violates the server's own schema, or None for other errors.

    One value of a different type than its default causes this. The error contains the whole reply.
    """
    body = error.body.get("body") if isinstance(error.body, Mapping) else None
    return body if isinstance(body, dict) and body else None


def decode_base64(text: str, size: tuple[int, int] | None = None) -> Picture:
    """Returns the picture in base64 `text`, uint8 [height, width, 3]. Raises the errors of `decode_picture`."""
    if not isinstance(text, str):
        raise BadReply(f"{type(text).__name__} where a picture in base64 was expected")
    try:
        data = base64.b64decode(text.partition(",")[2] if text.startswith("data:") else text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadReply(f"{len(text)} characters that are not base64 ({error})") from error
    return decode_picture(data, size)
