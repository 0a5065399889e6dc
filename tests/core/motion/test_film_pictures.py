"""Pictures that a film is made of: color profiles, formats, transparency; and what is a film itself."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from remix.errors import PictureError, VideoFormatError
from remix.motion import FORMATS, images, load_frame, load_picture, read_video, write_video
from remix.motion.ffmpeg import READ_STRICTLY, Ffmpeg
from remix.motion.images import frame_formats, is_animated, is_transparent
from remix.motion.pictures import inset

COLOR = (100, 200, 60)


def linear_profile() -> bytes:
    """A profile of linear light, made of littleCMS's own XYZ and curves: numbers that are far from sRGB's."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = int.from_bytes(profile[128:132], "big")
    for entry in range(count):
        at = 132 + 12 * entry
        if profile[at : at + 4] in (b"rTRC", b"gTRC", b"bTRC"):
            start = int.from_bytes(profile[at + 4 : at + 8], "big")
            size = int.from_bytes(profile[at + 8 : at + 12], "big")
            curve = b"curv\0\0\0\0\0\0\0\0"  # no entries: the identity (ICC.1:2010, 10.5)
            profile[start : start + size] = curve + bytes(size - len(curve))
    return bytes(profile)


def srgb_of_linear(level: int) -> int:
    light = level / 255
    return round(255 * (12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055))


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.webp"])
def test_a_color_profile_is_converted_to_srgb_in_films_alone(tmp_path: Path, name: str) -> None:
    options: dict[str, Any] = {"quality": 100} if name.endswith((".jpg", ".webp")) else {}
    options |= {"lossless": True} if name.endswith(".webp") else {}
    picture = Image.new("RGB", (16, 16), COLOR)
    picture.save(tmp_path / name, icc_profile=linear_profile(), **options)
    expected = [srgb_of_linear(level) for level in COLOR]
    assert np.abs(load_frame(tmp_path / name)[8, 8].astype(int) - expected).max() <= 3
    if not name.endswith(".tif"):  # init pictures are read as the hosts read them
        assert np.abs(load_picture(tmp_path / name)[8, 8].astype(int) - COLOR).max() <= 3


def test_a_profile_that_is_srgb_changes_no_number(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(pixels).save(tmp_path / "a.png", icc_profile=profile)
    assert np.array_equal(load_frame(tmp_path / "a.png"), pixels)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK"])
def test_a_profile_goes_with_every_kind_of_pixels(tmp_path: Path, mode: str) -> None:
    name = "a.tif" if mode == "CMYK" else "a.png"
    picture = Image.new("RGB", (8, 8), COLOR).convert(mode)
    picture.save(tmp_path / name, icc_profile=linear_profile())
    frame = load_frame(tmp_path / name)
    assert frame.shape == (8, 8, 3)
    if mode in ("P", "RGBA"):
        assert np.abs(frame[4, 4].astype(int) - [srgb_of_linear(level) for level in COLOR]).max() <= 12


def test_a_damaged_profile_is_named_and_the_numbers_are_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Image.new("RGB", (8, 8), COLOR).save(tmp_path / "a.png", icc_profile=linear_profile()[:200])
    assert tuple(load_frame(tmp_path / "a.png")[0, 0]) == COLOR
    assert "a.png: its color profile cannot be used" in caplog.text


def test_a_profile_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "PROFILE_BYTES", 100)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", icc_profile=linear_profile())
    with pytest.raises(PictureError, match="a color profile of"):
        load_frame(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", sorted(frame_formats()))
def test_every_format_that_is_listed_is_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    Image.new("RGB", (24, 16), COLOR).save(path)
    assert load_frame(path).shape == (16, 24, 3)
    assert np.abs(load_frame(path)[8, 8].astype(int) - COLOR).max() <= 12
    assert not is_animated(path)
    assert not is_transparent(path)


def test_a_tiff_whose_entries_share_their_bytes_is_refused(tmp_path: Path) -> None:
    """Each entry claims the same 100 KB: Pillow would copy them for each."""
    entries, data = 200, bytes(100_000)
    body = b"II*\0" + (8).to_bytes(4, "little") + entries.to_bytes(2, "little")
    start = len(body) + 12 * entries + 4
    for tag in range(entries):
        body += (40_000 + tag).to_bytes(2, "little") + (1).to_bytes(2, "little")
        body += len(data).to_bytes(4, "little") + start.to_bytes(4, "little")
    (tmp_path / "a.tif").write_bytes(body + bytes(4) + data)
    with pytest.raises(PictureError, match=r"bytes are .* when read"):
        load_frame(tmp_path / "a.tif")


def test_an_animation_is_a_film_and_a_still_is_not(tmp_path: Path) -> None:
    stills = [Image.new("RGB", (8, 8), (n, 0, 0)) for n in (0, 200)]
    for name in ("a.webp", "a.png"):
        stills[0].save(tmp_path / name, save_all=True, append_images=stills[1:])
        assert is_animated(tmp_path / name)
        stills[0].save(tmp_path / name)
        assert not is_animated(tmp_path / name)


def see_through(index: int) -> np.ndarray[Any, Any]:
    """A red disc on nothing, with a half transparent edge at the right."""
    rows, columns = np.mgrid[:48, :64]
    picture = np.zeros((48, 64, 4), np.uint8)
    picture[..., 0] = 255
    inside = (columns - 16 - 6 * index) ** 2 + (rows - 24) ** 2 < 150
    picture[..., 3] = np.where(inside, 255, np.where(columns > 52, 128, 0))
    return picture


def rgba_frames(path: Path, name: str) -> list[np.ndarray[Any, Any]]:
    """The frames of a film with their transparency."""
    if path.is_dir():
        return [np.array(Image.open(file)) for file in sorted(path.iterdir())]
    if name == "webp":
        with Image.open(path) as film:
            count = getattr(film, "n_frames", 1)
            return [np.array((film.seek(index), film.convert("RGBA"))[1]) for index in range(count)]
    decoder = ("-c:v", "libvpx-vp9") if name == "webm" else ()
    with Ffmpeg([*READ_STRICTLY, *decoder, "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgba", "pipe:1"]) as process:
        frames = []
        while len(data := process.read(48 * 64 * 4)) == 48 * 64 * 4:
            frames.append(np.frombuffer(data, np.uint8).reshape(48, 64, 4))
    return frames


@pytest.mark.parametrize("name", [name for name, row in FORMATS.items() if row.alpha])
def test_transparency_is_kept_where_a_format_can(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"film{FORMATS[name].suffix}"
    info = write_video(map(see_through, range(4)), path, 12, format=name)
    assert (info.frames, info.width, info.height) == (4, 64, 48)
    for index, frame in enumerate(rgba_frames(path, name)):
        given = see_through(index)
        off = np.abs(frame.astype(int) - given)
        assert off[..., 3].mean() < 2, index
        assert off[given[..., 3] == 255].mean() < 12, index


@pytest.mark.parametrize("name", [name for name, row in FORMATS.items() if not row.alpha])
def test_formats_without_transparency_refuse_it_and_name_those_that_have_it(tmp_path: Path, name: str) -> None:
    with pytest.raises(VideoFormatError, match=f"{name} cannot keep it, choose from webm, webp, png"):
        write_video(map(see_through, range(2)), tmp_path / f"film{FORMATS[name].suffix}", 12, format=name)


def test_frames_with_and_without_transparency_do_not_mix(tmp_path: Path) -> None:
    with pytest.raises(VideoFormatError, match="frame 1: 3 channels, but the film began with 4"):
        write_video([see_through(0), see_through(0)[..., :3]], tmp_path / "film.apng", 12)


def test_a_transparent_picture_is_laid_over_white_unless_its_transparency_is_asked_for(tmp_path: Path) -> None:
    Image.fromarray(see_through(0)).save(tmp_path / "a.png")
    assert is_transparent(tmp_path / "a.png")
    assert tuple(load_frame(tmp_path / "a.png")[0, 0]) == (255, 255, 255)
    assert np.array_equal(load_frame(tmp_path / "a.png", alpha=True)[..., 3], see_through(0)[..., 3])


def test_inset_keeps_all_of_a_picture_between_bars() -> None:
    white = np.full((10, 20, 3), 255, np.uint8)
    framed = inset(white, 40, 40)
    assert framed.shape == (40, 40, 3)
    assert (framed[10:30] == 255).all()
    assert not framed[:10].any()
    assert not framed[30:].any()
    assert not inset(see_through(0), 64, 100)[:20, :, 3].any()


def test_a_film_with_transparency_is_read_back_like_any_other(tmp_path: Path) -> None:
    write_video(map(see_through, range(3)), tmp_path / "film.mkv", 12)
    assert len(list(read_video(tmp_path / "film.mkv"))) == 3


def test_a_stream_is_read_like_a_file() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 4), COLOR).save(buffer, "PNG")
    buffer.seek(0)
    with pytest.raises(PictureError, match="8x4; expected 16x16"):
        load_picture(buffer, size=(16, 16))
    buffer.seek(0)
    assert load_picture(buffer, size=(8, 4)).shape == (4, 8, 3)
