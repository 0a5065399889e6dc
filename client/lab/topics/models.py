"""GAN, VAE and diffusion: three ways to make pictures of the same world."""

from __future__ import annotations

import random

import torch
from torch import Tensor

from remix.client.lab.studio import Studio, captioned, distance
from remix.client.lab.texts import Texts
from remix.client.local.pictures import to_picture
from remix.client.playground.drawing import draw
from remix.client.playground.generators import NUMBERS, trained
from remix.client.playground.world import arrange
from remix.mix.interpolate import slerp
from remix.mix.noise import noise_of_seed
from remix.motion import Picture
from remix.show.experiment import Curves, Part, Strip

TEXT = {
    "title": "GAN, VAE and diffusion",
    "introduction": "Three models learned from drawings of the same small world. All of them turn random "
    "numbers into the same kind of latent, and one decoder makes pictures of it. So what you see is the "
    "difference between the three ways. The diffusion model saw the whole world. The other two are tiny, "
    "and saw only single things in the middle of a plain background. None of them gets a prompt here.",
    "how": "GAN: a forger learns from a critic, who learns to tell forgeries from drawings. VAE: an encoder "
    "squeezes a drawing into 32 numbers, a decoder restores it. Both paint in one go. Diffusion: removes "
    "noise in many steps.",
    "examples": "Six pictures of each: {model}",
    "walk": "The same walk: {model}",
    "walk_about": "From one seed to another by slerp, in nine frames. Which way is smooth, which one jumps, "
    "which one fades?",
    "moves": "How far each frame moves",
    "moves_about": "The difference from one frame to the next. A flat line is an even walk, and a peak is a jump.",
    "trip": "Drawings: only the VAE has a way back",
    "trip_about": "Drawings like those from which the VAE learned.",
    "restored": "What the VAE keeps of them",
    "restored_about": "Each drawing, squeezed into 32 numbers and restored. A GAN has no encoder at all. A "
    "diffusion model goes back by adding noise.",
    "middle": "Walking from drawing to drawing in the VAE",
    "middle_about": "The 32 numbers of the first drawing turn into those of the second one.",
    "gan": "GAN",
    "vae": "VAE",
    "diffusion": "diffusion",
    "q1": "Which model makes the sharpest pictures, which the most blurred ones, and why?",
    "a1": "The VAE is blurred: where it is unsure it paints the average of all answers, as that is the "
    "smallest error. The critic of the GAN would notice a blur. Diffusion decides in small steps and is "
    "sharp as well.",
    "q2": "A GAN is often said to forget part of the world (mode collapse). What do you miss among its pictures?",
    "a2": "Count the things and the colors. The forger need not paint everything, only what the critic believes.",
    "q3": "The GAN needs one pass, diffusion twelve steps. Why is diffusion used nevertheless?",
    "a3": "It is easier to train, covers the whole world, follows prompts, and every step can be steered: "
    "guidance, masks, init pictures, mixes.",
}

SEEDS = (12, 9, 11, 7, 14, 21)
TIMES = tuple(k / 8 for k in range(9))
DRAWN = (("heart", "red", "white"), ("house", "blue", "orange"), ("moon", "yellow", "black"), ("star", "green", "pink"))


def run(studio: Studio, text: Texts) -> list[Part]:
    """Returns examples and a walk of all three models, and the way back that the VAE has."""
    networks = trained()
    vectors = torch.cat([noise_of_seed(seed, (NUMBERS,)) for seed in SEEDS])
    way = torch.cat([slerp(vectors[:1], vectors[1:2], t) for t in TIMES])
    numbers = torch.cat([vectors, way])
    noise = studio.noise(*SEEDS)
    noisy = torch.cat([noise, *(slerp(noise[:1], noise[1:2], t) for t in TIMES)])
    with torch.inference_mode():
        made: dict[str, Tensor] = {"gan": networks.gan(numbers), "vae": networks.vae(numbers)}
    made["diffusion"] = studio.sample([""] * len(noisy), noisy, cfg=1.0).latents
    pictures = {name: studio.pictures(latents) for name, latents in made.items()}
    parts: list[Part] = []
    for name, row in pictures.items():
        heading = text["examples"].format(model=text[name])
        parts.append(Strip(heading, text["how"], captioned(SEEDS, row[: len(SEEDS)])))
    names = [f"{t:.0%}" for t in TIMES]
    walks = {name: row[len(SEEDS) :] for name, row in pictures.items()}
    for name, row in walks.items():
        parts.append(Strip(text["walk"].format(model=text[name]), text["walk_about"], captioned(names, row)))
    moves = {text[name]: _moves(row) for name, row in walks.items()}
    return [*parts, Curves(text["moves"], text["moves_about"], moves), *_way_back(studio, text)]


def _moves(film: list[Picture]) -> list[tuple[float, float]]:
    return [(t, distance(a, b)) for t, a, b in zip(TIMES[1:], film, film[1:], strict=False)]


def _way_back(studio: Studio, text: Texts) -> list[Part]:
    networks = trained()
    scenes = [arrange(*scene, rng=random.Random(number)) for number, scene in enumerate(DRAWN)]
    drawn = [to_picture(picture) for picture in draw(scenes)]
    numbers = networks.encoded(studio.latents(drawn))
    way = torch.cat([torch.lerp(numbers[:1], numbers[1:2], t) for t in TIMES[::2]])
    with torch.inference_mode():
        restored, walked = studio.pictures(networks.vae(numbers)), studio.pictures(networks.vae(way))
    things = [thing for thing, _, _ in DRAWN]
    return [
        Strip(text["trip"], text["trip_about"], captioned(things, drawn)),
        Strip(text["restored"], text["restored_about"], captioned(things, restored)),
        Strip(text["middle"], text["middle_about"], captioned([f"{t:.0%}" for t in TIMES[::2]], walked)),
    ]
