"""A stranger's job folder: pipes, devices, links, sparse files of 200 GB in every place that a job has."""

from __future__ import annotations

import os
import resource
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from remix.client import cli
from remix.engine import render
from remix.errors import Interrupted, JobError, RemixError
from remix.job import read_frames, read_job
from remix.job.reading import MAX_JOURNAL, MAX_LINE
from remix.motion import images, save_picture
from remix.plan import Keyframe, Mix, Recipe
from tests.fakes.renderer import Painter

pytestmark = pytest.mark.skipif(os.name != "posix", reason="makes pipes and links")

HUGE = 200 * 2**30
SECONDS = 10.0
"""What hangs, hangs for ever; what reads 200 GB takes minutes."""

MEMORY = 300 * 2**20
"""The memory that a run may use on top of what the tests use."""

RECIPE = Recipe(4, (Keyframe(at=0, prompt="a", image=Mix.one("in/a.png"), denoise=0.5),), width=32, height=16)

TEXTS = ("job.json", "recipe.json", "schedule.json", "journal.jsonl", "job.lock")
REWRITTEN = ("job.lock", "recipe.json", "schedule.json")
"""Files that a run writes again. It reads no more of them than they should hold."""
PICTURES = ("frames/000002.png", "film.mp4", "sheet.png")


def pipe(path: Path) -> None:
    os.mkfifo(path)


def zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def sparse(path: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(HUGE)


def chain(path: Path) -> None:
    """A link through thirty others to a device."""
    last = Path("/dev/zero")
    for number in range(30):
        link = path.parent.parent / f"{path.name}.{number}"
        link.symlink_to(last)
        last = link
    path.symlink_to(last)


ODD: dict[str, Callable[[Path], None]] = {"pipe": pipe, "device": zeros, "sparse": sparse, "chain": chain}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    (folder / "in").mkdir()
    save_picture(folder / "in" / "a.png", np.full((16, 32, 3), 90, np.uint8))
    render(RECIPE.replace(folder=str(folder)), Painter(), folder / "job")
    return folder


@pytest.fixture
def job(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path / "copy")
    return tmp_path / "copy" / "job"


@pytest.fixture(autouse=True)
def _bounded() -> Iterator[None]:
    """No more memory than a run needs, and no more time."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm", encoding="ascii") as file:
        now = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY + 2**30, before[1]))
    began = time.monotonic()
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)
    assert time.monotonic() - began < SECONDS


def put(job: Path, place: str, kind: str) -> None:
    path = job / place
    path.unlink(missing_ok=True)
    ODD[kind](path)


def again(job: Path) -> object:
    return render(RECIPE.replace(folder=str(job.parent)), Painter(), job)


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("place", TEXTS)
def test_an_odd_file_in_the_place_of_a_text_is_refused_by_name(job: Path, place: str, kind: str) -> None:
    put(job, place, kind)
    if kind == "sparse" and place in REWRITTEN:
        again(job)
        assert (job / place).stat().st_size < 10_000
        return
    with pytest.raises(JobError, match=f"{place}: (is a|{HUGE} bytes; at most)"):
        again(job)


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("place", PICTURES)
def test_an_odd_file_in_the_place_of_a_picture_is_never_read(job: Path, place: str, kind: str) -> None:
    was = (job / place).read_bytes()
    put(job, place, kind)
    if kind != "sparse":
        with pytest.raises(RemixError, match=f"{place}: is a (named pipe; delete it|device; delete it|link; put)"):
            again(job)
        return
    again(job)
    assert (job / place).read_bytes() == was
    assert not (job / place).is_symlink()


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_init_picture_is_refused_in_the_job_and_outside(job: Path, kind: str) -> None:
    put(job, "inputs/in/a.png", kind)
    with pytest.raises(RemixError, match=r"a\.png"):
        render(RECIPE.replace(folder=str(job / "inputs")), Painter(), job)
    put(job.parent, "in/a.png", kind)
    with pytest.raises(RemixError, match=r"a\.png"):
        again(job)


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_file_in_the_place_of_a_folder_of_init_pictures_is_refused_by_name(job: Path, kind: str) -> None:
    shutil.rmtree(job / "inputs" / "in")
    put(job, "inputs/in", kind)
    with pytest.raises(RemixError, match=r"(inputs.in: is not a folder; delete it|in/a\.png': a link leads out of)"):
        again(job)


@pytest.mark.parametrize("place", ["pacing", "pacing/round-001", "pacing/round-002"])
@pytest.mark.parametrize("there", [True, False], ids=["folder", "nothing"])
def test_no_picture_of_an_even_pace_is_written_through_a_link(tmp_path: Path, place: str, there: bool) -> None:
    job, outside = tmp_path / "job", tmp_path / "outside"
    (job / place).parent.mkdir(parents=True)
    if there:
        outside.mkdir()
    (job / place).symlink_to(outside)
    recipe = Recipe(9, (Keyframe(prompt="a"), Keyframe(prompt="b")), width=32, height=16, pace="even")
    with pytest.raises(JobError, match=f"{place}: is a link"):
        render(recipe, Painter(), job)
    assert not (list(outside.iterdir()) if there else outside.exists())


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("place", ["pacing", "pacing/round-001"])
def test_an_odd_file_among_the_pictures_of_an_even_pace_is_refused_by_name(
    tmp_path: Path, place: str, kind: str
) -> None:
    job = tmp_path / "job"
    (job / place).parent.mkdir(parents=True)
    ODD[kind](job / place)
    recipe = Recipe(9, (Keyframe(prompt="a"), Keyframe(prompt="b")), width=32, height=16, pace="even")
    with pytest.raises(JobError, match=f"{place}: is a"):
        render(recipe, Painter(), job)


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("place", [*TEXTS[:4], "frames/000002.png"])
def test_no_verb_hangs_on_a_job(
    job: Path, place: str, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(job, place, kind)
    verbs = (
        ["video", str(job), "-o", str(tmp_path / "out.mp4"), "-q"],
        ["inspect", str(job)],
        ["plan", str(job)],
        ["render", str(job), "-q"],
    )
    codes = [cli.main(verb) for verb in verbs]
    printed = capsys.readouterr().err
    assert "Traceback" not in printed
    assert 2 in codes or place == "schedule.json"
    assert Path(place).name in printed or "1 of 4 frames are missing" in printed or place == "schedule.json"


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("place", [*TEXTS[:4], "frames/000002.png"])
def test_an_odd_sibling_gives_no_frames_and_stops_nothing(job: Path, place: str, kind: str, tmp_path: Path) -> None:
    put(job, place, kind)
    shutil.copytree(job.parent / "in", tmp_path / "in")
    outcome = render(RECIPE.replace(folder=str(tmp_path)), Painter(), tmp_path / "new", donors=[job])
    read_without_it = place == "frames/000002.png" or (kind == "sparse" and place in REWRITTEN)
    assert outcome.rendered == (0 if read_without_it else 4)  # all four frames are the same picture


def test_a_journal_is_read_line_by_line_and_no_line_without_end(job: Path) -> None:
    with open(job / "journal.jsonl", "ab") as file:
        file.write(b"x" * 2**20 + b"\n")
        file.truncate(file.tell() + MAX_JOURNAL // 2)
    assert read_frames(job)[1] == []
    with open(job / "journal.jsonl", "ab") as file:
        file.truncate(MAX_JOURNAL + 1)
    with pytest.raises(JobError, match=f"{MAX_JOURNAL + 1} bytes; at most {MAX_JOURNAL} are read"):
        read_frames(job)
    assert MAX_LINE < 2**16


def test_a_journal_of_more_names_than_a_job_has_files_is_refused(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remix.job.journal.MAX_NAMES", 5)
    with pytest.raises(JobError, match="names more than 5 files"):
        read_frames(job)


def test_folders_in_the_places_of_files_and_files_in_those_of_folders_are_refused(job: Path) -> None:
    shutil.rmtree(job / "inputs")
    (job / "inputs").write_bytes(b"")
    with pytest.raises(JobError, match="inputs: is a file"):
        again(job)
    (job / "inputs").unlink()
    (job / "job.json").unlink()
    (job / "job.json").mkdir()
    with pytest.raises(JobError, match=r"job.json: is a folder"):
        read_job(job)
    with pytest.raises(JobError, match=r"job.json: is a folder"):
        again(job)


def test_a_frame_of_another_size_is_not_decoded(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (job / "journal.jsonl").unlink()
    save_picture(job / "frames" / "000001.png", np.zeros((40, 40, 3), np.uint8))
    decoded: list[tuple[int, int]] = []
    flattened = images._flattened

    def counted(image: Image.Image, *rest: Any) -> Any:
        decoded.append(image.size)
        return flattened(image, *rest)

    monkeypatch.setattr(images, "_flattened", counted)
    assert read_frames(job)[1] == [1]
    assert set(decoded) == {(32, 16)}


def test_a_run_that_is_stopped_while_it_reads_stops_within_a_block(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(job / "frames" / "000003.png", "ab") as file:
        file.truncate(200 * 2**20)
    blocks = 0

    def stop() -> bool:
        nonlocal blocks
        blocks += 1
        return blocks > 8

    with pytest.raises(Interrupted, match="checked"):
        render(RECIPE.replace(folder=str(job.parent)), Painter(), job, stop=stop)
    assert blocks == 9
