"""compel's blends: ``("a cat", "a dog").blend(0.25, 0.75)`` is exactly a mix of prompts."""

from __future__ import annotations

import re

from remix.plan.fields import show
from remix.plan.mix import Mix
from remix.syntax.text.boxes import read_boxes, recipe_fields, seed_of
from remix.syntax.text.literal import after_gap, number
from remix.syntax.text.parts import Options, Parts
from remix.syntax.text.prompts import prompt_of
from remix.syntax.text.source import Source, Span, join, quoted
from remix.syntax.text.syntax import Shape, Syntax
from remix.syntax.text.tracks import Stop, to_keyframes

_OPENING = re.compile(r"\(\s*[\"']")
_AFTER_PROMPTS = re.compile(r"\)\s{0,9}\.\s{0,9}blend\s{0,9}\(")
_CALL = re.compile(r"\s*\.\s*blend\s*\(")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)", re.ASCII)


def looks(shape: Shape) -> bool:
    return bool(_OPENING.match(shape.text, shape.start) and _AFTER_PROMPTS.search(shape.text))


def read(source: Source, options: Options) -> Parts:
    """Returns the parts of a blend, and of the negative prompt and settings that may follow it."""
    prompts, here = _prompts(source, after_gap(source, 0))
    call = _CALL.match(source.text, here)
    if call is None:
        raise source.error(here, "there is no .blend(...) after the prompts; write .blend(0.25, 0.75)")
    weights, here = _weights(source, call.end())
    if len(weights) not in (0, len(prompts)):
        raise source.error(call.end() - 1, f"{len(weights)} weights for {len(prompts)} prompts; give one for each")
    boxes = read_boxes(source.part(here, len(source.text)))
    if rest := next((line for line in boxes.prompt if line.text), None):
        raise source.error(rest.start, f"{show(rest.text)} follows the blend; remove it")
    wrapped = [join([options.before.strip(), p, options.after.strip()], ", ") for p in prompts]
    with source.errors_at(prompts[0]):
        values = [prompt_of(source, prompt).values[0] for prompt in wrapped]
        mix = Mix(tuple(zip(values, weights or [1.0] * len(values), strict=True)))
    tracks = {"prompt": [Stop(0, mix)]}
    negative = join(boxes.negative, " ")
    if negative.text.strip():
        tracks["negative"] = [Stop(0, prompt_of(source, negative))]
    seed = seed_of(source, boxes.settings)
    extra = {"seed": [Stop(0, Mix.one(seed))]} if seed is not None else {}
    keyframes, _ = to_keyframes(source, {**tracks, **extra})
    fields = recipe_fields(source, boxes.settings)
    return Parts(keyframes, frames=options.frames or 1, fps=options.fps, **fields)


def _prompts(source: Source, at: int) -> tuple[list[Span], int]:
    """Returns the prompts in the brackets that open at `at`, and the offset after them."""
    prompts: list[Span] = []
    here = after_gap(source, at + 1)
    while source.text[here : here + 1] in ("'", '"') and here < len(source.text):
        prompt, here = quoted(source, here)
        prompts.append(prompt)
        here = after_gap(source, here)
        if source.text[here : here + 1] != ",":
            break
        here = after_gap(source, here + 1)
    if source.text[here : here + 1] != ")":
        raise source.error(min(here, len(source.text)), 'the prompts do not end here; write ("a cat", "a dog")')
    return prompts, here + 1


def _weights(source: Source, at: int) -> tuple[list[float], int]:
    weights: list[float] = []
    here = after_gap(source, at)
    while found := _NUMBER.match(source.text, here):
        value = float(number(source, found[0], here))
        if value < 0:
            raise source.error(here, f"the weight {found[0][:40]} is below 0, and a mix has shares; write 0 or more")
        weights.append(value)
        here = after_gap(source, found.end())
        if source.text[here : here + 1] != ",":
            break
        here = after_gap(source, here + 1)
    if source.text[here : here + 1] != ")":
        raise source.error(
            min(here, len(source.text)), "this is not a weight; write numbers, such as .blend(0.25, 0.75)"
        )
    return weights, here + 1


SYNTAX = Syntax("compel", "compel's blend of prompts", looks, read)
