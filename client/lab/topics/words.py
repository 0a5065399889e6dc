"""Prompts as vectors: distances, mixes, and where a word acts."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from remix.client.lab.studio import CFG, STEPS, Studio, captioned
from remix.client.lab.texts import Texts
from remix.motion import Picture
from remix.show.experiment import Curves, Numbers, Part, Slider, Strip

TEXT = {
    "title": "Prompts as vectors",
    "introduction": "The text encoder turns each word of a prompt into a vector, a list of 128 numbers. The "
    "model never reads letters. It sees these vectors, so they can be compared, mixed, and followed into the "
    "picture.",
    "far": "Which prompts are near each other",
    "far_about": "The cosine of the angle between two prompts: 1 for the same direction, 0 for nothing in "
    "common. The prompts are numbered as in the first column.",
    "prompt": "prompt",
    "mix": "From one prompt to another",
    "mix_about": "Both prompts as vectors, mixed with growing weights, with one seed. No word says what is "
    "between a house and a boat, but the vectors have a middle.",
    "maps": "Where a word acts",
    "maps_about": "At each step, every place of the picture asks all words: which of you matters for me? "
    "Bright places ask this word most. This is called cross-attention. Move the slider through the steps.",
    "estimate": "the expected picture",
    "step": "step {step} of {steps}",
    "share": "How much each word is asked",
    "share_about": "The mean share of the attention of each word, at each step. What is missing to 100% goes "
    "to the other words and to the start and the end of the prompt.",
    "q1": "Which two prompts are nearest to each other, and which word makes the difference?",
    "a1": "Prompts that differ by one word are near. A word for a color moves the vector less than one for "
    "another thing.",
    "q2": "Does the word house light up where the house is? And the word red?",
    "a2": "Red and house light up at the house, most of all in the middle steps. Green and hill are less "
    "clear. This small model also reads the whole prompt as one vector, which reaches all places alike.",
    "q3": "In the mix, where does the picture change fastest? What would an even film need?",
    "a3": "Near the middle, where one thing turns into the other. An even film needs more frames there: pace "
    '= "even" in a recipe.',
}

COMPARED = (
    "a red house on a green hill",
    "a blue house on a green hill",
    "a red house in the snow",
    "a red boat on the sea",
    "a yellow moon at night",
)
ENDS = ("a red house on a green hill", "a white boat on the sea")
WEIGHTS = tuple(k / 8 for k in range(9))
FOLLOWED = ("red", "house", "green", "hill")


def run(studio: Studio, text: Texts) -> list[Part]:
    """Returns distances of prompts, a mix of two, and the attention to words while a picture is sampled."""
    vectors = torch.nn.functional.normalize(studio.each(COMPARED).tokens.flatten(1), dim=1)
    cosines = (vectors @ vectors.T).tolist()
    columns = [text["prompt"], *(str(number) for number in range(1, len(COMPARED) + 1))]
    rows = [
        [f"{number}. {prompt}", *(f"{cosine:.2f}" for cosine in line)]
        for number, (prompt, line) in enumerate(zip(COMPARED, cosines, strict=True), 1)
    ]
    mixed = studio.mixed(ENDS, [[1 - weight, weight] for weight in WEIGHTS])
    made = studio.pictures(studio.sample(mixed, studio.noise(3).repeat(len(WEIGHTS), 1, 1, 1)).latents)
    maps, expected = _followed(studio)
    stops = []
    for number, (picture, shares) in enumerate(zip(expected, maps, strict=True), 1):
        lit = [(word, _lit(picture, shares[word])) for word in FOLLOWED]
        stops.append((text["step"].format(step=number, steps=STEPS), [(text["estimate"], picture), *lit]))
    lines = {
        word: [(float(number), float(shares[word].mean())) for number, shares in enumerate(maps, 1)]
        for word in FOLLOWED
    }
    return [
        Numbers(text["far"], text["far_about"], columns, rows),
        Strip(text["mix"], text["mix_about"], captioned([f"{weight:.0%}" for weight in WEIGHTS], made)),
        Slider(text["maps"], text["maps_about"], stops),
        Curves(text["share"], text["share_about"], lines),
    ]


def _followed(studio: Studio) -> tuple[list[dict[str, Tensor]], list[Picture]]:
    """Returns the attention [8, 8] to each word at each step, the mean over layers and heads, and the estimates."""
    layers: list[Tensor] = []
    with studio.attention(lambda shares: layers.append(shares[0].mean(0))):
        walk = studio.sample([COMPARED[0]], studio.noise(3), cfg=CFG)
    per_step = len(layers) // STEPS
    means = [torch.stack(layers[at : at + per_step]).mean(0) for at in range(0, len(layers), per_step)]
    places = {word: place for place, word in studio.tokens(COMPARED[0])}
    maps = [{word: mean[:, places[word]].view(8, 8) for word in FOLLOWED} for mean in means]
    return maps, studio.pictures(torch.cat(walk.estimates))


def _lit(picture: Picture, shares: Tensor) -> Picture:
    """Returns a picture that is bright where the attention is high, relative to its largest value."""
    size = (picture.shape[1], picture.shape[0])
    large = Image.fromarray((shares / shares.max()).numpy()).resize(size, Image.Resampling.BICUBIC)
    light = np.clip(np.asarray(large), 0, 1)[..., None]
    return np.round(picture * (0.15 + 0.85 * light)).astype(np.uint8)
