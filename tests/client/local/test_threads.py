"""Threads that load and render at once: each has its pictures, and what goes wrong names its cause."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from remix.client.local import Local, engine
from remix.client.local.damage import raising_damage
from remix.client.local.turns import TURNS, Turns
from remix.engine import render
from remix.errors import EngineError
from remix.plan import Model, Recipe, plan
from tests.client.local.films import pictures, travel

PATIENCE = 60
"""Seconds after which a thread that should have gone on counts as stuck."""


def together(*works: Callable[[], Any]) -> list[Any]:
    """What each of these returns, all of them begun at once in threads of their own."""
    start = threading.Barrier(len(works))

    def begun(work: Callable[[], Any]) -> Any:
        start.wait(PATIENCE)
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(begun, works))


def playground(**changes: Any) -> Recipe:
    return travel("playground", frames=2, keyframes=travel("playground").keyframes[:1], **changes)


def made(local: Local, recipe: Recipe, frames: Sequence[int] | None = None) -> np.ndarray:
    schedule = plan(recipe)
    return np.stack(list(local.render(schedule, range(len(schedule)), {}, lambda event: None)))


def test_three_threads_with_an_engine_each_load_and_render_at_once(tmp_path: Path) -> None:
    """As `asyncio.to_thread(render, ...)` does: the text encoder's file is half precision, the others are not."""
    recipe = playground()
    before = torch.get_default_dtype()

    def job(number: int) -> int:
        return render(recipe, Local(device="cpu"), tmp_path / str(number), film=None).rendered

    assert together(*[lambda number=number: job(number) for number in range(3)]) == [2, 2, 2]
    frames = [[file.read_bytes() for file in sorted((tmp_path / str(n) / "frames").iterdir())] for n in range(3)]
    assert frames[0] == frames[1] == frames[2]
    assert torch.get_default_dtype() is before


def test_two_threads_that_share_an_engine_take_turns(sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local, recipe = Local(device="cpu", batch=1), travel(str(sound))
    inside, most = [0], [0]
    real = engine.render_batch

    def counted(*args: Any) -> Any:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        try:
            return real(*args)
        finally:
            inside[0] -= 1

    monkeypatch.setattr(engine, "render_batch", counted)
    first, second = together(lambda: made(local, recipe), lambda: made(local, recipe))
    assert most == [1]
    assert (first == second).all()
    monkeypatch.undo()
    assert (first == pictures(recipe, batch=1)).all()


def test_threads_that_share_an_engine_may_use_different_models(sound: Path) -> None:
    """What one of them has loaded since is not what the other renders with."""
    local = Local(device="cpu", batch=1)
    recipes = [playground(), travel(str(sound))]
    alone = [pictures(recipe, batch=1) for recipe in recipes]
    schedules = [plan(recipe) for recipe in recipes]
    turns = [local.render(schedule, range(len(schedule)), {}, lambda event: None) for schedule in schedules]
    frames: list[list[np.ndarray]] = [[], []]
    for _ in range(2):
        for mine, pictures_of in zip(turns, frames, strict=True):
            mine_next = next(mine)
            pictures_of.append(mine_next)
    for mine, whole in zip(frames, alone, strict=True):
        assert (np.stack(mine) == whole[:2]).all()


def test_cancelling_ends_all_that_render_with_an_engine(sound: Path) -> None:
    local, schedule = Local(device="cpu", batch=1), plan(travel(str(sound)))
    running = [local.render(schedule, range(6), {}, lambda event: None) for _ in range(2)]
    for pictures_of in running:
        next(pictures_of)
    local.cancel()
    assert [list(pictures_of) for pictures_of in running] == [[], []]


def test_no_batch_runs_while_another_engine_loads(sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = travel(str(sound))
    running, loading = Local(device="cpu"), Local(device="cpu")
    made(running, recipe)
    seen: list[bool] = []
    real = engine.render_batch

    def looked(*args: Any) -> Any:
        seen.append(bool(TURNS._alone))
        return real(*args)

    monkeypatch.setattr(engine, "render_batch", looked)
    together(lambda: made(running, recipe), lambda: loading._loaded.model(plan(recipe)))
    assert seen
    assert not any(seen)


def test_who_waits_to_be_alone_goes_before_who_comes_later() -> None:
    turns, order = Turns(), list[str]()
    sharing, waiting, done = threading.Event(), threading.Event(), threading.Event()

    def first() -> None:
        with turns.shared():
            sharing.set()
            assert waiting.wait(PATIENCE)
            with turns.shared():  # again, though somebody waits to be alone
                order.append("first")
        assert done.wait(PATIENCE)

    def alone() -> None:
        assert sharing.wait(PATIENCE)
        with turns.alone(), turns.alone(), turns.shared():
            order.append("alone")

    def later() -> None:
        assert sharing.wait(PATIENCE)
        with turns._changed:
            while not turns._waiting:  # nobody is notified of it
                turns._changed.wait(0.001)
        waiting.set()
        with turns.shared():
            order.append("later")
        done.set()

    together(first, alone, later)
    assert order == ["first", "alone", "later"]
    assert not turns._alone
    assert not turns._sharing


META = "Cannot copy out of meta tensor; no data! Please use torch.nn.Module.to_empty()"


@pytest.mark.parametrize(
    ("cause", "message"),
    [
        (NotImplementedError(META), "not about the files: another thread"),
        (ImportError("requires the accelerate library"), "not about the files: a Python package is missing"),
        (PermissionError(13, "Permission denied"), "check its permissions"),
        (OSError(24, "Too many open files"), "how many files are open"),
        (RuntimeError("can't start new thread"), "not about the files: this process may start no more threads"),
        (ValueError("9 weights are missing"), "its files do not go together"),
        (OSError("Error no file named model.safetensors"), "its files do not go together"),
    ],
)
def test_what_is_no_fault_of_the_files_is_not_blamed_on_them(cause: Exception, message: str) -> None:
    with pytest.raises(EngineError, match=message) as caught, raising_damage("x", "its files do not go together"):
        raise cause
    assert caught.value.__cause__ is cause
    assert str(caught.value).count(";") >= 1
    assert ("files do not go together" in str(caught.value)) == (message == "its files do not go together")


def test_a_model_that_somebody_else_loads_meanwhile_is_named_as_the_cause(
    sound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a load by diffusers alone in another thread nothing here can know: new modules have no values then."""
    from accelerate import init_empty_weights
    from transformers import CLIPTextModel

    real = CLIPTextModel.from_pretrained

    def without_values(*args: Any, **kwargs: Any) -> Any:
        network, message = real(*args, **kwargs)
        with init_empty_weights():
            network.late = torch.nn.Linear(2, 2)
        return network, message

    monkeypatch.setattr(CLIPTextModel, "from_pretrained", without_values)
    with pytest.raises(EngineError, match=r"could not be loaded \(Cannot copy out of meta tensor.*another thread"):
        Local(device="cpu")._loaded.model(plan(travel(str(sound), model=Model(str(sound)))))
