"""Prompts in schedules: ``--neg``, expressions in backticks, ``AND`` with weights, and the tracks they become."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from remix.plan import fields as check
from remix.plan.expression import fill_prompt, verbatim
from remix.plan.mix import STEPS, Mix, between
from remix.plan.recipe_values import MAX_KEYFRAMES
from remix.syntax.text.parts import Options
from remix.syntax.text.source import Source, Span, join
from remix.syntax.text.tracks import Stop, clip

Fill = Callable[[Span, int], Mix[str]]

_AND = re.compile(r"\bAND\b")
_SHARE = re.compile(r":\s*(?:[-+.~0-9]+|`[^`]*`)\s*", re.ASCII)
_WEIGHT = re.compile(r"\s*[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*", re.ASCII)


class TimedPrompt(NamedTuple):
    """A prompt with its frame, and the ease of what follows: "linear" or "hold"."""

    frame: int
    prompt: Span
    ease: str = "linear"


def prompt_of(source: Source, written: Span) -> Mix[str]:
    """Returns the mix of one prompt, stripped. Raises RecipeError if a recipe cannot hold it."""
    plain = written.strip()
    with source.errors_at(plain):
        return Mix.one(verbatim(check.text(plain.text, "", check.MAX_PROMPT)))


def mix_of_and(source: Source, written: Span) -> Mix[str]:
    """Returns the mix that ``a :0.7 AND b :0.3`` means; one prompt if no part has a weight.

    A part without a weight has 1, as in A1111. The brackets of ``(a):0.7``, which would add emphasis, are left out.
    Negative weights cannot be shares of a mix: such a prompt stays as it is.
    """
    parts = [_part_and_weight(part) for part in _AND.split(written.text)] if "AND" in written.text else []
    shares = [1.0 if weight is None else weight for _, weight in parts]
    weighted = any(weight is not None for _, weight in parts) and any(shares)
    weighted = weighted and len(parts) > 1 and all(0 <= share < math.inf for share in shares)
    if not weighted or ("", None) in parts:
        return prompt_of(source, written)
    if len(parts) > check.MAX_PARTS:
        raise source.error(written.start, f"{len(parts)} parts of a mix are too many; keep to {check.MAX_PARTS}")
    source.note('AND with weights is read as a mix of conditionings; set mix = "output" to mix predictions instead')
    with source.errors_at(written):
        texts = [verbatim(check.text(text, "", check.MAX_PROMPT)) for text, _ in parts]
        return Mix(tuple(zip(texts, shares, strict=True)))


def _part_and_weight(part: str) -> tuple[str, float | None]:
    """Returns a part of a prompt with AND, and its weight if it has one."""
    text, colon, weight = part.rpartition(":")
    if not colon or not _WEIGHT.fullmatch(weight):
        return part.strip(), None
    text = text.strip()
    if text.startswith("(") and text.endswith(")") and is_one_bracket(text):
        text = text[1:-1].strip()
    elif text.count("(") != text.count(")"):
        return part.strip(), None  # the weight belongs to a bracket: (a cat:1.2)
    return text, float(weight)


def is_one_bracket(text: str) -> bool:
    """Returns whether the bracket at the beginning of a text closes at its end."""
    depth = 0
    for i, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if depth == 0:
            return i == len(text) - 1
    return False


def split_negative(source: Source, written: Span) -> tuple[Span, Span]:
    """Returns the prompt and the negative prompt of ``prompt --neg negative``."""
    first = written.text.find("--neg")
    if first < 0:
        return written, written[len(written.text) :]
    second = written.text.find("--neg", first + 5)
    if second >= 0:
        raise source.error(written.places[second], "--neg appears twice; a prompt has one negative part")
    return written[:first], written[first + 5 :]


def wrap(prompt: Span, before: str, after: str, between: str) -> Span:
    """Returns the prompt with text before and after it, or around each part where AND with weights joins them."""
    found, start = [], 0
    for mark in [*_AND.finditer(prompt.text), None]:
        found.append(prompt[start : mark.start() if mark else len(prompt.text)])
        start = mark.end() if mark else start
    heads = [_without_weight(part.text) for part in found]
    if len(found) < 2 or all(len(head) == len(part.text) for head, part in zip(heads, found, strict=True)):
        return join([before.strip(), prompt.strip(), after.strip()], between)
    parts: list[Span | str] = []
    for part, head in zip(found, heads, strict=True):
        text = part[: len(head)].strip()
        if text.text.startswith("(") and text.text.endswith(")") and is_one_bracket(text.text):
            text = text[1:-1].strip()
        whole = join([before.strip(), text, after.strip()], between)
        parts.append(join([whole, part[len(head) :].strip()], " "))
    return join(parts, " AND ")


def wrap_sides(source: Source, prompt: Span, options: Options, between: str) -> Span:
    """Returns the prompt with `before` and `after` of the options around it, on both sides of ``--neg``."""
    if not options.before and not options.after:
        return prompt
    outer = [
        split_negative(source, Span(text, [prompt.start] * (len(text) + 1))) for text in (options.before, options.after)
    ]
    positive, negative = (
        wrap(side, before.text, after.text, between)
        for before, side, after in zip(outer[0], split_negative(source, prompt), outer[1], strict=True)
    )
    return join([positive, "--neg", negative], " ") if negative.text else positive


def _without_weight(part: str) -> str:
    head, colon, _ = part.rpartition(":")
    return head if colon and _SHARE.fullmatch(part[len(head) :]) else part


def tracks(
    source: Source,
    prompts: Sequence[TimedPrompt],
    frames: int | None,
    names: Mapping[str, float | Sequence[float]],
    read: Callable[[Source, Span], Mix[str]] = prompt_of,
) -> dict[str, list[Stop]]:
    """Returns the tracks of prompt and, if there are any, negative for prompts sorted by frame.

    `names` are the names that backticks may use besides `t`, each with one number or one for each frame.
    """
    both = [(key, *split_negative(source, key.prompt)) for key in prompts]
    track = partial(_track, source, frames=frames, names=names, read=read)
    found = {"prompt": track([TimedPrompt(key.frame, prompt, key.ease) for key, prompt, _ in both])}
    if any(negative.text.strip() for _, _, negative in both):
        found["negative"] = track([TimedPrompt(key.frame, negative, key.ease) for key, _, negative in both])
    return found


def _track(
    source: Source,
    prompts: Sequence[TimedPrompt],
    frames: int | None,
    names: Mapping[str, float | Sequence[float]],
    read: Callable[[Source, Span], Mix[str]],
) -> list[Stop]:
    changing = next((key.prompt for key in prompts if "`" in key.prompt.text), None)
    if changing is None:
        return clip(source, [Stop(key.frame, read(source, key.prompt), key.ease) for key in prompts], frames)
    place = changing.places[changing.text.index("`")]
    if frames is None:
        raise source.error(place, "a number in backticks needs the number of frames; give frames (--frames 48)")

    def fill(written: Span, frame: int) -> Mix[str]:
        with source.errors_at(written):
            now = {name: value if isinstance(value, (int, float)) else value[frame] for name, value in names.items()}
            text = fill_prompt(written.text, t=frame, **now)
        return read(source, written if text == written.text else Span(text, [written.start] * (len(text) + 1)))

    stops = list(_filled(prompts, frames, fill))
    if len(stops) > MAX_KEYFRAMES:
        raise source.error(place, f"this changes on {len(stops)} frames; a recipe has up to {MAX_KEYFRAMES} keyframes")
    return stops


def _filled(prompts: Sequence[TimedPrompt], frames: int, fill: Fill) -> Iterator[Stop]:
    """Yields the stops of prompts whose numbers change from frame to frame."""
    first = prompts[0]
    if first.frame > 0:  # the first prompt holds from the start
        prompts = [TimedPrompt(0, first.prompt, "hold"), *prompts]
    for i, key in enumerate(prompts):
        if key.frame >= frames:
            return
        after = prompts[i + 1] if i + 1 < len(prompts) else None
        span = range(key.frame, min(after.frame, frames) if after else frames)
        here = [fill(key.prompt, frame) for frame in span]
        there = [fill(after.prompt, frame) for frame in span] if after and key.ease != "hold" else []
        if after and there and not (_same(here) and _same(there) and after.frame < frames):
            way = after.frame - key.frame
            for j, frame in enumerate(span):
                step = round(j / way * STEPS)
                yield Stop(frame, between(here[j], there[j], [step])[0], key.ease)
        elif after and there:
            yield Stop(key.frame, here[0], key.ease)
        else:
            yield from (
                Stop(frame, mix, "hold")
                for j, (frame, mix) in enumerate(zip(span, here, strict=True))
                if j == 0 or mix != here[j - 1]
            )


def _same(values: Sequence[Mix[str]]) -> bool:
    return all(value == values[0] for value in values)
