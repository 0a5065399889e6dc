"""What the seed is: the number of a block of noise."""

from __future__ import annotations

import torch

from remix.client.lab.studio import Studio, captioned, distance
from remix.client.lab.texts import Texts
from remix.show.experiment import Curves, Numbers, Part, Strip

TEXT = {
    "title": "What the seed is",
    "introduction": "The seed is the number of a block of random noise. The same seed always gives the same "
    "noise, so the same seed and settings always give the same picture. It has no other meaning.",
    "noise": "The noise of six seeds",
    "noise_about": "Each block of noise, shown as a picture. None looks like a house.",
    "pictures": "Their pictures",
    "pictures_about": "One prompt, and the six blocks of noise from above. The noise decides what the prompt "
    "leaves open: where things are, how large they are, and in which shade.",
    "prompts": "One seed, six prompts",
    "prompts_about": "The same noise with other prompts. Look at places and sizes: do things stay where they were?",
    "near": "Are neighboring seeds alike?",
    "near_about": "The correlation between the noise of seed 1 and that of the seeds 1 to 12. It is 1 for "
    "the same noise and about 0 for noise that has nothing in common. Seed 2 is no nearer to seed 1 than "
    "seed 12.",
    "between": "Between two seeds",
    "between_about": "Seeds are whole numbers, but their noise can be mixed. This is the way from seed 1 to "
    "seed 2, as in a film of this toolkit.",
    "same": "The same seed twice",
    "same_about": "The mean difference between two pictures, from 0 (equal) to 1.",
    "what": "pictures",
    "difference": "difference",
    "twice": "seed 1, rendered twice",
    "others": "seed 1 and seed 2",
    "q1": "Your friend has a picture that you like. Which numbers and texts do you need to make it again?",
    "a1": "The model, the prompt, the negative prompt, the seed, the size, the sampler, the scheduler, the "
    "steps and cfg. One that differs can change the picture.",
    "q2": "You like the picture of seed 1, but the house should be more to the left. Does seed 2 help?",
    "a2": "Not on purpose: another seed is another throw of the dice. Write it into the prompt, mix a little "
    "of another seed into the noise, or start from a picture.",
    "q3": "Why do the pictures of one seed and several prompts have something in common?",
    "a3": "Their noise is brighter in some places and darker in others. The model turns the same spots into "
    "whatever the prompt asks for.",
}

PROMPT = "a red house on a green hill"
PROMPTS = (
    "a red house on a green hill",
    "a blue house on a green hill",
    "a red boat on the sea",
    "a yellow moon at night",
    "a white flower on a purple background",
    "a green tree in the snow",
)
SEEDS = (1, 2, 3, 4, 5, 6)
MIXES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def run(studio: Studio, text: Texts) -> list[Part]:
    """Returns the noise of seeds, and the pictures that it becomes."""
    noise = studio.noise(*SEEDS)
    one, two = noise[:1], noise[1:2]
    way = torch.cat([(one * (1 - t) + two * t) / ((1 - t) ** 2 + t**2) ** 0.5 for t in MIXES])
    batch = torch.cat([noise, one.repeat(len(PROMPTS), 1, 1, 1), way])
    prompts = [*([PROMPT] * len(SEEDS)), *PROMPTS, *([PROMPT] * len(MIXES))]
    made = studio.pictures(studio.sample(prompts, batch).latents)
    own, others, between = made[:6], made[6:12], made[12:]
    far = studio.noise(*range(1, 13)).flatten(1)
    near = [(float(seed), float(torch.corrcoef(far[[0, seed - 1]])[0, 1])) for seed in range(1, 13)]
    rows = [(text["twice"], f"{distance(own[0], others[0]):.3f}"), (text["others"], f"{distance(own[0], own[1]):.3f}")]
    return [
        Strip(text["noise"], text["noise_about"], captioned(SEEDS, studio.pictures(noise))),
        Strip(text["pictures"], text["pictures_about"], captioned(SEEDS, own)),
        Numbers(text["same"], text["same_about"], [text["what"], text["difference"]], rows),
        Curves(text["near"], text["near_about"], {"": near}),
        Strip(text["prompts"], text["prompts_about"], captioned(PROMPTS, others)),
        Strip(text["between"], text["between_about"], captioned([f"{t:.0%}" for t in MIXES], between)),
    ]
