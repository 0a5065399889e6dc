"""Prompts of one picture with a host's own syntax: A1111's ``[cat:dog:0.5]``, and that of ComfyUI's prompt-control.

These change a prompt over the denoising steps of one picture, which is not a schedule of frames. A1111's syntax is that
of recipes. What prompt-control has in addition is written in it where that means the same; engines refuse the rest.
"""

from __future__ import annotations

import re

from remix.plan.mix import Mix
from remix.syntax.text.boxes import film_of, read_boxes, recipe_fields, seed_of
from remix.syntax.text.over_steps import LORA_SCHEDULE, constructs
from remix.syntax.text.parts import Options, Parts
from remix.syntax.text.prompts import prompt_of
from remix.syntax.text.source import Source, Span, join
from remix.syntax.text.syntax import Shape, Syntax
from remix.syntax.text.tracks import Stop, to_keyframes

_INNERMOST = re.compile(r"\[([^\[\]\\]*)\]")
_SHARE = re.compile(r"\s*(0|1|[01]?\.[0-9]+|[01]\.)\s*", re.ASCII)
_AVERAGE = re.compile(r"\bAVG\s*\(\s*(?:0?\.50*\s*)?\)")
_OTHER = re.compile(r"\bAVG\s*\(|\b(?:AND|CAT)\b")
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
    if control:
        prompt, negative = (_as_a1111(source, box) for box in (prompt, negative))
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
        **recipe_fields(source, boxes.settings, "AnimateDiff"),
    )


def _mix(source: Source, prompt: Span, options: Options, *, control: bool) -> Mix[str]:
    """Returns the prompt, or the mix of both that prompt-control's ``a cat AVG() a dog`` averages."""
    found = _AVERAGE.search(prompt.text) if control else None
    parts = [prompt] if found is None else [prompt[: found.start()].strip(), prompt[found.end() :].strip()]
    if any(_OTHER.search(part.text) or not part.text for part in parts[: len(parts) if found else 0]):
        parts = [prompt]
    written = [join([options.before, part, options.after], ", ") for part in parts]
    return Mix(tuple((prompt_of(source, part).heaviest, 1.0) for part in written))


def _as_a1111(source: Source, box: Span) -> Span:
    """Returns a prompt with prompt-control's sequences and ranges written as A1111 writes them."""
    text = _INNERMOST.sub(lambda found: _rewritten(found[1]) or found[0], box.text)
    if text == box.text:
        return box
    source.note(
        "prompt-control counts shares of the noise, and a recipe counts shares of the steps, as A1111 does; a change "
        "may come a step earlier or later"
    )
    return Span(text, [box.start] * (len(text) + 1))


def _rewritten(inside: str) -> str | None:
    """Returns ``[SEQ:a:0.3:b:0.6]`` or ``[a:b:c:0.3,0.7]`` as nested changes; None for anything else."""
    first, *parts = inside.split(":")
    if first.strip() == "SEQ":
        shares = [_share(part) for part in parts[1::2]]
        if not parts or len(parts) % 2 or None in shares or len(shares) > MOST_SEQUENCE:
            return None
        nested = ""
        for text, share in zip(reversed(parts[::2]), reversed(shares), strict=True):
            nested = f"[{text}:{nested}:{share}]"
        return nested
    start, _, end = (parts[-1] if parts else "").partition(",")
    shares = [_share(start), _share(end)]
    if None in shares or len(parts) not in (1, 3):
        return None
    before, during, after = (first, *parts[:2]) if len(parts) == 3 else ("", first, "")
    return f"[{before}:[{during}:{after}:{shares[1]}]:{shares[0]}]"


def _share(text: str) -> str | None:
    """Returns a share of the steps with a point, by which A1111 knows it; None for anything else."""
    found = _SHARE.fullmatch(text)
    return None if found is None or float(found[1]) > 1 else str(float(found[1]))


def _note(source: Source, text: str) -> None:
    """Adds a note on what engines refuse."""
    found = [each for each in constructs(text) if each.control or each.kind == LORA_SCHEDULE]
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
