"""Even pacing in the loop of the product, with an engine whose pictures change unevenly."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix.engine import Event, Picture, render
from remix.engine.pacing import PICTURES, known_recipe
from remix.errors import Interrupted, OtherRecipe
from remix.job import recipe_of
from remix.motion import load_picture, save_picture
from remix.motion.pacing import variation
from remix.motion.perceptual import distance, look
from remix.plan import Keyframe, Lora, Recipe, Schedule, plan
from tests.fakes.renderer import Painter

FRAMES = 17


class Slider(Painter):
    """Paints an edge that slides over the picture, slowly at the ends of a travel and fast in its middle.

    `jump` is the share of the last prompt at which the background changes at once; None for nowhere.
    """

    def __init__(self, *, steep: float = 14, jump: float | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._steep, self._jump = steep, jump
        self.keys: list[str] = []
        self.lengths: list[int] = []

    def _painted(self, schedule: Schedule, index: int, inputs: Any) -> Picture:
        self.keys.append(schedule.frame_hash(index))
        self.lengths.append(len(schedule))
        recipe, frame = schedule.recipe, schedule[index]
        share = dict(frame.prompt.items).get("b", 0.0) + 2 * dict(frame.prompt.items).get("c", 0.0)
        place = math.floor(share) + 0.5 * (1 + math.tanh(self._steep * (share % 1 - 0.5)))
        x = np.arange(recipe.width)
        edge = np.clip(8 + place * (recipe.width - 16) / 2.2 - x, 0, 1)
        color = (240, 90, 60) if self._jump is not None and share > self._jump else (60, 120, 240)
        picture = np.empty((recipe.height, recipe.width, 3))
        picture[:] = edge[None, :, None] * 200 + (1 - edge[None, :, None]) * np.array(color)
        return picture.round().astype(np.uint8)


def recipe(**changes: Any) -> Recipe:
    keyframes = (Keyframe(at=0, prompt="a"), Keyframe(at=FRAMES - 1, prompt="b"))
    return Recipe(**{"frames": FRAMES, "keyframes": keyframes, "width": 128, "height": 32, "pace": "even", **changes})


def evenness(folder: Path, first: int = 0, last: int = FRAMES - 1) -> float:
    looks = [look(load_picture(folder / "frames" / f"{index:06d}.png")) for index in range(first, last + 1)]
    return variation([distance(a, b) for a, b in itertools.pairwise(looks)])


def test_an_even_pace_evens_the_steps_out_and_keeps_the_ends(tmp_path: Path) -> None:
    engine = Slider()
    render(recipe(pace="linear"), engine, tmp_path / "linear", film=None)
    engine.keys.clear()
    outcome = render(recipe(), engine, tmp_path / "even")
    assert evenness(tmp_path / "linear") > 0.9
    assert evenness(tmp_path / "even") < 0.2
    assert outcome.film is not None
    for index in (0, FRAMES - 1):
        name = f"frames/{index:06d}.png"
        assert (load_picture(tmp_path / "even" / name) == load_picture(tmp_path / "linear" / name)).all()


def test_pictures_are_rendered_once_and_become_frames(tmp_path: Path) -> None:
    engine = Slider()
    render(recipe(), engine, tmp_path, film=None)
    assert len(engine.keys) == len(set(engine.keys)) <= PICTURES * (FRAMES - 1) + 1
    assert not (tmp_path / "pacing").exists()


def test_a_round_has_no_other_frames_since_engines_render_whole_batches(tmp_path: Path) -> None:
    engine = Slider()
    keyframes = (Keyframe(at=0, prompt="a"), Keyframe(at=48, prompt="b"))
    outcome = render(recipe(frames=49, keyframes=keyframes), engine, tmp_path, film=None, report=False)
    sizes = [length for length, _ in itertools.groupby(engine.lengths)]
    assert len(engine.keys) == len(set(engine.keys)) <= PICTURES * 48 + 1
    assert outcome.rendered == 49
    assert all(count % length == 0 for length, count in ((n, engine.lengths.count(n)) for n in set(sizes)))
    assert max(sizes) < 49
    assert len(engine.keys) / len(sizes) >= 8  # so that a round costs little more than its pictures


def test_everything_that_travels_follows_one_clock(tmp_path: Path) -> None:
    save_picture(tmp_path / "a.png", np.full((32, 128, 3), 90, np.uint8))
    ends = {
        "prompt": ("a", "b"),
        "negative": ("x", "y"),
        "seed": (1, 2),
        "cfg": (3.0, 9.0),
        "denoise": (0.4, 0.9),
        "image": ("a.png", None),
        "loras": ((Lora("ink", 0.0),), (Lora("ink", 1.0),)),
    }
    first, last = ({name: values[end] for name, values in ends.items()} for end in (0, 1))
    keyframes = (Keyframe(at=0, **first), Keyframe(at=FRAMES - 1, **last))
    made = recipe(keyframes=keyframes, folder=str(tmp_path))
    render(made, Slider(), tmp_path / "job", film=None)
    clock = recipe_of(tmp_path / "job").clock
    assert clock is not None
    assert max(np.diff(clock)) > 3 * min(np.diff(clock))
    frames = plan(recipe_of(tmp_path / "job")).frames
    assert frames == plan(made.replace(pace="linear"), clock).frames
    shares = [moment / (FRAMES - 1) for moment in clock]
    assert [dict(frame.seed.items).get(2, 0) for frame in frames] == pytest.approx(shares, abs=1e-6)
    assert [frame.cfg for frame in frames] == pytest.approx([3 + 6 * share for share in shares], abs=1e-4)
    assert [frame.denoise for frame in frames] == pytest.approx([0.4 + 0.5 * share for share in shares], abs=1e-4)
    assert [frame.loras[0].strength for frame in frames] == pytest.approx(shares, abs=1e-4)


def test_the_clock_is_written_into_the_job_and_used_again(tmp_path: Path) -> None:
    engine = Slider()
    render(recipe(), engine, tmp_path / "job", film=None)
    held = recipe_of(tmp_path / "job")
    assert held.clock is not None
    assert known_recipe(tmp_path / "job", plan(recipe())) == recipe().replace(clock=held.clock)
    assert json.loads((tmp_path / "job" / "schedule.json").read_text())["clock"] == list(held.clock)
    engine.keys.clear()
    assert render(recipe(fps=30), engine, tmp_path / "job").rendered == 0
    assert engine.keys == []
    # The job's recipe renders the same frames elsewhere, and measures nothing.
    render(held, engine, tmp_path / "elsewhere", film=None)
    assert len(engine.keys) == FRAMES
    assert [plan(held).frame_hash(index) for index in range(FRAMES)] == engine.keys


@pytest.mark.parametrize("stop_after", [1, 2, 3])
def test_an_interrupted_run_goes_on_and_renders_nothing_twice(tmp_path: Path, stop_after: int) -> None:
    engine, whole = Slider(stop_after=stop_after), Slider()
    for _ in range(100):
        try:
            render(recipe(), engine, tmp_path / "job", film=None)
            break
        except Interrupted:
            pass
    else:
        pytest.fail("it never ends")
    render(recipe(), whole, tmp_path / "whole", film=None)
    assert len(engine.keys) == len(set(engine.keys))
    assert sorted(engine.keys) == sorted(whole.keys)
    assert recipe_of(tmp_path / "job").clock == recipe_of(tmp_path / "whole").clock


def test_every_way_is_paced_on_its_own_and_keyframes_keep_their_frames(tmp_path: Path) -> None:
    keyframes = (
        Keyframe(at=0, prompt="a"),
        Keyframe(at=10, prompt="b"),
        Keyframe(at=16, prompt="b"),
        Keyframe(at=30, prompt="c"),
    )
    render(recipe(frames=34, keyframes=keyframes), Slider(), tmp_path, film=None)
    clock = recipe_of(tmp_path).clock
    assert clock is not None
    assert [clock[frame] for frame in (0, 10, 16, 30)] == [0, 10, 16, 30]
    assert clock[10:17] == tuple(range(10, 17))  # nothing travels there
    assert clock[30:] == (30, 31, 32, 33)
    assert evenness(tmp_path, 0, 10) < 0.2
    assert evenness(tmp_path, 16, 30) < 0.2


def test_a_loop_is_paced_over_its_seam(tmp_path: Path) -> None:
    keyframes = (Keyframe(at=0, prompt="a"), Keyframe(at=16, prompt="b"))
    looping = recipe(frames=32, loop=True, keyframes=keyframes)
    render(looping, Slider(), tmp_path, film=None)
    looks = [look(load_picture(tmp_path / "frames" / f"{index % 32:06d}.png")) for index in range(33)]
    assert variation([distance(a, b) for a, b in itertools.pairwise(looks)]) < 0.25


def test_a_jump_is_named_with_its_frame_prompts_and_size(tmp_path: Path) -> None:
    outcome = render(recipe(), Slider(steep=1.5, jump=0.3), tmp_path, film=None)
    (remark,) = [remark for remark in outcome.remarks if remark.startswith("pace:")]
    frame = int(remark.split("at frame ")[1].split(",")[0])
    clock = recipe_of(tmp_path).clock
    assert clock is not None
    assert clock[frame - 1] / 16 <= 0.3 < clock[frame] / 16
    assert "'a' (seed 0) to 'b' (seed 0)" in remark
    assert "steps" in remark


def test_expressions_keep_their_frames(tmp_path: Path) -> None:
    keyframes = (Keyframe(at=0, prompt="a", cfg="5+t/16"), Keyframe(at=FRAMES - 1, prompt="b"))
    render(recipe(keyframes=keyframes), Slider(), tmp_path, film=None)
    assert [frame.cfg for frame in plan(recipe_of(tmp_path))] == [5 + index / 16 for index in range(FRAMES)]
    assert evenness(tmp_path) < 0.2


def test_a_job_of_another_recipe_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    engine = Slider()
    render(recipe(pace="linear"), engine, tmp_path, film=None)
    engine.keys.clear()
    with pytest.raises(OtherRecipe, match="another recipe"):
        render(recipe(), engine, tmp_path, film=None)
    assert engine.keys == []
    render(recipe(), engine, tmp_path, film=None, new=True)
    assert evenness(tmp_path) < 0.2


def test_progress_counts_the_pictures_that_are_measured(tmp_path: Path) -> None:
    events: list[Event] = []
    render(recipe(), Slider(), tmp_path, film=None, listen=events.append)
    pacing = [event for event in events if event.stage == "pacing"]
    assert [event.done for event in pacing] == sorted(event.done for event in pacing)
    assert all(event.done <= event.total for event in pacing)
    assert pacing[-1].done == pacing[-1].total
    assert events.index(pacing[-1]) < next(i for i, event in enumerate(events) if event.stage == "frames")


def test_frames_that_were_measured_count_as_rendered_and_as_nothing_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = render(recipe(), Slider(), "job", film=None)
    assert (outcome.rendered, outcome.remarks) == (FRAMES, ())


def test_a_travel_on_which_nothing_changes_is_left_alone(tmp_path: Path) -> None:
    engine = Slider()
    render(recipe(keyframes=(Keyframe(prompt="a"),)), engine, tmp_path, film=None)
    assert recipe_of(tmp_path).clock == tuple(range(FRAMES))


@pytest.mark.parametrize("offset", [3, 9])
def test_a_loop_that_begins_between_two_keyframes_has_the_same_pace_at_its_seam(tmp_path: Path, offset: int) -> None:
    keyframes = (Keyframe(at=offset, prompt="a"), Keyframe(at=(offset + 8) % 16, prompt="b"))
    engine = Slider()
    render(recipe(frames=16, loop=True, keyframes=keyframes), engine, tmp_path, film=None)
    looks = [look(load_picture(tmp_path / "frames" / f"{index % 16:06d}.png")) for index in range(17)]
    steps = [distance(a, b) for a, b in itertools.pairwise(looks)]
    assert variation(steps) < 0.25
    assert len(engine.keys) == len(set(engine.keys))  # its frames are the measured pictures
    made = recipe_of(tmp_path)
    assert made.clock is not None
    assert made.clock[offset] == offset
    assert plan(made).to_json().encode() == (tmp_path / "schedule.json").read_bytes()
