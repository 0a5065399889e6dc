"""Prompt syntax that not every engine supports: emphasis, LoRA tags, prompts that change over the steps."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from remix.syntax.text.over_steps import over_steps

EMPHASIS = re.compile(r"(?<!\\)\((?:\\.|[^()\\])*\)")
"""Syntax that both hosts read as more weight: ``(word)`` and ``(word:1.2)``, but not ``\\(word\\)``."""

LORA_TAG = re.compile(r"<(?:lora|lyco|hypernet):[^<>]*>")


def _emphasis(prompt: str, who: str) -> str | None:
    if found := EMPHASIS.search(prompt):
        return (
            f"prompt: {who} does not read the emphasis {found[0]!r}, and each host reads it differently; write the "
            r"prompt without weights, and \( and \) for brackets"
        )
    return None


def _lora_tag(prompt: str, who: str) -> str | None:
    if found := LORA_TAG.search(prompt):
        return f"prompt: only A1111 reads {found[0]!r}; name the LoRA under model.loras"
    return None


def _over_steps(prompt: str, who: str) -> str | None:
    if turns := over_steps(prompt):
        return (
            f"prompt: {turns[0].kind} {turns[0].text!r} changes over the steps of one picture, which {who} does not "
            "read; give each prompt its own keyframe"
        )
    return None


SYNTAXES: Mapping[str, Callable[[str, str], str | None]] = {
    "emphasis": _emphasis,
    "LoRA tags": _lora_tag,
    "prompt editing": _over_steps,
}
"""Syntax -> a function of a prompt and an engine's name that returns why the prompt cannot be rendered, or None."""


def unescaped(prompt: str) -> str:
    r"""Returns a prompt with plain brackets in place of escaped ones, as both hosts read it.

    >>> unescaped(r"mio \(k-on\)")
    'mio (k-on)'
    """
    return prompt.replace("\\(", "(").replace("\\)", ")")
