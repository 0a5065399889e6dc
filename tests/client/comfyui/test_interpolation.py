"""In-betweens by a model of a ComfyUI: `remix video --method comfyui:MODEL`, with a stand-in for the server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix.client.cli import main, video
from remix.client.comfyui.interpolation import Interpolation
from remix.client.comfyui.server import DONE, FAILED, LOST, QUEUED, RUNNING, PromptStatus, SavedFile
from remix.errors import EngineError, HostRefused, JobLost
from remix.motion import Picture, probe, read_video, save_picture


def gray(level: int) -> Picture:
    return np.full((16, 24, 3), level, np.uint8)


class Mixing:
    """A server whose model lays one picture over the other."""

    states: tuple[str, ...] = (QUEUED, RUNNING, DONE)
    models: tuple[str, ...] = ("rife.pth",)
    lacking: tuple[str, ...] = ()
    failure: Any = None
    drop = 0

    def __init__(self, *given: Any) -> None:
        self.pictures: dict[str, Picture] = {}
        self.prompts: list[dict[str, Any]] = []
        self.asked = 0

    def node(self, kind: str) -> Any:
        return None if kind in self.lacking else {}

    def choices(self, kind: str, name: str) -> list[str]:
        assert (kind, name) == ("FrameInterpolationModelLoader", "model_name")
        return list(self.models)

    def upload(self, picture: Picture) -> str:
        name = f"remix/{picture[0, 0, 0]}.png"
        self.pictures[name] = picture
        return name

    def submit(self, prompt: str, nodes: dict[str, Any], extra: Any) -> str:
        self.prompts.append(nodes)
        self.asked = 0
        return prompt

    def status(self, prompt: str) -> PromptStatus:
        state = self.states[min(self.asked, len(self.states) - 1)]
        self.asked += 1
        nodes = self.prompts[-1]
        (number,) = (number for number, node in nodes.items() if node["class_type"] == "PreviewImage")
        (film,) = (node["inputs"] for node in nodes.values() if node["class_type"] == "FrameInterpolate")
        names = [f"{part}" for part in range(film["multiplier"] + 1 - self.drop)]
        files = {number: tuple(SavedFile(name, "", "temp") for name in names)} if state == DONE else {}
        return PromptStatus(state, files, self.failure or {})

    def view(self, file: SavedFile, size: tuple[int, int]) -> Picture:
        assert size == (24, 16)
        nodes = self.prompts[-1].values()
        first, second = (self.pictures[n["inputs"]["image"]] for n in nodes if n["class_type"] == "LoadImage")
        (film,) = (node["inputs"] for node in nodes if node["class_type"] == "FrameInterpolate")
        share = int(file.filename) / film["multiplier"]
        return np.round(first * (1 - share) + second * share).astype(np.uint8)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> type[Mixing]:
    class Own(Mixing):
        pass

    monkeypatch.setattr("remix.client.comfyui.server.Server", Own)
    monkeypatch.setattr("remix.client.comfyui.interpolation.POLL", 0.0)
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)  # which a server's model does not need
    return Own


def film(folder: Path, *options: object, levels: tuple[int, ...] = (0, 60, 120)) -> int:
    pictures = folder / "pictures"
    pictures.mkdir(exist_ok=True)
    for index, level in enumerate(levels):
        save_picture(pictures / f"{index}.png", gray(level))
    words = ("video", pictures, "-o", folder / "film.mkv", "--fps", 6, "-q", "--overwrite", *options)
    return main([str(word) for word in words])


@pytest.mark.parametrize(
    ("options", "rate", "levels"),
    [
        (("--between", 3), 24, [0, 15, 30, 45, 60, 75, 90, 105, 120]),
        (("--to-fps", 9), 9, [0, 40, 80, 120]),
        (("--between", 1, "--ping-pong"), 12, [0, 30, 60, 90, 120, 90, 60, 30]),
        ((), 6, [0, 60, 120]),
    ],
)
def test_a_servers_model_makes_the_in_betweens(
    server: type[Mixing], tmp_path: Path, options: tuple[object, ...], rate: int, levels: list[int]
) -> None:
    assert film(tmp_path, *options, "--method", "comfyui:rife.pth") == 0
    assert [int(picture[8, 12, 0]) for picture in read_video(tmp_path / "film.mkv")] == levels
    assert probe(tmp_path / "film.mkv").fps == rate


def test_a_proxy_that_fails_for_a_moment_costs_no_in_betweens(server: type[Mixing], tmp_path: Path) -> None:
    answer, failures = server.status, [502, 530, 429]

    def status(self: Mixing, prompt: str) -> PromptStatus:
        if failures:
            raise HostRefused("the proxy gets no answer", failures.pop(), "")
        return answer(self, prompt)

    server.status = status  # type: ignore[method-assign]
    assert film(tmp_path, "--between", 1, "--method", "comfyui:rife.pth") == 0
    failures.append(404)
    assert film(tmp_path, "--between", 1, "--method", "comfyui:rife.pth") == 1


@pytest.mark.parametrize("arrives", [True, False])
def test_a_proxy_may_fail_at_any_request_and_nothing_is_done_twice(
    server: type[Mixing], monkeypatch: pytest.MonkeyPatch, arrives: bool
) -> None:
    def fail_once(name: str, *, after: bool) -> None:
        answer, failures = getattr(server, name), [502]

        def failing(self: Mixing, *given: Any) -> Any:
            made = answer(self, *given) if after or not failures else None
            if failures:
                raise HostRefused("the proxy gets no answer", failures.pop(), "")
            return made

        monkeypatch.setattr(server, name, failing)

    known = server.status
    monkeypatch.setattr(server, "status", lambda self, id: known(self, id) if self.prompts else PromptStatus(LOST))
    fail_once("upload", after=False)
    fail_once("submit", after=arrives)
    fail_once("view", after=False)
    pauses: list[float] = []
    running = server()
    method = Interpolation(running, "rife.pth", 2, pause=pauses.append)  # type: ignore[arg-type]
    (between,) = method(gray(0), gray(60)).at([0.5])
    assert int(between[8, 12, 0]) == 30
    assert len(running.prompts) == 1
    assert len(pauses) >= 3


def test_a_model_is_found_with_either_slash(server: type[Mixing], tmp_path: Path) -> None:
    server.models = ("vfi\\rife.pth",)
    assert film(tmp_path, "--between", 1, "--method", "comfyui:vfi/rife.pth") == 0


@pytest.mark.parametrize(
    ("options", "changes", "words"),
    [
        (("--method", "rife.pth"), {}, "write comfyui: and the name of a model"),
        (("--method", "comfyui:"), {}, "write comfyui: and the name of a model"),
        (("--method", "comfyui:rif.pth"), {}, "no frame interpolation model 'rif.pth'; did you mean \"rife.pth\"?"),
        (("--method", "comfyui:rife.pth"), {"models": ()}, "none in its folder models/frame_interpolation"),
        (("--method", "comfyui:rife.pth"), {"lacking": ("FrameInterpolate",)}, "has no node FrameInterpolate"),
        (("--method", "comfyui:rife.pth", "--pace", "even"), {}, "--method and --pace"),
        (("--method", "comfyui:rife.pth", "--alpha"), {}, "--method and --alpha"),
        (("--method", "comfyui:rife.pth", "--between", 16), {}, "at most 16 parts, and this rate needs 17"),
    ],
)
def test_what_a_server_cannot_do_is_refused(
    server: type[Mixing],
    tmp_path: Path,
    options: tuple[object, ...],
    changes: dict[str, Any],
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in changes.items():
        setattr(server, name, value)
    monkeypatch.setattr(video, "even", None)  # measures all pictures
    between = () if "--between" in options else ("--between", 1)
    assert film(tmp_path, *between, *options) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        (
            {"states": (FAILED,), "failure": {"node_type": "X", "exception_message": "no memory"}},
            EngineError,
            "X: no m",
        ),
        ({"states": (QUEUED, LOST)}, JobLost, "run the same command again"),
        ({"drop": 1}, EngineError, "made 2 pictures where 3 were expected"),
    ],
)
def test_a_failure_of_the_server_is_named(changes: dict[str, Any], error: type[Exception], words: str) -> None:
    server = Mixing()
    for name, value in changes.items():
        setattr(server, name, value)
    method = Interpolation(server, "rife.pth", 2, pause=lambda seconds: None)  # type: ignore[arg-type]
    with pytest.raises(error, match=words):
        method(gray(0), gray(9)).at([0.5])
