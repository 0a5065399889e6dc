"""Workflows and servers of strangers: nothing is written elsewhere, nothing hangs, and errors are sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from remix.client import workflows
from remix.client.comfyui.server import SavedFile
from remix.errors import BadInput, RecipeError
from remix.hosts.comfyui.editing import problems
from remix.hosts.comfyui.keyframing import keyframed
from remix.plan import Keyframe, Mix, Recipe

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
    list(workflows._local_pictures(nodes, info))
    with pytest.raises(BadInput):
        keyframed(nodes, info, ["1.a"])


def test_a_payload_that_is_deep_or_large_is_refused() -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = {"a": deep}
    keyframes = [Keyframe()]
    for payload in (deep, {"a": ["x" * 1000] * 2000}, {"a": float("nan")}, {5: 1}, {"a": {1, 2}}):
        with pytest.raises(RecipeError):
            Recipe(frames=1, keyframes=keyframes, payload=payload)
