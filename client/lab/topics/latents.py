"""The latent space of a VAE: round trips, arithmetic, and walking off the map."""

from __future__ import annotations

import random

import torch
from torch import Tensor

from remix.client.lab.studio import Studio, captioned
from remix.client.lab.texts import Texts
from remix.client.local.pictures import to_picture
from remix.client.playground.drawing import draw
from remix.client.playground.world import arrange
from remix.show.experiment import Curves, Part, Strip

TEXT = {
    "title": "The latent space",
    "introduction": "The model does not work on pixels. An encoder first turns a picture of 128x128 pixels "
    "into a latent, 16x16 places with 4 numbers each: 48 times fewer numbers. A decoder turns latents into "
    "pictures. Both together are a VAE.",
    "trip": "Drawings",
    "trip_about": "Pictures that a program drew. The model was trained on such drawings.",
    "after": "There and back",
    "after_about": "The same drawings, encoded and decoded again. Look at edges and small things.",
    "channels": "One number at a time",
    "channels_about": "The first picture decodes the whole latent; in each of the others one of its four "
    "numbers is set to 0. In this small model three of them are nearly red, green and blue, and the fourth "
    "tells where edges are. In larger models they have no such simple meaning.",
    "whole": "whole",
    "without": "without number {number}",
    "sums": "Arithmetic",
    "sums_about": "Latents can be added. A heart on black, minus plain black, plus a night sky. Then the "
    "middle of two latents: a cross-fade, because latents of this model are nearly colors. Mixing prompts or "
    "noise does not fade, but changes the thing.",
    "heart": "heart",
    "night": "night",
    "sum": "heart - black + night",
    "half": "half heart, half moon",
    "moon": "moon",
    "off": "Off the map",
    "off_about": "One latent, and a random direction added to it, more and more. The decoder never saw such "
    "latents, and paints something anyway.",
    "curve": "How far off the map",
    "curve_about": "Decode a latent, encode the picture again, and compare: on the map the same latent comes "
    "back. The more we leave it, the less fits.",
    "q1": "What gets lost in the round trip, and what does this mean for the pictures of the model?",
    "a1": "Fine edges and things smaller than a place of the latent. The model cannot paint them either: its "
    "decoder is the last step of every picture.",
    "q2": "Why does a model work on latents and not on pixels?",
    "a2": "They are much smaller, so each step is much faster, and the model need not learn what every pixel "
    "of an edge looks like.",
    "q3": "Why does the random direction look like confetti and not like a new thing?",
    "a3": "Pictures are rare among latents. Almost every direction leads to places where no picture of the "
    "training was. Removing noise is the way back onto the map.",
}

DRAWN = (
    ("heart", "red", "black"),
    ("house", "blue", "hill"),
    ("star", "yellow", "night"),
    ("mushroom", "orange", "snow"),
    ("boat", "white", "sea"),
)
WALK = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0)


def run(studio: Studio, text: Texts) -> list[Part]:
    """Returns round trips, sums and middles of latents, and a walk into a random direction."""
    scenes = [arrange(*scene, rng=random.Random(number)) for number, scene in enumerate(DRAWN)]
    drawn = [to_picture(picture) for picture in draw(scenes)]
    latents = studio.latents(drawn)
    back = studio.pictures(latents)
    things = [thing for thing, _, _ in DRAWN]
    heart, _, star, *_ = latents.split(1)
    masked = torch.cat([heart, *(_without(heart, channel) for channel in range(4))])
    names = [text["whole"], *(text["without"].format(number=channel + 1) for channel in range(4))]
    others = [
        arrange("circle", "black", "black", rng=random.Random(0)),
        arrange("moon", "white", "night", rng=random.Random(3)),
    ]
    black, moon = studio.latents([to_picture(picture) for picture in draw(others)]).split(1)
    night = star[:, :, :1, :1].expand_as(heart)
    sums = torch.cat([heart, night, heart - black + night, (heart + moon) / 2, moon])
    direction = studio.noise(7)
    walk = torch.cat([heart + far * direction for far in WALK])
    shown = studio.pictures(walk)
    again = studio.latents(shown)
    off = [(far, float(error)) for far, error in zip(WALK, (again - walk).square().mean((1, 2, 3)).sqrt(), strict=True)]
    return [
        Strip(text["trip"], text["trip_about"], captioned(things, drawn)),
        Strip(text["after"], text["after_about"], captioned(things, back)),
        Strip(text["channels"], text["channels_about"], captioned(names, studio.pictures(masked))),
        Strip(
            text["sums"],
            text["sums_about"],
            captioned([text[name] for name in ("heart", "night", "sum", "half", "moon")], studio.pictures(sums)),
        ),
        Strip(text["off"], text["off_about"], captioned(WALK, shown)),
        Curves(text["curve"], text["curve_about"], {"": off}),
    ]


def _without(latent: Tensor, channel: int) -> Tensor:
    changed = latent.clone()
    changed[:, channel] = 0
    return changed
