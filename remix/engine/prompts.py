"""Prompt syntax that not every engine supports: changes over the steps, AND, TE, and other tools' rules of emphasis."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from remix.engine.passes import texts_of
from remix.plan import Schedule
from remix.plan.fields import show
from remix.prompt import Reading
from remix.prompt.composition import is_composed
from remix.prompt.editing import is_edited
from remix.prompt.embeddings import unknown
from remix.prompt.encoders import EncoderTexts
from remix.syntax.text.over_steps import FUNCTIONS, LORA_SCHEDULE, constructs, over_steps


def _lora_schedule(prompt: str, who: str) -> str | None:
    parts = constructs(prompt) if "@" in prompt else []
    if found := next((part for part in parts if part.kind == LORA_SCHEDULE), None):
        return (
            f"prompt: {found.text!r} changes the LoRA over the steps of one picture, which {who} does not read; give "
            "one strength, or set loras in the keyframes for a strength that travels over the frames"
        )
    return None


def _over_steps(prompt: str, who: str) -> str | None:
    found = [part for part in over_steps(prompt) if not part.control]
    if found and is_edited(prompt):
        return (
            f"prompt: {found[0].kind} {found[0].text!r} changes over the steps of one picture, which {who} does not "
            "read; give each prompt its own keyframe"
        )
    return None


def _composed(prompt: str, who: str) -> str | None:
    if is_composed(prompt):
        return (
            f"prompt: AND in {show(prompt)} puts prompts together, which {who} does not do; give each prompt its own "
            "keyframe, or write and"
        )
    return None


def _prompt_control(prompt: str, who: str) -> str | None:
    found = next((part for part in over_steps(prompt) if part.control), None)
    if found is None and "(" in prompt:
        found = next((part for part in constructs(prompt) if part.control and part.text in FUNCTIONS), None)
    if found is None:
        return None
    return (
        f"prompt: {found.text!r} is syntax of ComfyUI's prompt-control, which {who} does not read; write [a:b:0.5] for "
        "a change over the steps, or give each prompt its own keyframe"
    )


def _encoders(prompt: str, who: str) -> str | None:
    if own := EncoderTexts.of(prompt).own:
        return (
            f"prompt: TE in {show(prompt)} gives the text encoder {next(iter(own))!r} a text of its own, which {who} "
            "does not do; write one text for all"
        )
    return None


SYNTAXES: Mapping[str, Callable[[str, str], str | None]] = {
    "LoRA schedules": _lora_schedule,
    "prompt-control": _prompt_control,
    "prompt editing": _over_steps,
    "AND": _composed,
    "TE": _encoders,
}
"""Syntax -> a function of a prompt and an engine's name that returns why the prompt cannot be rendered, or None."""

COMPOSED = frozenset({"prompt editing", "AND"})
"""The syntax of engines that read prompts as A1111 does."""

EVERY = COMPOSED | {"TE"}
"""The syntax of engines that also give text encoders texts of their own."""


def reading_for(schedule: Schedule, known: Iterable[Reading]) -> Reading | None:
    """Returns the first of the `known` readings that reads all prompts as the recipe does, None if none does."""
    wanted, texts = schedule.recipe.reading, texts_of(schedule)
    return next((one for one in known if not any(wanted.differs(one, text) for text in texts)), None)


def unreported_embeddings(schedule: Schedule) -> list[str]:
    """Returns a remark if prompts name embeddings, for a server that does not report their files."""
    names = [name for text in schedule.texts for name in unknown(text, ())]
    if not names:
        return []
    return [
        f"prompt: the server does not report the file of the embedding {names[0]!r}, so this job keeps its frames if "
        "that is replaced; then render into another folder"
    ]
