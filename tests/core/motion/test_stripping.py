"""Copies without metadata: nothing of it is left, and nothing else is changed."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from remix.errors import PictureError
from remix.motion import load_picture, write_video
from remix.motion.stealth import read_stealth
from remix.motion.stripping import strip_metadata
from remix.motion.texts import read_texts

PIXELS = np.random.default_rng(1).integers(0, 256, (16, 24, 3), np.uint8)
PROFILE = b"profile" * 40


def exif(orientation: int = 1) -> Image.Exif:
    made = Image.Exif()
    made[0x0112] = orientation
    made[0x010E] = "a cat"
    return made


def written(path: Path, **options: object) -> Path:
    Image.fromarray(PIXELS).save(path, **options)
    return path


def png_texts() -> PngInfo:
    texts = PngInfo()
    texts.add_text("parameters", "a cat\nSteps: 20, Sampler: Euler, Seed: 5")
    texts.add_itxt("prompt", "{}", zip=True)
    return texts


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {"pnginfo": png_texts(), "exif": exif(), "icc_profile": PROFILE}),
        ("a.jpg", {"exif": exif(), "comment": b"a cat", "icc_profile": PROFILE, "quality": 95}),
        ("a.webp", {"exif": exif(), "xmp": b"<x/>", "icc_profile": PROFILE, "lossless": True}),
        ("a.gif", {"comment": b"a cat"}),
    ],
)
def test_a_picture_keeps_its_pixels_and_its_profile(tmp_path: Path, name: str, options: Mapping[str, object]) -> None:
    path, out = written(tmp_path / name, **options), tmp_path / f"out-{name}"
    assert read_texts(path).found
    assert strip_metadata(path, out)
    assert not read_texts(out).found
    with Image.open(path) as before, Image.open(out) as after:
        assert np.array_equal(np.asarray(before), np.asarray(after))
        assert after.info.get("icc_profile") == before.info.get("icc_profile")
        assert not after.getexif()
    assert len(out.read_bytes()) < len(path.read_bytes())


@pytest.mark.parametrize(
    ("kind", "wrong", "right"),
    [
        ("PNG", "b.jpg", "b.png"),
        ("JPEG", "b.png", "b.jpg"),
        ("WEBP", "b", "b.webp"),
        ("GIF", "b.tar.gz", "b.tar.gif"),
        ("film", "b.webm", "b.mp4"),
        ("film", "b.png", "b.mp4"),
    ],
)
def test_a_copy_is_not_called_like_another_format(tmp_path: Path, kind: str, wrong: str, right: str) -> None:
    """The suffix of the original does not matter: browsers save WebP as .png."""
    path = tmp_path / ("a.mp4" if kind == "film" else "a.png")
    if kind == "film":
        path.write_bytes(b"\0\0\0\x20ftypisom")  # not read before its copy has a name
    else:
        Image.fromarray(PIXELS).save(path, kind)
    with pytest.raises(PictureError, match=rf"{wrong}: is a copy of .*; call it .*{right}$"):
        strip_metadata(path, tmp_path / wrong)
    assert [*tmp_path.iterdir()] == [path]
    if kind != "film":
        strip_metadata(path, tmp_path / right)
        with Image.open(tmp_path / right) as copy:
            assert copy.format == kind


def test_a_jpeg_keeps_the_way_it_is_turned(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jpg", exif=exif(6))
    strip_metadata(path, tmp_path / "b.jpg")
    with Image.open(tmp_path / "b.jpg") as stripped:
        assert dict(stripped.getexif()) == {0x0112: 6}
    assert np.array_equal(load_picture(path), load_picture(tmp_path / "b.jpg"))


def test_text_in_the_pixels_is_cleared(tmp_path: Path) -> None:
    pixels = np.dstack([PIXELS, np.full(PIXELS.shape[:2], 254, np.uint8)])
    text = b"a cat"
    bits = np.unpackbits(np.frombuffer(b"stealth_pnginfo" + (8 * len(text)).to_bytes(4, "big") + text, np.uint8))
    alpha = pixels[..., 3].T.reshape(-1)
    alpha[: len(bits)] |= bits
    pixels[..., 3] = alpha.reshape(PIXELS.shape[1], PIXELS.shape[0]).T
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert read_stealth(tmp_path / "a.png", 100) == "a cat"
    assert "hidden" in strip_metadata(tmp_path / "a.png", tmp_path / "b.png")[0]
    assert read_stealth(tmp_path / "b.png", 100) is None
    with Image.open(tmp_path / "b.png") as stripped:
        off = np.asarray(stripped).astype(int) - pixels
    assert np.abs(off).max() <= 1


@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
def test_a_film_keeps_its_frames(tmp_path: Path, name: str) -> None:
    path, out = tmp_path / name, tmp_path / f"out-{name}"
    write_video([PIXELS] * 3, path, 8, metadata={"remix": "{}"})
    assert strip_metadata(path, out) == ["remix"]
    assert read_texts(out).found == {}
    from remix.motion import read_video

    assert all(np.array_equal(a, b) for a, b in zip(read_video(path), read_video(out), strict=True))


@pytest.mark.parametrize("cut", [30, 60, 200])
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.gif"])
def test_what_is_cut_off_is_refused_and_leaves_nothing(tmp_path: Path, name: str, cut: int) -> None:
    (tmp_path / name).write_bytes(written(tmp_path / f"whole-{name}").read_bytes()[:cut])
    with pytest.raises(PictureError, match=name):
        strip_metadata(tmp_path / name, tmp_path / f"out-{name}")
    assert not (tmp_path / "out").exists()


def test_another_format_is_refused(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "TIFF")
    (tmp_path / "a.tif").write_bytes(file.getvalue())
    with pytest.raises(PictureError, match="format"):
        strip_metadata(tmp_path / "a.tif", tmp_path / "out")


def test_what_cannot_be_removed_leaves_the_file_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "a.png", pnginfo=png_texts())
    monkeypatch.setattr("remix.motion.stripping.PNG_METADATA", ())
    before = path.read_bytes()
    with pytest.raises(PictureError, match="parameters, prompt cannot be removed"):
        strip_metadata(path, path)
    assert path.read_bytes() == before
