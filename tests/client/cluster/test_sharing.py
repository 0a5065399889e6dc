"""Which worker gets which block: on a simulated clock, with workers that are slow, die and hang."""

from __future__ import annotations

import random

import pytest

from remix.client.cluster.sharing import AT_ONCE, UNKNOWN, Sharing
from remix.engine.blocks import blocks
from tests.fakes.workers import simulate


@pytest.mark.parametrize(
    ("paces", "floor"),
    [([2.0] * 2, 0.95), ([2.0] * 4, 0.95), ([2.0] * 8, 0.95), ([1.0, 2.0, 4.0], 0.9), ([1.0, 1.0, 30.0], 0.9)],
)
def test_workers_share_almost_perfectly(paces: list[float], floor: float) -> None:
    film = simulate(480, paces)
    assert film.efficiency(480, paces) >= floor
    assert set(film.first.values()) == {1}
    assert len(film.first) == 480


def test_a_fast_worker_gets_more() -> None:
    film = simulate(700, [1.0, 2.0, 4.0])
    assert film.by["w0"] == pytest.approx(400, abs=10)
    assert film.by["w2"] == pytest.approx(100, abs=10)


def test_20000_frames_by_100_workers_with_a_death_in_every_tenth_block() -> None:
    paces = [random.Random(number).choice((1.0, 2.0, 4.0)) for number in range(100)]
    film = simulate(20_000, paces, batch=8, dies=lambda number: number % 10 == 0)
    assert film.deaths > 50
    assert sorted(film.first) == list(range(20_000))
    assert set(film.first.values()) == {1}
    assert sum(film.rendered.values()) < 20_000 * 1.02
    assert film.efficiency(20_000, paces) > 0.85


def test_the_block_of_a_worker_that_hangs_is_given_again() -> None:
    film = simulate(40, [1.0, 1.0], hangs=lambda worker, frame: worker == "w1" and frame >= 10)
    assert len(film.first) == 40
    assert film.by["w1"] < 15
    assert film.seconds < 60


def test_a_worker_that_hangs_before_anybody_has_finished_a_block_is_replaced() -> None:
    film = simulate(1, [1.0, 1.0], hangs=lambda worker, frame: worker == "w0")
    assert UNKNOWN <= film.seconds < UNKNOWN + 5


def test_a_worker_that_joins_late_takes_its_part() -> None:
    film = simulate(300, [1.0, 1.0, 1.0], joins=[0, 0, 60])
    assert film.by["w2"] == pytest.approx(60, abs=6)


def test_blocks_are_given_several_at_once_while_many_are_left() -> None:
    sharing = Sharing(blocks(400, 4))
    assert sharing.pull("a", 0) == tuple(range(AT_ONCE))
    few = Sharing(blocks(8, 4))
    few.join("b")
    assert few.pull("a", 0) == (0,)


def test_the_first_answer_counts() -> None:
    sharing = Sharing([[0], [1]])
    sharing.join("b")
    assert (sharing.pull("a", 0), sharing.pull("b", 0)) == ((0,), (1,))
    assert sharing.finish("b", 1, 1.0)
    assert sharing.pull("b", 1.5) == ()  # a is expected at 1.0, and is late by half a frame
    assert sharing.pull("b", 4.0) == (0,)
    assert sharing.pull("c", 9.0) == ()  # two have it
    assert sharing.finish("b", 0, 5.0)
    assert not sharing.finish("a", 0, 6.0)
    assert not sharing.is_needed("a")
    assert sharing.left == 0


def test_a_block_that_a_worker_cannot_render_goes_to_another() -> None:
    sharing = Sharing([[0, 1], [2, 3]])
    sharing.join("b")
    assert sharing.pull("a", 0) == (0,)
    assert sharing.finish("a", 0, 1.0)
    assert sharing.refuse("a") == {"a"}
    assert sharing.pull("a", 1.0) == (1,)
    assert sharing.frames(sharing.pull("b", 1.0)) == [1]
    assert sharing.refuse("b") == {"a", "b"}


def test_deaths_are_counted_by_block() -> None:
    sharing = Sharing([[0], [1]])
    for number in (1, 2, 3):
        assert sharing.pull("a", number) == (0,)
        assert sharing.lose("a") == number
    assert sharing.lose("a") == 0  # it had no task
