"""Films and pictures are written completely or not at all, and files next to them stay unchanged."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from remix.errors import BadInput
from remix.motion import FORMATS, atomic, load_picture, probe, save_picture, write_video
from tests.core.motion.films import sine, smooth

KEPT = ("film.part", "film.old", ".film.part", "film.silent", "whole", "old", "frames", "palette", "texts", "silent")
posix = pytest.mark.skipif(os.name != "posix", reason="needs modes, pipes and links")


def nothing() -> Iterator[np.ndarray]:
    raise AssertionError("asked for a frame")
    yield


def everything_in(folder: Path) -> dict[str, bytes | None]:
    """Returns the content of a folder: the bytes of files, None for folders."""
    found = sorted(folder.rglob("*"))
    return {path.relative_to(folder).as_posix(): None if path.is_dir() else path.read_bytes() for path in found}


def what_a_user_keeps(folder: Path, suffix: str) -> dict[str, bytes | None]:
    """Writes files and folders with names similar to that of a film, and returns them all."""
    for name in KEPT:
        (folder / name).mkdir()
        (folder / name / "000000.png").write_bytes(b"mine")
    names = [f"{stem}{end}" for stem in KEPT for end in (".png", ".nut", ".palette.nut", ".part", suffix or ".mp4")]
    names += [f"film{suffix}{end}" for end in (".part", ".old", ".tmp", "~")]
    for name in names:
        if not (folder / name).exists():
            (folder / name).write_bytes(f"{name} is mine".encode())
    return everything_in(folder)


@pytest.mark.parametrize(
    ("name", "sound"),
    [(name, False) for name in FORMATS] + [(name, True) for name, row in FORMATS.items() if row.container("").sound],
)
def test_what_lies_beside_a_film_is_not_touched(tmp_path: Path, name: str, sound: bool) -> None:
    row = FORMATS[name]
    audio = sine(tmp_path / "a.wav", 0.2) if sound else None
    place = tmp_path / "place"
    place.mkdir()
    before = what_a_user_keeps(place, row.suffix)
    film = place / f"film{row.suffix}"
    for _ in range(2):
        assert write_video(smooth(3), film, 12, format=name, audio=audio, metadata={"a": "b"}).frames == 3
        after = everything_in(place)
        assert {path: after[path] for path in before} == before
        assert {path.split("/")[0] for path in after.keys() - before.keys()} == {film.name}
    with pytest.raises(ZeroDivisionError):
        write_video((1 // 0 for _ in range(1)), film, 12, format=name, audio=audio)
    assert everything_in(place) == after


def test_what_lies_beside_a_picture_is_not_touched(tmp_path: Path) -> None:
    before = what_a_user_keeps(tmp_path, ".png")
    picture = smooth(1)[0]
    save_picture(tmp_path / "film.png", picture)
    after = everything_in(tmp_path)
    assert {path: after[path] for path in before if path != "film.png"} == before
    assert after.keys() - before.keys() == {"film.png"}
    assert np.array_equal(load_picture(tmp_path / "film.png"), picture)


def test_while_a_film_is_written_all_of_it_lies_in_one_folder_that_is_told_as_a_part(tmp_path: Path) -> None:
    seen: set[str] = set()
    audio = sine(tmp_path / "a.wav", 0.2)
    for name in FORMATS:
        place = tmp_path / name
        place.mkdir()
        film = place / ("film" * 30 + FORMATS[name].suffix)
        sound = audio if FORMATS[name].container("").sound else None
        write_video(
            smooth(3),
            film,
            12,
            format=name,
            audio=sound,
            on_frame=lambda _, place=place: seen.update(path.name for path in place.iterdir()),  # type: ignore[misc]
        )
        assert [path.name for path in place.iterdir()] == [film.name]
    assert len(seen) == len(FORMATS)
    assert all(atomic.is_part(name) for name in seen)


@pytest.mark.parametrize("name", ["film.part.mp4", "film.part", ".film.part", ".film.0123456.part", ".a.ABCDEFGH.part"])
def test_names_that_users_give_are_no_parts(name: str) -> None:
    assert not atomic.is_part(name)


@posix
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_files_get_the_mode_that_any_new_file_has(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        for name in FORMATS:
            write_video(smooth(2), tmp_path / f"{name}{FORMATS[name].suffix}", 12, format=name)
        save_picture(tmp_path / "a.png", smooth(1)[0])
    finally:
        os.umask(before)
    for path in tmp_path.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o777 if path.is_dir() else 0o666) & ~mask, path


@posix
@pytest.mark.parametrize("name", FORMATS)
def test_a_place_that_cannot_be_is_told_before_the_first_frame(tmp_path: Path, name: str) -> None:
    suffix = FORMATS[name].suffix
    (tmp_path / "file").write_bytes(b"mine")
    (tmp_path / f"folder{suffix}").mkdir()
    (tmp_path / f"folder{suffix}" / "mine.txt").write_bytes(b"mine")
    os.mkfifo(tmp_path / f"pipe{suffix}")
    before = [*tmp_path.rglob("*")]
    for path, problem in {
        f"no/film{suffix}": r"there is no folder \S*no; make it",
        f"file/film{suffix}": r"there is no folder \S*file; make it",
        f"folder{suffix}": "is a folder; give the name of a file" if suffix else "holds other files",
        f"pipe{suffix}": "is a named pipe" if suffix else "is not a folder",
        f"{'x' * 300}{suffix}": "cannot be written .*; choose another name",
        f"a\0b{suffix}": "cannot be written .*; choose another name",
    }.items():
        with pytest.raises(BadInput, match=problem) as raised:
            write_video(nothing(), tmp_path / path, 12, format=name)
        assert len(str(raised.value).splitlines()) == 1
    assert [*tmp_path.rglob("*")] == before


def test_a_folder_of_pngs_where_a_file_lies_is_told_before_the_first_frame(tmp_path: Path) -> None:
    (tmp_path / "film").write_bytes(b"mine")
    with pytest.raises(BadInput, match="is not a folder, and png is a folder of pictures"):
        write_video(nothing(), tmp_path / "film", 12)


@posix
@pytest.mark.parametrize(
    ("path", "problem"), [("no/a.png", "there is no folder"), ("d.png", "is a folder"), ("p.png", "is a named pipe")]
)
def test_a_picture_that_cannot_land_is_one_sentence(tmp_path: Path, path: str, problem: str) -> None:
    (tmp_path / "d.png").mkdir()
    os.mkfifo(tmp_path / "p.png")
    before = [*tmp_path.iterdir()]
    with pytest.raises(BadInput, match=problem):
        save_picture(tmp_path / path, smooth(1)[0])
    assert [*tmp_path.iterdir()] == before


def test_a_folder_that_may_not_be_written_to_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path and real(path, mode))
    for path in (tmp_path / "film.mp4", tmp_path / "film"):
        with pytest.raises(BadInput, match=f"the folder {tmp_path} may not be written to; choose another"):
            write_video(nothing(), path, 12)
    with pytest.raises(BadInput, match="may not be written to"):
        save_picture(tmp_path / "a.png", smooth(1)[0])


def test_a_folder_of_pngs_that_got_other_files_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "film"
    write_video(smooth(2), folder, 12)
    before = everything_in(folder)

    def frames() -> Iterator[np.ndarray]:
        yield from smooth(3)
        (folder / "mine.txt").write_bytes(b"mine")

    with pytest.raises(BadInput, match="choose a new folder"):
        write_video(frames(), folder, 12)
    assert everything_in(tmp_path) == {
        "film": None,
        "film/mine.txt": b"mine",
        **{f"film/{name}": data for name, data in before.items()},
    }


def test_the_old_folder_comes_back_when_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "film"
    write_video(smooth(2), folder, 12)
    before, real = everything_in(tmp_path), os.replace

    def replace(source: Path, target: Path) -> None:
        if Path(source).name == atomic.WHOLE:
            raise OSError(5, "Input/output error")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(OSError, match="Input/output error"):
        write_video(smooth(3), folder, 12)
    assert everything_in(tmp_path) == before


@posix
def test_a_folder_of_pngs_that_is_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    write_video(smooth(2), tmp_path / "real", 12)
    before = everything_in(tmp_path / "real")
    (tmp_path / "film").symlink_to(tmp_path / "real")
    write_video(smooth(3), tmp_path / "film", 12)
    assert not (tmp_path / "film").is_symlink()
    assert probe(tmp_path / "film").frames == 3
    assert everything_in(tmp_path / "real") == before
