"""Drafts: every few frames are rendered, in-betweens show the others, and a complete run keeps the frames."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from remix.engine import render
from remix.engine.draft import draft_frames, scaled
from remix.errors import BadInput, OtherRecipe
from remix.motion import load_picture, probe
from remix.plan import Recipe
from tests.core.engine.runs import contents, recipe
from tests.fakes.renderer import Painter


@pytest.fixture(autouse=True)
def opencv() -> None:
    pytest.importorskip("cv2")


def frames_in(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "frames").iterdir())


def test_the_last_frame_belongs_to_a_draft() -> None:
    assert list(draft_frames(9, 4)) == [0, 4, 8]
    assert list(draft_frames(2, 100)) == [0, 1]
    assert list(draft_frames(1, 4)) == [0]
    assert list(draft_frames(3, 1)) == [0, 1, 2]
    with pytest.raises(BadInput, match="every: 0"):
        draft_frames(3, 0)


@pytest.mark.parametrize("own", ["workflow", "payload"])
def test_a_size_that_the_recipe_does_not_set_is_not_scaled(own: str) -> None:
    with pytest.raises(BadInput, match=rf"scale: 0.5, and the {own} sets the size of the pictures; change it there"):
        scaled(Recipe.from_dict({"frames": 1, "keyframes": [{}], own: {"file": "mine.json"}}), 0.5)


@pytest.mark.parametrize("changes", [{}, {"loop": True, "keyframes": recipe().keyframes[:1]}, {"between": 1}])
def test_a_draft_costs_its_frames_and_its_film_has_all(tmp_path: Path, changes: dict[str, object]) -> None:
    asked = recipe(**changes)
    outcome = render(asked, Painter(), tmp_path / "draft", every=4)
    assert (outcome.rendered, outcome.frames, outcome.sheet) == (3, 3, None)
    assert frames_in(tmp_path / "draft") == ["000000.png", "000004.png", "000005.png"]
    whole = render(asked, Painter(), tmp_path / "whole")
    assert outcome.film is not None
    assert whole.film is not None
    drafted, complete = probe(outcome.film), probe(whole.film)
    assert (drafted.frames, drafted.fps) == (complete.frames, complete.fps)
    assert render(asked, Painter(), tmp_path / "draft", every=4).rendered == 0
    completed = render(asked, Painter(), tmp_path / "draft")
    assert completed.rendered == 3
    assert contents(tmp_path / "draft") == contents(tmp_path / "whole")


def paced(**changes: object) -> Recipe:
    first, last = recipe().keyframes
    keyframes = (first, replace(last, at=16))
    return recipe(**{"frames": 17, "pace": "even", "keyframes": keyframes, **changes})


def pictures_in(folder: Path) -> list[bytes]:
    return [load_picture(path).tobytes() for path in sorted((folder / "frames").iterdir())]


def test_a_draft_with_an_even_pace_measures_nothing_and_gives_its_frames_to_the_complete_run(tmp_path: Path) -> None:
    outcome = render(paced(), Painter(), tmp_path, every=4)
    assert outcome.rendered == 5
    assert not (tmp_path / "pacing").exists()
    again = render(paced(), Painter(), tmp_path)
    render(paced(), Painter(), tmp_path / "fresh")
    assert again.film is not None
    assert pictures_in(tmp_path) == pictures_in(tmp_path / "fresh")
    render(paced(), Painter(), tmp_path, every=4)  # the finished film stays
    assert pictures_in(tmp_path) == pictures_in(tmp_path / "fresh")


def test_a_draft_of_another_recipe_or_engine_is_refused(tmp_path: Path) -> None:
    render(paced(), Painter(), tmp_path, every=4)
    with pytest.raises(OtherRecipe):
        render(paced(steps=7), Painter(), tmp_path)
    with pytest.raises(OtherRecipe):
        render(paced(), Painter(model="another"), tmp_path)
