"""Prompts in schedules: ``--neg``, numbers in backticks, ``AND`` with weights, and how they become tracks."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from remix.plan import fields as check
from remix.plan.expression import fill_prompt, verbatim
from remix.plan.mix import STEPS, Mix, between
from remix.plan.recipe import MAX_KEYFRAMES
from remix.syntax.scan import Source, Written, joined
from remix.syntax.tracks import Stop, cut

Fill = Callable[[Written, int], Mix[str]]

_AND = re.compile(r"\bAND\b")
_SHARE = re.compile(r":\s*(?:[-+.~0-9]+|`[^`]*`)\s*", re.ASCII)
_WEIGHT = re.compile(r"\s*[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*", re.ASCII)


class Spoken(NamedTuple):
    """A prompt as it is written for a frame, and how the way from there goes: "linear" or "hold"."""

    frame: int
    prompt: Written
    ease: str = "linear"


def prompt_of(source: Source, written: Written) -> Mix[str]:
    """The mix of one prompt, without the blanks around it; RecipeError with its place when no recipe can hold it."""
    plain = written.strip()
    with source.within(plain):
        return Mix.one(verbatim(check.text(plain.text, "", check.MAX_PROMPT)))


def composed(source: Source, written: Written) -> Mix[str]:
    """The mix that ``a :0.7 AND b :0.3`` means; one prompt where there are no such weights.

    ``(a):0.7`` is read too, and the brackets, which would add emphasis, are left out. Weights below 0
    cannot be shares: such a prompt stays as it is written.
    """
    parts = _AND.split(written.text) if "AND" in written.text else []
    weighed = [_weighed(part) for part in parts]
    if len(parts) < 2 or None in weighed or not sum(part[1] for part in weighed if part) > 0:
        return prompt_of(source, written)
    source.note("AND with weights is read as a mix: one conditioning of all parts, not one denoising each")
    with source.within(written):
        pairs = [(verbatim(check.text(part[0], "", check.MAX_PROMPT)), part[1]) for part in weighed if part]
        return Mix(tuple(pairs))


def _weighed(part: str) -> tuple[str, float] | None:
    """A part of a composed prompt and its weight; None when it has no weight that can be a share."""
    text, colon, weight = part.rpartition(":")
    if not colon or not _WEIGHT.fullmatch(weight):
        return None
    text, value = text.strip(), float(weight)
    if not 0 <= value < math.inf:
        return None
    if text.startswith("(") and text.endswith(")") and _is_one_bracket(text):
        text = text[1:-1].strip()
    elif text.count("(") != text.count(")"):
        return None  # the weight belongs to a bracket: (a cat:1.2)
    return text, value


def _is_one_bracket(text: str) -> bool:
    depth = 0
    for i, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if depth == 0:
            return i == len(text) - 1
    return False


def sides(source: Source, written: Written) -> tuple[Written, Written]:
    """The prompt and the negative prompt that ``prompt --neg negative`` says."""
    first = written.text.find("--neg")
    if first < 0:
        return written, written[len(written.text) :]
    second = written.text.find("--neg", first + 5)
    if second >= 0:
        raise source.refuse(written.places[second], "--neg is there twice; a prompt has one negative side")
    return written[:first], written[first + 5 :]


def around(prompt: Written, before: str, after: str, between: str) -> Written:
    """The prompt with text before and after it; around each part, and before its weight, where AND composes parts."""
    found, start = [], 0
    for mark in [*_AND.finditer(prompt.text), None]:
        found.append(prompt[start : mark.start() if mark else len(prompt.text)])
        start = mark.end() if mark else start
    heads = [part.text.rpartition(":")[0] for part in found]
    if len(found) < 2 or not all(_SHARE.fullmatch(p.text[len(h) :]) for p, h in zip(found, heads, strict=True)):
        return joined([before.strip(), prompt.strip(), after.strip()], between)
    parts: list[Written | str] = []
    for part, head in zip(found, heads, strict=True):
        text = part[: len(head)].strip()
        if text.text.startswith("(") and text.text.endswith(")") and _is_one_bracket(text.text):
            text = text[1:-1].strip()
        whole = joined([before.strip(), text, after.strip()], between)
        parts.append(joined([whole, part[len(head) :].strip()], " "))
    return joined(parts, " AND ")


def tracks(
    source: Source,
    spoken: Sequence[Spoken],
    frames: int | None,
    names: Mapping[str, float | Sequence[float]],
    read: Callable[[Source, Written], Mix[str]] = prompt_of,
) -> dict[str, list[Stop]]:
    """The tracks of prompt and, where one is said, negative of prompts that are in order of their frames.

    `names` has the numbers that backticks may use beside `t`: one for all frames, or one for each.
    """
    both = [(key, *sides(source, key.prompt)) for key in spoken]
    track = partial(_track, source, frames=frames, names=names, read=read)
    found = {"prompt": track([Spoken(key.frame, prompt, key.ease) for key, prompt, _ in both])}
    if any(negative.text.strip() for _, _, negative in both):
        found["negative"] = track([Spoken(key.frame, negative, key.ease) for key, _, negative in both])
    return found


def _track(
    source: Source,
    spoken: Sequence[Spoken],
    frames: int | None,
    names: Mapping[str, float | Sequence[float]],
    read: Callable[[Source, Written], Mix[str]],
) -> list[Stop]:
    changing = next((key.prompt for key in spoken if "`" in key.prompt.text), None)
    if changing is None:
        return cut(source, [Stop(key.frame, read(source, key.prompt), key.ease) for key in spoken], frames)
    place = changing.places[changing.text.index("`")]
    if frames is None:
        raise source.refuse(place, "a number in backticks needs the number of frames; give frames (--frames 48)")

    def fill(written: Written, frame: int) -> Mix[str]:
        with source.within(written):
            now = {name: value if isinstance(value, (int, float)) else value[frame] for name, value in names.items()}
            text = fill_prompt(written.text, t=frame, **now)
        return read(source, written if text == written.text else Written(text, [written.start] * (len(text) + 1)))

    stops = list(_filled(spoken, frames, fill))
    if len(stops) > MAX_KEYFRAMES:
        raise source.refuse(place, f"this changes on {len(stops)} frames; a recipe has up to {MAX_KEYFRAMES} keyframes")
    return stops


def _filled(spoken: Sequence[Spoken], frames: int, fill: Fill) -> Iterator[Stop]:
    """The stops of prompts whose numbers change from frame to frame."""
    first = spoken[0]
    if first.frame > 0:  # what is said first holds from the start
        spoken = [Spoken(0, first.prompt, "hold"), *spoken]
    for i, key in enumerate(spoken):
        if key.frame >= frames:
            return
        after = spoken[i + 1] if i + 1 < len(spoken) else None
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
