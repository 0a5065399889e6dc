"""The passes of the model for a frame: which prompts each of them sees, and with which weight it counts.

A frame needs one pass for its prompt and one for its negative prompt. AND in a prompt, and `mix = "output"`, need more:
the predictions of these passes are summed. With the prediction u for the negative prompt and c_i for each pass of
weight w_i, guidance by g is u + sum of g w_i (c_i - u). `mix = "output"` sums the passes of negative prompts likewise.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

from remix.catalog.samplers import SAMPLERS
from remix.plan import Frame, Mix, Recipe, Schedule
from remix.plan.recipe import MIXINGS
from remix.prompt import Reading
from remix.prompt.composition import parts_of
from remix.prompt.editing import text_at, turns

OUTPUT = "output"
"""The value of `mix` by which predictions are mixed instead of conditionings."""

OF_CONDITIONINGS = tuple(how for how in MIXINGS if how != OUTPUT)
"""The other values of `mix`."""


@dataclass(frozen=True)
class Pass:
    """The prompts that a pass sees, mixed into one conditioning, and the weight of its prediction."""

    prompt: Mix[str]
    weight: float = 1.0


@dataclass(frozen=True)
class Passes:
    """The passes of a frame. `calls` is the number of calls of the model for one picture."""

    positive: tuple[Pass, ...]
    negative: tuple[Pass, ...]
    calls: int

    @classmethod
    def of(cls, frame: Frame, recipe: Recipe) -> Passes:
        """Returns the passes of a frame."""
        positive = _positive(frame.prompt, recipe.mix, recipe.reading)
        return cls(positive, _negative(frame.negative, recipe.mix), calls_of(recipe))

    @property
    def rest(self) -> float:
        """Returns the weight of the negative prompt in the sum of the positive passes, 0 if these sum to 1."""
        total = math.fsum(each.weight for each in self.positive)
        return 0.0 if math.isclose(total, 1.0, rel_tol=1e-6) else 1.0 - total

    @property
    def is_plain(self) -> bool:
        """Returns whether there is one pass of weight 1 for the prompt, and one for the negative prompt."""
        return len(self.positive) == len(self.negative) == 1 and not self.rest

    def lasts(self) -> tuple[int, ...]:
        """Returns the last calls of the intervals within which all prompts have one text."""
        prompts = {prompt for each in chain(self.positive, self.negative) for prompt in each.prompt.values}
        return tuple(sorted({turn.last for prompt in prompts for turn in turns(prompt, self.calls)}))

    def at(self, call: int) -> tuple[tuple[Mix[str], ...], tuple[Mix[str], ...]]:
        """Returns the texts of the positive and of the negative passes at a call of the model, counted from 0."""
        positive, negative = (
            tuple(mix_at(each.prompt, call, self.calls) for each in passes) for passes in (self.positive, self.negative)
        )
        return positive, negative


def calls_of(recipe: Recipe) -> int:
    """Returns the number of calls of the model for one picture, by which prompt editing is counted."""
    return SAMPLERS[recipe.sampler].calls * recipe.steps


def mix_at(mix: Mix[str], call: int, calls: int) -> Mix[str]:
    """Returns a mix with the texts that its prompts have at a call. Texts that become equal are merged."""
    texts = {prompt: text_at(prompt, call, calls) for prompt in mix.values}
    if all(prompt == text for prompt, text in texts.items()):
        return mix
    return Mix(tuple((texts[prompt], weight) for prompt, weight in mix.items))


def texts_of(schedule: Schedule) -> tuple[str, ...]:
    """Returns the distinct texts that a film needs encoded: the parts of all prompts, at all steps."""
    negatives = set(schedule.negatives)
    prompts = (*schedule.prompts, *(text for text in schedule.texts if text not in negatives))
    recipe = schedule.recipe
    return tuple(dict.fromkeys((*prompt_texts(prompts, recipe), *negative_texts(schedule.negatives, recipe))))


def prompt_texts(prompts: Iterable[str], recipe: Recipe) -> tuple[str, ...]:
    """Returns the distinct texts of the parts of prompts, at all steps."""
    return negative_texts((part.text for prompt in prompts for part in parts_of(prompt, recipe.reading)), recipe)


def negative_texts(prompts: Iterable[str], recipe: Recipe) -> tuple[str, ...]:
    """Returns the distinct texts of negative prompts, in which AND is a word, at all steps."""
    calls = calls_of(recipe)
    return tuple(dict.fromkeys(turn.text for prompt in prompts for turn in turns(prompt, calls)))


def _positive(mix: Mix[str], how: str, reading: Reading) -> tuple[Pass, ...]:
    """Returns the passes of a mix of prompts.

    Prompts with the same number of parts are mixed part by part, including their weights. The parts of others, and with
    `mix = "output"` those of all, are passes of their own.
    """
    parted = [(parts_of(prompt, reading), share) for prompt, share in mix.items]
    if how != OUTPUT and len({len(parts) for parts, _ in parted}) == 1:
        return tuple(
            Pass(
                Mix(tuple((parts[number].text, share) for parts, share in parted)),
                math.fsum(parts[number].weight * share for parts, share in parted),
            )
            for number in range(len(parted[0][0]))
        )
    weights: dict[str, float] = {}
    for parts, share in parted:
        for part in parts:
            weights[part.text] = weights.get(part.text, 0.0) + part.weight * share
    return tuple(Pass(Mix.one(text), weight) for text, weight in weights.items())


def _negative(mix: Mix[str], how: str) -> tuple[Pass, ...]:
    if how != OUTPUT:
        return (Pass(mix),)
    return tuple(Pass(Mix.one(prompt), share) for prompt, share in mix.items)
