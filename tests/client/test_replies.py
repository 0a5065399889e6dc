"""Every field of every reply: one that repeats the secret shows it nowhere, and an odd one is an error with a sentence.

The replies are those of the fakes, which are recorded from the real servers. Each field is changed in a run of its own.
"""

from __future__ import annotations

import contextlib
import copy
import json
import logging
import os
import socket
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix.client import ComfyUI
from remix.client import render as render_film
from remix.client.a1111 import A1111
from remix.client.auth import Auth
from remix.client.comfyui.interpolation import LOADER, NODE, Interpolation
from remix.client.comfyui.server import Server
from remix.client.diagnosis import Finding
from remix.client.http import Http, connected
from remix.client.masking import MaskedText, parse_shielded, presentable_errors, shielded
from remix.client.servers import diagnose
from remix.client.workflows import model_files, object_info, run_workflow
from remix.engine import render
from remix.engine.pack import report
from remix.errors import RemixError
from remix.hosts.comfyui.editing import problems
from remix.job import frame_path, read_metadata
from remix.motion.pictures import png_bytes
from remix.plan import Recipe, plan
from remix.plan.wording import listed
from tests.client.a1111.conftest import QUICK as QUICK_A1111
from tests.client.a1111.conftest import recipe as recipe_a1111
from tests.client.comfyui.runs import QUICK, recipe
from tests.fakes.a1111_server import A1111Server
from tests.fakes.comfyui_server import ComfyServer, Script, Trouble
from tests.fakes.faults import Answer, Asked, FaultyServer

SECRET = "SENTINEL-5e1f"
LIMIT = int(os.environ.get("REMIX_FIELDS", "10"))
"""Number of fields of each kind of reply that are changed, evenly chosen; REMIX_FIELDS=9999 changes all."""

STRIDE = 3 if os.environ.get("CI") and "REMIX_FIELDS" not in os.environ else 1
"""CI changes every third of these. Servers of several scenes send the same replies, so each scene starts at another."""

HASTY = replace(QUICK, poll=0.01, request=1, offline=0.2)
HASTY_A1111 = replace(QUICK_A1111, idle=0.05, offline=0.1, sends=2)

Place = tuple[str, ...]
"""What is asked, and then the names on the way to a field; "*" is every entry of a list."""


def places(value: Any, at: Place = ()) -> Iterator[Place]:
    """The fields of a reply, and each list and table as a whole; entries of a list that are alike are one."""
    yield at
    if isinstance(value, dict):
        for name, part in value.items():
            yield from places(part, (*at, name))
    elif isinstance(value, list):
        for part in value:
            yield from places(part, (*at, "*"))


def chosen(seen: set[Place]) -> list[Place]:
    """Returns up to `LIMIT` fields of each kind of reply."""
    found: list[Place] = []
    for kind in sorted({place[0] for place in seen}):
        fields = sorted(place for place in seen if place[0] == kind)
        found += fields[:: -(-len(fields) // LIMIT)]
    return found


def changed(value: Any, at: Place, change: Callable[[Any], Any]) -> Any:
    """A reply with the field, or all fields, at a place changed."""
    if not at:
        return change(value)
    name, *rest = at
    if name == "*" and isinstance(value, list):
        return [changed(part, tuple(rest), change) for part in value]
    if isinstance(value, dict) and name in value:
        return {**value, name: changed(value[name], tuple(rest), change)}
    return value


def about(asked: Asked) -> str:
    """What is asked, without the ids in it."""
    parts = asked.path.split("/")
    return "/".join(part for part in parts if len(part) < 36)


def watched(server: FaultyServer, seen: set[Place], spoil: tuple[Place, Callable[[Any], Any]] | None) -> None:
    """Lets a server take note of the fields of its replies, and change some."""
    answer = server.answer

    def answered(asked: Asked) -> Answer:
        given = answer(asked)
        if isinstance(given.body, bytes):
            return given
        body = copy.deepcopy(given.body)
        seen.update((about(asked), *place) for place in places(body))
        if spoil is not None and spoil[0][0] == about(asked):
            body = changed(body, spoil[0][1:], spoil[1])
        return Answer(body, given.status, given.kind, given.headers, given.reason)

    server.answer = answered  # type: ignore[method-assign]


class Scene:
    """A server, started again for each run, and what the client does with it.

    Of its replies, those to `kinds` are changed, or all of them. Unchanged replies end in an error if it `fails`.
    """

    def __init__(
        self,
        name: str,
        server: Callable[[], FaultyServer],
        act: Callable[[str, Path], Any],
        kinds: Sequence[str] = ("/",),
        *,
        fails: bool = False,
    ) -> None:
        self.name, self.kinds, self._server, self._act, self._fails = name, tuple(kinds), server, act, fails

    def run(self, folder: Path, spoil: tuple[Place, Callable[[Any], Any]] | None = None) -> set[Place]:
        """Acts once; returns the fields of all replies."""
        seen: set[Place] = set()
        server = self._server()
        watched(server, seen, spoil)
        with server.started():
            if spoil is None:
                with pytest.raises(RemixError) if self._fails else contextlib.nullcontext():
                    self._act(server.url, folder)
            else:
                self._act(server.url, folder)
        return {place for place in seen if place[0].startswith(self.kinds)}

    def error(self, folder: Path, spoil: tuple[Place, Callable[[Any], Any]]) -> Exception | None:
        """Acts once with a field changed; returns what that raises."""
        try:
            self.run(folder, spoil)
        except Exception as error:  # noqa: BLE001
            return error
        return None


def on_comfyui(url: str, folder: Path) -> None:
    render(recipe(frames=2), ComfyUI(url, Auth(SECRET), timeouts=HASTY, batch=2), folder, film=None)


def on_a1111(url: str, folder: Path) -> None:
    render(
        recipe_a1111(frames=1, keyframes=[{"prompt": "a"}]),
        A1111(url, Auth(SECRET, "me"), timeouts=HASTY_A1111),
        folder,
        film=None,
    )


WORKFLOW = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
}
"""A workflow that the fake server runs."""


class Films(ComfyServer):
    """A server whose nodes give pictures, videos, sounds and texts."""

    def _outputs(self, prompt: Any) -> dict[str, Any]:
        super()._outputs(prompt)
        files = [{"filename": f"{n}.mp4", "subfolder": "v", "type": "output", "format": "video/h264"} for n in range(4)]
        self.files |= {("output", "v", str(file["filename"])): b"film" for file in files}
        kinds = dict(zip(("images", "gifs", "videos", "audio"), ([file] for file in files), strict=True))
        return {"2": {**kinds, "text": ["a"], "animated": [True]}}


class InBetweens(ComfyServer):
    """A server with a model for in-betweens."""

    def _get_object_info(self, asked: Asked, kind: str) -> Answer:
        inputs = {LOADER: {"model_name": ["COMBO", {"options": ["rife.pth"]}]}, NODE: {"multiplier": ["INT", {}]}}
        if kind not in inputs:
            return super()._get_object_info(asked, kind)
        return Answer({kind: {"input": {"required": inputs[kind]}, "output": ["IMAGE"]}})

    def _outputs(self, prompt: Any) -> dict[str, Any]:
        (node,) = (number for number, about in prompt.graph.items() if about["class_type"] == "PreviewImage")
        names = [f"{number}.png" for number in range(3)]
        self.files |= {("temp", "", name): png_bytes(BLACK) for name in names}
        return {node: {"images": [{"filename": name, "subfolder": "", "type": "temp"} for name in names]}}


BLACK = np.zeros((16, 24, 3), np.uint8)


def in_betweens(url: str, folder: Path) -> None:
    with connected(url, auth=Auth(SECRET), timeout=1, pause=lambda seconds: None) as http:
        Interpolation(Server(http, "client"), "rife.pth", 2, pause=lambda seconds: None).made(BLACK, BLACK)


def workflow_run(url: str, folder: Path) -> None:
    run_workflow(WORKFLOW, folder / "out", url=url, auth=Auth(SECRET), timeouts=HASTY)


def lists_of_models(url: str, folder: Path) -> None:
    list(problems(WORKFLOW, object_info(WORKFLOW, url, auth=Auth(SECRET))))
    shown([Finding("models", str(model_files(url, auth=Auth(SECRET))), "")])


def failing() -> FaultyServer:
    server = A1111Server(auth=f"me:{SECRET}")
    server.failing = ["ValueError"] * 9
    return server


PAYLOAD = {"frames": 1, "payload": {"prompt": "a", "steps": 2, "width": 64, "height": 64}, "keyframes": [{}]}


def payload(url: str, folder: Path) -> None:
    with A1111(url, Auth(SECRET, "me"), timeouts=HASTY_A1111) as engine:
        render_film(Recipe.from_dict(PAYLOAD), folder, engine=engine, film=None, report=False)
    print(read_metadata(frame_path(folder, 0)).a1111)  # noqa: T201


def payload_server() -> FaultyServer:
    """A server that describes a part of its API's fields, so that each is one of those that are changed."""
    server = A1111Server(auth=f"me:{SECRET}")
    types = {"prompt": "string", "steps": "integer", "width": "integer", "height": "integer"}
    for about in server.api["components"]["schemas"].values():
        about["properties"] = {name: {"type": kind} for name, kind in types.items()}
    return server


def without_list(name: str) -> FaultyServer:
    """A server whose own code fails to list its settings or scripts, which its page or a list of names has."""
    server = A1111Server(auth=f"me:{SECRET}", script=True)
    server.broken[name] = Answer(b"Internal Server Error", 500, "text/plain")
    server.sysinfo = {"Config": {name: server.options[name] for name in ("samples_format", "randn_source")}}
    return server


def model_server() -> FaultyServer:
    server = A1111Server(auth=f"me:{SECRET}", script=True)
    server.lists |= {"loras": [{"name": "grain"}], "sd-vae": [{"model_name": "sharp.pt", "filename": "sharp.pt"}]}
    server.report = {**report(None, ["sd15"], {"ink": "1a"}), "plain_attention": True}
    return server


def checked(url: str, asked: Recipe) -> None:
    """What a server is asked before the first frame."""
    with A1111(url, Auth(SECRET, "me"), timeouts=HASTY_A1111) as engine:
        for remark in engine.check(plan(asked)):
            print(remark)  # noqa: T201
        engine.identity(plan(asked))


def settings_of_a1111(url: str, folder: Path) -> None:
    checked(url, recipe_a1111(frames=1, keyframes=[{"prompt": "a"}]))


def models_of_a1111(url: str, folder: Path) -> None:
    model = {"checkpoint": "both-sd15.safetensors", "vae": "sharp", "loras": [{"name": "grain"}]}
    checked(url, recipe_a1111(frames=1, model=model, keyframes=[{"prompt": "a boat in ink"}]))


def failing_node() -> FaultyServer:
    return ComfyServer(token=SECRET, script=Script([Trouble("ValueError", "no")]))


def rejecting() -> FaultyServer:
    return ComfyServer(token=SECRET, script=Script(rejections=["rejected_inputs"]))


def doctor_server() -> FaultyServer:
    server = A1111Server(auth=f"me:{SECRET}")
    server.sysinfo = {"Version": "v1.10.1"}
    return server


def doctor_on_a1111(url: str, folder: Path) -> None:
    shown(diagnose(url, Auth(SECRET, "me")))


SCENES = [
    Scene("nodes", lambda: ComfyServer(token=SECRET), on_comfyui),
    Scene("own nodes", lambda: ComfyServer(token=SECRET, pack=False), on_comfyui),
    Scene("a node fails", failing_node, on_comfyui, fails=True),
    Scene("a prompt is rejected", rejecting, on_comfyui, ["/prompt"], fails=True),
    Scene("doctor on ComfyUI", lambda: ComfyServer(token=SECRET), lambda url, _: shown(diagnose(url, Auth(SECRET)))),
    Scene("a workflow is run", lambda: Films(token=SECRET), workflow_run, ["/history"]),
    Scene("in-betweens", lambda: InBetweens(token=SECRET), in_betweens, ["/history", "/object_info/Frame", "/upload"]),
    Scene("lists", lambda: ComfyServer(token=SECRET, loras=["a.pt"]), lists_of_models, ["/object_info/LoraLoader"]),
    Scene("the nodes' report", lambda: ComfyServer(token=SECRET), on_comfyui, ["/remix/report"]),
    Scene("api", lambda: A1111Server(auth=f"me:{SECRET}"), on_a1111),
    Scene("script", lambda: A1111Server(auth=f"me:{SECRET}", script=True), on_a1111),
    Scene("a render fails", failing, on_a1111, fails=True),
    Scene("a payload", payload_server, payload, ["/openapi.json", "/sdapi/v1/txt2img"]),
    Scene("settings of the page", lambda: without_list("options"), settings_of_a1111, ["/internal/sysinfo"]),
    Scene("names of scripts", lambda: without_list("script-info"), settings_of_a1111, ["/sdapi/v1/scripts"]),
    Scene("the script's report", model_server, models_of_a1111, ["/remix/report"]),
    Scene("lists of models", model_server, models_of_a1111, ["/sdapi/v1/loras", "/sdapi/v1/sd-vae"]),
    Scene("the page's version", doctor_server, doctor_on_a1111, ["/internal/sysinfo"]),
    Scene("doctor on A1111", lambda: A1111Server(auth=f"me:{SECRET}"), doctor_on_a1111),
]


def shown(findings: list[Any]) -> None:
    """What the command prints."""
    for finding in findings:
        print(f"{finding.what} {finding.found} {finding.mend}")  # noqa: T201


def with_secret(value: Any) -> Any:
    return f"{value} {SECRET}" if isinstance(value, str) else SECRET


ODD: dict[str, Callable[[Any], Any]] = {
    "null": lambda value: None,
    "text": lambda value: "abc",
    "huge": lambda value: 1e30,
    "list": lambda value: [[], {}],
    "table": lambda value: {"a": {"b": []}},
    "negative": lambda value: -1,
}


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_no_field_of_a_reply_carries_the_secret_out_or_ends_in_a_traceback(
    scene: Scene, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    seen = chosen(scene.run(tmp_path / "fields"))
    assert all(any(place[0].startswith(kind) for place in seen) for kind in scene.kinds)
    fields = seen[SCENES.index(scene) % STRIDE :: STRIDE] or seen
    odd = cycle(ODD)
    for number, place in enumerate(fields):
        for kind in ("secret", next(odd)):
            change = with_secret if kind == "secret" else ODD[kind]
            error = scene.error(tmp_path / f"{number}-{kind}", (place, change))
            assert error is None or isinstance(error, RemixError), (place, kind, error)
            texts = [caplog.text, *capfd.readouterr(), "".join(traceback.format_exception(error)) if error else ""]
            assert not [text for text in texts if SECRET in text], (place, kind)
            caplog.clear()


HEAD = b"HTTP/1.1 200 OK\r\n"
SAID = {
    "reason": b"HTTP/1.1 418 no %s\r\nContent-Length: 0\r\n\r\n",
    "status": b"HTTP/9.9 abc %s\r\n\r\n",
    "location": b"HTTP/1.1 302 x\r\nLocation: http://e/%s\r\nContent-Length: 0\r\n\r\n",
    "retry": b"HTTP/1.1 503 x\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n",
    "encoding": HEAD + b"Content-Encoding: %s\r\nContent-Length: 2\r\n\r\n{}",
    "length": HEAD + b"Content-Length: %s\r\n\r\n{}",
    "chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n%s\r\n",
    "header": HEAD + b"\x00\x01\xff: %s\r\n\r\n{}",
}


@pytest.mark.parametrize("part", SAID)
def test_no_part_of_an_answers_head_carries_the_secret_out(part: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    def speak(server: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the test has ended
            for _ in range(3):
                connection = server.accept()[0]
                connection.recv(2**16)
                connection.sendall(SAID[part] % SECRET.encode())
                connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=speak, args=(server,), daemon=True).start()
        http = Http(f"http://127.0.0.1:{server.getsockname()[1]}", Auth(SECRET), pause=lambda seconds: None)
        error: Exception | None = None
        try:
            http.get("/a")
        except RemixError as raised:
            error = raised
    reported = caplog.text + (str(error) if error else "")
    assert SECRET.lower() not in reported.lower()
    assert "Failed to parse headers" in reported or part != "header"


def test_advice_of_the_doctor_is_masked_and_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    long = Finding("checkpoint", "a", f"set it to {SECRET}" + "x" * 10**6)
    monkeypatch.setattr("remix.client.servers._comfyui", lambda server, about: iter([long]))
    with ComfyServer(token=SECRET).started() as server:
        (found,) = diagnose(server.url, Auth(SECRET))
    assert found.mend.startswith("set it to ***x")
    assert len(found.mend) < 1000


def test_a_text_that_repeats_the_secret_is_used_as_it_is_and_shown_without_it() -> None:
    reply = shielded({"film-pw.png": ["film-pw.png", 3, None, "film"]}, lambda text: text.replace("pw", "***"))
    (name,) = reply
    assert reply == {"film-pw.png": ["film-pw.png", 3, None, "film"]}
    assert json.loads(json.dumps(reply)) == reply
    assert (str(name), f"{name:>12}", repr(name)) == ("film-***.png", "film-***.png", "'film-***.png'")
    assert "pw" not in repr(reply)
    assert type(reply["film-pw.png"][3]) is str


def test_json_within_a_text_is_shielded_as_the_text_is() -> None:
    (text,) = shielded(['{"model": "a pw b"}'], lambda text: text.replace("pw", "***"))
    inner = parse_shielded(text, json.loads)
    assert inner == {"model": "a pw b"}
    assert str(inner["model"]) == "a *** b"
    assert isinstance(inner["model"], MaskedText)


def test_an_error_is_masked_with_all_that_caused_it() -> None:
    def fail() -> None:
        try:
            raise KeyError("a pw")
        except KeyError as error:
            raise ValueError("b pw") from error

    with (
        pytest.raises(ValueError, match=r"^b \*\*\*$") as raised,
        presentable_errors(lambda text: text.replace("pw", "***")),
    ):
        fail()
    assert "pw" not in str(raised.value.__cause__)


def test_errors_that_cause_each_other_are_masked_once() -> None:
    first, second = ValueError("a pw"), KeyError("b pw")
    first.__cause__, second.__cause__ = second, first
    with (
        pytest.raises(ValueError, match=r"^a \*\*\*$"),
        presentable_errors(lambda text: text.replace("pw", "***")),
    ):
        raise first
    assert second.args == ("b ***",)


def test_a_list_of_names_is_cut() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed([]) == ""
    many = listed("x" * 10_000 for _ in range(400_000))
    assert many.endswith(" and 399980 more")
    assert len(many) < 5000
