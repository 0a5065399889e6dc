"""What is given beside a text, and its reader has not used: the seed, the loop, and text around prompts."""

from __future__ import annotations

from dataclasses import replace

from remix.errors import RecipeError
from remix.plan import fields as check
from remix.plan.expression import verbatim
from remix.plan.keyframe import Keyframe
from remix.plan.mix import Mix
from remix.syntax.parts import Given, Parts
from remix.syntax.scan import Source


def completed(source: Source, parts: Parts, given: Given, *, surrounded: bool) -> Parts:
    """The parts with the seed, the loop and the text around prompts that are `given`, where they say none themselves.

    `surrounded` says that the prompts have that text already. What cannot be used is told in a note.
    """
    if not surrounded and (given.before.strip() or given.after.strip()):
        parts = _surrounded(source, parts, given)
    if given.seed is not None and all(key.seed is None for key in parts.keyframes):
        first, *rest = parts.keyframes
        parts = replace(parts, keyframes=(replace(first, seed=Mix.one(given.seed)), *rest))
    return _closed(source, parts) if given.loop and parts.loop is None else parts


def _surrounded(source: Source, parts: Parts, given: Given) -> Parts:
    if all(key.prompt is None for key in parts.keyframes):
        source.note("there are no prompts here, so the text before and after them is not used")
        return parts

    def whole(key: Keyframe) -> Keyframe:
        if key.prompt is None:
            return key
        items = []
        for value, weight in key.prompt.items:
            before, after = (verbatim(text.strip()) for text in (given.before, given.after))
            text = ", ".join(part for part in (before, value, after) if part)
            items.append((check.text(text, "", check.MAX_PROMPT), weight))
        return replace(key, prompt=Mix(tuple(items)))

    return replace(parts, keyframes=tuple(whole(key) for key in parts.keyframes))


def _closed(source: Source, parts: Parts) -> Parts:
    """The parts as a loop, where their keys allow it."""
    closed = replace(parts, loop=True)
    if parts.frames is None:
        return closed
    try:
        closed.recipe()
    except RecipeError as error:
        source.note(f"the film is not closed to a loop: {error.problem}")
        return parts
    return closed
