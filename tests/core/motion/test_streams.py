"""What a film holds, read from ffmpeg's words; rates; ffmpeg's metadata format."""

from __future__ import annotations

from fractions import Fraction as F

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remix.motion.streams import (
    Sound,
    described,
    ffmetadata,
    from_ffmetadata,
    heard,
    rate_from_times,
    simplest_rate,
)

WORDS = """\
Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'a.mp4':
  Duration: 00:00:01.00, start: 0.000000, bitrate: 25 kb/s
  Stream #0:0[0x1](und): Video: h264 (High) (avc1 / 0x31637661), {pixels}, 64x48, 12 fps, 12 tbr
"""
TABLE = """\
#tb 0: 1/12288
#media_type 0: video
#dimensions 0: 64x48
0,      -2048,          0,     1024,     1473, 0x77a161e0
0,      -1024,       2048,     1024,      253, 0x249586f4, F=0x0
0,          0,       1024,     1024,       30, 0x9b5d0ccd, F=0x0
"""


@pytest.mark.parametrize(
    ("pixels", "format_", "colour"),
    [
        ("yuv420p(tv, bt709, progressive)", "yuv420p", ("tv", "bt709", "bt709", "bt709")),
        ("yuv420p(progressive)", "yuv420p", ("unknown",) * 4),
        ("yuv444p10le", "yuv444p10le", ("unknown",) * 4),
        ("yuvj420p(pc, bt470bg/unknown/unknown)", "yuvj420p", ("pc", "bt470bg", "unknown", "unknown")),
        ("gbrp(pc, gbr/bt709/iec61966-2-1)", "gbrp", ("pc", "gbr", "bt709", "iec61966-2-1")),
        ("yuv420p(tv, smpte170m, top first)", "yuv420p", ("tv", "smpte170m", "smpte170m", "smpte170m")),
    ],
)
def test_stream_line_is_understood(pixels: str, format_: str, colour: tuple[str, ...]) -> None:
    info = described(WORDS.format(pixels=pixels), TABLE.splitlines())
    assert info is not None
    assert (info.width, info.height, info.frames, info.fps, info.codec) == (64, 48, 3, 12, "h264")
    assert info.pixel_format == format_
    assert tuple(info.colour.values()) == colour
    assert info.duration == 0.25


def test_a_file_without_pictures_is_no_film() -> None:
    assert described("  Stream #0:0: Audio: aac\n", TABLE.splitlines()) is None
    assert described(WORDS.format(pixels="yuv420p"), TABLE.splitlines()[:3]) is None


@settings(deadline=None)
@given(
    rate=st.one_of(
        st.integers(1, 120).map(F),
        st.sampled_from([F(24000, 1001), F(30000, 1001), F(60000, 1001)]),
        st.fractions(F(1), F(120), max_denominator=1000),
    ),
    frames=st.integers(2, 400),
)
def test_fine_clocks_give_the_exact_rate(rate: F, frames: int) -> None:
    times = [n * 2048 for n in range(frames)]
    assert rate_from_times(times, 1 / (rate * 2048)) == rate


@settings(deadline=None)
@given(rate=st.integers(1, 50), frames=st.integers(2, 300), tick=st.sampled_from([F(1, 1000), F(1, 100)]))
def test_rounding_clocks_give_a_rate_that_explains_every_time(rate: int, frames: int, tick: F) -> None:
    times = [round(n / (rate * tick)) for n in range(frames)]
    found = rate_from_times(times, tick)
    assert found is not None
    assert abs(round((frames - 1) / (found * tick)) - times[-1]) <= 1
    if tick == F(1, 1000) and (frames - 1) * 1000 > 2 * rate * rate:
        assert found == rate


def test_one_frame_has_no_rate() -> None:
    assert rate_from_times([0], F(1, 1000)) is None
    assert rate_from_times([5, 5], F(1, 1000)) is None


@settings(deadline=None)
@given(low=st.fractions(F(1, 100), 200), width=st.fractions(F(1, 10**6), 5))
def test_simplest_rate_lies_between_its_limits(low: F, width: F) -> None:
    found = simplest_rate(low, low + width)
    assert low <= found <= low + width


@settings(deadline=None)
@given(
    low=st.fractions(F(1, 50), 60, max_denominator=50),
    width=st.fractions(F(1, 400), F(1, 20), max_denominator=400),
)
def test_simplest_rate_has_the_smallest_denominator_where_no_usual_rate_fits(low: F, width: F) -> None:
    found = simplest_rate(low, low + width)
    if found.denominator == 1001:
        return
    for denominator in range(1, found.denominator):
        assert -(-low * denominator // 1) > (low + width) * denominator


@pytest.mark.parametrize(
    ("texts", "written"),
    [
        ({}, ";FFMETADATA1\n"),
        ({"a": "b=c;d#e\\f\ng"}, ";FFMETADATA1\na=b\\=c\\;d\\#e\\\\f\\\ng\n"),
        ({"a": "", "b": "x\r", "c": "\\"}, ';FFMETADATA1\na=json:""\nb=json:"x\\\\r"\nc=json:"\\\\\\\\"\n'),
        ({"a": "[STREAM]\n;x"}, ";FFMETADATA1\na=[STREAM]\\\n\\;x\n"),
    ],
)
def test_ffmetadata_escapes_what_ffmpeg_reads_as_a_command(texts: dict[str, str], written: str) -> None:
    assert ffmetadata(texts) == written


@settings(deadline=None)
@given(st.dictionaries(st.from_regex(r"[a-z=;# ]{1,9}[a-z]", fullmatch=True), st.text()))
def test_ffmetadata_comes_back(texts: dict[str, str]) -> None:
    plain = {key: text for key, text in texts.items() if not key.startswith((";", "#"))}
    assert from_ffmetadata(ffmetadata(plain)) == plain


def test_texts_of_chapters_and_streams_are_left_out() -> None:
    assert from_ffmetadata(";FFMETADATA1\na=1\n[CHAPTER]\nTIMEBASE=1/1\ntitle=x\n") == {"a": "1"}


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_read_without_an_error(text: str) -> None:
    from_ffmetadata(text)
    assert described(text, []) is None


SOUND_WORDS = """\
  Stream #0:1[0x2](und): Audio: aac (LC) (mp4a / 0x6134706D), 44100 Hz, {channels}, fltp, 69 kb/s (default)
    Metadata:
      title           : Stream #0:9: Audio: fake, 1 Hz, fake
"""
SOUND_TABLE = """\
#tb {stream}: 1/44100
{stream},      -1024,      -1024,     1024,      440, 0x03ced7ab, F=0x5, S=1, Skip Samples,       10, 0x00240004
{stream},          0,          0,     1024,        4, 0x00930040
{stream},       1024,       1024,      181,        4, 0x00930040
"""


@pytest.mark.parametrize("channels", ["mono", "stereo", "5.1(side)", "1 channels"])
def test_sound_is_understood_beside_pictures_and_alone(channels: str) -> None:
    words = SOUND_WORDS.format(channels=channels)
    sound = Sound("aac", 44100, channels, 1205 / 44100)
    assert heard(words, SOUND_TABLE.format(stream=0).splitlines()) == sound
    both = (TABLE + SOUND_TABLE.format(stream=1)).splitlines()
    film = described(WORDS.format(pixels="yuv420p") + words, both)
    assert film is not None
    assert (film.frames, film.sound) == (3, sound)


def test_without_packets_there_is_no_sound() -> None:
    words = SOUND_WORDS.format(channels="mono")
    assert heard(words, ["#tb 0: 1/44100"]) is None
    assert heard("", SOUND_TABLE.format(stream=0).splitlines()) is None
    silent = described(WORDS.format(pixels="yuv420p") + words, TABLE.splitlines())
    assert silent is not None
    assert silent.sound is None
