"""Opening pictures with bounds, fitting, padding, PNG bytes."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import struct
import threading
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from remix.errors import BadInput, PictureError
from remix.motion import images
from remix.motion.images import load_picture, open_image
from remix.motion.pictures import fit, pad_to_even, png_bytes, save_picture

SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))


def picture_of(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def saved(image: Image.Image, name: str, **options: object) -> io.BytesIO:
    buffer = io.BytesIO()
    image.save(buffer, name, **options)
    buffer.seek(0)
    return buffer


def named(data: bytes) -> io.BytesIO:
    file = io.BytesIO(data)
    file.name = "a"
    return file


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))


def png_that_claims(width: int, height: int) -> bytes:
    head = struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + png_chunk(b"IDAT", b"") + png_chunk(b"IEND", b"")


@settings(deadline=None)
@given(size=SIZES, seed=st.integers(0, 99))
def test_png_gives_back_the_picture_bit_for_bit(size: tuple[int, int], seed: int) -> None:
    picture = picture_of(*size, seed)
    again = load_picture(io.BytesIO(png_bytes(picture, {"remix": "{}", "other": "日本"})))
    assert again.dtype == np.uint8
    assert np.array_equal(again, picture)
    again[0, 0] = 0  # ours to write to


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP"])
def test_each_format_is_read_from_a_path_and_from_a_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / "日本 é 🎬.bin"
    Image.new("RGB", (20, 10), (200, 30, 60)).save(path, name)
    from_path = load_picture(path)
    assert from_path.shape == (10, 20, 3)
    assert np.abs(from_path.astype(int) - (200, 30, 60)).max() <= 4
    with open(path, "rb") as file:
        assert np.array_equal(load_picture(file), from_path)
        assert not file.closed
    assert np.array_equal(load_picture(str(path)), from_path)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    upright = picture_of(3, 5)
    # What the file holds for each value, by the Exif standard: where its first row and column lie.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: upright.transpose(1, 0, 2)[::-1],
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: upright.transpose(1, 0, 2)[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = saved(Image.fromarray(np.ascontiguousarray(stored)), "PNG", exif=exif.tobytes())
    assert np.array_equal(load_picture(file), upright)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: Image.new("RGBA", (2, 2), (255, 0, 0, 0)), (255, 255, 255)),
        (lambda: Image.new("RGBA", (2, 2), (255, 0, 0, 255)), (255, 0, 0)),
        (lambda: Image.new("RGBA", (2, 2), (0, 0, 0, 51)), (204, 204, 204)),
        (lambda: Image.new("LA", (2, 2), (10, 0)), (255, 255, 255)),
        (lambda: Image.new("L", (2, 2), 77), (77, 77, 77)),
        (lambda: Image.new("1", (2, 2), 1), (255, 255, 255)),
        (lambda: Image.new("P", (2, 2), 0), (0, 0, 0)),
        (lambda: Image.fromarray(np.full((2, 2), 65_280, np.uint16)), (254, 254, 254)),
        (lambda: Image.fromarray(np.full((2, 2), 65_535, np.uint16)), (255, 255, 255)),
    ],
    ids=["clear", "solid", "veil", "clear gray", "gray", "bit", "palette", "16 bit", "16 bit white"],
)
def test_every_mode_becomes_rgb_over_white(make: Callable[[], Image.Image], expected: tuple[int, int, int]) -> None:
    found = load_picture(saved(make(), "PNG"))
    assert np.array_equal(found, np.full((2, 2, 3), expected, np.uint8))


def test_transparent_colour_of_a_palette_is_white() -> None:
    image = Image.new("P", (1, 2))
    image.putpalette([9, 9, 9, 80, 90, 100] + [0] * 762)
    image.putpixel((0, 1), 1)
    found = load_picture(saved(image, "PNG", transparency=0))
    assert found[:, 0].tolist() == [[255, 255, 255], [80, 90, 100]]


def jpeg_that_claims(width: int, height: int) -> bytes:
    frame = struct.pack(">HBHHB", 17, 8, height, width, 3) + b"\1\x22\0\2\x11\1\3\x11\1"
    return b"\xff\xd8\xff\xc0" + frame + b"\xff\xda\0\x0c\3\1\0\2\x11\3\x11\0\x3f\0\xff\xd9"


@pytest.mark.parametrize(
    ("claims", "width", "height"),
    [
        (png_that_claims, 8001, 8000),
        (png_that_claims, 10_000, 10_000),
        (png_that_claims, 20_000, 20_000),
        (png_that_claims, 2**31 - 1, 2**31 - 1),
        (jpeg_that_claims, 8001, 8000),
        (jpeg_that_claims, 65_500, 65_500),
    ],
)
def test_size_is_checked_before_anything_is_decoded(
    claims: Callable[[int, int], bytes], width: int, height: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    with pytest.raises(PictureError, match=f"a: {width}x{height}; at most 64 million pixels are read, shrink it"):
        open_image(named(claims(width, height)))


def test_a_lower_limit_of_pillow_does_not_refuse_what_is_read_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    for name in ("PNG", "JPEG", "WEBP"):
        assert load_picture(saved(Image.fromarray(picture_of(8, 8)), name)).shape == (8, 8, 3)


def test_long_files_are_refused_before_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_BYTES", 50)
    with pytest.raises(PictureError, match="at most 50 are read"):
        open_image(io.BytesIO(png_bytes(picture_of(9, 9))))


@pytest.mark.parametrize("name", ["GIF", "BMP", "TIFF", "PPM", "PDF", "ICO"])
def test_other_formats_are_refused(name: str) -> None:
    with pytest.raises(PictureError, match="PNG, JPEG or WebP"):
        open_image(saved(Image.new("RGB", (16, 16)), name))


@pytest.mark.parametrize(
    "text",
    ["<video0>", "<clipboard>", "concat:a|b", "-i", "file:///etc/hostname", "imageio:chelsea.png", "a\0b"],
)
def test_names_are_names_of_files_and_nothing_else(text: str) -> None:
    with pytest.raises(PictureError, match=r"no such file|cannot be read"):
        open_image(text)


def test_no_connection_is_made_for_a_url() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        with pytest.raises(PictureError, match="no such file"):
            open_image(f"http://127.0.0.1:{server.getsockname()[1]}/a.png")
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_devices_and_folders_are_refused_without_waiting(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    for odd in (pipe, tmp_path, Path("/dev/zero")):
        with pytest.raises(PictureError, match="not a regular file"):
            open_image(odd)


@settings(deadline=None, max_examples=300)
@given(
    name=st.sampled_from(["PNG", "JPEG", "WEBP"]),
    cut=st.integers(0, 400),
    at=st.integers(0, 400),
    junk=st.binary(max_size=12),
)
@example(name="PNG", cut=0, at=0, junk=b"")
def test_damaged_files_raise_picture_error_or_open(name: str, cut: int, at: int, junk: bytes) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(Image.fromarray(picture_of(8, 8)), name, exif=exif.tobytes()).getvalue()
    at = min(at, len(data))
    data = data[:at] + junk + data[at + len(junk) : len(data) - cut]
    with contextlib.suppress(PictureError):
        assert open_image(io.BytesIO(data)).mode == "RGB"


@pytest.mark.parametrize("orientation", [None, 6])
@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP"])
def test_truncated_picture_is_an_error_not_grey(name: str, orientation: int | None) -> None:
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    data = saved(Image.fromarray(picture_of(64, 64)), name, exif=exif.tobytes()).getvalue()
    for kept in (0.5, 0.9):
        with pytest.raises(PictureError, match="cannot be decoded"):
            open_image(io.BytesIO(data[: int(len(data) * kept)]))


def soft(height: int, width: int) -> np.ndarray:
    """A picture that packs well, so that one bit of the file is many of its pixels."""
    return np.add.outer(np.arange(height) * 3, np.arange(width) * 2)[..., None].repeat(3, 2).astype(np.uint8)


@settings(deadline=None, max_examples=300)
@given(
    picture=st.sampled_from([soft(40, 40), picture_of(40, 40), soft(300, 400)]),
    place=st.floats(0, 1),
    bit=st.integers(0, 7),
    exif=st.booleans(),
)
@example(picture=soft(40, 40), place=0.36, bit=0, exif=False)
@example(picture=picture_of(40, 40), place=0.5, bit=7, exif=False)
def test_a_png_with_a_wrong_bit_in_its_pixels_is_an_error_not_another_picture(
    picture: np.ndarray, place: float, bit: int, exif: bool
) -> None:
    data = bytearray(saved(Image.fromarray(picture), "PNG", exif=Image.Exif().tobytes() if exif else b"").getvalue())
    first, last = data.index(b"IDAT") + 4, data.rindex(b"IEND") - 9
    data[first + round(place * (last - first))] ^= 1 << bit
    with pytest.raises(PictureError, match=r"cannot be decoded|do not match their checksum"):
        open_image(io.BytesIO(bytes(data)))


def test_exif_that_cannot_be_read_does_not_cost_the_picture(caplog: pytest.LogCaptureFixture) -> None:
    picture = picture_of(4, 4)
    whole = png_bytes(picture)
    data = whole[:33] + png_chunk(b"eXIf", b"no TIFF at all") + whole[33:]
    assert np.array_equal(load_picture(io.BytesIO(data)), picture)
    assert "EXIF data cannot be read" in caplog.text


def test_damage_is_not_taken_for_that_of_exif(caplog: pytest.LogCaptureFixture) -> None:
    data = bytearray(png_bytes(picture_of(40, 40)))
    data[2000:2008] = b"\xff" * 8
    with pytest.raises(PictureError, match="cannot be decoded"):
        open_image(io.BytesIO(bytes(data)))
    assert "EXIF" not in caplog.text


@pytest.mark.parametrize("size", [2 * 2**20, 70 * 2**20])
def test_large_texts_do_not_cost_the_picture(size: int, caplog: pytest.LogCaptureFixture) -> None:
    picture = picture_of(4, 4)
    whole = png_bytes(picture)
    text = png_chunk(b"zTXt", b"workflow\0\0" + zlib.compress(b" " * size))
    data = whole[:33] + text + whole[33:]
    assert np.array_equal(load_picture(io.BytesIO(data)), picture)
    assert "read without them" in caplog.text


def test_opening_from_many_threads_leaves_python_and_pillow_as_they_were(tmp_path: Path) -> None:
    limit, filters = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
    path = save_picture(tmp_path / "a.png", picture_of(16, 16))
    found: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: found.append(load_picture(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert limit == Image.MAX_IMAGE_PIXELS
    assert filters == warnings.filters


@settings(deadline=None, max_examples=60)
@given(size=SIZES, target=SIZES)
def test_fit_gives_exactly_the_size_that_is_asked_for(size: tuple[int, int], target: tuple[int, int]) -> None:
    flat = np.full((*size, 3), 90, np.uint8)
    found = fit(flat, target[1], target[0])
    assert found.shape == (*target, 3)
    assert (found == 90).all()


def test_fit_keeps_the_middle_and_the_proportions() -> None:
    picture = np.zeros((40, 120, 3), np.uint8)
    picture[:, 40:80] = 255
    assert (fit(picture, 40, 40) == 255).all()
    assert (fit(picture.transpose(1, 0, 2), 40, 40) == 255).all()
    half = fit(picture, 20, 20)
    assert half[5:15, 5:15].min() == 255


def test_fit_returns_a_picture_of_that_size_unchanged() -> None:
    picture = picture_of(6, 9)
    assert np.array_equal(fit(picture, 9, 6), picture)


@pytest.mark.parametrize(("width", "height"), [(0, 5), (5, -1), (10**5, 10**5)])
def test_fit_refuses_impossible_sizes(width: int, height: int) -> None:
    with pytest.raises(BadInput, match="million pixels"):
        fit(picture_of(4, 4), width, height)


@settings(deadline=None)
@given(size=SIZES)
def test_padding_keeps_every_pixel_and_doubles_the_edge(size: tuple[int, int]) -> None:
    picture = picture_of(*size)
    padded = pad_to_even(picture)
    height, width = size
    assert padded.shape == (height + height % 2, width + width % 2, 3)
    assert np.array_equal(padded[:height, :width], picture)
    assert np.array_equal(padded[-1, :width], picture[-1])
    assert np.array_equal(padded[:height, -1], picture[:, -1])


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((4, 4, 5), np.uint8),
        np.zeros((4, 4, 3)),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(PictureError, match=r"give uint8 \[height, width, 3\]"):
        png_bytes(wrong)


@pytest.mark.parametrize(
    ("key", "text"),
    [("", "x"), ("k" * 80, "x"), ("ключ", "x"), ("a\nb", "x"), ("a", "x\0y"), ("a", "\ud800")],
)
def test_texts_that_png_cannot_hold_are_refused(key: str, text: str) -> None:
    with pytest.raises(PictureError, match="metadata"):
        png_bytes(picture_of(2, 2), {key: text})


def test_equal_pictures_and_texts_give_equal_bytes() -> None:
    texts = {"b": "2", "a": "日"}
    assert png_bytes(picture_of(9, 9), texts) == png_bytes(picture_of(9, 9).copy(), dict(texts))


def test_saving_leaves_the_old_picture_when_the_new_one_is_refused(tmp_path: Path) -> None:
    path = save_picture(tmp_path / "a.png", picture_of(4, 4))
    before = path.read_bytes()
    with pytest.raises(PictureError):
        save_picture(path, picture_of(4, 4), {"a": "\0"})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
