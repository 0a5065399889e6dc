"""Prompts of one picture with a host's own syntax: A1111's ``[cat:dog:0.5]``, and that of ComfyUI's prompt-control.

These change a prompt over the denoising steps of one picture, which is not a schedule of frames. A1111's syntax is that
of recipes. What prompt-control has in addition is written in it where that means the same; engines refuse the rest.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from remix.errors import BadInput
from remix.plan.mix import Mix
from remix.prompt import Reading, may_be_cut
from remix.prompt.editing import turns
from remix.syntax.text.boxes import film_of, read_boxes, recipe_fields, seed_of
from remix.syntax.text.over_steps import LORA_SCHEDULE, constructs
from remix.syntax.text.parts import Options, Parts
from remix.syntax.text.prompts import prompt_of
from remix.syntax.text.source import Source, Span, join
from remix.syntax.text.syntax import Shape, Syntax
from remix.syntax.text.tracks import Stop, to_keyframes

_INNERMOST = re.compile(r"\[([^\[\]\\]*)\]")
_SHARE = re.compile(r"\s*(0|1|[01]?\.[0-9]+|[01]\.)\s*", re.ASCII)
_AND = re.compile(r"\bAND\b")
_AVERAGE = re.compile(r"\bAVG\b(?:\(\s*([0-9.]*)\s*\))?", re.ASCII)
_STYLE = re.compile(r"\bSTYLE\(\s*(\w*)\s*(?:,\s*(?:none)?\s*)?\)")
_STRENGTH = re.compile(r":(-?[0-9]\.?[0-9]*)\Z", re.ASCII)
_LORA = re.compile(r"<lora:([^<>:]+):([^<>:]+):([^<>:]+)>")
_CALLS = 40
"""Calls of a model for one picture, of which the texts of a prompt are taken."""

MOST_SEQUENCE = 40
"""The longest sequence that is read, since each entry is a bracket within the one before."""


def looks_a1111(shape: Shape) -> bool:
    boxes = shape.boxes
    return bool("Sampler" in boxes.settings or shape.constructs or boxes.settings or boxes.negative)


def looks_prompt_control(shape: Shape) -> bool:
    return "Sampler" not in shape.boxes.settings and any(construct.control for construct in shape.constructs)


def read_a1111(source: Source, options: Options) -> Parts:
    """Returns the parts of a prompt, perhaps with the negative prompt and settings that A1111 writes below it."""
    return _read(source, options, control=False)


def read_prompt_control(source: Source, options: Options) -> Parts:
    """Returns the parts of a prompt for prompt-control, without comments (``#`` to the end of the line)."""
    return _read(source, options, control=True)


def _read(source: Source, options: Options, *, control: bool) -> Parts:
    boxes = read_boxes(source)
    without = _without_comment if control else _unchanged
    prompt, negative = (
        join([line for line in map(without, box) if line.text], "\n") for box in (boxes.prompt, boxes.negative)
    )
    if not prompt.text.strip():
        raise source.error(0, "there is no prompt; write one")
    rules: dict[str, Any] = {}
    if control:
        (prompt, negative), rules = _rules([_as_a1111(source, box) for box in (prompt, negative)])
        if _AND.search(negative.text):
            source.note("AND in the negative prompt is a word here, as in A1111; prompt-control sums its parts")
    tracks = {"prompt": [Stop(0, _mix(source, prompt, options, control=control))]}
    if negative.text.strip():
        tracks["negative"] = [Stop(0, prompt_of(source, negative))]
    seed = options.seed if options.seed is not None else seed_of(source, boxes.settings)
    if seed is not None:
        tracks["seed"] = [Stop(0, Mix.one(seed))]
    _note(source, f"{prompt.text}\n{negative.text}")
    keyframes, _ = to_keyframes(source, tracks)
    film = film_of(source, boxes.settings)
    return Parts(
        keyframes,
        frames=options.frames or film.get("frames", 1),
        fps=options.fps or film.get("fps"),
        loop=film.get("loop"),
        **rules,
        **recipe_fields(source, boxes.settings, "AnimateDiff"),
    )


def _mix(source: Source, prompt: Span, options: Options, *, control: bool) -> Mix[str]:
    """Returns the prompt, or the mix of prompts that prompt-control's ``a cat AVG(0.3) a dog`` averages."""
    texts = _averaged(source, prompt.text) if control else {prompt.text: 1.0}
    prompts = [prompt if text == prompt.text else Span(text, [prompt.start] * (len(text) + 1)) for text in texts]
    written = [join([options.before, part, options.after], ", ") for part in prompts]
    return Mix(tuple(zip((prompt_of(source, part).heaviest for part in written), texts.values(), strict=True)))


def _averaged(source: Source, text: str) -> dict[str, float]:
    """Returns the prompts of a text with AND and AVG, with the share of each.

    prompt-control divides the predictions of the parts of AND by the sum of their weights, so these weights are shares
    here. Averages in one of the parts are a mix of prompts, each with the other parts.
    """
    parts = [_weighed(part) for part in _AND.split(text)]
    total = math.fsum(weight for _, weight in parts)
    mixes = [_average(part) for part, _ in parts]
    if None in mixes or not total or sum(len(each or ()) > 1 for each in mixes) > 1 or _nested(text):
        if len(parts) > 1:
            source.note("the weights of AND are passed on as A1111 reads them, which does not divide by their sum")
        return {text: 1.0}
    found: dict[str, float] = {"": 1.0}
    for (_, weight), mix in zip(parts, mixes, strict=True):
        if weight:
            end = "" if weight == total else f" :{f'{weight / total:.9f}'.rstrip('0').rstrip('.')}"
            found = {
                f"{before}{' AND ' if before else ''}{part}{end}": share * own
                for before, share in found.items()
                for part, own in (mix or {}).items()
            }
    return found


def _weighed(part: str) -> tuple[str, float]:
    """Returns a part of AND without its weight, and the weight."""
    text = part.strip()
    found = _STRENGTH.search(text)
    return (text[: found.start()].rstrip(), float(found[1])) if found else (text, 1.0)


def _average(text: str) -> dict[str, float] | None:
    """Returns the prompts that a text averages, with their shares; None if it cannot be read as a mix."""
    first, *rest = _AVERAGE.split(text)
    texts, kept = [first.strip(), *map(str.strip, rest[1::2])], [_float(weight or "0.5") for weight in rest[::2]]
    if not all(texts) or not all(0 <= share <= 1 for share in kept) or (kept and re.search(r"\bCAT\b", text)):
        return None
    found = {texts[0]: 1.0}
    for part, share in zip(texts[1:], kept, strict=True):
        found = {prompt: own * share for prompt, own in found.items()}
        found[part] = found.get(part, 0.0) + 1 - share
    return {prompt: share for prompt, share in found.items() if share}


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _nested(text: str) -> bool:
    """Returns whether AND or AVG is within square brackets, so that it does not divide the whole prompt."""
    return any(re.search(r"\b(?:AND|AVG)\b", inside) for inside in re.findall(r"\[[^\[\]]*", text))


def _rules(boxes: Sequence[Span]) -> tuple[list[Span], dict[str, str]]:
    """Returns prompts without STYLE, and the fields of a recipe that mean the same.

    They stay as they are if nothing does. prompt-control's style A1111 reads weights as ComfyUI does, and restores the
    mean of all chunks together.
    """
    styled = [_styled(box) for box in boxes]
    chunks = {"chunks": "a1111"} if any(re.search(r"\bBREAK\b", box.text) for box in boxes) else {}
    if None in styled:
        return [*boxes], chunks
    plain = [box for box, _ in filter(None, styled)]
    own, comfy, weighted = Reading("a1111", "comfy"), Reading(), set[str]()
    try:
        for box, style in filter(None, styled):
            texts = {turn.text for part in _AND.split(box.text) for turn in turns(_weighed(part)[0], _CALLS)}
            if any(map(comfy.is_weighted, texts)):
                weighted.add(style)
            if any(own.sections(text) != comfy.sections(text) or may_be_cut(text) for text in texts):
                weighted.add("")
    except BadInput:
        return [*boxes], chunks
    if weighted == {"A1111"} and not chunks:
        return plain, {"emphasis": "a1111", "chunks": "comfy"}
    return (plain if weighted <= {"comfy", ""} else [*boxes]), chunks


def _styled(box: Span) -> tuple[Span, str] | None:
    """Returns a prompt without its STYLE, and its name; None if it has one in another place, or one of another kind."""
    found = _STYLE.findall(box.text)
    if box.text.count("STYLE(") != len(found) or len(found) > 1 or (found and "STYLE(" not in _AND.split(box.text)[0]):
        return None
    text = _STYLE.sub("", box.text).strip()
    return (Span(text, [box.start] * (len(text) + 1)) if found else box), (found[0] if found else "") or "comfy"


def _as_a1111(source: Source, box: Span) -> Span:
    """Returns a prompt with prompt-control's sequences, ranges and LoRAs written as A1111 writes them."""
    text = _LORA.sub(r"<lora:\1:\3:\2>", box.text)  # prompt-control has the strength of the model first
    changed = _INNERMOST.sub(lambda found: _rewritten(found[1]) or found[0], text)
    if changed != text:
        source.note(
            "prompt-control counts shares of the noise, and a recipe counts shares of the steps, as A1111 does; a "
            "change may come a step earlier or later"
        )
    return box if changed == box.text else Span(changed, [box.start] * (len(changed) + 1))


def _rewritten(inside: str) -> str | None:
    """Returns a sequence, an alternation or a range as nested changes; None for anything else.

    They are ``[SEQ:a:0.3:b:0.6]``, ``[a|b:0.1]``, ``[a:b:c:0.3,0.7]`` and their short forms.
    """
    first, *parts = _fields(inside)
    if first.strip() == "SEQ":
        return _sequence(parts[::2], parts[1::2])
    if "|" in first and len(parts) < 2:
        return _alternation(first.split("|"), parts[0] if parts else "0.1")
    texts = [first, *parts[:-1]]
    start, comma, end = (parts[-1] if parts else "").partition(",")
    from_, to = _share(start), _share(end)
    if from_ is None or len(texts) > 3 or (to is None and (comma or len(texts) < 3)):
        return None
    before = texts.pop(0) if len(texts) == 3 else ""
    during, after = [*texts, ""][:2]
    return f"[{before}:{during}:{from_}]" if to is None else f"[{before}:[{during}:{after}:{to}]:{from_}]"


def _fields(inside: str) -> list[str]:
    """Returns the texts between the colons outside of round brackets."""
    depth, start, found = 0, 0, []
    for mark in re.finditer(r"[():]", inside):
        depth += (mark[0] == "(") - (mark[0] == ")")
        if mark[0] == ":" and depth <= 0:
            found.append(inside[start : mark.start()])
            start = mark.end()
    return [*found, inside[start:]]


def _alternation(texts: Sequence[str], every: str) -> str | None:
    """Returns texts in turn, each for a share of the steps."""
    step = float(_share(every) or 0)
    if step * MOST_SEQUENCE < 1:
        return None
    count = math.ceil(round(1 / step, 6))
    ends = [f"{min(step * (place + 1), 1):.6f}" for place in range(count)]
    return _sequence([texts[place % len(texts)] for place in range(count)], ends)


def _sequence(texts: Sequence[str], ends: Sequence[str]) -> str | None:
    shares = [_share(end) for end in ends]
    if not shares or len(texts) != len(shares) or None in shares or len(shares) > MOST_SEQUENCE:
        return None
    nested = ""
    for text, share in zip(reversed(texts), reversed(shares), strict=True):
        nested = f"[{text}:{nested}:{share}]"
    return nested


def _share(text: str) -> str | None:
    """Returns a share of the steps with a point, by which A1111 knows it; None for anything else."""
    found = _SHARE.fullmatch(text)
    return None if found is None or float(found[1]) > 1 else str(float(found[1]))


def _note(source: Source, text: str) -> None:
    """Adds a note on what engines refuse."""
    control = [each for each in constructs(text) if each.control and each.text != "TE"]
    found = [*control, *(each for each in constructs(text) if each.kind == LORA_SCHEDULE)]
    for first in {each.kind: each for each in reversed(found)}.values():
        if first.kind == LORA_SCHEDULE:
            source.note(
                f"{first.text} changes the LoRA over the denoising steps, as sd-webui-loractl does, and engines refuse "
                "it. Give one strength, or set loras in the keyframes for a strength that travels over the frames"
            )
        else:
            source.note(f"{first.text} is passed on as text, which only prompt-control reads; engines may refuse it")


def _unchanged(line: Span) -> Span:
    return line


def _without_comment(line: Span) -> Span:
    at = 0
    while (at := line.text.find("#", at)) >= 0:
        if line.text[at - 1 : at] != "\\":
            return line[:at].strip()
        at += 1
    return line


A1111 = Syntax("a1111", "one A1111 prompt", looks_a1111, read_a1111, emphasis="a1111")
PROMPT_CONTROL = Syntax(
    "prompt-control", "one prompt for ComfyUI's prompt-control", looks_prompt_control, read_prompt_control
)
