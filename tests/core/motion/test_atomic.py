"""File systems and systems that this machine does not have, simulated: what they refuse, and for how long."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from remix.errors import BadInput
from remix.motion import atomic
from remix.motion.ffmpeg import ffmpeg_exe, own_group

ODD = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


def failing(number: int) -> Any:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", sorted(ODD))
@pytest.mark.parametrize("what", ["folder", "file"])
@pytest.mark.skipif(os.name == "nt", reason="Windows cannot open folders")
def test_a_file_or_folder_that_cannot_be_flushed_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, what: str
) -> None:
    flush = os.fsync

    def fsync(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode) == (what == "folder"):
            raise OSError(number, os.strerror(number))
        flush(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    with atomic.atomic_write(tmp_path / "a") as part:
        part.write_bytes(b"whole")
    assert (tmp_path / "a").read_bytes() == b"whole"


def test_a_folder_that_may_be_written_to_and_not_listed_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = os.open

    def refusing(path: Any, flags: int, *more: Any, **options: Any) -> int:
        if os.path.isdir(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return plain(path, flags, *more, **options)

    monkeypatch.setattr(os, "open", refusing)
    with atomic.atomic_write(tmp_path / "a") as part:
        part.write_bytes(b"whole")
    assert (tmp_path / "a").read_bytes() == b"whole"


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_any_other_failure_of_a_flush_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(os, "fsync", failing(number))
    with pytest.raises(OSError, match=os.strerror(number)):
        atomic.flush_folder(tmp_path)
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(OSError, match=os.strerror(number)):
        atomic.flush_to_disk(tmp_path / "a")


def test_macos_flushes_the_drive_too_and_where_it_cannot_the_system_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []
    monkeypatch.setattr(atomic, "_FULL_FLUSH", 51)
    monkeypatch.setattr(atomic, "_control", lambda handle, command: calls.append(command), raising=False)
    monkeypatch.setattr(os, "fsync", lambda handle: calls.append("fsync"))
    (tmp_path / "a").write_bytes(b"")
    atomic.flush_to_disk(tmp_path / "a")
    assert calls == [51]
    monkeypatch.setattr(atomic, "_control", failing(errno.ENOTSUP), raising=False)
    atomic.flush_to_disk(tmp_path / "a")
    assert calls == [51, "fsync"]
    monkeypatch.setattr(atomic, "_control", failing(errno.EIO), raising=False)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        atomic.flush_to_disk(tmp_path / "a")


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def held_open(times: int, winerror: int | None = 32) -> Any:
    """`os.replace` of a Windows on which another program has the file open for so many tries."""
    rename, left = os.replace, [times]

    def replace(source: Path, target: Path) -> None:
        if left[0]:
            left[0] -= 1
            error = PermissionError(errno.EACCES, "held open")
            error.winerror = winerror  # type: ignore[attr-defined]
            raise error
        rename(source, target)

    return replace


@pytest.mark.parametrize("winerror", [5, 32, 33])
def test_a_file_that_is_held_open_for_a_moment_is_replaced_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, winerror: int
) -> None:
    (tmp_path / "new").write_bytes(b"new")
    (tmp_path / "old").write_bytes(b"old")
    monkeypatch.setattr(os, "replace", held_open(7, winerror))
    clock = Clock()
    atomic.replace(tmp_path / "new", tmp_path / "old", clock=clock, sleep=clock.sleep)
    assert (tmp_path / "old").read_bytes() == b"new"
    assert 0 < clock.now <= 1


@pytest.mark.parametrize(("winerror", "waited"), [(32, 1.0), (None, 0.0)])
def test_a_file_that_stays_held_open_or_is_not_ours_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, winerror: int | None, waited: float
) -> None:
    (tmp_path / "new").write_bytes(b"new")
    monkeypatch.setattr(os, "replace", held_open(10**6, winerror))
    clock = Clock()
    with pytest.raises(PermissionError):
        atomic.replace(tmp_path / "new", tmp_path / "old", clock=clock, sleep=clock.sleep)
    assert clock.now == pytest.approx(waited, abs=0.06)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("CON.mp4", "device"),
        ("nul", "device"),
        ("com1.tar.gz", "device"),
        ("aux .mp4", "device"),
        ("film.mp4:x.mp4", "':'"),
        ("a?.mp4", "'\\?'"),
        ("a\n.mp4", "may not be in a name"),
        ("film. .mp4", "before its suffix"),
        ("film.mp4.", "dot or a space"),
        ("film.mp4 ", "dot or a space"),
    ],
)
def test_a_name_that_windows_cannot_keep_is_refused_there(tmp_path: Path, name: str, problem: str) -> None:
    with pytest.raises(BadInput, match=f"not a name for Windows .*{problem}"):
        atomic.refuse_place(tmp_path / name, windows=True)
    atomic.refuse_place(tmp_path / name, windows=False)


@pytest.mark.parametrize("name", ["film.mp4", "console.mp4", "a b.mp4", "日本.mp4", ".hidden", "a.b.c"])
def test_other_names_are_kept_on_windows(tmp_path: Path, name: str) -> None:
    atomic.refuse_place(tmp_path / name, windows=True)


def test_long_paths_are_extended_on_windows_alone() -> None:
    short, long = "C:\\jobs\\film", "C:\\" + "x" * 230
    share = "\\\\server\\share\\" + "x" * 230
    assert atomic.extended(short, windows=True) == short
    assert atomic.extended(long, windows=False) == long
    assert atomic.extended(long, windows=True) == "\\\\?\\" + long
    assert atomic.extended(share, windows=True) == "\\\\?\\UNC\\server\\share\\" + "x" * 230
    assert atomic.extended(atomic.extended(long, windows=True), windows=True) == "\\\\?\\" + long


def test_ctrl_c_does_not_reach_the_encoder() -> None:
    assert own_group("win32") == {"creationflags": 0x200}
    assert own_group("linux") == own_group("darwin") == {"start_new_session": True}
    with subprocess.Popen([ffmpeg_exe(), "-version"], stdout=subprocess.PIPE, **own_group()) as child:
        assert child.communicate()[0].startswith(b"ffmpeg version")
