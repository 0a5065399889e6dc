"""Jobs below a folder, as lists show them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from remix.job import open_job
from remix.job.listing import jobs_below, listed_job
from remix.plan import Keyframe, Recipe, plan

ENGINE = {"engine": "test"}


def job(folder: Path, finished: int, frames: int = 3) -> Path:
    keyframes = (Keyframe(seed=1), Keyframe(prompt="a cat"), Keyframe(prompt="a dog"))
    recipe = Recipe(frames=frames, keyframes=keyframes, width=16, height=8, fps=6)
    with open_job(folder, plan(recipe), ENGINE) as opened:
        for index in range(finished):
            opened.keep(index, np.full((8, 16, 3), index, np.uint8))
    return folder


def test_jobs_are_listed_with_their_state_and_the_last_changed_first(tmp_path: Path) -> None:
    places = [job(tmp_path / name, finished) for name, finished in (("a", 3), ("deep/er/b", 1), ("c", 0))]
    found = jobs_below(tmp_path)
    assert [each.folder for each in found] == [places[1], places[0], places[2]]
    assert [(each.state, each.finished, each.frames) for each in found] == [
        ("unfinished", 1, 3),
        ("finished", 3, 3),
        ("unfinished", 0, 3),
    ]
    first = found[0]
    assert (first.prompt, first.width, first.height, first.fps) == ("a cat", 16, 8, 6)
    assert first.size > 300
    assert found[2].changed == 0 < found[1].changed < first.changed


def test_a_job_that_is_rendered_now_is_running(tmp_path: Path) -> None:
    recipe = Recipe(frames=1, keyframes=(Keyframe(),), width=16, height=8)
    with open_job(tmp_path, plan(recipe), ENGINE):
        assert listed_job(tmp_path).state == "running"
    assert listed_job(tmp_path).state == "unfinished"


def test_a_damaged_job_is_listed_with_its_problem(tmp_path: Path) -> None:
    (job(tmp_path / "a", 1) / "recipe.json").write_text("{", encoding="utf-8")
    (found,) = jobs_below(tmp_path)
    assert found.state == "damaged"
    assert "recipe.json" in found.problem


def test_links_and_folders_inside_jobs_are_not_searched(tmp_path: Path) -> None:
    real = job(tmp_path / "real", 1)
    job(real / "frames" / "inner", 1)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "link").symlink_to(real)
    assert [each.folder for each in jobs_below(tmp_path)] == [real]
    assert jobs_below(tmp_path / "elsewhere") == []
