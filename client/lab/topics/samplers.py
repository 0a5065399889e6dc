"""Steps and samplers: paths through latent space."""

from __future__ import annotations

from remix.client.lab.studio import Studio, captioned, plane
from remix.client.lab.texts import Texts
from remix.show.experiment import Curves, Part, Strip

TEXT = {
    "title": "Steps and samplers",
    "introduction": "The model only guesses the clean picture. The sampler decides how far to go towards "
    "each guess. All samplers here start at the same noise and ask the same model.",
    "steps": "1 to 32 steps with {sampler}",
    "steps_about": "One prompt and one seed. From which number on do you see no difference?",
    "error": "How far from the end",
    "error_about": "The distance to a picture of 64 steps, for more and more steps. A sampler is good if its "
    "line falls fast. One that adds fresh noise ends somewhere else, so its line does not fall to 0.",
    "paths": "The paths in a plane",
    "paths_about": "A latent has 1024 numbers. This is the plane in which the guesses of the model spread "
    "most. Each dot is a guess; a path ends at its picture.",
    "ends": "Where they end",
    "ends_about": "The pictures at the ends of the paths, 12 steps each.",
    "q1": "Which sampler needs the fewest steps here?",
    "a1": "The one whose line falls first. dpmpp_2m uses the guess before to go along a curve; euler goes straight.",
    "q2": "heun asks the model twice in each step. Is it better than euler with twice as many steps?",
    "a2": "Compare heun at 8 steps with euler at 16: both cost the same time.",
    "q3": "Why does euler_ancestral end at another picture?",
    "a3": "It adds fresh noise at each step. More steps mean other noise, so the picture keeps changing and "
    "never settles.",
}

PROMPT, SEED = "a red house on a green hill", 3
COUNTS = (1, 2, 4, 8, 16, 32)
COMPARED = ("euler", "heun", "dpmpp_2m", "euler_ancestral")
SHOWN = ("euler", "dpmpp_2m", "euler_ancestral")


def run(studio: Studio, text: Texts) -> list[Part]:
    """Returns pictures of few and of many steps, their distance to the end, and the paths of the samplers."""
    noise, prompts = studio.noise(SEED), [PROMPT]
    end = studio.sample(prompts, noise, steps=64).latents
    made = {
        (name, count): studio.sample(prompts, noise, steps=count, sampler=name)
        for name in COMPARED
        for count in (*COUNTS, 12)
    }
    parts: list[Part] = []
    for name in SHOWN:
        pictures = [studio.pictures(made[name, count].latents)[0] for count in COUNTS]
        heading = text["steps"].format(sampler=name)
        parts.append(Strip(heading, text["steps_about"], captioned(COUNTS, pictures)))
    errors = {
        name: [(float(count), float((made[name, count].latents - end).square().mean().sqrt())) for count in COUNTS[:5]]
        for name in COMPARED
    }
    paths = plane({name: [*made[name, 12].estimates, made[name, 12].latents] for name in COMPARED})
    ends = [studio.pictures(made[name, 12].latents)[0] for name in COMPARED]
    return [
        *parts,
        Curves(text["error"], text["error_about"], errors),
        Curves(text["paths"], text["paths_about"], paths, square=True),
        Strip(text["ends"], text["ends_about"], captioned(COMPARED, ends)),
    ]
