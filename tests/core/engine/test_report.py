"""The report of a job: written by the render loop, with its cost, and read back from folders and films."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from remix.engine import render
from remix.engine.report import film_report, job_report, pictures_report, report_path, write_report
from remix.errors import JobError, MissingPackage
from remix.job.journal import Journal
from remix.motion import save_picture, write_video
from remix.show.report import to_dict
from tests.core.engine.runs import FRAMES, recipe
from tests.fakes.renderer import Painter


def test_every_finished_job_has_a_report_with_its_film_and_remarks(tmp_path: Path) -> None:
    outcome = render(recipe(), Painter(remarks=["watch the sea"]), tmp_path)
    assert outcome.report == report_path(tmp_path)
    html = outcome.report.read_text("utf-8")
    assert "watch the sea" in html
    assert 'src="data:video/mp4;base64,' in html


@pytest.mark.parametrize("options", [{"report": False}, {"frames": [0, 1]}])
def test_a_job_has_no_report_if_it_is_switched_off_or_frames_are_missing(tmp_path: Path, options: dict) -> None:
    assert render(recipe(), Painter(), tmp_path, **options).report is None
    assert not report_path(tmp_path).exists()


def test_a_report_is_written_once_and_again_when_the_film_changes(tmp_path: Path) -> None:
    first = render(recipe(), Painter(), tmp_path).report
    assert first is not None
    stamp = first.stat().st_mtime_ns
    render(recipe(), Painter(), tmp_path)
    assert first.stat().st_mtime_ns == stamp
    render(recipe(), Painter(), tmp_path, film="film.gif")
    assert first.stat().st_mtime_ns > stamp
    assert "data:image/gif" in first.read_text("utf-8")


def test_without_its_packages_a_job_has_no_report_unless_it_is_required(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remix.show.page.templates.REQUIREMENTS", ("jinja2", "no_such_plotter"))
    outcome = render(recipe(), Painter(), tmp_path)
    assert outcome.report is None
    assert outcome.film is not None
    painter = Painter()
    with pytest.raises(
        MissingPackage, match="needs no_such_plotter, which is not installed; run: pip install no_such_plotter"
    ):
        render(recipe(), painter, tmp_path / "required", report=True)
    assert painter.rendered == []


def test_the_cost_counts_every_picture_of_all_runs(tmp_path: Path) -> None:
    outcome = render(recipe(), Painter(seconds=0.01), tmp_path, frames=[0, 1])
    assert outcome.rendered == 2
    render(recipe(), Painter(seconds=0.01), tmp_path)
    cost = job_report(tmp_path).cost
    assert cost is not None
    assert (cost.pictures, cost.frames, cost.unknown) == (FRAMES, FRAMES, 0)
    assert 0.01 * FRAMES <= cost.seconds == pytest.approx(sum(Journal(tmp_path / "journal.jsonl").seconds().values()))


def test_the_cost_of_an_even_pace_includes_the_pictures_that_measured_it(tmp_path: Path) -> None:
    painter = Painter(seconds=0.001)
    render(recipe(frames=9, pace="even"), painter, tmp_path)
    cost = job_report(tmp_path).cost
    assert cost is not None
    assert cost.pictures == len(painter.rendered)
    assert Journal(tmp_path / "journal.jsonl").measuring[0] >= 5
    assert cost.unknown == 0


def test_frames_without_a_time_are_counted_and_a_job_of_before_has_no_cost(tmp_path: Path) -> None:
    render(recipe(), Painter(), tmp_path)
    journal = tmp_path / "journal.jsonl"
    lines = [json.loads(line) for line in journal.read_text("utf-8").splitlines()]
    del lines[2]["seconds"]
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    cost = job_report(tmp_path).cost
    assert cost is not None
    assert (cost.pictures, cost.unknown) == (FRAMES - 1, 1)
    for line in lines:
        line.pop("seconds", None)
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    assert job_report(tmp_path).cost is None


@pytest.mark.parametrize("forged", ["NaN", "-1", '"x"', "[]", "1e999", "null"])
def test_a_forged_time_is_skipped_and_its_frame_kept(tmp_path: Path, forged: str) -> None:
    render(recipe(), Painter(), tmp_path)
    journal = tmp_path / "journal.jsonl"
    lines = journal.read_text("utf-8").splitlines()
    about = json.loads(lines[0])
    seconds = json.dumps(about["seconds"])
    lines[0] = lines[0].replace(f'"seconds":{seconds}', f'"seconds":{forged}')
    assert forged in lines[0]
    journal.write_text("\n".join([*lines, f'{{"measured":5,"seconds":{forged}}}', ""]), "utf-8")
    cost = job_report(tmp_path).cost
    assert cost is not None
    assert (cost.pictures, cost.unknown) == (FRAMES - 1, 1)
    again = Painter()
    render(recipe(), again, tmp_path)
    assert again.rendered == []


def test_a_job_that_lacks_frames_has_no_report(tmp_path: Path) -> None:
    render(recipe(), Painter(), tmp_path, frames=[0, 1, 2, 4])
    with pytest.raises(JobError, match=r"2 of 6 frames are missing or damaged \(3, 5\)"):
        job_report(tmp_path)


def test_a_film_of_a_recipe_is_reported_with_its_schedule_and_settings(tmp_path: Path) -> None:
    outcome = render(recipe(loop=True), Painter(), tmp_path / "job", film="film.mkv")
    assert outcome.film is not None
    of_job, of_film = job_report(tmp_path / "job"), film_report(outcome.film)
    assert of_film.schedule == of_job.schedule
    assert of_film.motion.loop
    assert of_film.motion.steps == pytest.approx(of_job.motion.steps)  # FFV1 is lossless
    assert dict(of_job.settings).items() <= dict(of_film.settings).items()
    assert of_film.cost is None


def test_a_film_without_metadata_is_measured_all_the_same(tmp_path: Path) -> None:
    pictures = [np.full((16, 32, 3), 40 * k, np.uint8) for k in range(5)]
    write_video(pictures, tmp_path / "film.mp4", 10)
    report = film_report(tmp_path / "film.mp4", loop=True)
    assert report.measured.frames == 5
    assert report.fps == 10
    assert len(report.motion.steps) == 5
    plain = to_dict(report)
    assert plain["settings"] == [["codec", "h264, yuv420p"]]
    html = write_report(report, tmp_path / "film.html").read_text("utf-8")
    assert "film.mp4" in html


def test_pictures_are_reported_with_the_settings_of_the_first(tmp_path: Path) -> None:
    infotext = "a cat\nNegative prompt: a dog\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 32x16"
    paths = [tmp_path / f"{k}.png" for k in range(3)]
    for k, path in enumerate(paths):
        save_picture(path, np.full((16, 32, 3), 60 * k, np.uint8), {"parameters": infotext})
    report = pictures_report(tmp_path, paths)
    assert ("prompt", "a cat") in report.settings
    assert ("steps", "20") in report.settings
    assert ("size", "32x16") in report.settings
    assert ("made by", "A1111") in report.model
    assert report.film is None
    assert "There is no film file" in write_report(report, tmp_path / "page.html").read_text("utf-8")
