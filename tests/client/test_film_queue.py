"""Many films: outcomes in order, failures that stay with their film, retries, events, engines side by side."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix import Keyframe, Recipe, render_all
from remix.client.cli.render import scaled_folders
from remix.engine import Event, Listener, Picture
from remix.errors import (
    BadInput,
    EngineError,
    HostRefused,
    HostUnreachable,
    Interrupted,
    OtherRecipe,
    RecipeError,
    WrongModel,
)
from remix.motion import load_picture
from remix.plan import Schedule
from tests.fakes.renderer import Painter


def recipe(prompt: str = "a cat", seed: int = 1) -> Recipe:
    return Recipe(frames=3, width=64, height=64, keyframes=(Keyframe(prompt=prompt, seed=seed),))


class Failing(Painter):
    """Fails with each of these errors in turn, always at frame 1, and then paints."""

    def __init__(self, *errors: BaseException, name: str = "painter") -> None:
        super().__init__(name=name)
        self.errors = list(errors)

    def render(
        self, schedule: Schedule, frames: Sequence[int], inputs: Mapping[str, Picture], listen: Listener
    ) -> Iterator[Picture]:
        for index, picture in zip(frames, super().render(schedule, frames, inputs, listen), strict=True):
            if index == 1 and self.errors:
                raise self.errors.pop(0)
            yield picture


class Previewing(Painter):
    """Reports a step with a preview before it paints."""

    def render(
        self, schedule: Schedule, frames: Sequence[int], inputs: Mapping[str, Picture], listen: Listener
    ) -> Iterator[Picture]:
        listen(Event("steps", 1, 2, 0, np.full((2, 2, 3), 7, np.uint8)))
        yield from super().render(schedule, frames, inputs, listen)


def test_a_function_gets_previews_and_a_stream_of_lines_does_not(tmp_path: Path) -> None:
    found, lines = list[dict[str, Any]](), io.StringIO()
    render_all([recipe()], tmp_path / "a", engines=[Previewing()], film=None, events=found.append)
    render_all([recipe()], tmp_path / "b", engines=[Previewing()], film=None, events=lines)
    [preview] = [event["preview"] for event in found if "preview" in event]
    assert preview.tolist() == [[[7, 7, 7]] * 2] * 2
    written = [json.loads(line) for line in lines.getvalue().splitlines()]
    step = next(line for line in written if line["event"] == "steps")
    assert {name: step[name] for name in ("done", "total", "frame")} == {"done": 1, "total": 2, "frame": 0}
    assert not any("preview" in line for line in written)


def test_an_outcome_for_each_film_in_order(tmp_path: Path) -> None:
    painter = Painter()
    outcomes = render_all([recipe("a"), recipe("b")], tmp_path, engines=[painter])
    assert [outcome.folder for outcome in outcomes] == [tmp_path / "film-1", tmp_path / "film-2"]
    assert [(outcome.rendered, outcome.error) for outcome in outcomes] == [(3, None), (3, None)]
    assert all(outcome.film and outcome.film.is_file() for outcome in outcomes)
    again = render_all([recipe("a"), recipe("b")], tmp_path, engines=[painter])
    assert [outcome.rendered for outcome in again] == [0, 0]
    assert render_all([], tmp_path, engines=[painter]) == []


def test_job_folders_are_named_after_the_recipes_or_given(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    for path, prompt in (("morph.toml", "a"), ("walk.json", "b"), ("other/morph.toml", "c")):
        recipe(prompt).save(tmp_path / path)
    paths = [tmp_path / "morph.toml", str(tmp_path / "walk.json"), tmp_path / "other" / "morph.toml"]
    outcomes = render_all(paths, tmp_path / "films", engines=[Painter()])
    assert [outcome.folder.name for outcome in outcomes] == ["morph", "walk", "morph-2"]
    assert [outcome.error for outcome in outcomes] == [None] * 3
    given = render_all({tmp_path / "x": recipe("a"), "y": recipe("b")}, tmp_path / "films", engines=[Painter()])
    assert [outcome.folder for outcome in given] == [tmp_path / "x", tmp_path / "films" / "y"]


@pytest.mark.parametrize(
    ("recipes", "folder", "engines", "message"),
    [
        ("a.toml", "films", ["local"], "recipes: is one text"),
        (["a.toml"], None, ["local"], "folder: is missing"),
        (["a.toml"], "films", [], "engines: is empty"),
        (["a.toml"], "films", ["locl"], "there is no 'locl'"),
        ({"a": "a.toml", "./a": "b.toml"}, "films", ["local"], "are one folder"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused_at_once(
    recipes: Any, folder: Any, engines: Any, message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        render_all(recipes, folder, engines=engines)


def test_a_film_that_fails_ends_no_other(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("frames = 3\n", encoding="utf-8")
    (tmp_path / "full").mkdir()
    render_all({tmp_path / "full": recipe("before")}, engines=[Painter()])
    broken = Failing(ZeroDivisionError("of a driver"))
    outcomes = render_all(
        {"a": recipe("a"), "b": tmp_path / "bad.toml", tmp_path / "full": recipe("after"), "d": recipe("d")},
        tmp_path,
        engines=[broken],
    )
    assert [type(outcome.error) for outcome in outcomes] == [ZeroDivisionError, RecipeError, OtherRecipe, type(None)]
    assert [outcome.rendered for outcome in outcomes] == [0, 0, 0, 3]


def test_a_server_that_fails_is_asked_again_and_its_film_goes_on(tmp_path: Path) -> None:
    engine, lines = Failing(HostRefused("busy", 503), HostRefused("busy", 429)), io.StringIO()
    [outcome] = render_all([recipe()], tmp_path, engines=[engine], pause=0, events=lines)
    assert (outcome.error, outcome.frames, outcome.rendered) == (None, 3, 2)  # the first was kept
    heard = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [line["error"] for line in heard if line["event"] == "retry"] == ["HostRefused", "HostRefused"]
    assert heard[0] == {"film": 0, "folder": str(tmp_path / "film-1"), "event": "start"}
    assert heard[-1] == {**heard[0], "event": "done", "rendered": 2, "frames": 3}


@pytest.mark.parametrize(
    "error", [WrongModel("another"), HostRefused("no", 400), EngineError("no"), RecipeError("no"), Interrupted("no")]
)
def test_what_will_fail_again_is_not_tried_again(error: Exception, tmp_path: Path) -> None:
    [outcome] = render_all([recipe()], tmp_path, engines=[Failing(error)], pause=0)
    assert outcome.error is error


def test_there_are_no_more_retries_than_asked_for(tmp_path: Path) -> None:
    errors = [HostRefused("busy", 503) for _ in range(3)]
    [outcome] = render_all([recipe()], tmp_path, engines=[Failing(*errors)], pause=0, retries=1)
    assert outcome.error is errors[1]


def test_remarks_name_their_folder_and_are_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    engine, heard = Failing(HostRefused("busy", 503)), list[dict[str, Any]]()
    engine._remarks = ["prompt: 'stars' is not known"]
    [outcome] = render_all([recipe()], tmp_path, engines=[engine], pause=0, events=heard.append)
    assert outcome.remarks == ("prompt: 'stars' is not known",)
    assert caplog.messages == [f"{tmp_path / 'film-1'}: prompt: 'stars' is not known"]
    assert [line["message"] for line in heard if line["event"] == "remark"] == ["prompt: 'stars' is not known"]


def test_a_film_that_failed_has_its_remarks_too(tmp_path: Path) -> None:
    engine = Painter(remarks=["a remark"], fail_at=0, failure=EngineError("no"))
    [outcome] = render_all([recipe()], tmp_path, engines=[engine])
    assert (outcome.remarks, str(outcome.error)) == (("a remark",), "no")


def test_once_it_is_to_stop_no_film_begins(tmp_path: Path) -> None:
    engine, heard = Painter(), list[dict[str, Any]]()
    outcomes = render_all(
        [recipe("a"), recipe("b")], tmp_path, engines=[engine], events=heard.append, stop=lambda: bool(engine.rendered)
    )
    assert [type(outcome.error) for outcome in outcomes] == [Interrupted, Interrupted]
    assert engine.rendered == [0]
    assert [(line["film"], line["event"]) for line in heard if line["event"] in ("start", "error")] == [
        (0, "start"),
        (0, "error"),
        (1, "error"),
    ]


class Meeting(Painter):
    """Waits at its first frame until the other engine is at its own."""

    def __init__(self, barrier: threading.Barrier, name: str) -> None:
        super().__init__(name=name)
        self._barrier = barrier

    def render(
        self, schedule: Schedule, frames: Sequence[int], inputs: Mapping[str, Picture], listen: Listener
    ) -> Iterator[Picture]:
        self._barrier.wait(20)
        yield from super().render(schedule, frames, inputs, listen)


def test_engines_work_side_by_side(tmp_path: Path) -> None:
    barrier = threading.Barrier(2)
    engines = [Meeting(barrier, "one"), Meeting(barrier, "other")]
    outcomes = render_all([recipe("a"), recipe("b")], tmp_path, engines=engines)
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert [engine.rendered for engine in engines] == [[0, 1, 2], [0, 1, 2]]


def test_films_of_a_server_that_cannot_be_reached_go_to_the_others(tmp_path: Path) -> None:
    gone = Painter(fail_at=0, failure=HostUnreachable("no connection"))
    there = Painter()
    outcomes = render_all([recipe(f"{n}") for n in range(4)], tmp_path, engines=[gone, there], retries=0)
    assert [outcome.error for outcome in outcomes] == [None] * 4
    assert len(there.rendered) == 12
    outcomes = render_all([recipe("x"), recipe("y")], tmp_path / "none", engines=[gone, gone], retries=0)
    assert [type(outcome.error) for outcome in outcomes] == [HostUnreachable, HostUnreachable]


@pytest.mark.parametrize("engines", [1, 2])
def test_an_error_of_the_listener_ends_the_run(engines: int, tmp_path: Path) -> None:
    def listen(line: dict[str, Any]) -> None:
        if line["event"] == "start":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render_all([recipe("a"), recipe("b")], tmp_path, engines=[Painter() for _ in range(engines)], events=listen)


def test_one_engine_renders_all_its_films_with_one_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = list[Painter]()

    def made(**options: Any) -> Painter:
        opened.append(Painter())
        return opened[-1]

    monkeypatch.setattr("remix.client.local.Local", made)
    render_all([recipe("a"), recipe("b"), recipe("c")], tmp_path, device="cpu")
    assert [len(painter.rendered) for painter in opened] == [9]


def test_a_draft_at_half_size_stays_apart_and_keeps_its_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cv2")
    asked, painter = recipe("a"), Painter()
    (folder,) = scaled_folders([tmp_path / "film"], 0.5)
    monkeypatch.chdir(tmp_path)
    around = [tmp_path.with_name(f"{tmp_path.name}-0.5x"), tmp_path.parent.with_name(f"{tmp_path.parent.name}-0.5x")]
    assert scaled_folders([Path(), Path("..")], 0.5) == around
    options: dict[str, Any] = {"engines": [painter], "film": None, "report": False}
    render_all({tmp_path / "film": asked}, **options)
    (drafted,) = render_all({folder: asked}, every=2, scale=0.5, **options)
    (whole,) = render_all({folder: asked}, scale=0.5, **options)
    assert drafted.rendered + whole.rendered == asked.frames
    assert load_picture(folder / "frames" / "000000.png").shape[:2] == (asked.height // 2, asked.width // 2)
    (kept,) = render_all({tmp_path / "film": asked}, **options)
    assert (kept.error, kept.rendered) == (None, 0)
    (refused,) = render_all({tmp_path / "film": asked}, scale=0.5, **options)
    assert isinstance(refused.error, OtherRecipe)
    (wrong,) = render_all({tmp_path / "film": asked}, scale=2, **options)
    assert "scale: 2; give a share of the size" in str(wrong.error)
