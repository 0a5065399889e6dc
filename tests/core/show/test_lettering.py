"""Small writing on pictures: whatever a text says, and whichever fonts there are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFont

from remix.show import lettering
from remix.show.lettering import LINE, SPACE, shortened, width_of, write

INK = (30, 30, 34)


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """What is remembered of fonts is forgotten, before and after they are replaced."""
    lettering._lettered.cache_clear()
    yield
    lettering._lettered.cache_clear()


@pytest.fixture
def no_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without fonts of its own."""
    monkeypatch.setattr(lettering, "FONTS", ())


def written(text: str, left: float = 4.0) -> np.ndarray:
    picture = Image.new("RGB", (600, LINE + 8), "white")
    write(picture, (left, 4), text, INK)
    return np.asarray(picture)[..., 0]


def columns(text: str) -> np.ndarray:
    """Which columns of pixels hold some ink."""
    return (written(text) < 200).any(axis=0)


def is_fixed() -> bool:
    """Whether Pillow has only its font of fixed width, as before 10.1."""
    return lettering._own().fine == 1


def test_words_stand_apart() -> None:
    # In a fixed font the room next to a full stop is as wide as that between words.
    numbers = () if is_fixed() else ("0.3 to 0.75",)
    for text in ("LoRA styles/ink", "a red heart on a white background", *numbers):
        inked = np.flatnonzero(columns(text))
        gaps = np.diff(inked)
        assert (gaps > 3).sum() == text.count(" "), text


@pytest.mark.parametrize("text", ["a red heart", "naïve façade", "猫が好き", "Санкт-Петербург", "½ × ¿"])
def test_a_line_is_as_wide_as_it_is_said_to_be_and_stays_on_its_line(text: str) -> None:
    inked = np.flatnonzero(columns(text))
    assert inked[-1] - inked[0] == pytest.approx(width_of(text), abs=4)
    picture = written(text)
    assert (picture[:4] == 255).all()
    assert (picture[4 + LINE :] == 255).all()


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("naïve façade", "naive facade"),
        ("猫", "<U+732B>"),
        ("a\x07b", "a<U+0007>b"),
        ("ﬃ Ǆ", "ffi DZ"),
        ("a\nb\t c ", "a b c"),
    ],
)
def test_what_no_font_has_is_written_in_plain_letters_or_by_its_number(text: str, instead: str, no_fonts: None) -> None:
    assert width_of(text) == width_of(instead)
    # Letters of the fixed font overlap by a pixel, which a letter written alone does not take from the one before it.
    overlapping = len(instead) if is_fixed() else 0
    assert (written(text) != written(instead)).sum() <= overlapping


def test_other_alphabets_are_looked_for_in_the_systems_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(lettering, "_opened", lambda name: asked.append(name))
    width_of("a red heart, 0.3 to 0.75!")
    assert asked == []
    width_of("собака")
    assert asked[: len(lettering.FONTS)] == list(lettering.FONTS)


def test_a_pillow_with_one_fixed_font_writes_too(monkeypatch: pytest.MonkeyPatch, no_fonts: None) -> None:
    """As Pillow before 10.1, which A1111 has."""
    fixed = getattr(ImageFont, "load_default_imagefont", ImageFont.load_default)()
    monkeypatch.setattr(lettering, "_own", lambda: lettering._Face(fixed, 1))
    inked = np.flatnonzero(columns("a red heart, naïve 猫"))
    assert inked[-1] - inked[0] == pytest.approx(width_of("a red heart, naive <U+732B>"), abs=4)


@settings(deadline=None, max_examples=60)
@given(text=st.text(max_size=30), room=st.floats(0, 200))
def test_any_text_is_shortened_to_its_room(text: str, room: float) -> None:
    cut = shortened(text, room)
    assert width_of(cut) <= max(room, width_of("..."))
    assert cut == text or (cut.endswith("...") and text.startswith(cut[:-3]))


def test_a_line_of_nothing_is_nothing() -> None:
    assert width_of("") == width_of(" \n") == 0
    assert (written("") == 255).all()
    assert width_of("a b") == pytest.approx(width_of("a") + SPACE + width_of("b"))
