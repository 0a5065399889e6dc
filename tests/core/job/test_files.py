"""Atomic writing, safe names, paths that stay inside."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from remix.errors import BadInput
from remix.job.files import NAME_BYTES, inside, safe_name, write_bytes, write_text
from remix.motion import atomic


@pytest.mark.parametrize("name", ["a.json", "日本 é 🎬.txt", "no suffix", ".hidden"])
def test_what_was_written_is_there_and_nothing_else(tmp_path: Path, name: str) -> None:
    for data in (b"first", b"second, longer", b""):
        assert write_bytes(tmp_path / name, data) == tmp_path / name
        assert (tmp_path / name).read_bytes() == data
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_text_is_utf8_with_its_own_line_ends(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "é\n日\r\n")
    assert (tmp_path / "a").read_bytes() == "é\n日\r\n".encode()


def test_an_error_leaves_the_old_file_and_no_part(tmp_path: Path) -> None:
    path = write_bytes(tmp_path / "a", b"old")

    def fail_halfway() -> None:
        with atomic.atomic_write(path) as part:
            part.write_bytes(b"half")
            raise KeyError

    with pytest.raises(KeyError):
        fail_halfway()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    for name in ("flush_to_disk", "flush_folder"):
        real = getattr(atomic, name)
        monkeypatch.setattr(atomic, name, lambda path, name=name, real=real: (steps.append(name), real(path)))
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (steps.append("replace"), replace(a, b)))
    write_bytes(tmp_path / "a", b"x")
    assert steps == ["flush_to_disk", "replace", "flush_folder"]


@pytest.mark.parametrize("step", ["flush_to_disk", "replace"])
def test_a_disk_that_refuses_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    path = write_bytes(tmp_path / "a", b"old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(*(os, "replace", full) if step == "replace" else (atomic, step, full))
    with pytest.raises(OSError, match="No space left"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_files_that_look_like_parts_are_somebody_elses(tmp_path: Path) -> None:
    theirs = {"a.part": b"mine", ".a.00000000.part": b"another run's"}
    for name, data in theirs.items():
        (tmp_path / name).write_bytes(data)
    assert write_bytes(tmp_path / "a", b"x").read_bytes() == b"x"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"x", **theirs}


WRITES_FOR_EVER = """
import sys
from pathlib import Path
from remix.job.files import write_bytes
for n in range(10**9):
    write_bytes(Path(sys.argv[1], "a"), bytes([n % 256]) * 200_000)
    if n == 5: print("started", flush=True)
"""


def test_a_killed_writer_leaves_a_whole_file(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITES_FOR_EVER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]) as child:
        assert child.stdout is not None
        child.stdout.readline()
        child.kill()
    data = (tmp_path / "a").read_bytes()
    assert len(data) == 200_000
    assert len(set(data)) == 1


FILLS_THE_DISK = """
import sys
from pathlib import Path
from remix.job.files import write_bytes
path = Path(sys.argv[1], "a")
write_bytes(path, b"old")
try:
    write_bytes(path, bytes(3 * 2**20))
except OSError as error:
    print(error.strerror, path.read_bytes(), [p.name for p in path.parent.iterdir()])
"""


@pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode != 0,
    reason="needs user namespaces",
)
def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    command = 'mount -t tmpfs -o size=2m tmpfs "$1" && exec "$2" -c "$3" "$1"'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", command, "sh", str(tmp_path), sys.executable, FILLS_THE_DISK],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert done.stdout == "No space left on device b'old' ['a']\n", done.stderr


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a cat", "a cat"),
        ("000123.png", "000123.png"),
        ("", "_"),
        (".", "_"),
        ("..", "_"),
        ("...", "_"),
        ("a..b.png", "a.b.png"),
        ("../../etc/passwd", "etc_passwd"),
        ("..\\..\\x", "x"),
        ("C:\\x", "C__x"),
        ("/etc/x", "_etc_x"),
        ("x\0.png", "x_.png"),
        ("a\nb\tc", "a_b_c"),
        ("trailing. . ", "trailing"),
        (" leading", "leading"),
        (".hidden", "hidden"),
        ("CON", "_CON"),
        ("con.txt", "_con.txt"),
        ("Lpt1 .png", "_Lpt1 .png"),
        ("COM¹", "_COM¹"),
        ("CONTROL", "CONTROL"),
        ('a<b>c:"d|e?f*g', "a_b_c__d_e_f_g"),
        ("日本 é 🎬", "日本 é 🎬"),
        ("e\u0301", "é"),
        ("a\u202egnp.exe", "a_gnp.exe"),
        ("x" * 500 + ".png", "x" * 116 + ".png"),
        ("日" * 100, "日" * 40),
        ("a" * 10_000, "a" * 120),
    ],
)
def test_safe_names(text: str, name: str) -> None:
    assert safe_name(text) == name


@settings(deadline=None, max_examples=500)
@given(st.text(max_size=200))
@example("con\u0301")
@example("\u0301" * 200)
@example("." * 119 + "a")
@example("con" + "." * 200)
@example("a" * 116 + ". png")
@example("CON " + "x" * 200)
@example("\ud800")
def test_every_name_is_safe_everywhere_and_stays_itself(text: str) -> None:
    name = safe_name(text)
    assert 1 <= len(name.encode("utf-8")) <= NAME_BYTES
    assert not set(name) & set('<>:"/\\|?*')
    assert all(unicodedata.category(character)[0] != "C" for character in name)
    assert name[-1] not in ". "
    assert name[0] not in ". "
    assert ".." not in name
    assert name.split(".")[0].rstrip().upper() not in {"CON", "PRN", "AUX", "NUL", "COM1", "LPT9"}
    assert safe_name(name) == name


@pytest.mark.parametrize("relative", ["a.png", "b/c.png", "b\\c.png", "./a.png", "日本/é.png", "missing"])
def test_paths_inside_are_found(tmp_path: Path, relative: str) -> None:
    found = inside(tmp_path, relative)
    assert found.is_absolute()
    assert found == tmp_path.resolve().joinpath(*relative.removeprefix("./").replace("\\", "/").split("/"))


@pytest.mark.parametrize(
    "relative",
    [
        "",
        "/etc/passwd",
        "\\windows",
        "C:\\x",
        "C:x",
        "a:b",
        "\\\\server\\share\\x",
        "//server/share/x",
        "../x",
        "a/../../x",
        "a/..",
        "a\\..\\..\\x",
        "..",
        "x\0.png",
    ],
)
def test_paths_that_lead_out_are_refused(tmp_path: Path, relative: str) -> None:
    with pytest.raises(BadInput, match=r"relative to|below"):
        inside(tmp_path, relative)


def test_links_that_lead_out_are_refused_and_others_followed(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "real").mkdir(parents=True)
    (tmp_path / "secret").write_text("x", encoding="utf-8")
    (folder / "out").symlink_to(tmp_path)
    (folder / "file").symlink_to(tmp_path / "secret")
    (folder / "in").symlink_to(folder / "real")
    (folder / "round").symlink_to(folder / "round")
    for relative in ("out/secret", "file", "out", "round"):
        with pytest.raises(BadInput, match="link"):
            inside(folder, relative)
    assert inside(folder, "in/x") == folder.resolve() / "real" / "x"
    (tmp_path / "also").symlink_to(folder)
    assert inside(tmp_path / "also", "real") == folder.resolve() / "real"


@settings(deadline=None)
@given(st.text(max_size=40))
def test_whatever_the_text_the_path_is_inside_or_refused(text: str) -> None:
    folder = Path("/tmp/some folder")
    try:
        found = inside(folder, text)
    except BadInput:
        return
    assert found.is_relative_to(folder.resolve())
