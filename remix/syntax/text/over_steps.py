"""Prompt syntax of A1111 and prompt-control: changes over the denoising steps of a picture, AND, LoRA tags."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

_MARK = re.compile(r"\\.|[\[\]:|()]", re.DOTALL)
_NUMBER = re.compile(r"\s*[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*", re.ASCII)
_NUMBERS = re.compile(rf"{_NUMBER.pattern}(?:,{_NUMBER.pattern})+", re.ASCII)
_TAG = re.compile(r"\s*[A-Z][A-Z0-9_]*\s*", re.ASCII)
_COMPOSED = re.compile(r"\b(AND|BREAK)\b|<(lora|lyco|hypernet):[^<>]{1,200}>")
FUNCTIONS = (
    *("AVG", "STYLE", "DEF", "SEG", "SUB", "COUPLE", "MASK", "IMASK", "MASKW", "MASK_SIZE", "AREA", "FEATHER", "FILL"),
    *("SHUFFLE", "SHIFT", "NOISE", "ATTN", "SDXL", "TE_WEIGHT", "CLIP_L", "NOSTRIP"),
)
"""The functions of prompt-control that no engine reads. TE is one that some do."""

_CONTROL = re.compile(rf"\b(CAT)\b|\b(TE)\s*\(|\b({'|'.join(FUNCTIONS)})\(")
MAX_DEPTH = 200
LORA_SCHEDULE = "LoRA schedule"
"""The kind of ``<lora:x:0@0,1@0.5>``, a weight at each share of the steps, as sd-webui-loractl has it."""


class Construct(NamedTuple):
    """A construct in a prompt: its kind, text and offset, and whether only prompt-control has it."""

    kind: str
    text: str
    at: int
    control: bool


@dataclass
class _Open:
    at: int
    marks: list[tuple[int, str]]


def constructs(prompt: str) -> list[Construct]:
    """Returns the parts of a prompt that A1111 or prompt-control interpret, in order.

    Kinds: "prompt editing", "alternation", "composition", "LoRA tag", "LoRA schedule", "prompt-control".

    >>> [found.kind for found in constructs("a [cat:dog:0.5] AND [x|y]")]
    ['prompt editing', 'composition', 'alternation']
    """
    found = _brackets(prompt)
    for match in _COMPOSED.finditer(prompt):
        kind = "composition" if match[1] else LORA_SCHEDULE if "@" in match[0] else "LoRA tag"
        found.append(Construct(kind, match[0], match.start(), False))
    for match in _CONTROL.finditer(prompt):
        found.append(Construct("prompt-control", match[0].rstrip("( "), match.start(), True))
    return sorted(found, key=lambda construct: construct.at)


def over_steps(prompt: str) -> list[Construct]:
    """Returns the parts of a prompt that change over the denoising steps; engines without support refuse them.

    >>> [found.text for found in over_steps("a [cat:dog:0.5] (big:1.2) [gray]")]
    ['[cat:dog:0.5]']
    """
    return [found for found in _brackets(prompt) if "[" in prompt]


def _brackets(prompt: str) -> list[Construct]:
    found: list[Construct] = []
    levels: list[_Open] = []
    for match in _MARK.finditer(prompt):
        sign, at = match[0], match.start()
        if sign == "[":
            if len(levels) < MAX_DEPTH:
                levels.append(_Open(at, []))
        elif sign == "]":
            if levels:
                level = levels.pop()
                found += _classified(prompt, level, at)
        elif sign == "(" and levels:
            levels[-1].marks.append((at, "("))
        elif sign == ")" and levels:
            levels[-1].marks.append((at, ")"))
        elif sign in (":", "|") and levels:
            levels[-1].marks.append((at, sign))
    return found


def _classified(prompt: str, level: _Open, end: int) -> list[Construct]:
    """Returns the construct in the square brackets from `level` to `end`, nothing for plain emphasis."""
    depth, marks = 0, []
    for at, sign in level.marks:
        depth += (sign == "(") - (sign == ")")
        if depth == 0 and sign in (":", "|"):
            marks.append((at, sign))
    if not marks:
        return []
    text = prompt[level.at : min(end + 1, level.at + 60)]
    last, sign = marks[-1]
    tail = prompt[last + 1 : end]
    if any(sign == "|" for _, sign in marks):
        timed = sign == ":" and _NUMBER.fullmatch(tail) is not None
        return [Construct("alternation", text, level.at, timed)]
    if prompt[level.at + 1 : marks[0][0]].strip() in ("SEQ", "CUT") or _NUMBERS.fullmatch(tail):
        return [Construct("prompt editing", text, level.at, True)]
    if _NUMBER.fullmatch(tail):
        return [Construct("prompt editing", text, level.at, len(marks) > 2)]
    if len(marks) > 1 and _TAG.fullmatch(tail):
        return [Construct("prompt editing", text, level.at, True)]
    return []
