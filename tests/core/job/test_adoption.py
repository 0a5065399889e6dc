"""Frames that are the same stay: when a recipe is edited in its folder, and when another job has them already."""

from __future__ import annotations

import errno
import itertools
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remix.engine import Event, Listener, Picture, render
from remix.errors import EngineError, Interrupted, JobError, JobLocked, OtherRecipe
from remix.job import job_folder, lock, read_metadata, siblings
from remix.job.adoption import MOST_DONORS
from remix.job.identity import differing
from remix.job.lock import is_locked, locked
from remix.motion import load_picture, probe, save_picture
from remix.plan import Keyframe, Recipe, Schedule, plan
from tests.core.engine.runs import contents
from tests.fakes.disk import Disk
from tests.fakes.renderer import Painter

ENGINE = {"engine": "painter", "checkpoint": "paint"}


def film(prompts: Mapping[int, str], frames: int | None = None, **changes: Any) -> Recipe:
    """A recipe with these prompts at these frames."""
    keyframes = tuple(Keyframe(at=at, prompt=prompt) for at, prompt in prompts.items())
    return Recipe(frames=frames or max(prompts) + 1, keyframes=keyframes, width=32, height=16).replace(**changes)


BASE = {0: "a", 5: "b"}


def same_pictures(folder: Path, asked: Recipe, tmp_path: Path) -> None:
    """Asserts that a job holds the pictures, and the film, of a job that was rendered in one go."""
    render(asked, Painter(), tmp_path / "fresh")
    paths, fresh = sorted((folder / "frames").iterdir()), sorted((tmp_path / "fresh" / "frames").iterdir())
    assert [path.name for path in paths] == [path.name for path in fresh]
    for path, other in zip(paths, fresh, strict=True):
        assert np.array_equal(load_picture(path), load_picture(other)), path
        about = read_metadata(path).remix
        assert about is not None
        assert about["key"] == (read_metadata(other).remix or {})["key"]
        assert about["frame"]["index"] == int(path.stem)
    assert (folder / "film.mp4").read_bytes() == (tmp_path / "fresh" / "film.mp4").read_bytes()
    assert not (folder / "earlier").exists()


@pytest.mark.parametrize(
    ("asked", "rendered"),
    [
        (film(BASE, fps=24), []),
        (film({**BASE, 8: "c"}), [6, 7, 8]),
        (film(BASE, 9), []),  # the last keyframe holds: the frames to come are the sixth one again
        (film({0: "c", 1: "a", 6: "b"}), [0]),
    ],
    ids=["fps", "more frames at the end", "the last one held", "a keyframe in front"],
)
def test_an_edit_that_costs_no_finished_frame_needs_no_new(
    tmp_path: Path, asked: Recipe, rendered: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    render(film(BASE), Painter(), tmp_path / "job")
    painter = Painter()
    with caplog.at_level(logging.WARNING):
        outcome = render(asked, painter, tmp_path / "job")
    assert painter.rendered == rendered
    assert f"kept {asked.frames - len(rendered)} of {asked.frames} frames" in caplog.text
    assert probe(outcome.film or "").fps == asked.fps
    same_pictures(tmp_path / "job", asked, tmp_path)
    again = Painter()
    caplog.clear()
    render(asked, again, tmp_path / "job")
    assert again.rendered == []
    assert caplog.text == ""


def test_another_format_of_film_renders_nothing(tmp_path: Path) -> None:
    render(film(BASE), Painter(), tmp_path)
    painter = Painter()
    assert render(film(BASE, fps=10), painter, tmp_path, film="film.gif").film == tmp_path / "film.gif"
    assert painter.rendered == []
    assert (tmp_path / "film.mp4").exists()


def test_frames_that_were_not_rendered_yet_may_be_edited(tmp_path: Path) -> None:
    before, asked = film({0: "a", 2: "b", 5: "c"}), film({0: "a", 2: "b", 5: "d"})
    with pytest.raises(Interrupted):
        render(before, Painter(stop_after=3), tmp_path / "job")
    painter = Painter()
    render(asked, painter, tmp_path / "job")
    assert painter.rendered == [3, 4, 5]
    same_pictures(tmp_path / "job", asked, tmp_path)


def test_a_changed_picture_counts_for_the_frames_that_use_it(tmp_path: Path) -> None:
    for name, level in (("in.png", 10), ("out.png", 90)):
        save_picture(tmp_path / name, np.full((16, 32, 3), level, np.uint8))
    keyframes = (
        Keyframe(at=0, image="in.png", denoise=0.5, ease="hold"),
        Keyframe(at=3, image="out.png", denoise=0.5),
    )
    asked = Recipe(frames=5, keyframes=keyframes, width=32, height=16, folder=str(tmp_path))
    with pytest.raises(Interrupted):
        render(asked, Painter(stop_after=3), tmp_path / "job")
    save_picture(tmp_path / "out.png", np.full((16, 32, 3), 200, np.uint8))
    painter = Painter()
    render(asked, painter, tmp_path / "job")
    assert painter.rendered == [3, 4]
    same_pictures(tmp_path / "job", asked, tmp_path)
    save_picture(tmp_path / "out.png", np.full((16, 32, 3), 90, np.uint8))
    sentence = r"out\.png is another picture than the job began with: 3 of its 5 finished frames stay, 2 would be repl"
    with pytest.raises(OtherRecipe, match=sentence):
        render(asked, Painter(), tmp_path / "job")
    painter = Painter()
    render(asked, painter, tmp_path / "job", new=True)
    assert painter.rendered == [3, 4]


@pytest.mark.parametrize(
    ("asked", "stay"),
    [
        (film({0: "a", 4: "b", 5: "c"}), 2),
        (film({0: "a"}, 5), 1),
        (film(BASE, steps=7), 0),
    ],
    ids=["a keyframe between", "fewer frames", "steps"],
)
def test_an_edit_that_would_cost_frames_is_refused_with_their_number(tmp_path: Path, asked: Recipe, stay: int) -> None:
    render(film(BASE), Painter(), tmp_path)
    before = contents(tmp_path)
    lost = f"{stay} of its 6 finished frames stay, {6 - stay} would be replaced; give another folder"
    with pytest.raises(OtherRecipe, match=f"holds the job of another recipe: {lost}$"):
        render(asked, Painter(), tmp_path)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("before", "asked", "rendered"),
    [
        ({0: "a", 5: "b", 6: "x"}, {0: "c", 1: "a", 6: "b"}, [0]),
        ({0: "x", 1: "a", 6: "b"}, {0: "a", 5: "b"}, []),
        ({0: "a", 1: "x", 2: "b", 3: "y", 4: "c"}, {0: "c", 1: "b", 2: "a"}, []),
        ({0: "a", 1: "b", 2: "c"}, {0: "b", 1: "c", 2: "d", 3: "b"}, [2]),
        ({0: "a", 1: "b", 2: "a"}, {0: "b", 1: "a", 2: "b", 3: "a", 4: "b"}, []),
    ],
    ids=["in front", "cut away", "turned round", "one dropped, one added", "repeated"],
)
def test_with_new_frames_are_kept_where_their_numbers_changed(
    tmp_path: Path, before: dict[int, str], asked: dict[int, str], rendered: list[int]
) -> None:
    render(film(before), Painter(), tmp_path / "job")
    painter = Painter()
    render(film(asked), painter, tmp_path / "job", new=True)
    assert painter.rendered == rendered
    same_pictures(tmp_path / "job", film(asked), tmp_path)


letters = st.lists(st.sampled_from("abcde"), min_size=1, max_size=6)


@settings(max_examples=25, deadline=None)
@given(before=letters, asked=letters, donor=st.booleans())
def test_no_frame_is_rendered_that_is_there_already(
    before: list[str], asked: list[str], donor: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever the edit: exactly what is in none of the frames before is rendered, each picture being the right one."""
    place, painter = tmp_path_factory.mktemp("edit"), Painter()
    render(film(dict(enumerate(before))), Painter(), place / "job", film=None)
    folder = place / ("other" if donor else "job")
    donors = [place / "job"] if donor else []
    render(film(dict(enumerate(asked))), painter, folder, film=None, new=not donor, donors=donors)
    assert painter.rendered == [index for index, prompt in enumerate(asked) if prompt not in before]
    render(film(dict(enumerate(asked))), Painter(), place / "fresh", film=None)
    paths = sorted((folder / "frames").iterdir())
    assert len(paths) == len(asked)
    assert all(np.array_equal(load_picture(p), load_picture(place / "fresh" / "frames" / p.name)) for p in paths)
    shutil.rmtree(place)


class Telling(Painter):
    """Writes what A1111 would."""

    def texts(self, index: int) -> Mapping[str, str]:
        return {"parameters": f"frame {index} of A1111"}


def test_what_else_a_frame_says_moves_with_it(tmp_path: Path) -> None:
    render(film(BASE), Telling(), tmp_path)
    render(film({0: "c", 1: "a", 6: "b"}), Telling(), tmp_path)
    texts = [read_metadata(path).texts["parameters"] for path in sorted((tmp_path / "frames").iterdir())]
    assert texts == ["frame 0 of A1111", *(f"frame {index} of A1111" for index in range(6))]
    about = read_metadata(tmp_path / "frames" / "000003.png").remix or {}
    assert Recipe.from_dict(about["recipe"]) == film({0: "c", 1: "a", 6: "b"})


def test_a_damaged_frame_is_rendered_and_not_taken_over(tmp_path: Path) -> None:
    render(film(BASE), Painter(), tmp_path)
    path = tmp_path / "frames" / "000002.png"
    path.write_bytes(path.read_bytes()[:-30])
    painter = Painter()
    render(film({0: "c", 1: "a", 6: "b"}), painter, tmp_path)
    assert painter.rendered == [0, 3]


def test_frames_of_an_engine_that_went_before_are_kept_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        render(film(BASE), Painter(name="comfyui", stop_after=4), tmp_path)
    render(film(BASE), Painter(name="local"), tmp_path)
    painter = Painter(name="local")
    render(film({0: "c", 1: "a", 6: "b"}), painter, tmp_path)
    assert painter.rendered == [0]
    written = [read_metadata(path).remix or {} for path in sorted((tmp_path / "frames").iterdir())]
    assert [about["engine"]["engine"] for about in written] == ["local", *["comfyui"] * 4, *["local"] * 2]
    assert json.loads((tmp_path / "job.json").read_bytes())["earlier"][0]["frames"] == "0-3"


def test_a_model_that_finished_nothing_is_in_nobodys_way(tmp_path: Path) -> None:
    with pytest.raises(EngineError):
        render(film(BASE), Painter(model="wrong", fail_at=0, failure=EngineError("no")), tmp_path)
    assert render(film({0: "z", 3: "y"}), Painter(), tmp_path).rendered == 4


def test_the_film_of_another_model_does_not_stay_where_its_frames_are_gone(tmp_path: Path) -> None:
    """A film's key names its frames and no engine."""
    render(film(BASE), Painter(model="other", off=9), tmp_path)
    for path in (tmp_path / "frames").iterdir():
        path.unlink()
    render(film(BASE), Painter(), tmp_path)
    render(film(BASE), Painter(), tmp_path.with_name("fresh"))
    assert (tmp_path / "film.mp4").read_bytes() == (tmp_path.with_name("fresh") / "film.mp4").read_bytes()


class TestOtherJobs:
    """Donors: jobs in other folders."""

    def test_what_they_have_is_taken_over_and_they_stay_as_they_are(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        render(film(BASE), Painter(), tmp_path / "one")
        render(film({0: "x", 1: "y"}), Painter(), tmp_path / "two")
        before, painter = contents(tmp_path), Painter()
        asked = film({0: "y", 1: "a", 6: "b", 7: "z"})
        with caplog.at_level(logging.WARNING):
            render(asked, painter, tmp_path / "job", donors=[tmp_path / "one", tmp_path / "two"])
        assert painter.rendered == [7]
        assert "took 7 of 8 frames from one, two" in caplog.text
        assert {name: data for name, data in contents(tmp_path).items() if not name.startswith("job/")} == before
        same_pictures(tmp_path / "job", asked, tmp_path)

    def test_a_frame_of_another_model_is_not_taken_even_if_its_job_says_so(self, tmp_path: Path) -> None:
        render(film(BASE), Painter(model="other", off=9), tmp_path / "one")
        painter = Painter()
        render(film(BASE), painter, tmp_path / "job", donors=[tmp_path / "one"])
        assert painter.rendered == list(range(6))
        about = json.loads((tmp_path / "one" / "job.json").read_bytes())
        (tmp_path / "one" / "job.json").write_text(json.dumps({**about, "engine": ENGINE}), encoding="utf-8")
        painter = Painter()
        render(film(BASE), painter, tmp_path / "again", donors=[tmp_path / "one"])
        assert painter.rendered == list(range(6))

    @pytest.mark.parametrize("damage", ["no job", "job.json", "journal", "frame", "link", "not there"])
    def test_damaged_ones_are_in_nobodys_way(self, tmp_path: Path, damage: str) -> None:
        one = tmp_path / "one"
        render(film(BASE), Painter(), one)
        if damage == "no job":
            (one / "job.json").unlink()
        elif damage == "job.json":
            (one / "job.json").write_bytes(b"[")
        elif damage == "journal":
            (one / "journal.jsonl").write_bytes(b'{"file": "000000.png"}\nx\xff')
        elif damage == "frame":
            for path in (one / "frames").iterdir():
                path.write_bytes(b"x")
        elif damage == "link":
            (one / "frames").rename(tmp_path / "elsewhere")
            (one / "frames").symlink_to(tmp_path / "elsewhere")
        else:
            shutil.rmtree(one)
        painter = Painter()
        render(film(BASE), painter, tmp_path / "job", donors=[one])
        assert painter.rendered == list(range(6))

    def test_one_that_got_further_since_is_looked_at_again_and_others_are_not(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one, job = tmp_path / "one", tmp_path / "job"
        with pytest.raises(Interrupted):
            render(film(BASE), Painter(stop_after=2), one)
        with pytest.raises(Interrupted):
            render(film(BASE, fps=9), Painter(stop_after=1), job, donors=[one])
        looked: list[list[Path]] = []
        monkeypatch.setattr("remix.job.opening.look_through", lambda donors, *rest: looked.append(list(donors)))
        with pytest.raises(Interrupted):
            render(film(BASE, fps=9), Painter(stop_after=1), job, donors=[one])
        monkeypatch.undo()
        render(film(BASE), Painter(), one)
        os.utime(one / "journal.jsonl", ns=(2**62, 2**62))
        painter = Painter()
        render(film(BASE, fps=9), painter, job, donors=[one])
        assert painter.rendered == []
        assert looked == [[]]

    def test_a_run_that_is_stopped_while_it_takes_over_goes_on_with_that(self, tmp_path: Path) -> None:
        render(film(BASE), Painter(), tmp_path / "one")
        events: list[Event] = []
        sentence = "stopped with 3 of 6 frames in their places; run it again to continue"
        with pytest.raises(Interrupted, match=sentence):
            render(
                film(BASE),
                Painter(),
                tmp_path / "job",
                donors=[tmp_path / "one"],
                listen=events.append,
                stop=lambda: len(events) == 4,
            )
        assert events == [Event("frames", done, 6) for done in range(4)]
        assert len(list((tmp_path / "job" / "frames").iterdir())) == 3
        painter = Painter()
        render(film(BASE), painter, tmp_path / "job", donors=[tmp_path / "one"])
        assert painter.rendered == []

    def test_the_newest_are_looked_through_and_no_more_than_some(self, tmp_path: Path) -> None:
        donors = []
        for number in range(MOST_DONORS + 1):
            donors.append(tmp_path / f"film_{number:010x}")
            render(film({0: f"p{number}"}), Painter(), donors[-1], film=None)
            os.utime(donors[-1] / "journal.jsonl", ns=(number + 1, number + 1))
        (tmp_path / "film_x").mkdir()
        shutil.copytree(donors[0], tmp_path / "other_0000000001")
        assert siblings(tmp_path, "film") == donors[::-1]
        painter = Painter()
        asked = film({number: f"p{number}" for number in range(MOST_DONORS + 1)})
        render(asked, painter, tmp_path / "job", film=None, donors=siblings(tmp_path, "film"))
        assert painter.rendered == [0]

    def test_an_unfinished_one_of_almost_the_same_engine_is_named(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        one = tmp_path / "one"
        with pytest.raises(Interrupted):
            render(film(BASE), Painter(model="other", stop_after=4), one)
        with caplog.at_level(logging.WARNING):
            render(film(BASE), Painter(), tmp_path / "job", donors=[one])
        assert f"although {one} is unfinished and has 4 of these frames" in caplog.text
        assert (
            "it was started with another checkpoint ('other', now 'paint'); to continue it, set that back"
            in caplog.text
        )
        caplog.clear()
        (tmp_path / "job" / "frames" / "000001.png").unlink()
        os.utime(one / "journal.jsonl", ns=(2**62, 2**62))
        render(film(BASE), Painter(), tmp_path / "job", donors=[one])
        assert "unfinished" not in caplog.text  # it is no new job any more
        render(film(BASE), Painter(model="other"), one)
        render(film(BASE), Painter(), tmp_path / "second", donors=[one])
        assert "unfinished" not in caplog.text


def test_folders_are_named_by_what_makes_the_pictures(tmp_path: Path) -> None:
    def named(recipe: Recipe, engine: Mapping[str, str] = ENGINE) -> Path:
        return job_folder(tmp_path, "film", plan(recipe), engine)

    assert named(film(BASE)) == named(film(BASE, fps=30))
    assert siblings(tmp_path, "film") == []
    others = [named(film(BASE, steps=9)), named(film(BASE, 7)), named(film(BASE), {**ENGINE, "checkpoint": "b"})]
    assert len({named(film(BASE)), *others}) == 4
    save_picture(tmp_path / "in.png", np.full((16, 32, 3), 10, np.uint8))
    keyframes = (Keyframe(at=0, image="in.png", denoise=0.5),)
    pictured = film(BASE, keyframes=keyframes, folder=str(tmp_path))
    before = named(pictured)
    save_picture(tmp_path / "in.png", np.full((16, 32, 3), 11, np.uint8))
    assert named(pictured) != before


@pytest.mark.parametrize(
    ("was", "now", "words"),
    [
        ({"a": "1"}, {"a": "2"}, "a ('1', now '2')"),
        (
            {"a": "1", "b": "1"},
            {"c": "x" * 99},
            f"a ('1', now none), b ('1', now none) and c (none, now '{'x' * 23}...)",
        ),
    ],
)
def test_what_differs_is_said_in_words(was: dict[str, str], now: dict[str, str], words: str) -> None:
    assert differing(was, now) == words


@pytest.mark.parametrize("there", [False, True])
def test_a_run_that_fails_before_there_is_a_job_leaves_nothing(
    tmp_path: Path, there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_picture(tmp_path / "in.png", np.full((16, 32, 3), 10, np.uint8))
    asked = film(BASE, keyframes=(Keyframe(image="in.png"),), folder=str(tmp_path))
    job = tmp_path / "job"
    if there:
        job.mkdir()
    monkeypatch.setattr("remix.job.inputs.fingerprint", lambda _: "0" * 64)
    with pytest.raises(JobError, match="the picture was changed"):
        render(asked, Painter(), job)
    assert list(job.iterdir()) == [] if there else not job.exists()


def test_frames_whose_job_json_was_lost_survive_a_run_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_picture(tmp_path / "in.png", np.full((16, 32, 3), 10, np.uint8))
    asked = film(BASE, keyframes=(Keyframe(image="in.png"),), folder=str(tmp_path))
    render(asked, Painter(), tmp_path / "job", film=None)
    for name in ("job.json", "sheet.png", "inputs/in.png"):
        (tmp_path / "job" / name).unlink()
    before = contents(tmp_path / "job")
    monkeypatch.setattr("remix.job.inputs.fingerprint", lambda _: "0" * 64)
    with pytest.raises(JobError, match="the picture was changed"):
        render(asked, Painter(), tmp_path / "job", film=None)
    assert contents(tmp_path / "job") == before


@pytest.mark.parametrize("gone", ["file", "folder"])
def test_a_lock_whose_file_a_failing_run_removed_meanwhile_is_taken_anew(
    tmp_path: Path, gone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, tries = tmp_path / "job", []

    def removed_before(file: IO[bytes]) -> bool:
        tries.append(file.name)
        if len(tries) == 1:
            (job / "job.lock").unlink()
            if gone == "folder":
                job.rmdir()
        return real(file)

    real = lock._try_lock
    monkeypatch.setattr(lock, "_try_lock", removed_before)
    with lock.locked(job):
        assert len(tries) == 2
        with pytest.raises(JobLocked), lock.locked(job):
            pass


def test_what_a_run_was_refused_stays(tmp_path: Path) -> None:
    render(film(BASE), Painter(), tmp_path)
    before = contents(tmp_path)
    with pytest.raises(OtherRecipe):
        render(film({0: "z"}), Painter(), tmp_path)
    assert contents(tmp_path) == before
    assert (tmp_path / "job.lock").exists()


class Blocks(Painter):
    """Asserts that it is asked only for what is missing."""

    def render(
        self, schedule: Schedule, frames: Sequence[int], inputs: Mapping[str, Picture], listen: Listener
    ) -> Iterator[Picture]:
        assert frames == [3]
        return super().render(schedule, frames, inputs, listen)


def test_an_engine_is_asked_for_what_is_missing_alone(tmp_path: Path) -> None:
    render(film({0: "a", 1: "b", 2: "c"}), Painter(), tmp_path)
    render(film({0: "a", 1: "b", 2: "c", 3: "d"}), Blocks(), tmp_path)


class Killed(BaseException):
    """Stands in for a kill."""


def test_killed_while_a_longer_job_is_replaced_it_continues_without_new_and_keeps_no_frame_past_the_end(
    tmp_path: Path,
) -> None:
    longer, shorter = film({0: "old"}, 4), film({0: "new"}, 2)
    render(longer, Painter(), tmp_path / "longer", film=None)
    (tmp_path / "longer" / "frames" / "000003.png").write_bytes(b"damaged")
    render(shorter, Painter(), tmp_path / "whole", film=None)
    whole, refused, continued = contents(tmp_path / "whole"), 0, 0

    def kill(name: str) -> None:
        raise Killed(name)

    for step in itertools.count(1):
        job = tmp_path / str(step)
        shutil.copytree(tmp_path / "longer", job)
        try:
            with Disk(step, kill).installed():
                render(shorter, Painter(), job, film=None, new=True)
            break
        except Killed:
            pass
        try:
            render(shorter, Painter(), job, film=None)
        except OtherRecipe:  # it was killed before the folder was the job of the new recipe
            refused += 1
        else:
            continued += 1
            assert contents(job) == whole, step
    assert refused > 5
    assert continued > 5


@pytest.mark.skipif(os.name == "nt", reason="Windows has its own locks")
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_named_and_used_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    def flock(file: IO[bytes], how: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)
    assert render(film(BASE), Painter(), tmp_path / "job").rendered == 6
    assert f"{tmp_path / 'job' / 'job.lock'}: this file system has no locks" in caplog.text


def test_a_file_system_that_numbers_files_anew_is_not_taken_for_another_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = itertools.count(1)
    plain = os.stat

    def counted(self: Path, *given: Any, **more: Any) -> os.stat_result:
        found = plain(self, *given, **more)
        return os.stat_result([found[0], next(numbers), *found[2:]])

    monkeypatch.setattr("remix.job.lock.Path.stat", counted)
    with locked(tmp_path / "job"):
        assert is_locked(tmp_path / "job")
        with pytest.raises(JobLocked, match=f"process {os.getpid()}"), locked(tmp_path / "job"):
            pass


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"pace": "even"}, {"pace": "even"}),
        ({"between": 2}, {"between": 1}),
        ({"budget": 0.5, "pace": "even"}, {}),
        ({"between": 2, "pace": "even"}, {"budget": 0.5}),
    ],
    ids=["even pace", "in-betweens", "without a budget", "with a budget"],
)
def test_of_a_longer_job_that_is_replaced_nothing_stays(
    tmp_path: Path, before: dict[str, Any], after: dict[str, Any]
) -> None:
    if not before.keys() | after.keys() <= {"pace"}:
        pytest.importorskip("cv2")  # which makes in-betweens
    longer, shorter = film({0: "old", 7: "older"}, **before), film({0: "new", 4: "newer"}, **after)
    files = []
    for name, asked in (("job", [longer, shorter]), ("fresh", [shorter])):
        for each in asked:
            render(each, Painter(), tmp_path / name, film="film.png", new=True, report=False)
        files.append({str(path.relative_to(tmp_path / name)) for path in (tmp_path / name).rglob("*")})
    assert files[0] == files[1]


def test_a_run_that_fails_before_there_are_frames_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = Path.mkdir

    def mkdir(path: Path, *given: Any, **more: Any) -> None:
        if path.name == "frames":
            raise OSError(errno.EIO, "Input/output error", str(path))
        make(path, *given, **more)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with pytest.raises(OSError, match="Input/output error"):
        render(film(BASE), Painter(), tmp_path / "job")
    assert not (tmp_path / "job").exists()
