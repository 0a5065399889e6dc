"""The playground world: random scenes, and captions that tell what is in them. Pure Python."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator

from remix.client.playground.words import (
    BACKGROUNDS,
    COLORS,
    NAMELESS,
    PLACE_PHRASES,
    PLACES,
    SCENERY,
    SCENERY_PHRASES,
    SIZE_WORDS,
    SIZES,
    STYLE_WORDS,
    STYLES,
    THINGS,
)

ALONE = "none"
"""The second thing, and its color, of a scene that has only one."""

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "thing": THINGS,
    "color": tuple(COLORS),
    "background": BACKGROUNDS,
    "style": STYLES,
    "size": SIZES,
    "place": PLACES,
    "second": (ALONE, *THINGS),
    "second_color": (ALONE, *COLORS),
}
"""What a scene is described by: the names of its fields, and the values that each can have."""

_PLAIN_SHARE = 0.68
_STYLE_SHARES = (0.52, 0.12, 0.12, 0.12, 0.12)
_SIZE_SHARES = (0.22, 0.50, 0.28)
_PLACE_SHARES = (0.6, 0.1, 0.1, 0.1, 0.1)
_PAIR_SHARE = 0.22
_RADIUS = {"small": 0.33, "medium": 0.48, "big": 0.68}
_SHIFT = {"small": 0.5, "medium": 0.38, "big": 0.24}
_PAIR_RADIUS = 0.38
_PAIR_SHIFT = 0.48
_DIRECTION = {"middle": (0, 0), "left": (-1, 0), "right": (1, 0), "top": (0, -1), "bottom": (0, 1)}


@dataclasses.dataclass(frozen=True)
class Scene:
    """One thing before a background, or two side by side.

    The picture spans -1 to 1 both ways, y down. `radius`, `x`, `y` are in these units, `turn` is in
    radians, `tint` shifts the thing's and the background's RGB (three numbers each, in 0..1 units),
    and `seed` places what the scenery draws at random (stars, snowflakes, the horizon). `neighbor` is
    the thing on the right of a pair, as a scene of its own with the same background.
    """

    thing: str
    color: str
    background: str
    style: str
    size: str
    place: str
    radius: float
    x: float
    y: float
    turn: float
    seed: int
    tint: tuple[float, ...]
    neighbor: Scene | None = None

    @property
    def second(self) -> str:
        """The second thing, or `ALONE`."""
        return self.neighbor.thing if self.neighbor else ALONE

    @property
    def second_color(self) -> str:
        """The second thing's color, or `ALONE`."""
        return self.neighbor.color if self.neighbor else ALONE

    def labels(self) -> list[int]:
        """Returns the index of each attribute's value, in the order of `ATTRIBUTES`."""
        return [values.index(getattr(self, name)) for name, values in ATTRIBUTES.items()]


@dataclasses.dataclass(frozen=True)
class Caption:
    """A text about a scene, and for each of `ATTRIBUTES` whether the text names it."""

    text: str
    named: tuple[bool, ...]


def held_out(thing: str, color: str) -> bool:
    """Returns whether this pair is kept out of training: one color for each thing, 18 of 216 pairs.

    What a model draws for these pairs shows whether it composes or remembers.
    """
    return list(COLORS).index(color) == (5 * THINGS.index(thing) + 1) % len(COLORS)


def random_scenes(rng: random.Random) -> Iterator[Scene]:
    """Returns training scenes without end; no `held_out` pair is among them."""
    while True:
        background = rng.choice(tuple(COLORS) if rng.random() < _PLAIN_SHARE else SCENERY)
        if rng.random() < _PAIR_SHARE:
            yield arrange_pair(_thing(background, rng), _thing(background, rng), background, rng=rng)
            continue
        thing, color = _thing(background, rng)
        style = rng.choices(STYLES, _STYLE_SHARES)[0]
        size = rng.choices(SIZES, _SIZE_SHARES)[0]
        place = rng.choices(PLACES, _PLACE_SHARES)[0]
        yield arrange(thing, color, background, style, size, place, rng=rng)


def _thing(background: str, rng: random.Random) -> tuple[str, str]:
    """Returns a thing and its color, which can be seen before `background` and is not held out."""
    thing = rng.choice(THINGS)
    return thing, rng.choice([name for name in COLORS if name != background and not held_out(thing, name)])


def arrange(
    thing: str,
    color: str,
    background: str,
    style: str = "flat",
    size: str = "medium",
    place: str = "middle",
    *,
    rng: random.Random,
) -> Scene:
    """Returns a scene of these attributes; its exact size, position, turn and tints are drawn from `rng`."""
    across, down = _DIRECTION[place]
    return Scene(
        thing=thing,
        color=color,
        background=background,
        style=style,
        size=size,
        place=place,
        radius=_RADIUS[size] * rng.uniform(0.92, 1.08),
        x=rng.uniform(-0.08, 0.08) + across * _SHIFT[size],
        y=rng.uniform(-0.08, 0.08) + down * _SHIFT[size],
        turn=rng.gauss(0, 0.06),
        seed=rng.randrange(1 << 30),
        tint=tuple(rng.uniform(-0.03, 0.03) for _ in range(6)),
    )


def arrange_pair(left: tuple[str, str], right: tuple[str, str], background: str, *, rng: random.Random) -> Scene:
    """Returns a scene of two things side by side, flat and of one size, each given with its color."""
    first, second = (
        dataclasses.replace(
            arrange(*thing, background, rng=rng),
            radius=_PAIR_RADIUS * rng.uniform(0.92, 1.08),
            x=side * _PAIR_SHIFT + rng.uniform(-0.04, 0.04),
        )
        for side, thing in ((-1, left), (1, right))
    )
    return dataclasses.replace(first, neighbor=second)


def caption(scene: Scene, rng: random.Random) -> Caption:
    """Returns one of many ways to say what `scene` shows; now and then something is left unsaid.

    Of a pair, both things and their colors are always named, the left one first.
    """
    if scene.neighbor:
        nouns = [f"{_color_word(one.color, rng)} {one.thing}" for one in (scene, scene.neighbor)]
        if rng.random() < 0.85:
            nouns = [f"{_article(noun)} {noun}" for noun in nouns]
        background = "" if rng.random() < 0.05 else _background_phrase(scene, rng)
        return Caption(" and ".join(nouns) + background, (True, True, bool(background), *[False] * 3, True, True))
    size = _size_word(scene, rng)
    style, style_behind = _style_word(scene, rng)
    color = "" if rng.random() < 0.05 else _color_word(scene.color, rng)
    thing = scene.thing if rng.random() < 0.97 else ""
    noun = " ".join(word for word in (size, style, color, thing or rng.choice(NAMELESS)) if word)
    if rng.random() < 0.75:
        noun = f"{_article(noun)} {noun}"
    place = _place_phrase(scene, rng)
    background = "" if rng.random() < 0.05 else _background_phrase(scene, rng)
    around = background + place if place and rng.random() < 0.25 else place + background
    named = (thing, color, background, style or style_behind, size, place)
    return Caption(noun + around + style_behind, (*(bool(word) for word in named), False, False))


def _color_word(color: str, rng: random.Random) -> str:
    return "grey" if color == "gray" and rng.random() < 0.5 else color


def _size_word(scene: Scene, rng: random.Random) -> str:
    mentioned = rng.random() < (0.1 if scene.size == "medium" else 0.92)
    return rng.choice(SIZE_WORDS[scene.size]) if mentioned else ""


def _style_word(scene: Scene, rng: random.Random) -> tuple[str, str]:
    """Returns the style as an adjective before the noun, or as an afterthought at the very end."""
    word = STYLE_WORDS[scene.style]
    if scene.style == "flat":
        return (word if rng.random() < 0.15 else ""), ""
    if rng.random() > 0.95:
        return "", ""
    return ("", f", {scene.style}") if rng.random() < 0.2 else (word, "")


def _place_phrase(scene: Scene, rng: random.Random) -> str:
    mentioned = rng.random() < (0.12 if scene.place == "middle" else 0.93)
    return " " + rng.choice(PLACE_PHRASES[scene.place]) if mentioned else ""


def _background_phrase(scene: Scene, rng: random.Random) -> str:
    name = scene.background
    if name in SCENERY_PHRASES:
        return " " + rng.choice(SCENERY_PHRASES[name])
    a = _article(name)
    usual = [f" on {a} {name} background"] * 6
    return rng.choice([*usual, f" on {name}", f", {name} background", f" in front of {a} {name} wall"])


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" else "a"
