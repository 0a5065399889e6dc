"""What the host's scripts make of prompts: one that fills in wildcards is given the film's prompts one at a time.

Such scripts change `p.all_prompts` before anything is rendered, some picture by picture, others all of them from the
first alone. Pictures of a film are mixes of prompts; so each prompt is filled in by itself, with a seed of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from remix.errors import Unsupported

TEXTS = ("all_prompts", "all_negative_prompts", "all_hr_prompts", "all_hr_negative_prompts")
"""The lists of a processing object by whose change a script is known."""

TAKEN_BACK = (
    *TEXTS,
    *("prompt", "negative_prompt", "hr_prompt", "hr_negative_prompt", "main_prompt", "main_negative_prompt"),
    *("seed", "subseed", "all_seeds", "all_subseeds", "batch_size", "n_iter"),
)
"""What such a script may have changed beside them."""

Fill = Callable[[Any], None]
"""Lets one script process a processing object."""


def watched(runner: Any, begin: Callable[[Any], None], refill: Callable[[Any, Fill], None]) -> Any:
    """Returns a copy of the host's runner of scripts whose scripts process as ever, but for those that change prompts.

    `begin(p)` is called before them. What one of these did is taken back, and `refill(p, fill)` is called in its
    place, `fill` being that script's own way of processing. The host's runner stays as it is.
    """
    told = copy.copy(runner)

    def process(p: Any) -> None:
        begin(p)
        for fill in _each(runner):
            before = {name: _kept(getattr(p, name)) for name in TAKEN_BACK if hasattr(p, name)}
            fill(p)
            if any(getattr(p, name) != before[name] for name in TEXTS if name in before):
                for name, value in before.items():
                    setattr(p, name, value)
                refill(p, fill)

    told.process = process
    return told


def _each(runner: Any) -> Iterator[Fill]:
    """The scripts' ways of processing, in the host's order, with the host's care for what fails in them."""
    ordered = getattr(runner, "ordered_scripts", lambda name: runner.alwayson_scripts)
    for script in ordered("process"):
        alone = copy.copy(runner)
        alone.alwayson_scripts, alone.callback_map = [script], {}
        yield alone.process


def _kept(value: Any) -> Any:
    return list(value) if isinstance(value, list) else value


def filled(p: Any, fill: Fill, texts: Mapping[str, str], seed: int) -> dict[str, str]:
    """Returns what a script makes of one prompt, its negative prompt and those for hires fix, by their names in TEXTS.

    Unsupported where it makes several prompts of one.
    """
    alone = copy.copy(p)
    for name, text in texts.items():
        setattr(alone, name, [text])
        setattr(alone, name.removeprefix("all_").removesuffix("s"), text)
    alone.batch_size = alone.n_iter = 1
    alone.seed = alone.subseed = seed
    alone.all_seeds, alone.all_subseeds = [seed], [seed]
    fill(alone)
    made = {name: getattr(alone, name) for name in texts}
    for name, found in made.items():
        if len(found) != 1:
            raise Unsupported(
                f"prompt: an extension made {len(found)} prompts of {texts[name]!r}; turn it off for this run, or "
                "write the prompts out"
            )
    return {name: str(found[0]) for name, found in made.items()}


def every(shown: Sequence[str], sources: Sequence[str]) -> list[str]:
    """Returns what each picture shows, and after that the prompts that none does: scripts see all that there are."""
    return [*shown, *(text for text in dict.fromkeys(sources) if text not in shown)]
