"""Mixing noise: a straight line (lerp) against an arc (slerp)."""

from __future__ import annotations

import torch
from torch import Tensor

from remix.client.lab.studio import Studio, captioned, distance
from remix.client.lab.texts import Texts
from remix.mix.interpolate import slerp
from remix.motion import Picture
from remix.show.experiment import Curves, Part, Strip

TEXT = {
    "title": "Mixing noise: lerp and slerp",
    "introduction": "A film from one seed to another mixes two blocks of noise. The obvious way is a "
    "weighted mean: lerp, a straight line. It has a fault that you can see. Slerp goes along an arc and does "
    "not have it.",
    "noise": "The noise in between, by {way}",
    "noise_about": "From seed 1 (0%) to seed 2 (100%), shown as pictures. Compare how strong the noise is in "
    "the middle.",
    "pictures": "What the model makes of it, by {way}",
    "pictures_about": "The model was only trained on noise of full strength. Count the small stars in the sky.",
    "strength": "How strong the noise is",
    "strength_about": "The standard deviation of the mixed noise. Half of one block and half of another have "
    "less variance than either: 0.5² + 0.5² = 0.5, so the strength falls to 0.71. On the arc it stays at 1.",
    "detail": "How much of the picture is left",
    "detail_about": "The contrast of the pictures, the standard deviation of their colors. Weak noise makes "
    "flat pictures.",
    "move": "How far each frame moves",
    "move_about": "The difference from one frame to the next. An even film has a flat line.",
    "q1": "Why does the weighted mean of two blocks of noise become weaker, although both are equally strong?",
    "a1": "The numbers are independent: a large one in the first block mostly meets a small one in the "
    "second. They cancel out.",
    "q2": "Is slerp also better for mixing two prompts?",
    "a2": "Not for this reason: prompts are no random numbers, and the model was not trained on one length "
    "of them. Try both; `mix` in a recipe chooses.",
    "q3": "For three seeds there is no single arc. How can the strength be kept?",
    "a3": "Take the weighted sum and divide it by the root of the sum of the squared weights. This toolkit does so.",
}

PROMPT = "a yellow star at night"
TIMES = tuple(k / 8 for k in range(9))


def run(studio: Studio, text: Texts) -> list[Part]:
    """Returns both ways between two seeds: their noise, its strength, and their pictures."""
    one, two = studio.noise(1, 2).split(1)
    ways: dict[str, Tensor] = {
        "lerp": torch.cat([torch.lerp(one, two, t) for t in TIMES]),
        "slerp": torch.cat([slerp(one, two, t) for t in TIMES]),
    }
    prompts = [PROMPT] * (2 * len(TIMES))
    made = studio.pictures(studio.sample(prompts, torch.cat([*ways.values()])).latents)
    films = {"lerp": made[: len(TIMES)], "slerp": made[len(TIMES) :]}
    names = [f"{t:.0%}" for t in TIMES]
    parts: list[Part] = []
    for way, noise in ways.items():
        shown = captioned(names, studio.pictures(noise))
        parts.append(Strip(text["noise"].format(way=way), text["noise_about"], shown))
    strength = {way: _by_time(float(block.std()) for block in noise) for way, noise in ways.items()}
    parts.append(Curves(text["strength"], text["strength_about"], strength))
    for way, film in films.items():
        parts.append(Strip(text["pictures"].format(way=way), text["pictures_about"], captioned(names, film)))
    detail = {way: _by_time(float(picture.std() / 255) for picture in film) for way, film in films.items()}
    parts.append(Curves(text["detail"], text["detail_about"], detail))
    moves = {way: _moves(film) for way, film in films.items()}
    return [*parts, Curves(text["move"], text["move_about"], moves)]


def _by_time(values: object) -> list[tuple[float, float]]:
    return [(t, value) for t, value in zip(TIMES, values, strict=True)]  # type: ignore[call-overload]


def _moves(film: list[Picture]) -> list[tuple[float, float]]:
    return [(t, distance(a, b)) for t, a, b in zip(TIMES[1:], film, film[1:], strict=False)]
