"""The loop of the product, with an engine that paints: what is rendered, kept, resumed and refused."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import shutil
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from remix.engine import Event, render
from remix.errors import (
    BadInput,
    EngineError,
    Interrupted,
    JobError,
    JobLocked,
    MissingPackage,
    OtherRecipe,
    RecipeError,
    VideoFormatError,
)
from remix.job import open_job, read_metadata, recipe_of
from remix.job.inputs import Inputs
from remix.job.journal import Journal
from remix.motion import load_picture, probe, save_picture
from remix.plan import Keyframe, Recipe, plan
from tests.core.engine.runs import FRAMES, contents, recipe
from tests.fakes.renderer import Painter


def test_a_run_leaves_frames_film_sheet_recipe_and_schedule(tmp_path: Path) -> None:
    outcome = render(recipe(), Painter(), tmp_path / "job")
    assert outcome.rendered == outcome.frames == FRAMES
    assert sorted(path.name for path in (tmp_path / "job" / "frames").iterdir()) == [
        f"{index:06d}.png" for index in range(FRAMES)
    ]
    assert outcome.film is not None
    film = probe(outcome.film)
    assert (film.frames, film.width, film.height) == (FRAMES, 32, 16)
    assert load_picture(outcome.sheet).ndim == 3
    assert recipe_of(tmp_path / "job") == recipe()
    assert (tmp_path / "job" / "schedule.json").read_text("utf-8") == plan(recipe()).to_json()


def test_running_again_renders_nothing_and_changes_nothing(tmp_path: Path) -> None:
    render(recipe(), Painter(), tmp_path)
    before, again = contents(tmp_path), Painter()
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "frames").iterdir()}
    assert render(recipe(), again, tmp_path).rendered == 0
    assert again.rendered == []
    assert contents(tmp_path) == before
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "frames").iterdir()} == times


@pytest.mark.parametrize("stop", range(FRAMES))
def test_a_stopped_run_goes_on_where_it_was_and_gives_the_same_bytes(tmp_path: Path, stop: int) -> None:
    render(recipe(), Painter(), tmp_path / "whole")
    with pytest.raises(Interrupted, match=f"{FRAMES - stop} of {FRAMES} frames left; run it again"):
        render(recipe(), Painter(stop_after=stop), tmp_path / "stopped")
    rest = Painter()
    render(recipe(), rest, tmp_path / "stopped")
    assert rest.rendered == list(range(stop, FRAMES))
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


def test_some_frames_alone_make_neither_film_nor_sheet_until_all_are_there(tmp_path: Path) -> None:
    render(recipe(), Painter(), tmp_path / "whole")
    some, rest = Painter(), Painter()
    outcome = render(recipe(), some, tmp_path / "parts", frames=[4, 1, 4])
    assert (outcome.film, outcome.sheet, outcome.rendered, outcome.frames) == (None, None, 2, 2)
    assert some.rendered == [1, 4]
    assert not (tmp_path / "parts" / "sheet.png").exists()
    outcome = render(recipe(), rest, tmp_path / "parts", frames=[0, 1, 2, 3, 5])
    assert rest.rendered == [0, 2, 3, 5]
    assert outcome.film is not None
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")
    with pytest.raises(BadInput, match="frames: 6 is not a frame of this recipe; give some of 0 to 5"):
        render(recipe(), Painter(), tmp_path / "parts", frames=[2, 6])


def test_an_engine_that_fails_costs_no_finished_frame(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="out of paint"):
        render(recipe(), Painter(fail_at=4, failure=EngineError("out of paint")), tmp_path)
    rest = Painter()
    render(recipe(), rest, tmp_path)
    assert rest.rendered == [4, 5]


@pytest.mark.parametrize("damage", ["cut", "empty", "other bytes", "gone", "another frame"])
def test_a_damaged_frame_alone_is_made_again(tmp_path: Path, damage: str) -> None:
    render(recipe(), Painter(), tmp_path)
    before = contents(tmp_path)
    path = tmp_path / "frames" / "000002.png"
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "another frame":
        shutil.copy(tmp_path / "frames" / "000003.png", path)
    else:
        path.write_bytes({"cut": data[: len(data) // 2], "empty": b"", "other bytes": b"x" * len(data)}[damage])
    again = Painter()
    render(recipe(), again, tmp_path)
    assert again.rendered == [2]
    assert contents(tmp_path) == before


def test_a_frame_counts_without_its_journal_when_its_own_metadata_says_what_made_it(tmp_path: Path) -> None:
    render(recipe(), Painter(), tmp_path)
    (tmp_path / "journal.jsonl").unlink()
    again = Painter()
    render(recipe(), again, tmp_path)
    assert again.rendered == []


def test_a_frame_that_looks_the_same_but_is_another_is_made_again(tmp_path: Path) -> None:
    still = recipe(keyframes=(Keyframe(at=0, prompt="a"),))
    render(still, Painter(), tmp_path)
    before = contents(tmp_path)
    shutil.copy(tmp_path / "frames" / "000003.png", tmp_path / "frames" / "000002.png")
    (tmp_path / "journal.jsonl").unlink()
    again = Painter()
    render(still, again, tmp_path)
    assert again.rendered == [2]
    assert contents(tmp_path) == before


def test_a_journal_line_that_was_cut_off_costs_nothing(tmp_path: Path) -> None:
    render(recipe(), Painter(), tmp_path)
    journal = tmp_path / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])
    again = Painter()
    render(recipe(), again, tmp_path)
    assert again.rendered == []
    assert render(recipe(), Painter(), tmp_path).rendered == 0


def test_lines_behind_one_that_was_cut_off_are_all_read(tmp_path: Path) -> None:
    """A line is appended to what is there: without a new line before it, it would be lost with the torn one."""
    path, files = tmp_path / "journal.jsonl", [tmp_path / f"{number}.png" for number in range(4)]
    for number, file in enumerate(files):
        file.write_bytes(b"%d" % number)
    Journal(path).note(files[0], "a")
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:30])
    torn = Journal(path)
    for file in files[1:]:
        torn.note(file, "a")
    for read in (torn, Journal(path)):
        assert all(read.holds(file, "a") for file in files)


def test_another_recipe_is_refused_unless_new_then_shared_frames_are_kept(tmp_path: Path) -> None:
    render(recipe(), Painter(), tmp_path)
    other = recipe().replace(
        keyframes=(*recipe().keyframes[:1], Keyframe(at=3, prompt="c"), Keyframe(at=FRAMES - 1, prompt="b", seed=2))
    )
    before = contents(tmp_path)
    sentence = "the job of another recipe: 2 of its 6 finished frames stay, 4 would be replaced; give another folder"
    with pytest.raises(OtherRecipe, match=sentence):
        render(other, Painter(), tmp_path)
    assert contents(tmp_path) == before
    taken = Painter()
    render(other, taken, tmp_path, new=True)
    assert taken.rendered == [1, 2, 3, 4]
    render(other, Painter(), tmp_path / "fresh")
    for index in range(FRAMES):
        name = f"frames/{index:06d}.png"
        assert np.array_equal(load_picture(tmp_path / name), load_picture(tmp_path / "fresh" / name))
    assert (tmp_path / "film.mp4").read_bytes() == (tmp_path / "fresh" / "film.mp4").read_bytes()
    assert recipe_of(tmp_path) == other


def test_another_model_is_refused(tmp_path: Path) -> None:
    render(recipe(), Painter(), tmp_path)
    with pytest.raises(OtherRecipe, match=r"begun with another checkpoint \('paint', now 'other paint'\)"):
        render(recipe(), Painter(model="other paint"), tmp_path)


@pytest.mark.parametrize("stop_after", [None, 2])
def test_with_new_another_model_renders_all_frames_over_and_the_film(tmp_path: Path, stop_after: int | None) -> None:
    render(recipe(), Painter(), tmp_path / "job")
    render(recipe(), Painter(model="other paint", off=1), tmp_path / "whole")
    if stop_after is not None:
        with pytest.raises(Interrupted):
            render(recipe(), Painter(model="other paint", off=1, stop_after=stop_after), tmp_path / "job", new=True)
    last = Painter(model="other paint", off=1)
    render(recipe(), last, tmp_path / "job", new=stop_after is None)
    assert last.rendered == list(range(stop_after or 0, FRAMES))
    assert contents(tmp_path / "job") == contents(tmp_path / "whole")


def test_with_new_a_job_json_that_cannot_be_read_does_not_vouch_for_frames(tmp_path: Path) -> None:
    render(recipe(), Painter(), tmp_path)
    (tmp_path / "job.json").write_bytes(b"{")
    again = Painter()
    render(recipe(), again, tmp_path, new=True)
    assert again.rendered == list(range(FRAMES))


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(JobError, match="not empty and holds no job"):
        render(recipe(), Painter(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


LITTER = (".DS_Store", "._000000.png", ".directory", "desktop.ini", "Thumbs.db")


@pytest.mark.parametrize("name", LITTER)
def test_what_file_managers_leave_in_folders_is_in_nobodys_way(name: str, tmp_path: Path) -> None:
    job = tmp_path / "job"
    job.mkdir()
    (job / name).write_bytes(b"x")
    outcome = render(recipe(), Painter(), job, film="film")
    assert outcome.rendered == FRAMES
    assert outcome.film is not None
    before = outcome.film.stat().st_ino
    (outcome.film / name).write_bytes(b"x")
    assert render(recipe(), Painter(), job, film="film").rendered == 0
    assert outcome.film.stat().st_ino == before
    (outcome.film / "000000.png").unlink()
    assert render(recipe(), Painter(), job, film="film").rendered == 0
    assert probe(outcome.film).frames == FRAMES


@pytest.mark.parametrize("name", LITTER)
def test_a_run_that_was_killed_at_its_start_goes_on_beside_them(name: str, tmp_path: Path) -> None:
    for file in (name, "job.lock", "recipe.json"):
        (tmp_path / file).write_bytes(b"")
    assert render(recipe(), Painter(), tmp_path).rendered == FRAMES


def test_two_runs_in_one_folder_the_second_is_refused_and_names_the_first(tmp_path: Path) -> None:
    with (
        open_job(tmp_path, plan(recipe()), {}),
        pytest.raises(JobLocked, match=rf"process {os.getpid()} on .* is at work in this folder"),
    ):
        render(recipe(), Painter(), tmp_path)
    render(recipe(), Painter(), tmp_path, new=True)


def test_every_frame_and_the_film_carry_the_recipe(tmp_path: Path) -> None:
    outcome = render(recipe(), Painter(), tmp_path)
    assert outcome.film is not None
    for path in [*sorted((tmp_path / "frames").iterdir()), outcome.film]:
        made = read_metadata(path)
        assert made.kind == "remix"
        about = json.loads(made.texts["remix"])
        assert Recipe.from_dict(about["recipe"]) == recipe()
        assert about["engine"] == {"engine": "painter", "checkpoint": "paint"}
    frame = json.loads(read_metadata(tmp_path / "frames" / "000002.png").texts["remix"])["frame"]
    assert frame == json.loads(json.dumps(plan(recipe())[2].to_dict()))


def test_a_recipe_too_long_for_metadata_is_named_by_its_hash(tmp_path: Path) -> None:
    keyframes = tuple(Keyframe(at=at, prompt=f"{at} " + "long " * 3000) for at in range(FRAMES))
    render(recipe(keyframes=keyframes), Painter(), tmp_path, film=None)
    about = json.loads(read_metadata(tmp_path / "frames" / "000000.png").texts["remix"])
    assert "recipe" not in about
    assert len(about["recipe_sha256"]) == 64


def test_a_frame_too_long_for_metadata_is_named_by_its_key(tmp_path: Path) -> None:
    long = Keyframe(prompt={f"{number} " + "long " * 3000: 1 for number in range(5)})
    render(recipe(keyframes=(long,)), Painter(), tmp_path, film=None)
    about = json.loads(read_metadata(tmp_path / "frames" / "000003.png").texts["remix"])
    assert about["frame"] == {"index": 3}
    (tmp_path / "journal.jsonl").unlink()
    assert render(recipe(keyframes=(long,)), Painter(), tmp_path, film=None).rendered == 0


def test_progress_tells_frames_from_the_start_and_the_film(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        render(recipe(), Painter(stop_after=2), tmp_path)
    events: list[Event] = []
    render(recipe(), Painter(), tmp_path, listen=events.append)
    assert [event.done for event in events if event.stage == "frames"] == [2, 3, 4, 5, 6]
    assert [event.done for event in events if event.stage == "film"] == [1, 2, 3, 4, 5, 6]


def test_what_an_engine_remarks_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        render(recipe(), Painter(remarks=["mind the paint"]), tmp_path)
    assert "mind the paint" in caplog.text


def test_a_picture_that_meets_denoise_1_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save_picture(tmp_path / "red.png", np.full((50, 50, 3), (200, 0, 0), np.uint8))
    keyframes = (Keyframe(at=0, image="red.png", denoise=1),)
    with caplog.at_level(logging.WARNING):
        render(recipe(keyframes=keyframes, folder=str(tmp_path)), Painter(), tmp_path / "job")
    assert "image: frames 0 to 5 have denoise 1, which leaves nothing of the picture" in caplog.text


def test_frames_between_whole_steps_of_another_rule_are_rendered_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_picture(tmp_path / "red.png", np.full((50, 50, 3), (200, 0, 0), np.uint8))
    keyframes = (Keyframe(at=0, image="red.png", denoise=0.5), Keyframe(at=5, denoise=0.6))
    asked = recipe(keyframes=keyframes, folder=str(tmp_path))
    assert render(asked, Painter(), tmp_path / "job").rendered == 6
    assert render(asked, Painter(), tmp_path / "job").rendered == 0
    monkeypatch.setattr("remix.plan.schedule.RULE", 2)
    assert render(asked, Painter(), tmp_path / "job").rendered == 5


def test_init_pictures_are_copied_into_the_job_and_fitted(tmp_path: Path) -> None:
    save_picture(tmp_path / "red.png", np.full((50, 50, 3), (200, 0, 0), np.uint8))
    keyframes = (Keyframe(at=0, image="red.png", denoise=0.5),)
    asked = recipe(keyframes=keyframes, folder=str(tmp_path))
    render(asked, Painter(), tmp_path / "job")
    (tmp_path / "red.png").unlink()
    continued = recipe_of(tmp_path / "job")
    assert render(continued, Painter(), tmp_path / "job").rendered == 0
    assert load_picture(tmp_path / "job" / "frames" / "000000.png")[-1, -1].tolist() == [200, 0, 0]


def test_a_changed_init_picture_is_another_job(tmp_path: Path) -> None:
    asked = recipe(keyframes=(Keyframe(at=0, image="in.png"),), folder=str(tmp_path))
    save_picture(tmp_path / "in.png", np.full((16, 32, 3), 10, np.uint8))
    render(asked, Painter(), tmp_path / "job")
    save_picture(tmp_path / "in.png", np.full((16, 32, 3), 90, np.uint8))
    with pytest.raises(
        OtherRecipe,
        match=r"in\.png is another picture than the job began with: 0 of .* 6 would be replaced; put the first",
    ):
        render(asked, Painter(), tmp_path / "job")
    with pytest.raises(OtherRecipe, match="another recipe"):
        render(dataclasses.replace(asked, frames=9), Painter(), tmp_path / "job")
    # Neither has cost the job its own picture.
    assert render(recipe_of(tmp_path / "job"), Painter(), tmp_path / "job").rendered == 0


def test_a_picture_that_changes_while_a_run_begins_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = recipe(keyframes=(Keyframe(at=0, image="in.png"),), folder=str(tmp_path))
    save_picture(tmp_path / "in.png", np.full((16, 32, 3), 10, np.uint8))
    monkeypatch.setattr("remix.job.inputs.fingerprint", lambda _: "0" * 64)
    with pytest.raises(JobError, match=r"in\.png: the picture was changed"):
        render(asked, Painter(), tmp_path / "job")


def test_masks_are_copied_and_counted_as_init_pictures_are(tmp_path: Path) -> None:
    for name, level in {"in.png": 10, "m.png": 90, "n.png": 200}.items():
        save_picture(tmp_path / name, np.full((16, 32, 3), level, np.uint8))
    asked = recipe(keyframes=(Keyframe(at=0, image="in.png", mask={"m.png": 1, "n.png": 2}),), folder=str(tmp_path))
    keys = []
    for number in range(2):
        with open_job(tmp_path / f"job {number}", plan(asked), {}) as job:
            keys.append(job.frame_key(0))
            inputs = Inputs(job)
            assert {name: inputs[name].max() for name in inputs} == {
                name: load_picture(tmp_path / name).max() for name in ("in.png", "m.png", "n.png")
            }
        # The same pictures as before, in each other's place.
        (tmp_path / "m.png").rename(tmp_path / "x.png")
        (tmp_path / "n.png").rename(tmp_path / "m.png")
        (tmp_path / "x.png").rename(tmp_path / "n.png")
    assert keys[0] != keys[1]
    with pytest.raises(RecipeError, match=r"mask: 'no\.png' is not a file in .*; did you mean 'n.png'"):
        render(
            recipe(keyframes=(Keyframe(image="in.png", mask="no.png"),), folder=str(tmp_path)),
            Painter(),
            tmp_path / "no",
        )


def test_an_init_picture_that_is_not_there_is_named_before_anything_is_made(tmp_path: Path) -> None:
    asked = recipe(keyframes=(Keyframe(at=0, image="no.png"),), folder=str(tmp_path))
    with pytest.raises(RecipeError, match=r"'no\.png' is not a file"):
        render(asked, Painter(), tmp_path / "job")
    assert not (tmp_path / "job").exists()


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((32, 16, 3), np.uint8),
        np.zeros((16, 32, 4), np.uint8),
        np.zeros((16, 32), np.uint8),
        np.zeros((1, 16, 32, 3), np.uint8),
        np.zeros((16, 32, 3), np.float32),
    ],
)
def test_a_picture_of_another_shape_is_refused_and_not_kept(tmp_path: Path, picture: np.ndarray) -> None:
    with open_job(tmp_path, plan(recipe()), {}) as job:
        with pytest.raises(JobError, match=r"frame 2: the engine gave .* the recipe asks for uint8 \(16, 32, 3\)"):
            job.keep(2, picture)
        assert job.missing() == list(range(FRAMES))


class Stop:
    """The question whether to stop, answered with True from the `after`-th time on."""

    def __init__(self, after: int) -> None:
        self.after, self.asked = after, 0

    def __call__(self) -> bool:
        self.asked += 1
        return self.asked > self.after


def test_stopped_at_any_time_it_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    render(recipe(), Painter(), tmp_path / "whole")
    seen: set[int] = set()
    for after in range(100):
        job, first, rest = tmp_path / str(after), Painter(), Painter()
        try:
            render(recipe(), first, job, stop=Stop(after))
        except Interrupted:
            pass
        else:
            break
        render(recipe(), rest, job)
        assert [*first.rendered, *rest.rendered] == list(range(FRAMES))
        assert contents(job) == contents(tmp_path / "whole")
        seen.add(len(first.rendered))
    assert seen == set(range(FRAMES + 1))


def test_what_was_asked_before_the_engine_began_is_not_forgotten(tmp_path: Path) -> None:
    engine = Painter()
    with pytest.raises(Interrupted, match="6 of 6 frames left"):
        render(recipe(), engine, tmp_path, stop=lambda: True)
    assert engine.rendered == []


def test_a_film_that_is_stopped_leaves_no_part(tmp_path: Path) -> None:
    events: list[Event] = []
    with pytest.raises(Interrupted, match="stopped at the film; all frames are there"):
        render(recipe(), Painter(), tmp_path, listen=events.append, stop=lambda: events[-1] == Event("film", 3, FRAMES))
    assert not list(tmp_path.glob("*film*"))
    again = Painter()
    assert render(recipe(), again, tmp_path).rendered == 0


@pytest.mark.parametrize(
    "film",
    ["", ".", "..", "../film.mp4", "a/film.mp4", "a\\film.mp4", "/film.mp4", "C:film.mp4", "frames", "Frames", "inputs",
     "sheet.png", ".film.abcdefgh.part", "film.mp5", "film.txt"],
)  # fmt: skip
def test_a_film_that_could_not_be_written_is_refused_before_the_first_frame(tmp_path: Path, film: str) -> None:
    engine = Painter()
    with pytest.raises(VideoFormatError):
        render(recipe(), engine, tmp_path / "job", film=film)
    assert engine.rendered == []
    assert not (tmp_path / "job").exists()


def test_a_rate_or_encoder_that_there_is_not_is_told_before_the_first_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Painter()
    with pytest.raises(VideoFormatError, match="fps: 60 frames per second; gif keeps time up to 50"):
        render(recipe(fps=60), engine, tmp_path, film="film.gif")
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("imageio_ffmpeg.get_ffmpeg_exe", lambda: "/nowhere")
    with pytest.raises(MissingPackage, match="pip install imageio-ffmpeg"):
        render(recipe(), engine, tmp_path)
    assert engine.rendered == []
    assert render(recipe(), engine, tmp_path, film="film.webp").rendered == FRAMES


def test_a_film_may_be_a_folder_of_pngs_and_is_made_again_when_damaged(tmp_path: Path) -> None:
    outcome = render(recipe(), Painter(), tmp_path, film="stills")
    assert outcome.film == tmp_path / "stills"
    before, times = contents(tmp_path), {path: path.stat().st_mtime_ns for path in outcome.film.iterdir()}
    render(recipe(), Painter(), tmp_path, film="stills")
    assert {path: path.stat().st_mtime_ns for path in outcome.film.iterdir()} == times
    (outcome.film / "000001.png").write_bytes(b"")
    render(recipe(), Painter(), tmp_path, film="stills")
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["film.mp4", "sheet.png"])
@pytest.mark.parametrize("damage", [b"", b"junk", None])
def test_a_damaged_film_or_sheet_is_made_again(tmp_path: Path, name: str, damage: bytes | None) -> None:
    render(recipe(), Painter(), tmp_path)
    before = contents(tmp_path)
    if damage is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(damage)
    assert render(recipe(), Painter(), tmp_path).rendered == 0
    assert contents(tmp_path) == before


def test_the_sheet_of_another_recipe_does_not_stay(tmp_path: Path) -> None:
    other = recipe(keyframes=(Keyframe(at=0, prompt="c"),))
    render(other, Painter(), tmp_path / "whole")
    render(recipe(), Painter(), tmp_path / "job")
    stages: list[str] = []
    with pytest.raises(Interrupted):  # all frames are there, the sheet is still the old one
        render(
            other,
            Painter(),
            tmp_path / "job",
            new=True,
            listen=lambda event: stages.append(event.stage),
            stop=lambda: "film" in stages,
        )
    assert contents(tmp_path / "job")["sheet.png"] != contents(tmp_path / "whole")["sheet.png"]
    render(other, Painter(), tmp_path / "job")
    assert contents(tmp_path / "job") == contents(tmp_path / "whole")


def test_frames_past_the_end_of_a_shorter_recipe_do_not_stay(tmp_path: Path) -> None:
    shorter = recipe(frames=3, keyframes=(Keyframe(at=0, prompt="c"),))
    render(shorter, Painter(), tmp_path / "whole")
    render(recipe(), Painter(), tmp_path / "job")
    (tmp_path / "job" / "frames" / "mine.png").write_bytes(b"mine")
    render(shorter, Painter(), tmp_path / "job", new=True)
    assert contents(tmp_path / "job") == {**contents(tmp_path / "whole"), "frames/mine.png": b"mine"}


def test_less_room_than_the_frames_may_need_is_told_before_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    need = FRAMES * 3 * 16 * 32
    usage = type(shutil.disk_usage(tmp_path))
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10**9, 10**9 - need, need))
    with caplog.at_level(logging.WARNING):
        render(recipe(), Painter(), tmp_path / "enough")
        assert "free on its disk" not in caplog.text
        monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10**9, 10**9 - need + 1, need - 1))
        render(recipe(), Painter(), tmp_path / "less")
    assert f"may need up to {need} bytes, {need - 1} are free on its disk" in caplog.text


def test_parts_of_a_killed_run_go_and_what_users_keep_there_stays(tmp_path: Path) -> None:
    render(recipe(), Painter(), tmp_path)
    before = contents(tmp_path)
    ours = [
        *(".job.json.abcdefgh.part/whole", ".film.mp4.0_1_2_3_.part/palette", ".film.k3x_90ab.part/whole/000000.png"),
        *(".film.k3x_90ab.part/old/000000.png", "frames/.000002.png.01234567.part/whole"),
        *("inputs/.a.png.01234567.part/whole", "inputs/b/.c.png.01234567.part/whole"),
    ]
    theirs = [
        *("notes.part", "film.part.mp4", "film.part/000000.png", "frames/000002.png.part", ".film.abcdefgh.part"),
        *(".film.abc.part/whole", "film.abcdefgh.part/whole", ".film.abcdefgh.part.mp4", "film.old/000000.png"),
    ]
    for name in (*ours, *theirs):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    render(recipe(), Painter(), tmp_path)
    assert contents(tmp_path) == {**before, **dict.fromkeys(theirs, b"x")}
    assert sorted(path.name for path in tmp_path.rglob(".*.part") if path.is_dir()) == [".film.abc.part"]


def test_a_recipe_of_that_name_in_a_folder_that_is_no_job_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text("mine", encoding="utf-8")
    with pytest.raises(JobError, match="not empty and holds no job"):
        render(recipe(), Painter(), tmp_path)
    assert contents(tmp_path) == {"recipe.json": b"mine"}


def test_jobs_lie_in_folders_of_any_name(tmp_path: Path) -> None:
    render(recipe(), Painter(), tmp_path / "日本 é 🎬")
    assert (tmp_path / "日本 é 🎬" / "film.mp4").is_file()


def test_a_recipe_that_no_job_could_read_again_is_refused_before_the_first_frame(tmp_path: Path) -> None:
    long = recipe(frames=400, keyframes=tuple(Keyframe(at=n, prompt=f"{n} " + "x" * 15_000) for n in range(300)))
    with pytest.raises(JobError, match=r"recipe.json: the recipe has \d+ bytes as JSON; a job reads 4194304"):
        render(long, Painter(), tmp_path / "job")
    assert not (tmp_path / "job").exists()


@pytest.mark.parametrize("name", ["CON.mp4", "film.mp4:x.mp4", "film. .mp4", "film.mp4 "])
def test_a_film_that_windows_could_not_keep_is_refused_on_every_system(tmp_path: Path, name: str) -> None:
    with pytest.raises(VideoFormatError, match="film"):
        render(recipe(), Painter(), tmp_path / "job", film=name)
    assert not (tmp_path / "job").exists()


def test_a_film_has_its_sound_and_is_written_again_for_another(tmp_path: Path) -> None:
    audio = tmp_path / "a.wav"
    for level in (0, 99):
        with wave.open(str(audio), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(bytes([level]) * 16000)
        outcome = render(recipe(), Painter(), tmp_path / "job", film="film.mkv", audio=audio)
        assert outcome.film is not None
        sound = probe(outcome.film).sound
        assert sound is not None
        assert sound.duration == pytest.approx(FRAMES / 12, abs=0.01)
        with_level = outcome.film.read_bytes()
        assert outcome.rendered == (0 if level else FRAMES)
    render(recipe(), Painter(), tmp_path / "job", film="film.mkv")
    assert probe(tmp_path / "job" / "film.mkv").sound is None
    assert (tmp_path / "job" / "film.mkv").read_bytes() != with_level
    with pytest.raises(VideoFormatError, match="gif holds no sound"):
        render(recipe(), Painter(), tmp_path / "other", film="film.gif", audio=audio)
    assert not (tmp_path / "other").exists()


def test_the_film_has_the_in_betweens_of_its_recipe_and_the_frames_stay(tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    render(recipe(), Painter(), tmp_path)
    frames, film = contents(tmp_path / "frames"), probe(tmp_path / "film.mp4")
    smooth = recipe(between=2)
    assert render(smooth, Painter(), tmp_path).rendered == 0
    assert contents(tmp_path / "frames") == frames
    found = probe(tmp_path / "film.mp4")
    assert (found.frames, found.fps) == (3 * film.frames - 2, 3 * (film.fps or 0))
    assert recipe_of(tmp_path).between == 2
    written = (tmp_path / "film.mp4").stat().st_mtime_ns
    render(smooth, Painter(), tmp_path)
    assert (tmp_path / "film.mp4").stat().st_mtime_ns == written


def test_in_betweens_that_cannot_be_made_are_refused_before_the_first_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(VideoFormatError, match="360 frames per second"):
        render(recipe(fps=120, between=2), Painter(), tmp_path)
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingPackage, match="in-betweens"):
        render(recipe(between=2), Painter(), tmp_path)
    assert not tmp_path.joinpath("frames").exists()
