"""Workflows and servers of strangers: nothing is written elsewhere, nothing hangs, and errors are sentences."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix.client import cli, workflows
from remix.client.comfyui.server import SavedFile
from remix.errors import BadInput, RecipeError, Unsupported
from remix.hosts.comfyui.editing import problems
from remix.hosts.comfyui.keyframing import keyframed
from remix.motion import save_picture
from remix.plan import Keyframe, Mix, Recipe
from tests.fakes.comfyui_server import ComfyServer

NAMES = ("../../evil.png", "/etc/passwd", "C:\\\\x.png", "..", "", "CON.png", "a\x00b.png", "x.png", "x.png", "X.PNG")
INFO: dict[str, Any] = {
    "A": {
        "input": {"required": {"a": ["STRING", {}], "b": ["IMAGE"], "c": ["COMBO", {"options": 5}]}},
        "output": ["IMAGE"],
    },
    "B": {"input": {"required": {"images": ["IMAGE"]}}, "output": 7, "output_node": True},
}


class Downloads:
    """A server that gives every file, and a run that asks once."""

    def download(self, file: SavedFile) -> bytes:
        return b"data"

    def retrying(self, call: Any) -> Any:
        return call()


def test_files_that_a_server_names_stay_in_their_folder(tmp_path: Path) -> None:
    files = {"9": [SavedFile(name, str(number), "output") for number, name in enumerate(NAMES)]}
    given: Any = Downloads()
    (tmp_path / "out").mkdir()
    paths = list(workflows._written(files, tmp_path / "out", given, given))
    assert len(set(paths)) == len(NAMES)
    assert {path.parent for path in paths} == {tmp_path / "out"}
    assert sorted(tmp_path.rglob("*")) == sorted([tmp_path / "out", *paths])


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


@pytest.mark.parametrize(
    "nodes",
    [
        {"1": node("A", a="x", b=["1", 0], c="y"), "2": node("B", images=["1", 0])},
        {"1": node("A", a="x", b=["2", 0], c="y"), "2": node("A", a="x", b=["1", 0]), "3": node("B", images=["2", 0])},
        {"1": node("A", a="x", b=["nowhere", 10**9], c="y"), "2": node("B", images=["1", 0])},
        {"1": node("A", a="x", b=["1", -1], c="y"), "2": node("B", images=["1", 0])},
    ],
    ids=["itself", "circle", "nowhere", "before the first"],
)
def test_links_in_circles_or_to_nowhere_end(nodes: Any) -> None:
    found = keyframed(nodes, INFO, ["1.a"])
    values = {"1.a": Mix((("x", 1), ("y", 1)))}
    list(found.problems(values, ()))
    graph, saving = found.graph(values, "p", {})
    assert saving in graph
    assert found.digest() == found.digest()


@pytest.mark.parametrize(
    "about", [5, [], "x", {"input": 5}, {"input": {"required": {"a": 5}}, "output": {"x": 1}}, None]
)
def test_descriptions_of_strangers_are_read_or_refused(about: Any) -> None:
    nodes = {"1": node("A", a="x"), "2": node("B", images=["1", 0]), "3": {"class_type": "A", "inputs": 5}}
    info = {"A": about, "B": INFO["B"]}
    list(problems(nodes, info))
    list(workflows._absent_pictures(nodes, info))
    with pytest.raises(BadInput):
        keyframed(nodes, info, ["1.a"])


def test_what_json_and_utf8_do_not_have_is_not_passed_on(tmp_path: Path) -> None:
    """Half characters, numbers without end, and those that ComfyUI itself writes for nodes that always run."""
    text = (
        '{"1": {"class_type": "A", "inputs": {"a": "x\\ud800y", "b": 1e999, "c": NaN, "d": -Infinity, "e": %s, '
        '"f": "\\ud83c\\udfac", "\\udfff": 5}}}' % ("9" * 4000)
    )
    expected = {"a": "x?y", "b": None, "c": None, "d": None, "e": None, "f": "🎬", "?": 5}
    for data in (text.encode(), text.encode("utf-16"), b"\xef\xbb\xbf" + text.encode()):
        (tmp_path / "w.json").write_bytes(data)
        assert cli.main(["workflow", "convert", str(tmp_path / "w.json"), "-o", str(tmp_path / "p.json")]) == 0
        written = json.loads((tmp_path / "p.json").read_text(encoding="utf-8"))
        assert written == {"1": {"class_type": "A", "inputs": expected}}
        (tmp_path / "p.json").unlink()
    (tmp_path / "w.json").write_bytes(b'{"1": {"class_type": "A\xed\xa0\x80", "inputs": {}}}')
    assert cli.main(["workflow", "show", str(tmp_path / "w.json")]) == 0


def test_a_payload_that_is_deep_or_large_is_refused() -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = {"a": deep}
    keyframes = [Keyframe()]
    for payload in (deep, {"a": ["x" * 1000] * 2000}, {"a": float("nan")}, {5: 1}, {"a": {1, 2}}):
        with pytest.raises(RecipeError):
            Recipe(frames=1, keyframes=keyframes, payload=payload)


def test_a_workflow_sends_no_file_of_the_user_that_it_names_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only pictures next to it and below, and those that the user sets."""
    folder = tmp_path / "downloads"
    (folder / "below").mkdir(parents=True)
    for place in (tmp_path / "private.png", folder / "photo.png", folder / "below" / "photo.png"):
        save_picture(place, np.full((8, 8, 3), len(place.parts), np.uint8))
    os.symlink(tmp_path / "private.png", folder / "link.png")
    os.symlink(tmp_path, folder / "out")
    names = {
        str(tmp_path / "private.png"): False,
        str(folder / "photo.png"): False,  # absolute, so it was not written for this folder
        "../private.png": False,
        "..\\private.png": False,
        "below/../../private.png": False,
        "link.png": False,
        "out/private.png": False,
        "private.png": False,  # it is in the working folder
        "//host/share/private.png": False,
        "a\0.png": False,
        "photo.png": True,
        "below/photo.png": True,
        "below\\photo.png": True,
    }
    monkeypatch.chdir(tmp_path)
    save = node("SaveImage", images=["1", 0], filename_prefix="x")
    with ComfyServer(pack=False).started() as server:
        for number, (name, sent) in enumerate(names.items()):
            nodes = {"1": node("LoadImage", image=name), "2": save}
            out = tmp_path / f"out{number}"
            if sent:
                assert workflows.run_workflow(nodes, out, folder=folder, url=server.url)
                continue
            with pytest.raises(Unsupported, match=r"only pictures next to the workflow .* set others: 1\.image=PATH"):
                workflows.run_workflow(nodes, out, folder=folder, url=server.url)
        assert len([place for place in server.files if place[0] == "input"]) == 2  # equal pictures share a name
        with pytest.raises(Unsupported):
            workflows.run_workflow({"1": node("LoadImage", image="photo.png"), "2": save}, out, url=server.url)
        (folder / "w.json").write_text(json.dumps({"1": node("LoadImage", image="../private.png"), "2": save}))
        line = ["workflow", "run", str(folder / "w.json"), "-o", str(tmp_path / "out"), "--url", server.url, "-q"]
        assert cli.main(line) == 2
        assert "1.image=PATH" in capsys.readouterr().err
        assert cli.main([*line, "1.image=private.png"]) == 0
        assert len([place for place in server.files if place[0] == "input"]) == 3
