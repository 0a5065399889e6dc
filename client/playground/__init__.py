"""The playground: a tiny real text-to-image model, trained from nothing on drawn pictures.

    WEIGHTS                 the model's folder, a stock diffusers `StableDiffusionPipeline`
    SIDE, MOST_CFG          the size and the guidance that it paints well at
    words, unknown_words    what its prompts may say
    EXAMPLES                prompts of each form

`python -m remix.client.playground.check` measures it, `python -m remix.client.playground.train`
makes it; README.md next to this file is its model card. Importing this package loads no torch.
"""

from __future__ import annotations

from remix.client.playground.advice import MOST_CFG, SIDE
from remix.client.playground.words import EXAMPLES, unknown_words, words
from remix.playground import WEIGHTS

__all__ = ["EXAMPLES", "MOST_CFG", "SIDE", "WEIGHTS", "unknown_words", "words"]
