"""What prompts hold that not every engine reads: emphasis, LoRA tags, prompts that change over the steps."""

from __future__ import annotations

import re
from collections.abc import Sequence

from remix.errors import Unsupported
from remix.syntax.text.over_steps import over_steps

EMPHASIS = re.compile(r"(?<!\\)\((?:\\.|[^()\\])*\)")
"""What both hosts read as more weight: ``(word)`` and ``(word:1.2)``, but not ``\\(word\\)``."""

LORA_TAG = re.compile(r"<(?:lora|lyco|hypernet):[^<>]*>")


def emphasis_in(prompts: Sequence[str]) -> str | None:
    """Returns the first emphasis such as ``(word)`` or ``(word:1.2)`` in `prompts`; None where there is none."""
    return next((found[0] for prompt in prompts if (found := EMPHASIS.search(prompt))), None)


def refuse_lora_tags(prompts: Sequence[str]) -> None:
    """Raises `Unsupported` for what A1111 alone reads out of a prompt."""
    for prompt in prompts:
        if found := LORA_TAG.search(prompt):
            raise Unsupported(f"prompt: {found[0]!r} is read by A1111 alone; name it under model.loras")


def refuse_over_steps(prompts: Sequence[str], engine: str) -> None:
    """Raises `Unsupported` for prompts that change over the steps of one picture, which `engine` does not read."""
    for prompt in prompts:
        if turns := over_steps(prompt):
            raise Unsupported(
                f"prompt: {turns[0].kind} {turns[0].text!r} changes over the steps of one picture, which the {engine} "
                "engine does not read; give each prompt a keyframe of its own"
            )


def unescaped(prompt: str) -> str:
    r"""Returns a prompt with plain brackets for those that have a backslash, as both hosts read it.

    >>> unescaped(r"mio \(k-on\)")
    'mio (k-on)'
    """
    return prompt.replace("\\(", "(").replace("\\)", ")")
