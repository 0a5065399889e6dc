"""Films with a budget: some frames are rendered, in-betweens show the others, and the report says how good they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix.engine import Event, Outcome, Picture
from remix.engine import render as render_job
from remix.engine.budget import NEAR, measured_inbetweens, most_rendered
from remix.engine.report import job_report
from remix.errors import Interrupted, OtherRecipe, RecipeError
from remix.job import read_frames, read_metadata, recipe_of
from remix.job.job import frame_key, sources_of
from remix.motion import load_picture
from remix.plan import Keyframe, Recipe, Schedule, plan
from tests.core.engine.runs import contents
from tests.fakes.renderer import Painter

FRAMES = 25


@pytest.fixture(autouse=True)
def opencv() -> None:
    pytest.importorskip("cv2")


def render(asked: Recipe, engine: Painter, folder: Path, **options: Any) -> Outcome:
    return render_job(asked, engine, folder, report=False, **options)


class Fader(Painter):
    """Paints a gradient whose brightness follows the prompt, and a patch that appears at once at the share `jump`."""

    def __init__(self, *, jump: float = 2, **options: Any) -> None:
        super().__init__(**options)
        self._jump = jump

    def _painted(self, schedule: Schedule, index: int, inputs: Any) -> Picture:
        recipe = schedule.recipe
        share = dict(schedule[index].prompt.items).get("b", 0.0)
        picture = np.zeros((recipe.height, recipe.width, 3), np.uint8)
        picture[:] = (60 + 120 * share + np.arange(recipe.width)[None, :, None] / 2).round()
        if share > self._jump:
            picture[8:24, 16:40] = 255 - picture[8:24, 16:40]
        return picture


def recipe(**changes: Any) -> Recipe:
    keyframes = (Keyframe(at=0, prompt="a"), Keyframe(at=FRAMES - 1, prompt="b"))
    return Recipe(
        **{"frames": FRAMES, "keyframes": keyframes, "width": 64, "height": 32, "budget": 0.5, "fps": 12, **changes}
    )


def pictures(folder: Path) -> np.ndarray:
    paths, missing = read_frames(folder)
    assert not missing
    return np.stack([load_picture(path) for path in paths]).astype(float)


@pytest.mark.parametrize("pace", ["linear", "even"])
def test_a_film_within_its_budget_is_near_the_full_one_and_resumes(tmp_path: Path, pace: str) -> None:
    engine = Fader()
    outcome = render(recipe(pace=pace), engine, tmp_path / "spared")
    held = recipe_of(tmp_path / "spared")
    assert held.rendered is not None
    assert {0, FRAMES - 1} <= set(held.rendered)
    assert len(engine.rendered) <= most_rendered(recipe())
    assert len(held.rendered) <= len(engine.rendered)
    assert outcome.film is not None
    assert outcome.sheet is not None
    render(held.replace(budget=None, rendered=None), Fader(), tmp_path / "full", film=None)
    assert np.abs(pictures(tmp_path / "spared") - pictures(tmp_path / "full")).max() <= 2
    before = contents(tmp_path / "spared")
    assert render(recipe(pace=pace), engine, tmp_path / "spared").rendered == 0
    assert contents(tmp_path / "spared") == before
    # The job's recipe makes the same film elsewhere, without measuring.
    elsewhere = Fader()
    render(held, elsewhere, tmp_path / "elsewhere", film=None)
    assert elsewhere.rendered == list(held.rendered)
    assert (pictures(tmp_path / "elsewhere") == pictures(tmp_path / "spared")).all()


def test_frames_are_rendered_where_in_betweens_are_wrong(tmp_path: Path) -> None:
    events = list[Event]()
    render(recipe(), Fader(jump=0.52), tmp_path / "jump", film=None, listen=events.append)
    rendered = recipe_of(tmp_path / "jump").rendered
    assert rendered is not None
    counts = [(event.done, event.total) for event in events if event.stage == "frames"]
    assert [done for done, _ in counts] == sorted(done for done, _ in counts)
    assert {total for _, total in counts} == {most_rendered(recipe()), len(rendered)}  # not those of the rounds
    assert {12, 13} <= set(rendered)  # the jump is between these two
    smooth = Fader()
    render(recipe(), smooth, tmp_path / "smooth", film=None)
    assert len(smooth.rendered) < len(rendered)  # all in-betweens are near before the budget is spent


def test_an_in_between_says_what_it_is_and_is_never_taken_for_a_frame(tmp_path: Path) -> None:
    render(recipe(), Fader(), tmp_path / "job", film=None)
    held = recipe_of(tmp_path / "job")
    assert held.rendered is not None
    lacking = sorted(set(range(FRAMES)) - set(held.rendered))
    made = read_metadata(tmp_path / "job" / "frames" / f"{lacking[0]:06d}.png").remix
    assert made is not None
    assert made["between"] == sources_of(held, lacking[0])
    # Without a budget, exactly the in-betweens are replaced by rendered frames.
    engine = Fader()
    render(recipe(budget=None), engine, tmp_path / "job", film=None)
    assert engine.rendered == lacking
    render(recipe(budget=None), Fader(), tmp_path / "full", film=None)
    assert (pictures(tmp_path / "job") == pictures(tmp_path / "full")).all()


def test_a_loop_has_in_betweens_across_its_seam(tmp_path: Path) -> None:
    keyframes = (Keyframe(at=0, prompt="a"), Keyframe(at=12, prompt="b"))
    looping = recipe(frames=24, loop=True, keyframes=keyframes, budget=0.3)
    render(looping, Fader(), tmp_path / "spared", film=None)
    held = recipe_of(tmp_path / "spared")
    assert held.rendered is not None
    assert held.rendered[-1] < 23
    render(looping.replace(budget=None), Fader(), tmp_path / "full", film=None)
    assert np.abs(pictures(tmp_path / "spared") - pictures(tmp_path / "full")).max() <= 2


def test_an_in_between_at_the_seam_of_a_loop_is_another_one_if_the_loop_is_longer() -> None:
    def key(frames: int) -> str:
        keyframes = (Keyframe(at=0, prompt="a"), Keyframe(at=4, prompt="b", ease="hold"))
        asked = recipe(frames=frames, loop=True, keyframes=keyframes, rendered=[0, 4, 6])
        return frame_key(plan(asked), 7, {})

    assert key(9) == key(9)
    assert key(9) != key(10)  # half-way and a third of the way from frame 6 to frame 0


def test_an_interrupted_run_goes_on_and_another_budget_keeps_frames(tmp_path: Path) -> None:
    engine = Fader(stop_after=5)
    with pytest.raises(Interrupted):
        render(recipe(), engine, tmp_path / "job", film=None)
    engine = Fader()
    render(recipe(), engine, tmp_path / "job", film=None)
    render(recipe(), Fader(), tmp_path / "whole", film=None)
    assert (pictures(tmp_path / "job") == pictures(tmp_path / "whole")).all()
    again = Fader()
    render(recipe(budget=0.9), again, tmp_path / "job", film=None)
    assert not set(again.rendered) & set(recipe_of(tmp_path / "whole").rendered or ())


def test_another_pace_and_budget_replace_no_finished_frames(tmp_path: Path) -> None:
    render(recipe(), Fader(), tmp_path, film=None)
    with pytest.raises(OtherRecipe, match="another recipe"):
        render(recipe(pace="even", budget=0.3), Fader(), tmp_path, film=None)


def test_the_report_says_where_in_betweens_may_be_wrong(tmp_path: Path) -> None:
    tight = recipe(budget=0.2, keyframes=(Keyframe(at=0, prompt="a"), Keyframe(at=FRAMES - 1, prompt="b")))
    outcome = render_job(tight, Fader(jump=0.52), tmp_path, film=None)
    measured = measured_inbetweens(tmp_path, plan(recipe_of(tmp_path)))
    assert measured is not None
    assert measured.frames == FRAMES - len(recipe_of(tmp_path).rendered or ())
    (gap,) = [gap for gap in measured.far if gap[0] <= 12 < gap[1]]
    assert gap[2] > NEAR
    assert outcome.report is not None
    report = job_report(tmp_path)
    assert report.inbetweens == measured
    assert report.cost is not None
    assert report.cost.pictures == FRAMES - measured.frames
    assert dict(report.settings)["rendered"] == ", ".join(map(str, recipe_of(tmp_path).rendered or ()))
    assert dict(report.settings)["size"] == "64 x 32"
    page = outcome.report.read_text(encoding="utf-8")
    assert "Raise the budget" in page
    assert f"<td>{gap[2]:.3f}</td>" in page


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"budget": 0}, "budget"),
        ({"budget": 11}, "budget"),
        ({"rendered": [0, 2]}, "rendered"),
        ({"rendered": [1, FRAMES - 1]}, "rendered"),
        ({"rendered": [0, 5, 5, FRAMES - 1]}, "rendered[2]"),
        ({"rendered": [0, FRAMES]}, "rendered[1]"),
    ],
)
def test_a_wrong_budget_is_refused_by_its_field(changes: dict[str, Any], path: str) -> None:
    with pytest.raises(RecipeError) as error:
        recipe(**changes)
    assert error.value.path == path


def test_both_fields_survive_the_file() -> None:
    asked = recipe(rendered=[0, 3, FRAMES - 1])
    assert Recipe.from_toml(asked.to_toml()) == asked
    assert Recipe.from_json(asked.to_json()) == asked
