"""Which format is meant; the lossless ones, ten bits, animated PNG; encoders that not every ffmpeg has."""

from __future__ import annotations

import io
import zlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageSequence

from remix.errors import MissingPackage, PictureError, VideoFormatError
from remix.motion import FORMATS, load_picture, probe, read_video, write_video
from remix.motion.apng import delay_of
from remix.motion.ffmpeg import encoders, ffmpeg_exe
from remix.motion.formats import format_of
from remix.motion.texts import read_texts
from tests.core.motion.films import flat, put_in_place_of_ffmpeg, smooth

RGB = {"range": "pc", "space": "gbr", "primaries": "bt709", "transfer": "iec61966-2-1"}


def noise(count: int, width: int = 32, height: int = 24) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("path", "name", "found"),
    [
        ("a.mp4", None, "mp4"),
        ("a.MP4", None, "mp4"),
        ("a.webm", None, "webm"),
        ("a.gif", None, "gif"),
        ("a.webp", None, "webp"),
        ("folder", None, "png"),
        ("a.png", None, "png"),
        ("a.mov", None, "prores"),
        ("a.mkv", None, "ffv1"),
        ("a.apng", None, "apng"),
        ("a.png", "apng", "apng"),
        ("a.mp4", "hevc", "hevc"),
        ("a.webm", "AV1", "av1"),
        ("a.mov", "h264-lossless", "h264-lossless"),
        ("a.anything", "GIF", "gif"),
        ("a", ".mp4", "mp4"),
    ],
)
def test_format_is_the_one_that_was_named_or_the_suffix(path: str, name: str | None, found: str) -> None:
    assert format_of(path, name).name == found


@pytest.mark.parametrize(
    ("path", "name", "near"),
    [
        ("a.mp4", "ebm", "did you mean 'webm'?"),
        ("a.mp4", "hvc", "did you mean 'hevc'?"),
        ("a.mkv", "mkv", "did you mean 'ffv1' or 'h264-lossless' or 'hevc' or 'av1'?"),
        ("a", "avi", "'mp4' plays everywhere."),
        ("film.avi", None, "call it film.mp4, or choose from mp4, m4v, webm, gif, webp, apng, mov, mkv"),
        ("film.AVI", None, "call it film.mp4"),
        ("film.mpg", None, "call it film.mp4"),
        ("film.wmv", None, "call it film.mp4"),
        ("film.mp5", None, "call it film.mp4"),
        ("film.flv", None, "call it film.mp4"),
        ("film.jpg", None, "call it film.mp4"),
        ("a/film.wbm", None, "call it a/film.webm"),
        ("film.gfi", None, "call it film.mp4"),
        ("film.giff", None, "call it film.gif"),
    ],
)
def test_unknown_formats_name_the_nearest_that_is_of_use(path: str, name: str | None, near: str) -> None:
    with pytest.raises(VideoFormatError) as raised:
        format_of(path, name)
    assert near in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("path", "name", "right"),
    [
        ("a.mp4", "ffv1", "call it a.mkv"),
        ("a.mp4", "webm", "call it a.webm"),
        ("a.mov", "png", "call it a$"),
        ("a.png", "gif", "call it a.gif"),
    ],
)
def test_a_suffix_that_means_other_formats_is_refused(path: str, name: str, right: str) -> None:
    with pytest.raises(VideoFormatError, match=right):
        format_of(path, name)


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("png", ""), ("apng", ".apng"), ("apng", ".png"), ("ffv1", ".mkv")]
    + [("h264-lossless", suffix) for suffix in FORMATS["h264-lossless"].suffixes],
)
@pytest.mark.parametrize(("width", "height"), [(32, 24), (1, 1), (17, 5), (67, 33)])
def test_lossless_gives_back_every_bit(tmp_path: Path, name: str, suffix: str, width: int, height: int) -> None:
    frames, path = noise(4, width, height), tmp_path / f"film{suffix}"
    info = write_video(frames, path, 12, format=name)
    assert (info.width, info.height, info.frames) == (width, height, 4)
    assert np.array_equal(np.stack(list(read_video(path))), frames)


@pytest.mark.parametrize(
    ("name", "codec", "pixels"), [("ffv1", "ffv1", {"bgr0", "gbrp"}), ("h264-lossless", "h264", {"gbrp"})]
)
def test_lossless_films_say_that_they_are_rgb(tmp_path: Path, name: str, codec: str, pixels: set[str]) -> None:
    info = write_video(noise(2), tmp_path / "film.mkv", 12, format=name)
    assert info.codec == codec
    assert info.pixel_format in pixels
    assert info.colour == RGB


def test_lossless_h264_is_the_smaller_one_where_pictures_repeat(tmp_path: Path) -> None:
    frames = [*noise(1)] * 20
    sizes = {}
    for name in ("ffv1", "h264-lossless"):
        write_video(frames, tmp_path / f"{name}.mkv", 12, format=name)
        sizes[name] = (tmp_path / f"{name}.mkv").stat().st_size
    assert sizes["h264-lossless"] < sizes["ffv1"] / 5


@pytest.mark.parametrize(("name", "codec"), [("prores", "prores"), ("hevc", "hevc"), ("av1", "av1")])
def test_a_named_format_goes_into_each_of_its_suffixes(tmp_path: Path, name: str, codec: str) -> None:
    for suffix in FORMATS[name].suffixes:
        info = write_video(smooth(3), tmp_path / f"film{suffix}", "30000/1001", format=name, metadata={"remix": "{}"})
        assert (info.codec, info.fps) == (codec, Fraction(30000, 1001))
        assert read_texts(tmp_path / f"film{suffix}").found == {"remix": "{}"}


def test_prores_is_the_hq_profile_and_hevc_has_the_tag_that_apple_plays(tmp_path: Path) -> None:
    write_video(smooth(2), tmp_path / "film.mov", 12)
    write_video(smooth(2), tmp_path / "film.mp4", 12, format="hevc")
    assert b"apch" in (tmp_path / "film.mov").read_bytes()
    assert b"hvc1" in (tmp_path / "film.mp4").read_bytes()


@pytest.mark.parametrize("name", ["hevc", "av1"])
def test_sides_that_an_encoder_cannot_take_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(VideoFormatError, match=f"14x16; {name} takes sides of 16 and more"):
        write_video(smooth(1, 13, 16), tmp_path / "film.mp4", 12, format=name)
    assert write_video(smooth(1, 15, 16), tmp_path / "film.mp4", 12, format=name).width == 16


TEXTS = {"remix": '{"a":"é日"}', "title": "a\nb = c;\n#d\\"}


@pytest.mark.parametrize("name", ["apng", "prores", "ffv1", "h264-lossless", "hevc", "av1"])
def test_texts_travel_in_the_film(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"film{FORMATS[name].suffix}"
    write_video(smooth(2), path, 12, format=name, metadata=TEXTS)
    assert read_texts(path).found == TEXTS


def test_an_encoder_that_ffmpeg_lacks_is_named_before_the_first_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = """
if "-encoders" in sys.argv: print(" V....D libx264   H.264\\n V....D apng   APNG")
else: print("ffmpeg version 4.1-small Copyright")
"""
    put_in_place_of_ffmpeg(tmp_path, monkeypatch, body)

    def frames():  # type: ignore[no-untyped-def]
        raise AssertionError("asked for a frame")
        yield

    sentence = r"hevc: the ffmpeg at \S+ \(4.1-small\) has no encoder libx265; choose .*pip install"
    with pytest.raises(MissingPackage, match=sentence):
        write_video(frames(), tmp_path / "film.mp4", 12, format="hevc")
    with pytest.raises(MissingPackage, match="has no encoder gif and no libx264rgb"):
        write_video(frames(), tmp_path / "film.gif", 12)
    assert [path.name for path in tmp_path.iterdir()] == ["ffmpeg"]


def test_encoders_are_read_off_the_programs_own_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = encoders(ffmpeg_exe())
    assert {"libx264", "gif", "aac"} <= found
    assert "=" not in found
    put_in_place_of_ffmpeg(tmp_path, monkeypatch, "print('what?')")
    assert encoders(ffmpeg_exe()) == frozenset()


@pytest.mark.parametrize("count", [1, 2, 40])
def test_apng_holds_as_many_frames_as_were_given_for_other_readers_too(tmp_path: Path, count: int) -> None:
    path, frames = tmp_path / "film.apng", noise(count)
    write_video(iter(frames), path, 12, metadata=TEXTS)
    with Image.open(path) as film:
        assert getattr(film, "n_frames", 1) == count
        again = [np.array(frame.convert("RGB")) for frame in ImageSequence.Iterator(film)]
    assert np.array_equal(np.stack(again), frames)
    assert np.array_equal(load_picture(path), frames[0])


@pytest.mark.parametrize("loops", [0, 1, 3])
def test_apng_plays_as_often_as_asked_and_keeps_time(tmp_path: Path, loops: int) -> None:
    path = tmp_path / "film.apng"
    write_video(smooth(3), path, 8, loops=loops)
    with Image.open(path) as film:
        assert film.info["loop"] == loops
        assert film.info["duration"] == 125


def test_apng_keeps_only_what_changed(tmp_path: Path) -> None:
    frames = [*np.repeat(noise(1), 20, axis=0)]
    write_video(frames, tmp_path / "still.apng", 12)
    moved = [frame.copy() for frame in frames]
    for index, frame in enumerate(moved):
        frame[3:5, index : index + 2] = 255
    write_video(moved, tmp_path / "moving.apng", 12)
    once = len(noise(1).tobytes())
    assert (tmp_path / "still.apng").stat().st_size < once + 20 * 150
    assert (tmp_path / "moving.apng").stat().st_size < once + 20 * 200
    assert np.array_equal(np.stack(list(read_video(tmp_path / "moving.apng"))), moved)


def test_apng_frames_may_share_one_buffer(tmp_path: Path) -> None:
    buffer = np.zeros((4, 4, 3), np.uint8)

    def frames():  # type: ignore[no-untyped-def]
        for level in (10, 20, 30):
            buffer[:] = level
            yield buffer

    write_video(frames(), tmp_path / "film.apng", 12)
    assert [int(frame[3, 3, 0]) for frame in read_video(tmp_path / "film.apng")] == [10, 20, 30]


@given(st.fractions(Fraction(1, 65535), 240))
def test_apng_shows_frames_as_long_as_two_small_numbers_can_say(rate: Fraction) -> None:
    numerator, denominator = delay_of(rate)
    assert 0 < numerator <= 65535
    assert 0 < denominator <= 65535
    assert abs(Fraction(numerator, denominator) * rate - 1) < Fraction(1, 3)
    if rate.denominator <= 65535 and rate.numerator <= 65535:
        assert Fraction(denominator, numerator) == rate


@pytest.mark.parametrize("name", FORMATS)
def test_frames_are_shown_as_long_as_a_format_can_say_and_no_longer(tmp_path: Path, name: str) -> None:
    path, longest = tmp_path / f"film{FORMATS[name].suffix}", FORMATS[name].max_delay
    write_video(smooth(3), path, Fraction(1, longest), format=name)
    fps = probe(path).fps
    assert fps is None or float(fps) == pytest.approx(1 / longest, rel=1e-3)
    with pytest.raises(VideoFormatError, match=f"fps: 1/{longest + 1} .* {name} shows a frame for {longest} s at most"):
        write_video(iter(()), path, Fraction(1, longest + 1), format=name)


def test_apng_without_its_promised_frames_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "film.apng"
    write_video(noise(3), path, 12)
    data = path.read_bytes()
    start = data.rindex(b"fcTL") - 4
    path.write_bytes(data[:start] + data[-12:])
    for read in (probe, lambda path: list(read_video(path))):
        with pytest.raises(PictureError, match="2 of the 3 frames"):
            read(path)


def test_a_plain_png_is_no_film(tmp_path: Path) -> None:
    picture = io.BytesIO()
    Image.fromarray(flat((1, 2, 3))[0]).save(picture, "PNG")
    (tmp_path / "plain.png").write_bytes(picture.getvalue())
    with pytest.raises(PictureError, match="open it as a picture"):
        probe(tmp_path / "plain.png")


def chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def test_apng_times_of_other_programs_are_understood(tmp_path: Path) -> None:
    path = tmp_path / "film.apng"
    write_video(noise(3), path, 12)
    data = path.read_bytes()
    old = data[data.rindex(b"fcTL") - 4 :][:38]
    # The last frame is shown for 5/0 seconds, which means hundredths.
    path.write_bytes(data.replace(old, chunk(b"fcTL", old[8:28] + b"\0\5\0\0" + old[32:34])))
    fps = probe(path).fps
    assert fps is not None
    assert float(fps) == pytest.approx(3 / (2 / 12 + 0.05), rel=1e-4)
