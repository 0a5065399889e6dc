"""The texts in pictures and films are found wherever they are kept, ours and those of other programs."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import pytest
from PIL import Image

from remix.errors import PictureError
from remix.motion import FORMATS, read_tags, stills, texts, write_video
from remix.motion.texts import read_texts
from tests.core.motion.films import smooth

TEXTS = {"remix": '{"a":"é日"}', "title": "a\nb = c;\n#d\\"}
INFOTEXT = "a cat\nNegative prompt: dog\nSteps: 20, Sampler: Euler, Seed: 1"
FRAMES = [Image.fromarray(frame) for frame in smooth(3)]


@pytest.mark.parametrize("name", FORMATS)
def test_texts_come_back_from_every_format(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"film{FORMATS[name].suffix}"
    write_video(smooth(3), path, 12, format=name, metadata=TEXTS)
    assert read_tags(path) == TEXTS
    read = read_texts(path)
    assert (read.found, read.notes) == (TEXTS, [])


def gif(*comments: bytes, after: bytes = b"") -> bytes:
    """An animated GIF with comments before its first frame, and with one after its last."""
    buffer = io.BytesIO()
    FRAMES[0].save(buffer, "GIF", save_all=True, append_images=FRAMES[1:])
    data = buffer.getvalue()
    start = 13 + (3 << ((data[10] & 7) + 1))
    return data[:start] + b"".join(map(extension, comments)) + data[start:-1] + extension(after) + data[-1:]


def extension(text: bytes) -> bytes:
    blocks = [text[start : start + 255] for start in range(0, len(text), 255)]
    return b"\x21\xfe" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0" if text else b""


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (gif(b"hello world"), {"comment": "hello world"}),
        (gif(after=b"made on a rainy day"), {"comment": "made on a rainy day"}),
        (gif(INFOTEXT.encode()), {"parameters": INFOTEXT}),
        (gif(b"hello", after=INFOTEXT.encode()), {"comment": "hello", "parameters": INFOTEXT}),
        (gif(b'{"a": 1}'), {"comment": '{"a": 1}'}),
        (gif(b'{"a": "1"}'), {"a": "1"}),
        (gif("é日 ".encode() * 200), {"comment": "é日 " * 200}),
        (gif(b"odd \0\0"), {"comment": "odd "}),
        (gif(b" \0"), {}),
        (gif(b"   "), {}),
        (gif(), {}),
    ],
)
def test_comments_of_other_programs_are_given_back(tmp_path: Path, data: bytes, found: dict[str, str]) -> None:
    path = tmp_path / "a.gif"
    path.write_bytes(data)
    assert read_tags(path) == found
    assert read_texts(path).found == found


def test_a_comment_that_pillow_wrote_is_given_back(tmp_path: Path) -> None:
    FRAMES[0].save(tmp_path / "a.gif", save_all=True, append_images=FRAMES[1:], comment="hello")
    assert read_texts(tmp_path / "a.gif").found == {"comment": "hello"}


def test_what_comes_before_the_end_of_a_gif_that_is_cut_off_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    path.write_bytes(gif(b"hello")[:-40])
    read = read_texts(path)
    assert read.found == {"comment": "hello"}
    assert "cut off" in read.notes[0]
    with pytest.raises(PictureError, match=r"a\.gif: a GIF that is cut off"):
        read_tags(path)


def test_comments_of_more_than_is_read_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "LIMIT", 400)
    (tmp_path / "a.gif").write_bytes(gif(b"x" * 300, b"y" * 300))
    read = read_texts(tmp_path / "a.gif")
    assert read.found == {"comment": "x" * 300}
    assert "more texts than are read" in read.notes[0]


def test_texts_of_an_animation_are_found_without_reading_its_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "film.webp"
    write_video(smooth(3), path, 12, metadata=TEXTS)

    def opened(*_: object, **__: object) -> None:
        raise AssertionError("opened")

    monkeypatch.setattr(Image, "open", opened)
    assert read_tags(path) == TEXTS


@pytest.mark.parametrize("animated", [False, True])
def test_exif_of_webps_that_pillow_wrote_is_read(tmp_path: Path, animated: bool) -> None:
    more = {"save_all": True, "append_images": FRAMES[1:]} if animated else {}
    FRAMES[0].save(tmp_path / "a.webp", exif=b"Exif\0\0" + stills.exif_with(TEXTS), **more)
    assert read_tags(tmp_path / "a.webp") == TEXTS


def test_exif_behind_the_pixels_of_a_png_is_read_without_decoding_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = io.BytesIO()
    FRAMES[0].save(buffer, "PNG")
    exif = b"eXIf" + stills.exif_with(TEXTS)
    chunk = (len(exif) - 4).to_bytes(4, "big") + exif + zlib.crc32(exif).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(buffer.getvalue()[:-12] + chunk + buffer.getvalue()[-12:])

    def load(_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    assert read_tags(tmp_path / "a.png") == TEXTS


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_a_users_comment_that_is_not_a1111s_is_a_comment(tmp_path: Path, kind: str) -> None:
    for text, found in (("Screenshot", {"comment": "Screenshot"}), (INFOTEXT, {"parameters": INFOTEXT}), ("  ", {})):
        exif = Image.Exif()
        exif[stills.EXIF_IFD] = {stills.USER_COMMENT: b"ASCII\0\0\0" + text.encode()}
        FRAMES[0].save(tmp_path / "a", kind, exif=exif.tobytes())
        assert read_texts(tmp_path / "a").found == found


def test_a_film_that_is_none_has_no_tags(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no film")
    with pytest.raises(PictureError, match=r"a\.mp4"):
        read_tags(tmp_path / "a.mp4")


def test_what_no_film_can_carry_is_left_out_and_noted(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    for comment in (b"Steps: 1\0, Seed: 1", b'{"parameters": "\\ud800"}'):
        path.write_bytes(gif(comment))
        read = read_texts(path)
        assert (read.found, read.notes) == ({}, ["'parameters': skipped, holds a NUL or half a character"])


def test_notes_have_a_bound_and_say_that_there_was_more() -> None:
    read = texts.Texts()
    for _ in range(1000):
        read.note("skipped")
    assert read.notes == ["skipped"] * (texts.MOST - 1) + ["more was skipped"]
