"""The API of one server: what it has, the one long call that renders, and what is asked beside it."""

from __future__ import annotations

import base64
import binascii
import io
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from remix.client.a1111.stock import Stock
from remix.client.auth import Auth
from remix.client.detect_host import is_there
from remix.client.http import PICTURE_LIMIT, WITHIN, Http
from remix.engine import Picture
from remix.errors import BadReply, HostRefused, PictureError, Unsupported
from remix.motion import load_picture

log = logging.getLogger(__name__)

API = "/sdapi/v1"
LISTS = ("sd-models", "sd-vae", "loras", "samplers", "schedulers", "options", "script-info")
OPTIONAL: Mapping[str, list[Any]] = {"loras": [], "sd-vae": []}
"""What is answered with 404 where the part of the server that has them is turned off, or Forge keeps them elsewhere."""


@dataclass(frozen=True)
class State:
    """How things stand on a server: whether it renders, at which step, and what was asked of it meanwhile.

    A request that was `interrupted` or `skipped` ends as if all were
    well, with a picture that is not finished.
    """

    busy: bool
    step: int = 0
    steps: int = 0
    interrupted: bool = False
    skipped: bool = False
    image: str | None = None

    def preview(self) -> Picture | None:
        """Returns the picture so far, uint8 [height, width, 3]; None where there is none that can be read."""
        if not self.image:
            return None
        try:
            return picture_of(self.image)
        except BadReply as error:
            log.debug("a preview was not shown: %s", error)
            return None


class Server:
    """One A1111 or Forge. `post` may run in a thread of its own while the others are called.

    `beside` is how many seconds a call may take that says how things stand, `ask` one that says what the server has.
    """

    def __init__(
        self,
        url: str,
        auth: Auth | str | None = None,
        *,
        insecure: bool = False,
        pause: Callable[[float], None] = time.sleep,
        beside: float = 10.0,
        ask: float = WITHIN,
    ) -> None:
        def connect(wait: Callable[[float], None]) -> Http:
            return Http(url, auth, insecure=insecure, within=ask, pause=wait)

        self._connect = partial(connect, pause)
        self._work = self._connect()
        # Asked again and again as it is, so that trying again at once is enough.
        self._beside = connect(lambda seconds: None)
        self._within = beside
        self._knows_tasks = True

    @property
    def address(self) -> str:
        """The server's address, without what is secret."""
        return str(self._work.address)

    def masked(self, text: str) -> str:
        """Returns `text` with *** in place of the secret."""
        return self._work.auth.masked(text)

    def stock(self) -> Stock:
        """Returns what the server has. `Unsupported` where there is no API, or one that is too old."""
        return Stock.read(self.address, {name: self._list(name) for name in LISTS})

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
            mend = "use A1111 1.9 or newer" if name == "schedulers" else "start the server with --api"
            raise Unsupported(f"{self.address}{API}/{name}: there is no such thing; {mend}") from error

    def post(self, path: str, body: Mapping[str, Any], within: float) -> Any:
        """Returns the answer to a request that renders; sent once."""
        return self._work.post(path, body, within=within, limit=PICTURE_LIMIT)

    def renew(self) -> None:
        """Takes a new connection for what renders: the old one may be lost, or about to be.

        Forge resets a connection some time after an error on it. A call that is waited for no more ends with its own.
        """
        self._work.give_up()
        self._work = self._connect()

    def state(self, *, image: bool = False) -> State:
        """Returns how things stand; with `image` there is a preview, which the server has to make first."""
        asked = {} if image else {"skip_current_image": "true"}
        answer = self._beside.get(f"{API}/progress", asked, within=self._within)
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
            raise BadReply(f"{self.address}{API}/progress: this is no progress ({error!r})") from error

    def waits(self, task: str) -> bool | None:
        """Returns whether a task waits behind others or runs: True or False; None where the server does not say.

        A server without its page (--nowebui) knows no tasks.
        """
        found = self._task(task)
        return None if found is None else bool(found.get("queued")) or bool(found.get("active"))

    def runs(self, task: str) -> bool | None:
        """Returns whether it is this task that runs; None where the server does not say."""
        found = self._task(task)
        return None if found is None else bool(found.get("active"))

    def _task(self, task: str) -> Mapping[str, Any] | None:
        if not self._knows_tasks:
            return None
        try:
            answer = self._beside.post(
                "/internal/progress", {"id_task": task, "live_preview": False}, within=self._within
            )
        except HostRefused as error:
            log.debug("tasks are not told apart here: %s", error)
            self._knows_tasks = False
            return None
        return answer if isinstance(answer, Mapping) else None

    def interrupt(self) -> None:
        """Asks the server to end what it renders, whosoever that is."""
        self._beside.post(f"{API}/interrupt", {}, within=self._within)


def picture_of(text: str) -> Picture:
    """Returns the picture in base64 `text`, whole and decoded, uint8 [height, width, 3]; BadReply where it is none."""
    if not isinstance(text, str):
        raise BadReply(f"{type(text).__name__} where a picture in base64 is due")
    try:
        data = base64.b64decode(text.partition(",")[2] if text.startswith("data:") else text, validate=True)
        return load_picture(io.BytesIO(data))
    except (binascii.Error, ValueError) as error:
        raise BadReply(f"{len(text)} letters that are no base64 ({error})") from error
    except PictureError as error:
        raise BadReply(f"{len(data)} bytes that are no whole picture ({error})") from error
