"""What guidance does: cfg from 0 to 12."""

from __future__ import annotations

from remix.client.lab.studio import Studio, captioned
from remix.client.lab.texts import Texts
from remix.motion import Picture
from remix.show.experiment import Curves, Part, Strip

TEXT = {
    "title": "What guidance does",
    "introduction": "At each step the model makes two guesses: one with your prompt, and one with the "
    "negative prompt, which is often empty. Guidance goes from the second guess to the first one, and "
    "beyond. How far, is the number cfg.",
    "first": "A house, cfg 0 to 12",
    "first_about": "One seed. At 0 the prompt is ignored, at 1 the model's own guess is used, above that it "
    "is exaggerated. The bundled model is made for about 3.",
    "second": "A moon, cfg 0 to 12",
    "second_about": "The same with another prompt.",
    "parts": "The two guesses, and their difference",
    "parts_about": "The first step: the guess with the prompt, the guess without it, and the mix with cfg 3 and cfg 8.",
    "with": "with the prompt (cfg 1)",
    "without": "without it (cfg 0)",
    "negative": "The negative prompt",
    "negative_about": "Guidance moves away from the negative prompt. Here the prompt leaves the color open, "
    "and each picture has another negative prompt.",
    "none": "none",
    "color": "Color and cfg",
    "color_about": "How colorful the pictures are: the mean difference between the largest and the smallest "
    "of red, green and blue. Strong guidance makes colors glare.",
    "house": "house",
    "moon": "moon",
    "q1": "What do you see at cfg 0, and why does it not fit the prompt?",
    "a1": "At cfg 0 only the guess without the prompt counts. The model draws anything that it learned.",
    "q2": "Why do pictures become glaring at a high cfg?",
    "a2": "The difference between the two guesses is multiplied. Soon the result lies outside of what the "
    "model saw in its training, for example with colors brighter than any color.",
    "q3": "Guidance needs two guesses in each step. What does it cost, and when would you use cfg 1?",
    "a3": "It doubles the time. Some models are distilled, which means trained to need no guidance. They run "
    "with cfg 1 and ignore the negative prompt.",
}

PROMPTS = ("a red house on a green hill", "a yellow moon at night")
SCALES = (0, 1, 2, 3, 4, 6, 8, 12)
OPEN, NEGATIVES = "a big flower on a white background", ("", "red", "blue", "yellow", "purple", "green")


def colorfulness(picture: Picture) -> float:
    """Returns the mean difference between the largest and the smallest channel, 0 to 1."""
    return float((picture.max(2).astype(float) - picture.min(2)).mean() / 255)


def run(studio: Studio, text: Texts) -> list[Part]:
    """Returns pictures with other guidance and with other negative prompts."""
    count = len(SCALES)
    noise = studio.noise(3).repeat(2 * count, 1, 1, 1)
    prompts = [prompt for prompt in PROMPTS for _ in SCALES]
    walk = studio.sample(prompts, noise, cfg=[*SCALES, *SCALES])
    made = studio.pictures(walk.latents)
    house, moon = made[:count], made[count:]
    guesses = studio.pictures(walk.estimates[0][[1, 0, 3, 6]])
    negative = [studio.sample([OPEN], studio.noise(5), negative=word, cfg=4.0).latents for word in NEGATIVES]
    colors = [studio.pictures(each)[0] for each in negative]
    lines = {
        text[name]: [(float(cfg), colorfulness(picture)) for cfg, picture in zip(SCALES, row, strict=True)]
        for name, row in (("house", house), ("moon", moon))
    }
    return [
        Strip(text["first"], text["first_about"], captioned([f"cfg {cfg}" for cfg in SCALES], house)),
        Strip(text["second"], text["second_about"], captioned([f"cfg {cfg}" for cfg in SCALES], moon)),
        Curves(text["color"], text["color_about"], lines),
        Strip(
            text["parts"],
            text["parts_about"],
            captioned([text["with"], text["without"], "cfg 3", "cfg 8"], guesses),
        ),
        Strip(
            text["negative"],
            text["negative_about"],
            captioned([word or text["none"] for word in NEGATIVES], colors),
        ),
    ]
