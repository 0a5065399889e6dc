"""Paths from strangers: in recipes, and in the folder of a job. Nothing outside is read or written."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from remix.client import cli
from remix.engine import render
from remix.errors import BadInput, JobError
from remix.motion import save_picture
from remix.plan import Keyframe, Recipe
from tests.fakes.renderer import Painter

links = pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
RECIPE = Recipe(frames=2, keyframes=(Keyframe(at=0, prompt="a"),), width=32, height=16)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    save_picture(tmp_path / "secret.png", np.zeros((16, 32, 3), np.uint8))
    return tmp_path / "secret.png"


@pytest.mark.parametrize(
    "image",
    [
        "{secret}",
        "../secret.png",
        "a/../../secret.png",
        "..\\\\secret.png",
        "C:\\\\secret.png",
        "C:secret.png",
        "\\\\\\\\server\\\\share\\\\secret.png",
        "//server/share/secret.png",
        "file://{secret}",
        "http://127.0.0.1:9/secret.png",
        "~/secret.png",
        "<video0>",
        "a\\u0000.png",
        "link.png",
        "linked/secret.png",
        "round.png",
        "fifo.png",
        "folder.png",
        "/dev/zero",
        "-i",
        "a" * 5000,
    ],
)
@links
def test_an_init_picture_outside_the_recipes_folder_is_refused(
    tmp_path: Path, secret: Path, image: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "place"
    (place / "folder.png").mkdir(parents=True)
    (place / "link.png").symlink_to(secret)
    (place / "linked").symlink_to(tmp_path)
    (place / "round.png").symlink_to(place / "round.png")
    os.mkfifo(place / "fifo.png")
    text = 'frames = 2\nsize = [32, 16]\n[[keyframes]]\nat = 0\nimage = "' + image.format(secret=secret) + '"\n'
    (place / "recipe.toml").write_text(text, encoding="utf-8")
    assert cli.main(["render", str(place / "recipe.toml"), "-o", str(tmp_path / "job"), "-q", "--no-film"]) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert not list((tmp_path / "job").rglob("*.png"))


@links
@pytest.mark.parametrize(
    "name",
    [
        *("job.lock", "job.json", "journal.jsonl", "recipe.json", "schedule.json", "sheet.png", "frames", "inputs"),
        "earlier",
    ],
)
@pytest.mark.parametrize("dangling", [False, True])
def test_a_job_that_leads_elsewhere_is_refused_and_nothing_there_is_touched(
    tmp_path: Path, name: str, dangling: bool
) -> None:
    job, outside = tmp_path / "job", tmp_path / "outside"
    render(RECIPE, Painter(), job)
    if (job / name).is_dir():
        (job / name).rename(outside)
    elif (job / name).exists():
        (job / name).unlink()
    if not dangling and not outside.exists():
        outside.write_bytes(b"precious")
    if dangling and outside.exists():
        outside.rename(tmp_path / "elsewhere")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and "job" not in path.parts}
    (job / name).symlink_to(outside)
    with pytest.raises(JobError, match="is a link; put what it leads to in its place"):
        render(RECIPE, Painter(), job, new=True)
    assert {path: path.read_bytes() for path in before} == before
    assert outside.exists() != dangling


@links
@pytest.mark.parametrize("name", ["frames/000001.png", "film.mp4"])
def test_frames_and_films_that_are_links_are_replaced_not_followed(tmp_path: Path, name: str) -> None:
    job, outside = tmp_path / "job", tmp_path / "outside"
    render(RECIPE, Painter(), job)
    outside.write_bytes(b"precious")
    (job / name).unlink(missing_ok=True)
    (job / name).symlink_to(outside)
    (job / "frames" / "000001.png").unlink()
    if name == "frames/000001.png":
        (job / name).symlink_to(outside)
    render(RECIPE, Painter(), job)
    assert outside.read_bytes() == b"precious"
    assert not [path for path in job.rglob("*") if path.is_symlink()]


@links
@pytest.mark.parametrize("name", [".film.mp4.abcdefgh.part", "frames/.000001.png.abcdefgh.part"])
def test_what_looks_like_a_part_and_is_a_link_is_not_followed(tmp_path: Path, name: str) -> None:
    job, outside = tmp_path / "job", tmp_path / "outside"
    render(RECIPE, Painter(), job)
    outside.mkdir()
    (outside / "whole").write_bytes(b"precious")
    (job / name).symlink_to(outside)
    render(RECIPE, Painter(), job)
    assert (outside / "whole").read_bytes() == b"precious"


def test_the_pictures_of_a_job_come_from_its_own_copies(tmp_path: Path, secret: Path) -> None:
    recipe = RECIPE.replace(keyframes=(Keyframe(at=0, image="secret.png"),), folder=str(tmp_path))
    render(recipe, Painter(), tmp_path / "job")
    (tmp_path / "job" / "recipe.json").write_text(
        recipe.to_json().replace("secret.png", "../../secret.png"), encoding="utf-8"
    )
    with pytest.raises(BadInput, match=r"\.\."):
        cli.remix.main(["render", str(tmp_path / "job")], standalone_mode=False)
