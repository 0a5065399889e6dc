"""Texts of single text encoders, as in ComfyUI's prompt-control: ``a cat TE(t5xxl=a photo of a cat)``.

A text encoder that is named reads its own text instead of the prompt. Several texts for one are joined with a space.
Within double quotes, ``TE(`` is text.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from remix.errors import BadInput, Unsupported
from remix.prompt.reading import place

_CALL = re.compile(r"\bTE\s*\(")
_QUOTED = re.compile(r'"[^"\n]+"')
_BRACKET = re.compile(r"[()]")


@dataclass(frozen=True)
class EncoderTexts:
    """The texts of a prompt: `own` ones by ComfyUI's names of text encoders (l, g, t5xxl), `shared` for the others."""

    shared: str
    own: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, prompt: str) -> EncoderTexts:
        """Returns the texts of a prompt. Raises BadInput, with the place, for a TE that is not closed or names nothing.

        >>> EncoderTexts.of("a hill, TE(g = (fog:1.2)) snow")
        EncoderTexts(shared='a hill,  snow', own={'g': '(fog:1.2)'})
        """
        return _texts(prompt) if "TE" in prompt else cls(prompt)

    def at(self, name: str) -> str:
        """Returns the text for a text encoder."""
        return self.own.get(name, self.shared)

    def refuse_unknown(self, known: Collection[str]) -> None:
        """Raises Unsupported for a text encoder that a model does not have."""
        for name in self.own:
            if name not in known:
                has = f"it has {', '.join(known)}" if known else "its text encoder takes no text of its own"
                raise Unsupported(f"prompt: this model has no text encoder {name!r}, which TE names; {has}")


def have_own_texts(prompts: Iterable[str]) -> bool:
    """Returns whether a prompt has a text for a single text encoder."""
    return any(EncoderTexts.of(prompt).own for prompt in prompts)


@lru_cache(256)
def _texts(prompt: str) -> EncoderTexts:
    quoted = [found.span() for found in _QUOTED.finditer(prompt)]
    shared: list[str] = []
    own: dict[str, str] = {}
    at = 0
    for call in _CALL.finditer(prompt):
        if call.start() < at or any(start < call.start() < end for start, end in quoted):
            continue
        end = _closing(prompt, call)
        name, sign, text = (part.strip() for part in prompt[call.end() : end].partition("="))
        if not name or not sign:
            raise _problem(prompt, call, "names no text encoder; write its name first, such as TE(l=a cat)")
        own[name] = f"{own[name]} {text}" if name in own else text
        shared.append(prompt[at : call.start()])
        at = end + 1
    return EncoderTexts("".join([*shared, prompt[at:]]), own) if own else EncoderTexts(prompt)


def _closing(prompt: str, call: re.Match[str]) -> int:
    depth = 1
    for mark in _BRACKET.finditer(prompt, call.end()):
        depth += 1 if mark[0] == "(" else -1
        if depth == 0:
            return mark.start()
    raise _problem(prompt, call, "is not closed; end it with )")


def _problem(prompt: str, call: re.Match[str], what: str) -> BadInput:
    return BadInput(f"prompt: {prompt[call.start() :][:40]!r} {place(prompt, call.start())} {what}")
