"""Prompt syntax that not every engine supports: prompt editing, and emphasis by another tool's rule."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from remix.plan import Schedule
from remix.prompt import Reading
from remix.syntax.text.over_steps import over_steps

BRACKETS = re.compile(r"[][]")


def _over_steps(prompt: str, who: str) -> str | None:
    if turns := over_steps(prompt):
        return (
            f"prompt: {turns[0].kind} {turns[0].text!r} changes over the steps of one picture, which {who} does not "
            "read; give each prompt its own keyframe"
        )
    return None


SYNTAXES: Mapping[str, Callable[[str, str], str | None]] = {
    "prompt editing": _over_steps,
}
"""Syntax -> a function of a prompt and an engine's name that returns why the prompt cannot be rendered, or None."""


def reading_for(schedule: Schedule, known: Iterable[Reading]) -> Reading | None:
    """Returns the first of the `known` readings that reads all prompts as the recipe does, None if none does."""
    wanted = schedule.recipe.reading
    # The brackets of prompt editing are gone by the time that a host reads emphasis.
    texts = [BRACKETS.sub(" ", text) if over_steps(text) else text for text in schedule.texts]
    return next((one for one in known if not any(wanted.differs(one, text) for text in texts)), None)
