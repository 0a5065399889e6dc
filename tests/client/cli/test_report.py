"""`remix report`: pages and figures of jobs, films and pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from remix.client.cli import main
from remix.engine import render
from remix.motion import save_picture
from remix.plan import Keyframe, Recipe
from tests.fakes.renderer import Painter


def run(*words: object) -> int:
    return main([str(word) for word in words])


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keyframes = (Keyframe(prompt="a \x1b[31mcat", seed=1), Keyframe(prompt="a dog", seed=2))
    folder = tmp_path_factory.mktemp("job")
    render(Recipe(frames=6, keyframes=keyframes, width=32, height=16), Painter(), folder, report=False)
    return folder


def test_a_job_gets_its_page_and_the_figures_are_printed(job: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):  # a job's own report is replaced
        assert run("report", job) == 0
    out = capsys.readouterr().out
    assert f"report    {job / 'report.html'}" in out
    assert "evenness  CV " in out
    assert "\x1b" not in out
    assert (job / "report.html").read_text("utf-8").startswith("<!doctype html>")


def test_json_is_printed_without_a_page_unless_one_is_asked_for(
    job: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("report", job / "film.mp4", "--json") == 0
    plain = json.loads(capsys.readouterr().out)
    assert (plain["report"], plain["frames"], len(plain["motion"]["steps"])) == (1, 6, 5)
    assert not (job / "film.mp4.html").exists()
    assert run("report", job / "film.mp4", "--json", "--loop", "-o", tmp_path / "page.html") == 0
    assert len(json.loads(capsys.readouterr().out)["motion"]["steps"]) == 6
    assert (tmp_path / "page.html").exists()


def test_a_page_of_a_film_or_of_pictures_is_not_replaced_unasked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "clip").mkdir()
    for number in range(3):
        save_picture(tmp_path / "clip" / f"{number}.png", np.full((16, 16, 3), 80 * number, np.uint8))
    assert run("report", tmp_path / "clip") == 0
    assert (tmp_path / "clip.html").exists()
    assert run("report", tmp_path / "clip") == 2
    assert "already exists" in capsys.readouterr().err
    assert run("report", tmp_path / "clip", "--overwrite") == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--loop"], "its recipe says whether it loops"),
        (["-o", "page.pdf"], "call it page.html"),
        (["--json", "--open"], "--json writes no page"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    job: Path, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("report", job, *words) == 2
    assert sentence in capsys.readouterr().err
