"""What runs in a worker's process, called in this one: errors on their way, and what is loaded once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from remix.client.cluster import Worker, driven
from remix.client.cluster.driven import Driven, Failure
from remix.client.cluster.members import Facts, Shot
from remix.errors import BadInput, BlankFrame, EngineError, HostRefused, RecipeError
from remix.plan import Keyframe, Recipe, plan
from tests.fakes.renderer import Painter

SCHEDULE = plan(Recipe(frames=4, width=32, height=16, keyframes=(Keyframe(prompt="a"), Keyframe(at=3, prompt="b"))))


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Painter]:
    """The engines that were opened. What Ray's store holds is the reference itself."""
    found = list[Painter]()

    def open_engine(name: str, **options: Any) -> Painter:
        found.append(Painter(fail_at=2, failure=BlankFrame("frame 2: black")))
        return found[-1]

    monkeypatch.setattr(driven, "open_engine", open_engine)
    monkeypatch.setattr(driven, "fetch", lambda reference: reference)
    return found


@pytest.mark.parametrize(
    "error", [HostRefused("busy", 503, after=7), BlankFrame("frame 2"), RecipeError("is odd", path="steps")]
)
def test_an_error_is_the_same_in_the_other_process(error: Exception) -> None:
    made = Failure(error).error()
    assert type(made) is type(error)
    assert str(made) == str(error)
    assert vars(made) == vars(error)


def test_an_error_of_another_class_is_that_of_an_engine() -> None:
    made = Failure(ZeroDivisionError("of a driver")).error()
    assert (type(made), str(made)) == (EngineError, "ZeroDivisionError: of a driver")


def test_an_engine_is_opened_once_and_yields_what_it_finished_before_an_error(opened: list[Painter]) -> None:
    process, worker = Driven(), Worker("local")
    facts = process.facts(worker, "key", [SCHEDULE])
    assert isinstance(facts, Facts)
    assert facts.identity == {"engine": "painter", "checkpoint": "paint"}
    *shots, failure = process.render(worker, "key", ["not fetched again"], [0, 1, 2], {})
    expected = list(Painter().render(SCHEDULE, [0, 1], {}, lambda event: None))
    assert [shot.index for shot in shots if isinstance(shot, Shot)] == [0, 1]
    assert all(
        np.array_equal(shot.picture, picture)
        for shot, picture in zip(shots, expected, strict=True)
        if isinstance(shot, Shot)
    )
    assert isinstance(failure, Failure)
    assert len(opened) == 1


def test_a_worker_names_an_engine_that_exists() -> None:
    with pytest.raises(BadInput, match="there is no 'locl'"):
        Worker("locl")
