"""The names of the playground world: its things, colors, backgrounds, styles, sizes and places.

Pure Python, so that a prompt can be looked over without loading torch.
"""

from __future__ import annotations

import difflib
import re

COLORS: dict[str, tuple[int, int, int]] = {
    "red": (220, 40, 45),
    "orange": (245, 140, 30),
    "yellow": (250, 215, 50),
    "green": (50, 165, 75),
    "teal": (20, 160, 165),
    "blue": (45, 95, 215),
    "purple": (130, 60, 180),
    "pink": (245, 140, 185),
    "brown": (130, 80, 45),
    "white": (248, 248, 245),
    "gray": (140, 142, 148),
    "black": (25, 25, 30),
}
"""The twelve colors with their RGB values; things and plain backgrounds take them."""

THINGS: tuple[str, ...] = (
    *("circle", "square", "triangle", "diamond", "star", "heart", "moon", "ring", "cross"),
    *("drop", "sun", "flower", "cloud", "tree", "house", "fish", "mushroom", "boat"),
)
SCENERY: tuple[str, ...] = ("night", "sunset", "hill", "snow", "sea")
BACKGROUNDS: tuple[str, ...] = (*COLORS, *SCENERY)
STYLES: tuple[str, ...] = ("flat", "outline", "striped", "dotted", "shaded")
SIZES: tuple[str, ...] = ("small", "medium", "big")
PLACES: tuple[str, ...] = ("middle", "left", "right", "top", "bottom")

SIZE_WORDS: dict[str, tuple[str, ...]] = {
    "small": ("small", "tiny", "little"),
    "medium": ("medium",),
    "big": ("big", "large", "huge"),
}
STYLE_WORDS: dict[str, str] = {
    "flat": "flat",
    "outline": "outlined",
    "striped": "striped",
    "dotted": "dotted",
    "shaded": "shaded",
}
PLACE_PHRASES: dict[str, tuple[str, ...]] = {
    "middle": ("in the middle", "in the center"),
    "left": ("on the left",),
    "right": ("on the right",),
    "top": ("at the top",),
    "bottom": ("at the bottom",),
}
SCENERY_PHRASES: dict[str, tuple[str, ...]] = {
    "night": ("at night", "in the night sky"),
    "sunset": ("at sunset", "in front of a sunset"),
    "hill": ("on a green hill", "in a meadow"),
    "snow": ("in the snow", "in winter"),
    "sea": ("on the sea", "by the sea"),
}
NAMELESS: tuple[str, ...] = ("shape", "thing")
"""What a caption says when it leaves the thing's name out."""

EXAMPLES: tuple[str, ...] = (
    "a red star on a blue background",
    "a small striped green heart on the left on a white background",
    "a yellow moon at night",
    "a purple house and an orange tree in the snow",
)
"""Prompts of each form that captions have: plain, with everything, before scenery, of two things."""

_KINDS: dict[str, tuple[str, ...]] = {
    "thing": THINGS,
    "color": (*COLORS, "grey"),
    "scenery": ("night", "sky", "sunset", "hill", "meadow", "snow", "winter", "sea"),
    "style": (*STYLE_WORDS.values(), "outline"),
    "size": tuple(word for words in SIZE_WORDS.values() for word in words),
    "place": ("middle", "center", "left", "right", "top", "bottom"),
    "other": ("a", "an", "the", "and", "on", "in", "at", "by", "of", "front", "background", "wall", *NAMELESS),
}

_MEANT: dict[str, str] = {
    **dict.fromkeys(("crimson", "scarlet", "ruby", "maroon"), "red"),
    **dict.fromkeys(("golden", "gold", "blonde"), "yellow"),
    **dict.fromkeys(("turquoise", "cyan", "aqua"), "teal"),
    **dict.fromkeys(("navy", "azure", "indigo"), "blue"),
    **dict.fromkeys(("violet", "lilac", "magenta"), "purple"),
    **dict.fromkeys(("beige", "tan", "wooden"), "brown"),
    **dict.fromkeys(("silver", "metal", "stone"), "gray"),
    **dict.fromkeys(("lime", "emerald", "olive"), "green"),
    **dict.fromkeys(("round", "ball", "disc", "disk", "sphere"), "circle"),
    **dict.fromkeys(("box", "cube", "rectangle"), "square"),
    **dict.fromkeys(("cottage", "home", "building", "castle"), "house"),
    **dict.fromkeys(("ship", "sailboat", "yacht"), "boat"),
    **dict.fromkeys(("rose", "tulip", "daisy", "blossom"), "flower"),
    **dict.fromkeys(("ocean", "water", "beach", "lake"), "sea"),
    **dict.fromkeys(("mountain", "grass", "field", "landscape"), "hill"),
    **dict.fromkeys(("dusk", "dawn", "evening", "sunrise"), "sunset"),
    **dict.fromkeys(("midnight", "starry"), "night"),
    **dict.fromkeys(("giant", "enormous", "great"), "huge"),
    **dict.fromkeys(("forest", "oak", "pine"), "tree"),
    **dict.fromkeys(("doughnut", "donut", "hoop"), "ring"),
    **dict.fromkeys(("raindrop", "tear"), "drop"),
    **dict.fromkeys(("toadstool",), "mushroom"),
    **dict.fromkeys(("centre",), "center"),
}
"""Common words outside the world, and the word of the world that comes closest in meaning."""


def words() -> dict[str, tuple[str, ...]]:
    """Returns every word that the model was taught, by kind.

    The kinds are ``thing``, ``color``, ``scenery``, ``style``, ``size``, ``place`` and ``other``
    (the small words between them). No word stands under two kinds.
    """
    return dict(_KINDS)


def unknown_words(prompt: str) -> list[tuple[str, str | None]]:
    """Returns the words of `prompt` that the model was never taught, each with the nearest that it was.

    The words come in lower case, in order of first appearance, each once. The nearest is by meaning
    for some common words, else by spelling, else None. Numbers and punctuation are passed over.

    >>> unknown_words("a crimson strar, at night")
    [('crimson', 'red'), ('strar', 'star')]
    """
    known = [word for kind in _KINDS.values() for word in kind]
    found = dict.fromkeys(re.findall(r"[^\W\d_]+", prompt.lower()))
    return [(word, _nearest(word, known)) for word in found if word not in known]


def _nearest(word: str, known: list[str]) -> str | None:
    if word in _MEANT:
        return _MEANT[word]
    close = difflib.get_close_matches(word, [w for w in known if len(w) > 2], n=1, cutoff=0.7)
    return close[0] if close else None
