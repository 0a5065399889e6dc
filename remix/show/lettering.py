"""Small text on pictures, in the fonts of Pillow and of this machine."""

from __future__ import annotations

import math
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

SIZE, LINE = 13, 18
"""The size of the letters and the height of a line, in pixels."""
BASELINE = 14
SPACE = 4.0
"""Width of a space in pixels: the font's own is so narrow that words run into each other."""
FINE = 4
"""Letters are drawn larger by this factor and scaled down: on whole pixels their spacing would be uneven."""
FONTS = (
    *("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "Arial Unicode.ttf", "arial.ttf"),
    *("NotoSansCJK-Regular.ttc", "Hiragino Sans GB.ttc", "YuGothM.ttc", "msgothic.ttc", "msyh.ttc", "malgun.ttf"),
    *("DroidSansFallbackFull.ttf", "wqy-zenhei.ttc", "AppleSDGothicNeo.ttc", "Nirmala.ttf", "seguiemj.ttf"),
)
"""Font files of common systems, tried in order for letters that Pillow's own font lacks."""
NO_LETTER = "\U0010ffff"
"""A character that no font has. Characters that look like it are missing from a font."""

Color = tuple[int, int, int]


@dataclass(frozen=True)
class _Face:
    """A font, opened `fine` times as large as its letters are shown; 1 is the fixed font of Pillow before 10.1."""

    font: ImageFont.FreeTypeFont | ImageFont.ImageFont
    fine: int

    def has(self, text: str) -> bool:
        if self.fine == 1:
            return text.isascii() and text.isprintable()
        return text.isprintable() and all(_looks(self, letter) != _looks(self, NO_LETTER) for letter in text)

    def width(self, text: str) -> float:
        return self.font.getlength(text) / self.fine

    def mask(self, text: str, shift: float) -> Image.Image:
        """Returns `text` as a mask of height LINE that begins `shift` pixels from its left edge."""
        width = math.ceil(self.width(text) + shift) + 2
        drawn = Image.new("L", (width * self.fine, LINE * self.fine))
        pen = ImageDraw.Draw(drawn)
        if self.fine == 1:
            pen.text((0, 3), text, fill=255, font=self.font)
        else:
            pen.text((shift * self.fine, BASELINE * self.fine), text, fill=255, font=self.font, anchor="ls")
        return drawn.resize((width, LINE), Image.Resampling.BOX)


def write(picture: Image.Image, place: tuple[float, float], text: str, ink: Color) -> None:
    """Writes a line of `text` into `picture`, with its upper left corner at `place`; all white space becomes one space.

    Characters that no font has are written without accents, or as ``<U+732B>``.
    """
    left, top = place
    for word in text.split():
        for face, part in _lettered(word):
            picture.paste(ink, (math.floor(left), round(top)), face.mask(part, left % 1))
            left += face.width(part)
        left += SPACE


def width_of(text: str) -> float:
    """Returns the width of a line of `text` in pixels."""
    words = text.split()
    widths = (face.width(part) for word in words for face, part in _lettered(word))
    return sum(widths) + SPACE * max(len(words) - 1, 0)


def shortened(text: str, room: float) -> str:
    """Returns `text` if it fits into this width in pixels, else its beginning and three dots."""
    if width_of(text) <= room:
        return text
    kept = bisect_right(range(len(text)), room, key=lambda count: width_of(text[:count] + "...")) - 1
    return text[: max(kept, 0)] + "..."


@lru_cache(4096)
def _lettered(word: str) -> tuple[tuple[_Face, str], ...]:
    """Returns a word in the first font that has all its letters, else letter by letter."""
    if face := _first(word):
        return ((face, word),)
    own = _own()
    return tuple((_first(letter) or own, letter if _first(letter) else _spelt(letter, own)) for letter in word)


def _spelt(letter: str, own: _Face) -> str:
    plain = "".join(part for part in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(part))
    return plain if plain and own.has(plain) else f"<U+{ord(letter):04X}>"


def _first(text: str) -> _Face | None:
    return next((face for face in _faces() if face.has(text)), None)


def _faces() -> Iterator[_Face]:
    # Searching the system's folders for a font takes a while, so it only happens if the previous ones lack a letter.
    yield _own()
    yield from (face for face in map(_opened, FONTS) if face)


@lru_cache(1)
def _own() -> _Face:
    try:
        return _Face(ImageFont.load_default(SIZE * FINE), FINE)
    except TypeError:  # Pillow before 10.1 has but one size
        return _Face(ImageFont.load_default(), 1)


@lru_cache(len(FONTS))
def _opened(name: str) -> _Face | None:
    try:
        return _Face(ImageFont.truetype(name, SIZE * FINE), FINE)
    except OSError:  # this system has no such font
        return None


@lru_cache(4096)
def _looks(face: _Face, letter: str) -> tuple[tuple[int, int], bytes]:
    drawn = face.font.getmask(letter)
    return drawn.size, bytes(drawn)
