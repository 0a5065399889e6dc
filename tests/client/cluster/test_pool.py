"""A pool of engines in this process: the film of one engine, whatever its members do."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix import Keyframe, Recipe, render_all
from remix.client.cluster import Pool
from remix.engine import Engine, Event, Listener, Picture, WorkerEvent, render
from remix.errors import BlankFrame, EngineError, HostUnreachable, Interrupted, Unsupported
from remix.motion import save_picture
from remix.plan import Schedule, plan
from tests.fakes.renderer import Painter

FRAMES = 24


def recipe(**changes: Any) -> Recipe:
    keyframes = (Keyframe(at=0, prompt="a", seed=1), Keyframe(at=FRAMES - 1, prompt="b", seed=2))
    return Recipe(frames=FRAMES, keyframes=keyframes, width=32, height=16).replace(**changes)


def job(recipe: Recipe, engine: Engine, folder: Path, **options: Any) -> int:
    return render(recipe, engine, folder, film=None, report=False, **options).rendered


def pictures(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "frames").iterdir())}


class Odd(Painter):
    """Paints as others until `frame`, and then raises `error`, or paints `picture`."""

    def __init__(
        self, frame: int, error: Exception | None = None, picture: Picture | None = None, times: int = 1, **more: Any
    ) -> None:
        super().__init__(**more)
        self.frame, self.error, self.picture, self.times = frame, error, picture, times

    def render(
        self, schedule: Schedule, frames: Sequence[int], inputs: Mapping[str, Picture], listen: Listener
    ) -> Iterator[Picture]:
        for index, picture in zip(frames, super().render(schedule, frames, inputs, listen), strict=False):
            if index >= self.frame and self.times:
                self.times -= 1
                if self.error is not None:
                    raise self.error
                picture = self.picture if self.picture is not None else picture
            yield picture


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("alone")
    job(recipe(), Painter(), folder)
    return pictures(folder)


def test_the_film_of_one_engine_and_each_can_go_on_with_it(alone: dict[str, bytes], tmp_path: Path) -> None:
    members = [Painter(seconds=0.001) for _ in range(3)]
    with Pool(members) as pool:
        assert job(recipe(), pool, tmp_path, frames=range(20)) == 20
    assert all(len(member.rendered) > 1 for member in members)
    assert all(member.closed == 1 for member in members)
    assert job(recipe(), Painter(), tmp_path) == FRAMES - 20
    assert pictures(tmp_path) == alone
    with Pool([Painter(), Painter()]) as pool:
        assert job(recipe(), pool, tmp_path) == 0


def test_a_pool_yields_pictures_in_order_if_asked_to(alone: dict[str, bytes]) -> None:
    schedule = plan(recipe())
    with Pool([Painter(), Painter(seconds=0.002)]) as pool:
        found = list(pool.render(schedule, range(FRAMES), {}, lambda event: None))
    expected = list(Painter().render(schedule, range(FRAMES), {}, lambda event: None))
    assert all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))


def test_init_pictures_reach_every_member(tmp_path: Path) -> None:
    save_picture(tmp_path / "init.png", np.arange(16 * 32 * 3, dtype=np.uint8).reshape(16, 32, 3))
    keyframe = Keyframe(prompt="a", seed=1, image="init.png", denoise=0.5)
    asked = recipe(keyframes=(keyframe, Keyframe(at=FRAMES - 1, seed=2)), folder=str(tmp_path))
    job(asked, Painter(), tmp_path / "alone")
    members = [Painter(), Painter()]
    with Pool(members) as pool:
        job(asked, pool, tmp_path / "pool")
    assert pictures(tmp_path / "pool") == pictures(tmp_path / "alone")
    assert all(member.inputs for member in members)


def test_a_member_that_fails_gets_work_again_and_costs_no_frame(
    alone: dict[str, bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    flaky = Odd(3, HostUnreachable("http://a: no connection"), times=2)
    with Pool([flaky, Painter(seconds=0.002)], pause=0.001) as pool, caplog.at_level(logging.WARNING):
        job(recipe(), pool, tmp_path)
    assert pictures(tmp_path) == alone
    assert "painter#1: http://a: no connection; gets work again" in caplog.text
    assert flaky.times == 0


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (Odd(2, picture=np.zeros((8, 8, 3), np.uint8), times=-1), "8x8"),
        (Odd(2, picture=np.zeros((16, 32, 3), np.uint8), times=-1), "every pixel"),
        (Odd(2, ZeroDivisionError("of a driver"), times=-1), "of a driver"),
    ],
)
def test_a_member_that_returns_wrong_pictures_is_put_aside_and_named(
    odd: Odd, reason: str, alone: dict[str, bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Pool([odd, Painter(seconds=0.002)]) as pool, caplog.at_level(logging.WARNING):
        job(recipe(), pool, tmp_path)
    assert pictures(tmp_path) == alone
    [record] = [each.getMessage() for each in caplog.records]
    assert record.startswith("painter#1: put aside")
    assert reason in record


def test_a_frame_that_no_member_can_render_is_an_error_as_with_one_engine(tmp_path: Path) -> None:
    members = [Odd(5, BlankFrame("frame 5: every pixel is black"), times=-1) for _ in range(3)]
    with Pool(members) as pool, pytest.raises(BlankFrame, match="frame 5"):
        job(recipe(), pool, tmp_path)


def test_a_film_ends_once_every_member_keeps_failing(tmp_path: Path) -> None:
    members = [Odd(0, HostUnreachable("no connection"), times=-1) for _ in range(2)]
    with Pool(members, pause=0.001) as pool, pytest.raises(HostUnreachable):
        job(recipe(), pool, tmp_path)
    with Pool([Odd(4, ValueError("broken"), times=-1)]) as pool, pytest.raises(ValueError, match="broken"):
        job(recipe(), pool, tmp_path)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (Painter(off=20), "renders other pictures of frame 0"),
        (Painter(model="another"), "checkpoint"),
        (Painter(name="else"), "was not measured"),
    ],
)
def test_members_whose_frames_differ_are_refused_by_name(other: Painter, reason: str, tmp_path: Path) -> None:
    with Pool([Painter(), other]) as pool, pytest.raises(Unsupported, match=reason) as caught:
        job(recipe(), pool, tmp_path)
    assert f"{other.name}#" in str(caught.value)


def test_slightly_different_frames_are_named_and_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Close(Painter):
        """One level off in a row of pixels."""

        def _painted(self, schedule: Schedule, index: int, inputs: Mapping[str, Picture]) -> Picture:
            picture = super()._painted(schedule, index, inputs)
            picture[0] ^= 1
            return picture

    with Pool([Painter(seconds=0.001), Close()]) as pool, caplog.at_level(logging.WARNING):
        job(recipe(), pool, tmp_path)
    assert "differ slightly" in caplog.text


def test_members_are_compared_once_for_films_that_look_alike(tmp_path: Path) -> None:
    members = [Painter(seconds=0.001) for _ in range(2)]
    with Pool(members) as pool:
        job(recipe(), pool, tmp_path / "a")
        before = sum(len(member.rendered) for member in members)
        keyframes = (Keyframe(at=0, prompt="c", seed=4), Keyframe(at=FRAMES - 1, prompt="d"))
        job(recipe(keyframes=keyframes), pool, tmp_path / "b")
    assert before > FRAMES
    assert sum(len(member.rendered) for member in members) - before <= FRAMES + 1


def test_members_join_and_leave_while_a_film_runs(alone: dict[str, bytes], tmp_path: Path) -> None:
    first, second = Painter(seconds=0.001), Painter(seconds=0.001)
    gate = threading.Event()
    with Pool([first]) as pool:

        def listen(event: Event) -> None:
            if event.stage == "frames" and event.done == 4 and not gate.is_set():
                gate.set()
                pool.join(second)
            if isinstance(event, WorkerEvent) and event.worker == "painter#2" and event.done and first in known():
                pool.leave("painter#1")

        def known() -> list[Painter]:
            return [first] if "painter#1" in pool.members else []

        job(recipe(), pool, tmp_path, listen=listen)
        assert pool.members == ("painter#2",)
    assert pictures(tmp_path) == alone
    assert len(second.rendered) > 1


def test_a_member_that_joins_with_other_pictures_is_put_aside(
    alone: dict[str, bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Pool([Painter(seconds=0.01)]) as pool, caplog.at_level(logging.WARNING):

        def listen(event: Event) -> None:
            if event.stage == "frames" and event.done == 4 and len(pool.members) == 1:
                pool.join(Painter(off=20))

        job(recipe(), pool, tmp_path / "a", listen=listen)
        job(recipe(), pool, tmp_path / "b")
    assert pictures(tmp_path / "a") == pictures(tmp_path / "b") == alone
    assert "painter#2: put aside: painter#2: renders other pictures" in caplog.text


def test_an_interrupt_finishes_the_frames_at_hand_and_the_next_run_the_rest(
    alone: dict[str, bytes], tmp_path: Path
) -> None:
    stopped = threading.Event()

    def listen(event: Event) -> None:
        if event.stage == "frames" and event.done >= 5:
            stopped.set()

    members = [Painter(seconds=0.01) for _ in range(2)]
    with Pool(members) as pool:
        with pytest.raises(Interrupted):
            job(recipe(), pool, tmp_path, listen=listen, stop=stopped.is_set)
        kept = len(pictures(tmp_path))
        assert 5 <= kept < FRAMES
        assert job(recipe(), pool, tmp_path) == FRAMES - kept
    assert pictures(tmp_path) == alone


def test_an_error_of_the_listener_ends_the_film_at_once(tmp_path: Path) -> None:
    def listen(event: Event) -> None:
        if event.done >= 3:
            raise KeyboardInterrupt

    with Pool([Painter(seconds=0.001)] * 2) as pool, pytest.raises(KeyboardInterrupt):
        job(recipe(), pool, tmp_path, listen=listen)


def test_many_films_share_the_members(tmp_path: Path) -> None:
    events = list[dict[str, Any]]()
    films = [recipe(keyframes=(Keyframe(prompt=name, seed=1), Keyframe(at=9, seed=2)), frames=10) for name in "abc"]
    with Pool([Painter(seconds=0.001) for _ in range(3)]) as pool:
        outcomes = render_all(films, tmp_path, engines=[pool], film=None, report=False, events=events.append)
    assert [(outcome.error, outcome.rendered) for outcome in outcomes] == [(None, 10)] * 3
    workers = [event for event in events if event["event"] == "worker"]
    assert {event["worker"] for event in workers} == {"painter#1", "painter#2", "painter#3"}
    assert {"film", "folder", "doing", "seconds", "done", "total"} <= workers[0].keys()


def test_no_member_left_is_an_error(tmp_path: Path) -> None:
    with Pool([Painter(seconds=0.001)]) as pool:

        def listen(event: Event) -> None:
            if event.stage == "frames" and event.done == 3:
                pool.leave("painter#1")

        with pytest.raises(EngineError, match="no worker is left"):
            job(recipe(), pool, tmp_path, listen=listen)
