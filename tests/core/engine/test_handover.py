"""A job that one engine started and another one continues, which needs equal pictures."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from remix.engine import Picture, render
from remix.errors import Interrupted, OtherRecipe
from remix.job import open_job, read_metadata
from remix.motion import save_picture
from remix.plan import Keyframe, Recipe, Schedule, plan
from tests.fakes.renderer import Painter

FRAMES = 6


def recipe(**changes: object) -> Recipe:
    keyframes = (Keyframe(at=0, prompt="a", seed=1), Keyframe(at=FRAMES - 1, prompt="b", seed=2))
    return Recipe(frames=FRAMES, keyframes=keyframes, width=32, height=16).replace(**changes)


def begun(folder: Path, frames: int, asked: Recipe | None = None) -> None:
    """A job that ComfyUI has begun."""
    engine = Painter(name="comfyui", stop_after=frames)
    with pytest.raises(Interrupted):
        render(asked or recipe(), engine, folder)


def job(folder: Path) -> dict[str, object]:
    return dict(json.loads((folder / "job.json").read_text(encoding="utf-8")))


def test_it_goes_on_and_says_so_and_job_json_tells_who_rendered_what(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    begun(tmp_path, 4)
    other = Painter(name="local")
    with caplog.at_level(logging.WARNING):
        outcome = render(recipe(), other, tmp_path)
    assert "begun on comfyui, continues on local; frame 0 and 3, rendered again to compare: same" in caplog.text
    assert outcome.rendered == 2
    assert other.rendered == [0, 3, 4, 5]
    assert job(tmp_path)["engine"] == {"checkpoint": "paint", "engine": "local"}
    assert job(tmp_path)["earlier"] == [{"engine": {"checkpoint": "paint", "engine": "comfyui"}, "frames": "0-3"}]
    metadata = [read_metadata(path).remix for path in sorted((tmp_path / "frames").iterdir())]
    assert [about["engine"]["engine"] for about in metadata if about] == ["comfyui"] * 4 + ["local"] * 2


def test_pictures_that_are_not_the_same_are_refused_and_nothing_is_changed(tmp_path: Path) -> None:
    begun(tmp_path, 4)
    before = job(tmp_path)
    with pytest.raises(OtherRecipe, match=r"frame 0 and 3, rendered again, is not the same \(48.1 dB, 1\); is it the"):
        render(recipe(), Painter(name="local", off=1), tmp_path)
    assert job(tmp_path) == before
    assert len(list((tmp_path / "frames").iterdir())) == 4


def test_what_was_written_down_stays_when_the_job_is_opened_again(tmp_path: Path) -> None:
    begun(tmp_path, 4)
    render(recipe(), Painter(name="local"), tmp_path)
    before = job(tmp_path)
    again = Painter(name="local")
    assert render(recipe(), again, tmp_path).rendered == 0
    assert again.rendered == []
    assert job(tmp_path) == before
    render(recipe(), Painter(name="a1111"), tmp_path)
    earlier = job(tmp_path)["earlier"]
    assert isinstance(earlier, list)
    assert [(one["engine"]["engine"], one["frames"]) for one in earlier] == [("comfyui", "0-3"), ("local", "0-5")]


def test_the_film_is_the_one_of_an_undisturbed_run(tmp_path: Path) -> None:
    begun(tmp_path / "moved", 2)
    render(recipe(), Painter(name="local"), tmp_path / "moved")
    render(recipe(), Painter(name="local"), tmp_path / "straight")
    assert (tmp_path / "moved" / "film.mp4").read_bytes() == (tmp_path / "straight" / "film.mp4").read_bytes()


@pytest.mark.parametrize(
    ("changes", "name", "reason"),
    [
        ({}, "painter", "painter was not measured against others"),
        ({"sampler": "lms"}, "local", "sampler 'lms' with scheduler 'normal' was not measured on both"),
        ({"keyframes": (Keyframe(prompt="a pear # ripe"),)}, "local", "'# ripe' begins a comment"),
    ],
)
def test_engines_that_are_not_known_to_agree_are_refused_before_anything_is_rendered(
    changes: dict[str, object], name: str, reason: str, tmp_path: Path
) -> None:
    asked = recipe(**changes)
    begun(tmp_path, 4, asked)
    other, before = Painter(name=name), job(tmp_path)
    with pytest.raises(OtherRecipe, match=f"begun on comfyui, and does not continue on {name}: .*{reason}.*give"):
        render(asked, other, tmp_path)
    assert other.rendered == []
    assert job(tmp_path) == before


def test_one_engine_with_another_model_is_refused_as_ever(tmp_path: Path) -> None:
    begun(tmp_path, 4)
    sentence = (
        r"was begun with another checkpoint \('paint', now 'another'\), so none of its 4 finished frames would stay"
    )
    with pytest.raises(OtherRecipe, match=sentence):
        render(recipe(), Painter(name="comfyui", model="another"), tmp_path)


def test_another_recipe_is_refused_whatever_the_engine(tmp_path: Path) -> None:
    begun(tmp_path, 4)
    with pytest.raises(OtherRecipe, match="holds the job of another recipe"):
        render(recipe(steps=7), Painter(name="local"), tmp_path)


def test_a_job_without_a_finished_frame_is_anybodys(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    begun(tmp_path, 0)
    other = Painter(name="painter")
    render(recipe(), other, tmp_path)
    assert "begun on comfyui, which rendered nothing" in caplog.text
    assert other.rendered == list(range(FRAMES))


def test_a_run_that_is_stopped_before_it_is_known_changes_nothing(tmp_path: Path) -> None:
    begun(tmp_path, 4)
    before = job(tmp_path)
    with pytest.raises(Interrupted, match="stopped before it was known"):
        render(recipe(), Painter(name="local", stop_after=1), tmp_path)
    assert job(tmp_path) == before
    assert render(recipe(), Painter(name="comfyui"), tmp_path).rendered == 2


def test_whoever_opens_a_job_by_itself_is_refused_as_ever(tmp_path: Path) -> None:
    begun(tmp_path, 4)
    with (
        pytest.raises(OtherRecipe, match=r"was begun with another .* engine \('comfyui', now 'local'\)"),
        open_job(tmp_path, plan(recipe()), {"engine": "local"}),
    ):
        pass


def test_with_new_another_engine_renders_all_frames_over(tmp_path: Path) -> None:
    begun(tmp_path, 4)
    other = Painter(name="painter")
    render(recipe(), other, tmp_path, new=True)
    assert other.rendered == list(range(FRAMES))
    assert "earlier" not in job(tmp_path)


def test_frames_that_are_init_pictures_do_not_show_that_engines_agree(tmp_path: Path) -> None:
    class Mirrored(Painter):
        def _painted(self, schedule: Schedule, index: int, inputs: Mapping[str, Picture]) -> Picture:
            return super()._painted(schedule, index, inputs)[:, ::-1]

    for name in ("a.png", "b.png"):
        save_picture(tmp_path / name, np.random.default_rng(1).integers(0, 256, (16, 32, 3), np.uint8))
    keyframes = (
        Keyframe(at=0, prompt="a", image="a.png", denoise=0),
        Keyframe(at=2, denoise=0.5),
        Keyframe(at=FRAMES - 1, image="b.png", denoise=0),
    )
    asked = Recipe(FRAMES, keyframes, width=32, height=16, restore=True, folder=str(tmp_path))
    folder = tmp_path / "job"
    render(asked, Painter(name="comfyui"), folder, film=None, report=False)
    (folder / "frames" / "000003.png").unlink()
    with pytest.raises(OtherRecipe, match="frame 1 and 4, rendered again, is not the same"):
        render(asked, Mirrored(name="local"), folder, film=None, report=False)
