"""From picture to noise and back: what the model learned to undo."""

from __future__ import annotations

import torch

from remix.client.lab.studio import Studio, captioned, distance
from remix.client.lab.texts import Texts
from remix.show.experiment import Curves, Part, Slider, Strip

TEXT = {
    "title": "From picture to noise, and back",
    "introduction": "A diffusion model learned one thing: to guess the clean picture in a noisy one. It was "
    "trained on pictures with added noise. To make a new picture, it starts from noise alone and removes it "
    "step by step.",
    "forward": "Forward: adding noise",
    "forward_about": "More and more noise is added to a picture. The number is the noise level: how strong "
    "the noise is, compared with the picture. At the end nothing of the picture is left.",
    "back": "Back: removing noise",
    "back_about": "The way from pure noise to a picture, in 12 steps. Compare what the model sees with what "
    "it expects.",
    "sees": "what the model sees",
    "expects": "the clean picture that it expects",
    "step": "step {step}, noise level {level}",
    "again": "Noise on a picture, and removed again",
    "again_about": "The same picture gets noise of a level, and the model removes it, without a prompt. With "
    "little noise the picture comes back. With much noise the model has to invent what is missing, and it "
    "invents something else.",
    "curve": "How near the estimate is to the final picture",
    "curve_about": "The difference between the expected picture and the final one, at each step. What is in "
    "the picture is decided early, and details come late.",
    "q1": "Look at step 1. Where does the picture that the model expects come from, if it sees only noise?",
    "a1": "From the prompt and from what it learned: it expects the average of all pictures that fit the "
    "prompt. That is why it looks blurred.",
    "q2": "Why does the model not simply use its first guess?",
    "a2": "The first guess is an average. After a small step the noise is a bit weaker, and the next guess "
    "can be more exact. Many small steps end at one picture and not at an average.",
    "q3": "In the third row, at which noise level does the picture become another one? What could you use this for?",
    "a3": "Where the noise hides the outline. Image to image works like this: denoise sets the noise level, "
    "so it sets how much of your picture is kept.",
}

PROMPT = "a red house on a green hill"
LEVELS = (0.0, 0.3, 0.7, 1.5, 3.0, 8.0, 157.0)
AGAIN = (0.3, 0.5, 0.7, 0.8, 0.9, 1.0)


def run(studio: Studio, text: Texts) -> list[Part]:
    """Returns the way to noise, the way back, and what is left after both."""
    noise = studio.noise(3)
    walk = studio.sample([PROMPT], noise)
    clean = walk.latents
    noisy = torch.cat([(clean + level * noise) / (1 + level**2) ** 0.5 for level in LEVELS])
    seen, expected = studio.pictures(torch.cat(walk.seen)), studio.pictures(torch.cat(walk.estimates))
    [final] = studio.pictures(clean)
    stops = [
        (
            text["step"].format(step=number, level=f"{level:.3g}"),
            [(text["sees"], before), (text["expects"], after)],
        )
        for number, (level, before, after) in enumerate(zip(walk.levels, seen, expected, strict=True), 1)
    ]
    other = studio.noise(11)
    returned = [
        studio.sample([""], other, cfg=1.0, start=clean, denoise=share, steps=max(3, round(12 * share)))
        for share in AGAIN
    ]
    came_back = studio.pictures(torch.cat([each.latents for each in returned]))
    names = [f"{each.levels[0]:.3g}" for each in returned]
    curve = [(float(number), distance(picture, final)) for number, picture in enumerate(expected, 1)]
    return [
        Strip(
            text["forward"],
            text["forward_about"],
            captioned([f"{level:g}" for level in LEVELS], studio.pictures(noisy)),
        ),
        Slider(text["back"], text["back_about"], stops),
        Curves(text["curve"], text["curve_about"], {"": curve}),
        Strip(text["again"], text["again_about"], captioned(["0", *names], [final, *came_back])),
    ]
