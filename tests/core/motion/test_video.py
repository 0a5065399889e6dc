"""Films are written, opened again, counted, and hold the colors that were given."""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from remix.errors import PictureError, VideoFormatError
from remix.motion import (
    FORMATS,
    VideoInfo,
    film_order,
    pad_to_even,
    probe,
    read_tags,
    read_video,
    save_picture,
    write_video,
)
from remix.motion.formats import rate_of
from tests.core.motion.films import difference, flat, smooth

LOSSLESS = ("png", "apng", "ffv1", "h264-lossless")
EVERY = {
    **{"mp4": 3.0, "webm": 4.0, "gif": 8.0, "webp": 3.5, "prores": 1.0, "hevc": 3.5, "av1": 4.0},
    **dict.fromkeys(LOSSLESS, 0.0),
}
"""Formats, and how far soft colors may move on their way through, in mean levels."""


def test_each_format_has_its_bound_here() -> None:
    assert EVERY.keys() == FORMATS.keys()


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_film_gives_back_its_frames_in_order(tmp_path: Path, name: str, count: int) -> None:
    frames, path = smooth(count), tmp_path / f"film{FORMATS[name].suffix}"
    info = write_video(iter(frames), path, 12, format=name)
    assert (info.frames, info.width, info.height, info.fps) == (count, 32, 24, 12)
    assert info.duration == pytest.approx(count / 12)
    again = list(read_video(path))
    assert len(again) == count
    for frame, found in zip(frames, again, strict=True):
        assert found.dtype == np.uint8
        assert difference(frame, found) <= EVERY[name]
    for index, found in enumerate(again):
        assert min(range(count), key=lambda k: difference(frames[k], found)) == index
    assert [path.name for path in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("name", EVERY)
def test_equal_neighbors_are_frames_too(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"film{FORMATS[name].suffix}"
    frames = flat((9, 90, 200), 3) + flat((200, 90, 9), 3)
    assert write_video(frames, path, 12, format=name).frames == 6
    assert len(list(read_video(path))) == 6


@pytest.mark.parametrize("name", EVERY)
def test_equal_frames_give_equal_bytes(tmp_path: Path, name: str) -> None:
    def written(stem: str) -> list[bytes]:
        path = tmp_path / f"{stem}{FORMATS[name].suffix}"
        write_video(smooth(5, 33, 35), path, 12, format=name, metadata={"remix": '{"a":"é"}'})
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        return [file.read_bytes() for file in files]

    assert written("one") == written("other")


@pytest.mark.parametrize(
    ("name", "pixels"),
    [("mp4", "yuv420p"), ("webm", "yuv420p"), ("prores", "yuv422p10le"), ("hevc", "yuv420p"), ("av1", "yuv420p")],
)
@pytest.mark.parametrize(
    "color",
    [
        *itertools.product((0, 255), repeat=3),
        *((128, 128, 128), (16, 16, 16), (235, 235, 235), (200, 30, 60), (12, 180, 90), (90, 60, 210)),
    ],
)
def test_bt709_is_both_used_and_said(tmp_path: Path, name: str, pixels: str, color: tuple[int, int, int]) -> None:
    path = tmp_path / f"film{FORMATS[name].suffix}"
    info = write_video(flat(color), path, 12, format=name)
    assert info.pixel_format == pixels
    assert info.colour == {"range": "tv", "space": "bt709", "primaries": "bt709", "transfer": "bt709"}
    for found in read_video(path):
        assert np.abs(found.astype(int) - color).max() <= 4


SIZES = [(n, 18 - n) for n in range(1, 18)] + [(1, 1), (2, 2), (1, 17), (17, 17), (2, 1)]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_odd_sides_are_padded_by_the_edge_and_never_resized(
    tmp_path: Path, width: int, height: int, caplog: pytest.LogCaptureFixture
) -> None:
    # Gray: colors are shared by two by two pixels, brightness is not.
    frames, path = [frame[..., [1, 1, 1]] for frame in smooth(2, width, height)], tmp_path / "film.mp4"
    with caplog.at_level(logging.WARNING):
        info = write_video(frames, path, 12)
    assert (info.width, info.height) == (width + width % 2, height + height % 2)
    again = list(read_video(path))
    assert len(again) == 2
    for frame, found in zip(frames, again, strict=True):
        assert difference(pad_to_even(frame), found) <= 2
    assert len(caplog.records) == (1 if width % 2 or height % 2 else 0)


@pytest.mark.parametrize("name", [name for name, row in FORMATS.items() if row.min_side == 1])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 2), (17, 5), (2, 16)])
def test_every_format_takes_small_sizes(tmp_path: Path, name: str, width: int, height: int) -> None:
    path = tmp_path / f"film{FORMATS[name].suffix}"
    info = write_video(smooth(3, width, height), path, 12, format=name)
    padded = FORMATS[name].even
    assert info.width == width + (width % 2 if padded else 0)
    assert info.height == height + (height % 2 if padded else 0)
    assert [found.shape for found in read_video(path)] == [(info.height, info.width, 3)] * 3


@pytest.mark.parametrize(
    ("given", "rate"),
    [
        (12, Fraction(12)),
        (12.5, Fraction(25, 2)),
        ("30000/1001", Fraction(30000, 1001)),
        (30000 / 1001, Fraction(30000, 1001)),
        (23.976, Fraction(2997, 125)),
        (Fraction(1, 3), Fraction(1, 3)),
        (1 / 3, Fraction(1, 3)),
        (240, Fraction(240)),
        (np.float64(12.0), Fraction(12)),
        (np.int64(12), Fraction(12)),
        (np.float32(23.976), Fraction(2997, 125)),
        ("24000/1001", Fraction(24000, 1001)),
        (" 23.976 ", Fraction(2997, 125)),
        ("12", Fraction(12)),
        ("12.", Fraction(12)),
        (1.0e-4, Fraction(1, 10**4)),
    ],
)
def test_rates_are_exact(tmp_path: Path, given: object, rate: Fraction) -> None:
    assert rate_of(given) == rate  # type: ignore[arg-type]
    path = tmp_path / "film.mp4"
    info = write_video(smooth(4, 16, 16), path, given)  # type: ignore[arg-type]
    assert info.fps == rate
    assert probe(path) == info


@pytest.mark.parametrize("name", ["webm", "gif", "webp", "apng", "ffv1"])
@pytest.mark.parametrize("fps", [8, 12, 24, 25, 30, 50])
def test_rates_survive_clocks_that_round(tmp_path: Path, name: str, fps: int) -> None:
    path = tmp_path / f"film{FORMATS[name].suffix}"
    write_video(smooth(fps, 16, 16), path, fps)
    assert probe(path).fps == fps


@pytest.mark.parametrize(
    "fps",
    [
        *(float("nan"), float("inf"), np.float32("nan"), "fast", "", "nan", "inf", "1/0", "1/2/3", "1.5/2", "24 / 1"),
        *("1e1", "1e999999999", "1e-999999999", "0x10", "1_2", "١٢", "1" * 5000, "1\n2", b"12", True, None, [12]),
    ],
)
def test_what_is_no_rate_is_refused_in_one_sentence(fps: object) -> None:
    with pytest.raises(
        VideoFormatError, match=r"^fps: .* is not a number; give frames per second, such as 12"
    ) as raised:
        rate_of(fps)  # type: ignore[arg-type]
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize(
    "fps", [0, -1, 241, "0", "-12", "0/5", "-24000/1001", 1e-300, 1e300, Fraction(-1), 10**400, "1" * 20]
)
def test_impossible_rates_are_refused_in_one_sentence(fps: object) -> None:
    with pytest.raises(VideoFormatError, match=r"^fps: .* frames per second; give more than 0, at most 240") as raised:
        rate_of(fps)  # type: ignore[arg-type]
    assert len(str(raised.value)) < 200


def test_rates_of_more_digits_than_python_writes_are_refused_too() -> None:
    for fps in (10**5000, -(10**5000), Fraction(10**5000, 3)):
        with pytest.raises(VideoFormatError, match="give more than 0, at most 240"):
            rate_of(fps)


@pytest.mark.parametrize(
    ("frames", "fps", "name", "loops", "message"),
    [
        ([], 12, "mp4", 0, "no frames"),
        ([*smooth(2), *smooth(1, 30, 24)], 12, "mp4", 0, "frame 2: 30x24, but the film began with 32x24"),
        ([*smooth(1), smooth(1)[0].astype(float)], 12, "mp4", 0, "frame 1: float64"),
        ([np.zeros((4, 4), np.uint8)], 12, "mp4", 0, r"frame 0: uint8 \[4, 4\]"),
        ([Image.new("RGB", (4, 4))], 12, "mp4", 0, "frame 0: Image"),
        (smooth(1), 60, "gif", 0, "gif keeps time up to 50"),
        (smooth(1), 12, "mp4", 3, "film_order"),
        (smooth(1), 12, "gif", -1, "loops: -1; gif plays 1 to 65536 times, or for ever with 0"),
        (smooth(1), 12, "mp4", -1, "loops: -1"),
        (smooth(1), 12, "gif", 65537, "loops: 65537; gif plays 1 to 65536 times"),
        (smooth(1), 12, "webp", 65536, "loops: 65536; webp plays 1 to 65535 times"),
        (smooth(1), 12, "apng", 2**31, "loops: 2147483648; apng plays 1 to 2147483647 times"),
        (smooth(1), 12, "webp", 1.5, "loops: 1.5; give a whole number"),
        (smooth(1), 12, "gif", 1.0, "loops: 1.0; give a whole number"),
        (smooth(1), 12, "gif", True, "loops: True; give a whole number"),
        (smooth(1), 12, "apng", "x", "loops: 'x'; give a whole number"),
        (smooth(1), 12, "mp4", None, "loops: None; give a whole number"),
        ([None, *smooth(2)], 12, "mp4", 0, "frame 0: NoneType"),
        ([*smooth(1), None, *smooth(2)], 12, "mp4", 0, "frame 1: NoneType"),
        ([*smooth(2), None], 12, "gif", 0, "frame 2: NoneType"),
        ([*smooth(2), None], 12, "apng", 0, "frame 2: NoneType"),
        (flat((1, 2, 3), 1, 20_000, 2), 12, "webp", 0, "20000x2"),
    ],
)
def test_frames_and_settings_that_do_not_fit_are_refused_and_leave_nothing(
    tmp_path: Path, frames: list[np.ndarray], fps: int, name: str, loops: int, message: str
) -> None:
    with pytest.raises(VideoFormatError, match=message):
        write_video(iter(frames), tmp_path / f"film.{name}", fps, loops=loops)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", EVERY)
def test_an_error_in_the_frames_passes_through_and_leaves_the_old_film(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"film{FORMATS[name].suffix}"
    write_video(smooth(2), path, 12, format=name)
    before = probe(path)

    def broken():  # type: ignore[no-untyped-def]
        yield from smooth(3)
        raise KeyError("engine")

    with pytest.raises(KeyError, match="engine"):
        write_video(broken(), path, 12, format=name)
    assert probe(path) == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", EVERY)
def test_a_film_is_written_over_an_older_one(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"film{FORMATS[name].suffix}"
    write_video(smooth(5), path, 12, format=name)
    write_video(smooth(2, 16, 16), path, 12, format=name)
    assert [found.shape for found in read_video(path)] == [(16, 16, 3)] * 2
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_with_other_files_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x", encoding="utf-8")
    with pytest.raises(VideoFormatError, match="choose a new folder"):
        write_video(smooth(1), tmp_path, 12, format="png")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_on_frame_counts_what_was_written(tmp_path: Path) -> None:
    seen: list[int] = []
    write_video(smooth(4), tmp_path / "film.mp4", 12, on_frame=seen.append)
    assert seen == [1, 2, 3, 4]


def test_frames_are_taken_one_at_a_time(tmp_path: Path) -> None:
    taken, written = [], []

    def frames():  # type: ignore[no-untyped-def]
        for index, frame in enumerate(smooth(6)):
            assert len(written) == max(0, index - 1) or len(written) == index
            taken.append(index)
            yield frame

    write_video(frames(), tmp_path / "film.webm", 12, on_frame=written.append)
    assert len(taken) == 6


def test_frames_may_be_views_in_any_memory_order(tmp_path: Path) -> None:
    frames = smooth(3, 32, 24)
    views = [frame[:, ::-1] for frame in frames]
    write_video(views, tmp_path / "film", 12)
    for view, found in zip(views, read_video(tmp_path / "film"), strict=True):
        assert np.array_equal(view, found)


@pytest.mark.parametrize("folder", ["日本 é 🎬", "100%d 'quoted' [x]", "-i"])
@pytest.mark.parametrize("name", EVERY)
def test_any_folder_name_will_do(tmp_path: Path, folder: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path)
    path = Path(folder, f"-film%03d{FORMATS[name].suffix}")
    assert write_video(smooth(2), path, 12, format=name, metadata={"remix": "x"}).frames == 2
    assert len(list(read_video(path))) == 2
    assert [found.name for found in Path(folder).iterdir()] == [path.name]


@pytest.mark.parametrize(("loops", "written"), [(0, 0), (1, None), (3, 2), (65536, 65535)])
def test_gif_plays_as_often_as_asked(tmp_path: Path, loops: int, written: int | None) -> None:
    path = tmp_path / "film.gif"
    write_video(smooth(3), path, 12, loops=loops)
    with Image.open(path) as film:
        assert film.info.get("loop") == written
        assert film.n_frames == 3  # type: ignore[attr-defined]


@pytest.mark.parametrize("loops", [0, 1, 3, 65535])
def test_webp_plays_as_often_as_asked_and_keeps_time(tmp_path: Path, loops: int) -> None:
    path = tmp_path / "film.webp"
    write_video(smooth(24), path, 12, loops=loops)
    with Image.open(path) as film:
        assert film.info.get("loop") == loops
        times = []
        for index in range(film.n_frames):  # type: ignore[attr-defined]
            film.seek(index)
            film.load()
            times.append(film.info["duration"])
    assert sum(times) == 2000
    assert {round(time) for time in times} <= {83, 84}


def test_gif_uses_one_palette_for_the_whole_film(tmp_path: Path) -> None:
    path = tmp_path / "film.gif"
    write_video(smooth(5), path, 12)
    data = path.read_bytes()
    assert data[10] & 0x80
    palettes = {data[13 : 13 + 768]}
    for descriptor in re.finditer(rb"\x21\xf9\x04.{4}\x00\x2c.{8}(.)", data, re.DOTALL):
        if descriptor[1][0] & 0x80:
            palettes.add(data[descriptor.end() : descriptor.end() + 768])
    assert len(palettes) == 1


def test_films_of_other_programs_are_read_frame_by_frame(tmp_path: Path) -> None:
    # Uneven times: a reader that evens them out would double or drop frames.
    path = tmp_path / "slow.gif"
    frames = [Image.fromarray(frame) for frame in smooth(4)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=[50, 500, 30, 1000])
    assert len(list(read_video(path))) == 4
    assert probe(path).frames == 4


def test_reading_may_stop_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    write_video(smooth(30), path, 12)
    frames = read_video(path)
    first = next(frames)
    frames.close()  # type: ignore[attr-defined]
    assert difference(smooth(30)[0], first) < 3


@pytest.mark.parametrize(
    "head",
    [b"", b"not a film", b"\x00\x00\x00\x18ftypmp42", b"GIF89a\0\0", b"RIFF\x08\0\0\0WEBP", b"\x89PNG\r\n\x1a\n"],
)
@pytest.mark.parametrize("suffix", [".mp4", ".gif", ".webp", ".apng"])
def test_what_is_no_film_is_a_picture_error(tmp_path: Path, head: bytes, suffix: str) -> None:
    path = tmp_path / f"film{suffix}"
    path.write_bytes(head)
    with pytest.raises(PictureError):
        probe(path)
    with pytest.raises(PictureError):
        list(read_video(path))


@pytest.mark.parametrize("text", ["http://127.0.0.1:9/a.mp4", "<video0>", "concat:a|b", "-i", "missing.mp4"])
def test_films_are_files_and_nothing_else(text: str) -> None:
    for read in (probe, read_video, read_tags):
        with pytest.raises(PictureError, match="no such file"):
            read(text)


def test_a_playlist_does_not_open_what_it_names(tmp_path: Path) -> None:
    real = tmp_path / "real.mp4"
    write_video(smooth(2), real, 12)
    for text in (
        f"#EXTM3U\n#EXTINF:1,\nfile://{real}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile {real.name}\n",
    ):
        fake = tmp_path / "list.mp4"
        fake.write_text(text, encoding="utf-8")
        with pytest.raises(PictureError):
            probe(fake)
        with pytest.raises(PictureError):
            list(read_video(fake))


def test_an_empty_folder_is_no_film(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="without numbered PNGs"):
        probe(tmp_path)
    with pytest.raises(PictureError, match="without numbered PNGs"):
        list(read_video(tmp_path))


@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [
        ((0, 1, 3), r"000002\.png is missing"),
        ((0, 5), r"000001\.png is missing"),
        ((7, 9), r"000008\.png is missing"),
        ((999_999, 1_000_001), r"1000000\.png is missing"),
    ],
)
def test_a_folder_that_lost_a_picture_is_no_shorter_film(
    tmp_path: Path, numbers: tuple[int, ...], sentence: str
) -> None:
    for number in numbers:
        save_picture(tmp_path / f"{number:06d}.png", smooth(1)[0])
    for read in (probe, lambda path: list(read_video(path))):
        with pytest.raises(PictureError, match=f"{tmp_path.name}: {sentence}; give a film's whole folder"):
            read(tmp_path)


def test_a_folder_with_two_pictures_of_one_number_is_no_film(tmp_path: Path) -> None:
    for name in ("000000.png", "000001.png", "0000001.png"):
        save_picture(tmp_path / name, smooth(1)[0])
    for read in (probe, lambda path: list(read_video(path))):
        with pytest.raises(PictureError, match=r"000001\.png is there twice"):
            read(tmp_path)


def test_a_folder_of_unlike_pictures_is_no_film(tmp_path: Path) -> None:
    save_picture(tmp_path / "000000.png", smooth(1)[0])
    save_picture(tmp_path / "000001.png", smooth(1, 16, 24)[0])
    for read in (probe, lambda path: list(read_video(path))):
        with pytest.raises(PictureError, match=r"000001\.png: 16x24, but 000000\.png is 32x24; all frames .* one size"):
            read(tmp_path)


@pytest.mark.parametrize(
    "damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"GIF89a" + data]
)
def test_a_folder_with_a_picture_that_is_not_whole_is_no_film(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    write_video(smooth(3), tmp_path / "film", 12)
    last = tmp_path / "film" / "000002.png"
    last.write_bytes(damage(last.read_bytes()))
    for read in (probe, lambda path: list(read_video(path))):
        with pytest.raises(PictureError, match=r"000002\.png: "):
            read(tmp_path / "film")


def test_a_folder_may_begin_at_any_number(tmp_path: Path) -> None:
    for number in (8, 9, 10):
        save_picture(tmp_path / f"{number:06d}.png", smooth(1)[0])
    assert probe(tmp_path).frames == len(list(read_video(tmp_path))) == 3


def test_a_folder_has_no_clock(tmp_path: Path) -> None:
    write_video(smooth(3), tmp_path / "film", 12)
    info = probe(tmp_path / "film")
    assert info == VideoInfo(32, 24, 3, None, "png", "rgb24")
    assert info.duration is None


def test_ping_pong_is_the_order_of_the_frames(tmp_path: Path) -> None:
    frames = smooth(4)
    write_video([frames[n] for n in film_order(4, ping_pong=True)], tmp_path / "film", 12)
    found = list(read_video(tmp_path / "film"))
    assert [int(picture[0, 0, 2]) for picture in found] == [int(frames[n][0, 0, 2]) for n in (0, 1, 2, 3, 2, 1)]
