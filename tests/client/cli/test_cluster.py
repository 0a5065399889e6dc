"""`remix render` with several workers: its options, its errors, and what it shows."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from remix import Keyframe, Recipe
from remix.client import cluster
from remix.client.cli import main
from remix.client.cli.screen import Lines
from remix.client.cluster import Pool, Worker
from remix.engine import Event, WorkerEvent
from tests.fakes.renderer import Painter


@pytest.fixture
def recipes(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "a.toml", tmp_path / "b.toml"]
    for number, path in enumerate(paths):
        keyframes = (Keyframe(prompt="a cat", seed=number), Keyframe(at=7, prompt="a dog", seed=9))
        Recipe(frames=8, width=32, height=16, keyframes=keyframes).save(path)
    return paths


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Sequence[Worker], Any]]:
    """Collects the workers and the address that pools are asked for. The pools have two painters instead."""
    found = list[tuple[Sequence[Worker], Any]]()

    def pool(members: Sequence[Worker], *, address: str | None = None) -> Pool:
        found.append((members, address))
        return Pool([Painter(seconds=0.001), Painter(seconds=0.001)])

    monkeypatch.setattr(cluster, "Pool", pool)
    return found


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_servers_and_workers_become_members(
    recipes: list[Path], asked: list[tuple[Sequence[Worker], Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_TOKEN", "secret-of-a")
    given = [
        "--server",
        "comfyui=http://a:8188 auth=env:A_TOKEN header=X-Key=env:A_TOKEN",
        "--server",
        "a1111=http://b",
    ]
    assert run("render", recipes[0], "-o", tmp_path / "out", *given, "--batch", 4, "--quiet", "--no-report") == 0
    [(members, address)] = asked
    assert [repr(member) for member in members] == ["comfyui=http://a:8188", "a1111=http://b"]
    assert members[0].options == {
        "url": "http://a:8188",
        "auth": "env:A_TOKEN",
        "headers": {"X-Key": "env:A_TOKEN"},
        "batch": 4,
    }
    assert members[0].environment == {"A_TOKEN": "secret-of-a"}
    assert members[1].options == {"url": "http://b", "batch": 4}
    assert "secret" not in repr(members)
    assert address is None


def test_local_workers_get_the_options_of_the_local_engine(
    recipes: list[Path], asked: list[tuple[Sequence[Worker], Any]], tmp_path: Path
) -> None:
    given = ["--workers", 3, "--cluster", "auto", "--device", "cpu"]
    assert run("render", recipes[0], "-o", tmp_path / "out", *given, "--quiet", "--no-report") == 0
    [(members, address)] = asked
    assert [(member.engine, member.options) for member in members] == [("local", {"device": "cpu"})] * 3
    assert address == "auto"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--workers", "2", "--engine", "comfyui"], "--engine: workers of a cluster render with the local engine"),
        (["--server", "comfyui=http://a", "--url", "http://b"], "--url: does not name a server"),
        (["--server", "comfyui=http://a", "--auth", "env:X"], "--auth: does not name a server"),
        (["--server", "local=http://a"], "begin it with comfyui= or a1111="),
        (["--server", "http://a"], "begin it with comfyui= or a1111="),
        (["--server", "comfyui=http://a key=1"], "'key' is unknown"),
        (["--workers", str(16 * (os.cpu_count() or 1) + 1)], "more than this machine can run; use at most"),
        (["--workers", "10001", "--cluster", "auto"], "10001 is not in the range 1<=x<=10000"),
        (["--workers", "2", "--preview"], "--preview: shows the steps of one engine"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    given: list[str], message: str, recipes: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("render", recipes[0], "-o", tmp_path / "out", *given) == 2
    assert message in capsys.readouterr().err


def test_without_ray_the_error_names_the_extra(
    recipes: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setattr(os, "environ", {**os.environ})
    assert run("render", recipes[0], "-o", tmp_path / "out", "--workers", 2) == 1
    assert ".[cluster]" in capsys.readouterr().err


def test_films_at_once_have_one_bar_and_events_of_each_worker(
    recipes: list[Path],
    asked: list[tuple[Sequence[Worker], Any]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = tmp_path / "log.jsonl"
    given = ["--workers", 2, "--no-film", "--no-report", "--events", log, "--json"]
    assert run("render", *recipes, "-o", tmp_path / "out", *given) == 0
    captured = capsys.readouterr()
    assert [json.loads(line)["rendered"] for line in captured.out.splitlines()] == [8, 8]
    assert "rendering: 16 of 16 frames" in captured.err
    events = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    workers = [event for event in events if event["event"] == "worker"]
    assert {event["worker"] for event in workers} == {"painter#1", "painter#2"}
    assert {event["film"] for event in workers} == {0, 1}


def test_a_log_has_a_line_for_each_worker() -> None:
    printed = list[str]()
    lines = Lines(printed.append, clock=lambda: 0.0)
    lines(Event("frames", 0, 4))
    lines(WorkerEvent("worker", 2, 4, worker="a", doing="rendering frame 3", seconds=1.5))
    lines(WorkerEvent("worker", 1, 4, worker="b", doing="waiting"))
    lines(Event("frames", 4, 4))
    lines(Event("film", 0, 4))
    assert printed == [
        "rendering: 0 of 4 frames",
        "rendering: 4 of 4 frames",
        "  a: 2 frames, 1.50 s per frame, rendering frame 3",
        "  b: 1 frames, waiting",
        "writing the film: 0 of 4 frames",
    ]
