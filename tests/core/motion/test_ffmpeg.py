"""What happens when the encoder fails, floods, stalls, is missing, or the disk is full."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from remix.errors import MissingPackage, PictureError, VideoError
from remix.motion import ffmpeg, probe, read_video, write_video
from remix.motion.ffmpeg import ffmpeg_exe, ffmpeg_version
from tests.core.motion.films import put_in_place_of_ffmpeg, smooth

PROMPT = '$(touch x); -vf "drawtext=text=a" | `id` %d \\ \n;#=[STREAM]'


def test_an_encoder_is_found_and_says_its_version() -> None:
    version = ffmpeg_version(ffmpeg_exe())
    assert any(character.isdigit() for character in version)


def test_a_missing_encoder_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingPackage, match="pip install imageio-ffmpeg"):
        ffmpeg_exe()


def test_without_imageio_ffmpeg_the_program_on_the_path_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_in_place_of_ffmpeg(tmp_path, monkeypatch, "print('ffmpeg version 4.4.2-0ubuntu Copyright')")
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ffmpeg_exe() == str(tmp_path / "ffmpeg")
    assert ffmpeg_version(ffmpeg_exe()) == "4.4.2-0ubuntu"


@pytest.mark.parametrize(
    ("version", "option"),
    [
        ("4.4.2-0ubuntu", "-vsync"),
        ("n6.1", "-vsync"),
        ("7.0.2-static", "-fps_mode"),
        ("N-121-g5", "-fps_mode"),
    ],
)
def test_every_frame_is_asked_for_in_the_words_of_each_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, option: str
) -> None:
    put_in_place_of_ffmpeg(tmp_path, monkeypatch, f"print('ffmpeg version {version} Copyright')")
    assert ffmpeg.every_frame(ffmpeg_exe()) == (option, "passthrough")


FAILS_AFTER_THREE = """
for _ in range(3): os.read(0, 64 * 48 * 3)
sys.stderr.write("line one\\nthe disk drive is on fire\\n"); sys.exit(1)
"""
FLOODS = """
for n in range(20_000): sys.stderr.write(f"warning {n} " + 40 * "x" + "\\n")
while os.read(0, 65536): pass
sys.exit(3)
"""
SAYS_NOTHING = "sys.exit(9)"
ENDS_WELL_TOO_EARLY = "sys.exit(0)"
WRITES_NOTHING = """
while os.read(0, 65536): pass
"""
WRITES_JUNK = """
while os.read(0, 65536): pass
if os.path.isabs(sys.argv[-1]): open(sys.argv[-1], "wb").write(b"junk")
"""


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (FAILS_AFTER_THREE, r"status 1[\s\S]*the disk drive is on fire"),
        (FLOODS, r"status 3[\s\S]*warning 19980 [\s\S]*warning 19999 "),
        (SAYS_NOTHING, r"status 9[\s\S]*it said nothing"),
        (ENDS_WELL_TOO_EARLY, "status 0"),
    ],
)
@pytest.mark.parametrize("name", ["film.mp4", "film.gif"])
def test_the_encoders_last_words_are_in_the_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, message: str, name: str
) -> None:
    (tmp_path / "out").mkdir()
    old = tmp_path / "out" / name
    old.write_bytes(b"older film")
    put_in_place_of_ffmpeg(tmp_path, monkeypatch, body)
    with pytest.raises(VideoError, match=message) as raised:
        write_video(smooth(200, 64, 48), old, 12)
    assert len(str(raised.value).splitlines()) <= ffmpeg.LAST_LINES + 2
    assert old.read_bytes() == b"older film"
    assert list((tmp_path / "out").iterdir()) == [old]


def test_a_gif_whose_last_pass_fails_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = ffmpeg_exe()
    body = f"""
if any("paletteuse" in argument for argument in sys.argv): sys.exit("no palette today")
os.execv({real!r}, [{real!r}, *sys.argv[1:]])
"""
    put_in_place_of_ffmpeg(tmp_path, monkeypatch, body)
    with pytest.raises(VideoError, match="no palette today"):
        write_video(smooth(2), tmp_path / "film.gif", 12, metadata={"remix": "{}"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ffmpeg"]


CTRL_C = """
import os, signal, sys
from remix.motion import write_video
from tests.core.motion.films import smooth
signal.signal(signal.SIGINT, lambda *_: print("asked to stop", flush=True))
def frames():
    for index, frame in enumerate(smooth(40, 64, 64)):
        if index == 20:
            os.killpg(0, signal.SIGINT)
        yield frame
print(write_video(frames(), sys.argv[1], 12).frames)
"""


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")
def test_ctrl_c_does_not_reach_the_encoder(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CTRL_C, str(tmp_path / "film.mp4")],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
        start_new_session=True,
    )
    assert done.stdout == "asked to stop\n40\n", done.stderr


@pytest.mark.parametrize("body", [WRITES_NOTHING, WRITES_JUNK])
def test_success_is_not_believed_without_a_film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    put_in_place_of_ffmpeg(tmp_path, monkeypatch, body)
    monkeypatch.chdir(tmp_path)
    with pytest.raises((VideoError, OSError)):
        write_video(smooth(3), tmp_path / "film.mp4", 12)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ffmpeg"]


def test_a_film_with_missing_frames_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = ffmpeg_exe()
    body = f"""
arguments = sys.argv[1:]
if "pipe:0" in arguments: arguments[-2:-2] = ["-frames:v", "4"]
os.execv({real!r}, [{real!r}, *arguments])
"""
    put_in_place_of_ffmpeg(tmp_path, monkeypatch, body)
    with pytest.raises(VideoError, match="5 frames of 32x24 were written, 4 of 32x24 can be read"):
        write_video(smooth(5), tmp_path / "film.mp4", 12)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ffmpeg"]


def test_an_encoder_that_never_reads_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ffmpeg, "STALL_SECONDS", 0.2)
    put_in_place_of_ffmpeg(tmp_path, monkeypatch, "time.sleep(60)")
    with pytest.raises(VideoError, match=r"no progress for 0\.2 s"):
        write_video(smooth(200, 64, 48), tmp_path / "film.mp4", 12)


def test_an_encoder_that_never_ends_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ffmpeg, "STALL_SECONDS", 0.2)
    put_in_place_of_ffmpeg(tmp_path, monkeypatch, "while os.read(0, 65536): pass\ntime.sleep(60)")
    with pytest.raises(VideoError, match=r"no progress for 0\.2 s"):
        write_video(smooth(3), tmp_path / "film.mp4", 12)


def test_an_encoder_that_cannot_be_started_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ffmpeg").write_bytes(b"\x7fELF broken")
    (tmp_path / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "ffmpeg"))
    with pytest.raises(MissingPackage, match="pip install imageio-ffmpeg"):
        write_video(smooth(1), tmp_path / "film.mp4", 12)


@pytest.mark.parametrize("name", ["film.mp4", "film.webm", "film.gif", "film.mov", "film.mkv"])
def test_prompts_never_reach_the_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    real, seen = ffmpeg_exe(), tmp_path / "seen"
    body = f"""
open({str(seen)!r}, "a").write(repr(sys.argv) + "\\n")
os.execv({real!r}, [{real!r}, *sys.argv[1:]])
"""
    put_in_place_of_ffmpeg(tmp_path, monkeypatch, body)
    write_video(smooth(2), tmp_path / name, 12, metadata={"remix": PROMPT, "title": PROMPT})
    arguments = seen.read_text(encoding="utf-8")
    assert arguments
    assert "touch" not in arguments
    assert "drawtext" not in arguments


@pytest.mark.parametrize(
    "name", ["film.mp4", "film.webm", "film.gif", "film.webp", "film.apng", "film.mov", "film.mkv"]
)
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_a_film_that_is_cut_off_is_an_error_not_a_shorter_film(tmp_path: Path, name: str, kept: float) -> None:
    path = tmp_path / name
    noise = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
    write_video(noise, path, 12)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(PictureError):
        list(read_video(path))
    with pytest.raises(PictureError):
        probe(path)


def test_a_film_that_is_damaged_within_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    noise = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
    write_video(noise, path, 12)
    data = bytearray(path.read_bytes())
    start = int(len(data) * 0.7)
    data[start : start + 200] = bytes(200)  # costs a frame, of which ffmpeg by itself makes nothing
    path.write_bytes(data)
    with pytest.raises(PictureError, match="decoding failed"):
        list(read_video(path))


SAYS_MUCH = "a corrupt official, a truncated pyramid, decode failed\n[error] partial file: No space left on device"


@pytest.mark.parametrize(
    "name", ["film.mp4", "film.webm", "film.gif", "film.webp", "film.apng", "film.mov", "film.mkv"]
)
def test_words_of_a_film_are_not_taken_for_ffmpegs_own(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "a truncated partial file, corrupt"
    folder.mkdir()
    made = write_video(smooth(3), folder / name, 12, metadata={"remix": SAYS_MUCH, "title": SAYS_MUCH})
    assert probe(folder / name).frames == made.frames == 3
    assert len(list(read_video(folder / name))) == 3


@pytest.mark.parametrize(
    ("line", "full"),
    [
        ("[out#0/mp4 @ 0x56] [error] Error writing trailer: No space left on device", True),
        ("[error] av_interleaved_write_frame(): Disk quota exceeded", True),
        ("[info]     title           : No space left on device", False),
        ("                    : No space left on device", False),
        ("[error] Error opening output /No space left on device/film.mp4: Permission denied", False),
    ],
)
def test_an_error_says_whether_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, full: bool
) -> None:
    put_in_place_of_ffmpeg(tmp_path, monkeypatch, f"os.read(0, 1); sys.exit({line!r})")
    with pytest.raises(VideoError) as raised:
        write_video(smooth(2), tmp_path / "film.mp4", 12)
    assert raised.value.disk_full is full
    assert ("bytes are free" in str(raised.value)) is full


def can_mount() -> bool:
    return (
        shutil.which("unshare") is not None
        and not subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode
    )


ON_A_SMALL_DISK = """
import sys
import numpy as np
from pathlib import Path
from remix.motion import write_video
folder, name = Path(sys.argv[1]), sys.argv[2]
noise = np.random.default_rng(0)
frames = (noise.integers(0, 256, (256, 256, 3), dtype=np.uint8) for _ in range(60))
try:
    write_video(frames, folder / name, 12)
except Exception as error:
    print(type(error).__name__, error.disk_full, error)
print("left:", sorted(path.name for path in folder.iterdir()))
"""


@pytest.mark.skipif(not can_mount(), reason="needs user namespaces")
@pytest.mark.parametrize("name", ["film.mp4", "film.webm", "film.gif", "film.webp", "film.apng", "film.mkv", "film"])
def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(ON_A_SMALL_DISK, encoding="utf-8")
    disk = tmp_path / "disk"
    disk.mkdir()
    command = 'mount -t tmpfs -o size=2m tmpfs "$1" && exec "$2" "$3" "$1" "$4"'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", command, "sh", str(disk), sys.executable, str(script), name],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
        env={"PYTHONPATH": ".", "PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "OMP_NUM_THREADS": "1"},
    )
    assert done.stdout.startswith("VideoError True"), done.stdout + done.stderr
    assert f"{disk / name}: " in done.stdout
    assert "bytes are free on its disk" in done.stdout
    assert done.stdout.strip().endswith("left: []")
