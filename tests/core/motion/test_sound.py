"""A film gets the sound of a file: as long as the film, of an allowed codec, opened safely."""

from __future__ import annotations

import math
import os
import wave
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from remix.errors import MissingPackage, PictureError, VideoError, VideoFormatError
from remix.motion import FORMATS, Sound, probe, probe_sound, read_video, save_picture, write_video
from remix.motion.ffmpeg import Ffmpeg, ffmpeg_exe
from remix.motion.texts import read_texts
from tests.core.motion.films import put_in_place_of_ffmpeg, sine, smooth

HEARD = {
    **{"mp4": "aac", "hevc": "aac", "prores": "aac", "webm": "opus"},
    **{"av1": "aac", "ffv1": "flac", "h264-lossless": "flac"},
}
SILENT = ("gif", "webp", "apng", "png")


def heard_in(path: Path) -> np.ndarray:
    """Returns the samples of a film's sound, first channel, decoded."""
    channels = {"mono": 1, "stereo": 2}[probe_sound(path).channels]
    with Ffmpeg(["-i", str(path), "-map", "0:a:0", "-f", "s16le", "pipe:1"]) as process:
        data = process.read(2**24)
    return np.frombuffer(data, "<i2")[::channels].astype(float)


def packets(path: Path) -> list[str]:
    """Returns size and sum of every packet of a film's sound."""
    with Ffmpeg(["-i", str(path), "-map", "0:a:0", "-c", "copy", "-f", "framecrc", "pipe:1"]) as process:
        lines = process.read(2**24).decode().splitlines()
    return [",".join(line.split(",")[4:6]) for line in lines if not line.startswith("#")]


def test_each_format_either_sounds_or_refuses() -> None:
    assert {*HEARD, *SILENT} == {*FORMATS}


@pytest.mark.parametrize("name", HEARD)
@pytest.mark.parametrize(("seconds", "rate", "channels"), [(0.5, 44100, 1), (3, 48000, 2), (0.7, 11025, 1)])
def test_sound_is_exactly_as_long_as_the_film(
    tmp_path: Path, name: str, seconds: float, rate: int, channels: int
) -> None:
    path, audio = tmp_path / f"film{FORMATS[name].suffix}", sine(tmp_path / "a.wav", seconds, rate, channels)
    info = write_video(smooth(25), path, 12, format=name, audio=audio)
    assert (info.frames, info.fps) == (25, 12)
    assert info.sound is not None
    assert (info.sound.codec, info.sound.channels) == (HEARD[name], {1: "mono", 2: "stereo"}[channels])
    assert info.sound.duration == pytest.approx(25 / 12, abs=0.03)
    samples = heard_in(path)
    assert len(samples) == round(Fraction(25, 12) * info.sound.rate)
    loud = samples[: round(min(seconds, 25 / 12) * info.sound.rate)]
    assert np.sqrt((loud[200:-200] ** 2).mean()) == pytest.approx(12000 / math.sqrt(2), rel=0.05)
    assert np.sqrt((loud[-600:-200] ** 2).mean()) > 4000
    assert np.abs(samples[len(loud) + 2000 :]).max(initial=0) < 40
    assert sorted(found.name for found in tmp_path.iterdir()) == sorted(["a.wav", path.name])


@pytest.mark.parametrize("name", HEARD)
def test_sound_changes_neither_frames_nor_rate_nor_bytes_of_the_next_time(tmp_path: Path, name: str) -> None:
    suffix, audio = FORMATS[name].suffix, sine(tmp_path / "a.wav", 0.5)
    films = [tmp_path / f"{stem}{suffix}" for stem in ("silent", "one", "other")]
    infos = [
        write_video(smooth(7), film, "30000/1001", format=name, audio=sound, metadata={"remix": "{}"})
        for film, sound in zip(films, (None, audio, audio), strict=True)
    ]
    assert infos[0].sound is None
    assert infos[1] == infos[2]
    assert infos[1].fps == Fraction(30000, 1001)
    assert replace(infos[1], sound=None) == infos[0]
    assert (b"hvc1" in films[1].read_bytes()) == (name == "hevc")
    silent, sounding = (list(read_video(film)) for film in films[:2])
    assert np.array_equal(silent, sounding)
    assert films[1].read_bytes() == films[2].read_bytes()
    assert read_texts(films[1]).found == {"remix": "{}"}


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("name", ["mp4", "webm", "ffv1"])
def test_the_shortest_films_have_sound_too(tmp_path: Path, name: str, count: int) -> None:
    path = tmp_path / f"film{FORMATS[name].suffix}"
    info = write_video(smooth(count), path, 60, audio=sine(tmp_path / "a.wav", 1))
    assert info.sound is not None
    assert len(heard_in(path)) == count * 800


@pytest.mark.parametrize("name", ["mp4", "webm", "ffv1"])
def test_sound_of_the_containers_own_codec_is_copied_where_it_need_not_be_cut(tmp_path: Path, name: str) -> None:
    suffix, audio = FORMATS[name].suffix, sine(tmp_path / "a.wav", 0.5)
    first, longer, shorter = (tmp_path / f"{stem}{suffix}" for stem in ("first", "longer", "shorter"))
    write_video(smooth(12), first, 12, audio=audio)
    info = write_video(smooth(24), longer, 12, audio=first)
    assert packets(longer) == packets(first)
    assert info.sound is not None
    assert info.sound.duration == pytest.approx(1, abs=0.03)
    write_video(smooth(6), shorter, 12, audio=first)
    assert packets(shorter) != packets(first)[: len(packets(shorter))]
    assert len(heard_in(shorter)) == 24000


def test_sound_in_mkv_is_lossless(tmp_path: Path) -> None:
    audio = sine(tmp_path / "a.wav", 1, 22050)
    write_video(smooth(6), tmp_path / "film.mkv", 12, audio=audio)
    with wave.open(str(audio)) as file:
        given = np.frombuffer(file.readframes(11025), "<i2")
    assert np.array_equal(heard_in(tmp_path / "film.mkv"), given)


def test_a_sounds_own_texts_are_not_the_films(tmp_path: Path) -> None:
    song = tmp_path / "song.mp4"
    write_video(smooth(3), song, 12, audio=sine(tmp_path / "a.wav", 1), metadata={"title": "Song", "artist": "Me"})
    for name in ("film.mp4", "film.webm", "film.mkv"):
        write_video(smooth(3), tmp_path / name, 12, audio=song, metadata={"remix": "{}"})
        assert read_texts(tmp_path / name).found == {"remix": "{}"}


def test_the_texts_of_a_sounds_own_stream_stay_behind_too(tmp_path: Path) -> None:
    song = tmp_path / "song.mkv"
    tags = ("-metadata:s:a:0", "title=A Song", "-metadata:s:a:0", "language=fra")
    with Ffmpeg(["-i", str(sine(tmp_path / "a.wav", 0.2)), *tags, "-c:a", "flac", str(song)]) as process:
        assert process.finish() == 0
    assert b"A Song" in song.read_bytes()
    write_video(smooth(3), tmp_path / "film.mkv", 12, audio=song)
    assert b"A Song" not in (tmp_path / "film.mkv").read_bytes()
    assert b"fra" not in (tmp_path / "film.mkv").read_bytes()


def test_a_film_may_be_written_over_the_one_whose_sound_it_takes(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    write_video(smooth(6), path, 12, audio=sine(tmp_path / "a.wav", 1))
    info = write_video(smooth(12), path, 12, audio=path)
    assert info.frames == 12
    assert info.sound is not None


def test_probe_tells_whether_there_is_sound_and_how_long_it_is(tmp_path: Path) -> None:
    audio = sine(tmp_path / "a.wav", 0.75, 44100, 2)
    assert probe_sound(audio) == Sound("pcm_s16le", 44100, "stereo", 0.75)
    write_video(smooth(3), tmp_path / "silent.mp4", 12)
    assert probe(tmp_path / "silent.mp4").sound is None
    written = write_video(smooth(6), tmp_path / "film.mp4", 12, audio=audio)
    assert probe(tmp_path / "film.mp4") == written
    assert written.sound == Sound("aac", 44100, "stereo", 0.5)


def nothing():  # type: ignore[no-untyped-def]
    raise AssertionError("asked for a frame")
    yield


@pytest.mark.parametrize("name", SILENT)
def test_formats_without_sound_say_so_before_the_first_frame(tmp_path: Path, name: str) -> None:
    audio = sine(tmp_path / "a.wav", 0.1)
    with pytest.raises(VideoFormatError, match=f"audio: {name} holds no sound; .* mp4, webm, mov or mkv"):
        write_video(nothing(), tmp_path / f"film{FORMATS[name].suffix}", 12, format=name, audio=audio)
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


@pytest.mark.parametrize("text", ["http://127.0.0.1:9/a.mp3", "concat:a|b", "-i", "pipe:0", "missing.wav", "a\0b"])
def test_sounds_are_files_and_nothing_else(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PictureError):
        write_video(nothing(), "film.mp4", 12, audio=text)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["list.wav", "list.mp3", "list.mp4"])
def test_a_playlist_does_not_open_the_sound_that_it_names(tmp_path: Path, name: str) -> None:
    real = sine(tmp_path / "real.wav", 0.5)
    for text in (
        f"#EXTM3U\n#EXTINF:1,\nfile://{real}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile {real.name}\n",
        "",
        "junk" * 999,
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")
        with pytest.raises(PictureError):
            write_video(nothing(), tmp_path / "film.mp4", 12, audio=tmp_path / name)


def test_a_sound_that_is_cut_off_is_an_error_not_a_shorter_sound(tmp_path: Path) -> None:
    audio = sine(tmp_path / "a.wav", 1)
    audio.write_bytes(audio.read_bytes()[:30_001])
    with pytest.raises(PictureError, match="the sound is damaged or cut off"):
        write_video(nothing(), tmp_path / "film.mp4", 12, audio=audio)


def test_a_film_without_sound_and_a_folder_are_no_sound(tmp_path: Path) -> None:
    write_video(smooth(2), tmp_path / "silent.mp4", 12)
    save_picture(tmp_path / "sun.png", smooth(1)[0])
    (tmp_path / "words.txt").write_text("words " * 99, encoding="utf-8")
    for name in ("silent.mp4", "sun.png", "words.txt"):
        with pytest.raises(PictureError, match=rf"{name}: holds no sound; give a WAV, [^\n]*$"):
            write_video(nothing(), tmp_path / "film.mp4", 12, audio=tmp_path / name)
    with pytest.raises(PictureError, match=r"is a folder, not a regular file; give a sound file, or a film with"):
        write_video(nothing(), tmp_path / "film.mp4", 12, audio=tmp_path)


@pytest.mark.parametrize("name", ["日本 é 🎬.wav", "%03d 'quoted' [x].wav", "-i.wav", "http:.wav"])
def test_any_name_of_a_sound_will_do(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sine(Path(name), 0.2)
    assert write_video(smooth(3), "film.mp4", 12, audio=name).sound is not None


def test_an_encoder_of_sound_that_ffmpeg_lacks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audio, real = sine(tmp_path / "a.wav", 0.1), ffmpeg_exe()
    body = f"""
if "-encoders" in sys.argv: print(" V....D libvpx-vp9   VP9")
else: os.execv({real!r}, [{real!r}, *sys.argv[1:]])
"""
    put_in_place_of_ffmpeg(tmp_path, monkeypatch, body)
    with pytest.raises(MissingPackage, match="has no encoder libopus"):
        write_video(nothing(), tmp_path / "film.webm", 12, audio=audio)


JOINING = 'arguments = sys.argv[1:]\njoins = "1:a:0" in arguments\n'


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('if joins: sys.exit("no sound today")', "adding the sound of .*a.wav failed.*\nno sound today"),
        ('if joins: at = arguments.index("1:a:0"); del arguments[at - 1:at + 1]', "0.500 s of sound .* none can be"),
        (
            'arguments = [part.replace("whole_len=24000,atrim=end_sample=24000", "whole_len=1,atrim=end_sample=4800")'
            " for part in arguments]",
            "0.500 s of sound .* 0.1.* s can be read",
        ),
    ],
)
def test_sound_that_is_not_there_afterwards_is_an_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, message: str
) -> None:
    audio, real = sine(tmp_path / "a.wav", 1), ffmpeg_exe()
    (tmp_path / "film.mp4").write_bytes(b"older film")
    put_in_place_of_ffmpeg(tmp_path, monkeypatch, f"{JOINING}{body}\nos.execv({real!r}, [{real!r}, *arguments])")
    with pytest.raises(VideoError, match=message):
        write_video(smooth(6), tmp_path / "film.mp4", 12, audio=audio)
    assert (tmp_path / "film.mp4").read_bytes() == b"older film"
    assert sorted(os.listdir(tmp_path)) == ["a.wav", "ffmpeg", "film.mp4"]
