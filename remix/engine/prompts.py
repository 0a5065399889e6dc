"""Prompt syntax that not every engine supports: changes over the steps, and emphasis by another tool's rule."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from remix.plan import Schedule
from remix.prompt import Reading
from remix.syntax.text.over_steps import LORA_SCHEDULE, constructs, over_steps

BRACKETS = re.compile(r"[][]")


def _lora_schedule(prompt: str, who: str) -> str | None:
    parts = constructs(prompt) if "@" in prompt else []
    if found := next((part for part in parts if part.kind == LORA_SCHEDULE), None):
        return (
            f"prompt: {found.text!r} changes the LoRA over the steps of one picture, which {who} does not read; give "
            "one strength, or set loras in the keyframes for a strength that travels over the frames"
        )
    return None


def _over_steps(prompt: str, who: str) -> str | None:
    if turns := over_steps(prompt):
        return (
            f"prompt: {turns[0].kind} {turns[0].text!r} changes over the steps of one picture, which {who} does not "
            "read; give each prompt its own keyframe"
        )
    return None


SYNTAXES: Mapping[str, Callable[[str, str], str | None]] = {
    "LoRA schedules": _lora_schedule,
    "prompt editing": _over_steps,
}
"""Syntax -> a function of a prompt and an engine's name that returns why the prompt cannot be rendered, or None."""


def reading_for(schedule: Schedule, known: Iterable[Reading]) -> Reading | None:
    """Returns the first of the `known` readings that reads all prompts as the recipe does, None if none does."""
    wanted = schedule.recipe.reading
    # The brackets of prompt editing are gone by the time that a host reads emphasis.
    texts = [BRACKETS.sub(" ", text) if over_steps(text) else text for text in schedule.texts]
    return next((one for one in known if not any(wanted.differs(one, text) for text in texts)), None)
