"""Files that are small and would become huge: refused by what their headers say, before anything is decoded."""

from __future__ import annotations

import resource
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from remix.client import cli
from remix.errors import PictureError
from remix.motion import load_picture, save_picture


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int = 8, colors: int = 2) -> bytes:
    head = struct.pack(">LLBBBBB", width, height, depth, colors, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(10**6))) + chunk(b"IEND", b"")
    )


SCAN = b"\xff\xda\0\x0c\3\1\0\2\x11\3\x11\0\x3f\0"


def jpeg(width: int, height: int) -> bytes:
    frame = struct.pack(">HBHHB", 17, 8, height, width, 3) + b"\1\x22\0\2\x11\1\3\x11\1"
    return b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xc0" + frame + SCAN + b"\xff\xd9"


def webp(width: int, height: int) -> bytes:
    size = ((width - 1) | (height - 1) << 14).to_bytes(4, "little")
    data = b"VP8L" + struct.pack("<L", 6) + b"\x2f" + size + b"\0"
    return b"RIFF" + struct.pack("<L", 4 + len(data)) + b"WEBP" + data


def gif(frames: int, width: int = 1, height: int = 1) -> bytes:
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"\x21\xf9\4\0\1\0\0\0" + b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2\x44\1\0"
    return head + frame * frames + b"\x3b"


BOMBS = {
    "20000.png": (png(20_000, 20_000), "20000x20000; at most 64 million pixels are read, shrink it"),
    "10000.png": (png(10_000, 10_000), "10000x10000; at most 64 million pixels"),
    "wide.png": (png(2**31 - 1, 1), "2147483647x1; at most 64 million pixels"),
    "tall.png": (png(1, 2**31 - 1), "1x2147483647; at most 64 million pixels"),
    "deep.png": (png(9_000, 9_000, depth=16, colors=6), "9000x9000; at most 64 million pixels"),
    "bits.png": (png(60_000, 60_000, depth=1, colors=0), "60000x60000; at most 64 million pixels"),
    "none.png": (png(0, 0), "cannot be decoded|not a picture"),
    "a.jpg": (jpeg(65_500, 65_500), "65500x65500; at most 64 million pixels"),
    "a.webp": (webp(16_384, 16_384), "16384x16384; at most 64 million pixels|not a picture"),
    "a.gif": (gif(1, 65_535, 65_535), "not a picture that is read here"),
}
"""Pictures by name, and their errors."""


@pytest.mark.parametrize("name", BOMBS)
def test_a_picture_that_would_be_huge_is_refused_by_its_header(tmp_path: Path, name: str) -> None:
    path = tmp_path / "frames" / name
    path.parent.mkdir()
    data, sentence = BOMBS[name]
    path.write_bytes(data)
    pytest.importorskip("torch")  # as large as a bomb, and `remix render` loads it
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(PictureError, match=f"{name}: .*({sentence})"):
        load_picture(path)
    assert cli.main(["video", str(path.parent), "-o", str(tmp_path / "film.mp4"), "-q"]) == 2
    recipe = f'frames = 2\n[[keyframes]]\nat = 0\nimage = "frames/{name}"\n'
    (tmp_path / "recipe.toml").write_text(recipe, encoding="utf-8")
    assert cli.main(["render", str(tmp_path / "recipe.toml"), "-o", str(tmp_path / "job"), "-q"]) == 2
    assert cli.main(["inspect", str(path)]) == 0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KiB
    assert not (tmp_path / "film.mp4").exists()


def test_a_bomb_among_good_frames_leaves_no_film(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    for index in range(3):
        save_picture(frames / f"{index}.png", np.zeros((16, 16, 3), np.uint8))
    (frames / "3.png").write_bytes(BOMBS["20000.png"][0])
    assert cli.main(["video", str(frames), "-o", str(tmp_path / "film.mp4"), "-q"]) == 2
    assert "3.png: 20000x20000; at most 64 million pixels" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["frames"]


PEAK = """
import resource, sys
from remix.motion import load_picture
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(load_picture(sys.argv[1]).shape, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts kilobytes as Linux does")
@pytest.mark.parametrize(
    ("kind", "channels"), [(0, 1), (4, 2), (6, 4)], ids=["gray", "gray and alpha", "color and alpha"]
)
def test_a_small_file_of_the_largest_size_takes_a_bounded_amount_of_memory(
    tmp_path: Path, kind: int, channels: int
) -> None:
    """16 bits a channel: 512 MB of pixels in a file of some hundred kilobytes."""
    head = struct.pack(">LLBBBBB", 8000, 8000, 16, kind, 0, 0, 0)
    packed = zlib.compressobj(9)
    row = bytes(1 + 8000 * 2 * channels)
    data = b"".join(packed.compress(row) for _ in range(8000)) + packed.flush()
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    done = subprocess.run([sys.executable, "-c", PEAK, path], capture_output=True, text=True, check=True)
    shape, megabytes = done.stdout.rsplit(" ", 1)
    assert shape == "(8000, 8000, 3)"
    assert int(megabytes) < 600


def test_a_picture_of_the_wrong_size_is_refused_by_its_header(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(8000, 8000))
    with pytest.raises(PictureError, match="8000x8000; expected 32x16"):
        load_picture(tmp_path / "a.png", size=(32, 16))
