"""Prompts of one picture with a host's own syntax: A1111's ``[cat:dog:0.5]``, and that of ComfyUI's prompt-control.

These change a prompt over the denoising steps of one picture, which is not a schedule of frames. The text is passed on
unchanged to hosts that read it; other engines refuse it by name.
"""

from __future__ import annotations

from remix.plan.mix import Mix
from remix.syntax.text.boxes import film_of, read_boxes, recipe_fields, seed_of
from remix.syntax.text.over_steps import LORA_SCHEDULE, constructs
from remix.syntax.text.parts import Options, Parts
from remix.syntax.text.prompts import prompt_of
from remix.syntax.text.source import Source, Span, join
from remix.syntax.text.syntax import Shape, Syntax
from remix.syntax.text.tracks import Stop, to_keyframes

_A1111, _CONTROL = "AUTOMATIC1111", "ComfyUI with prompt-control"


def looks_a1111(shape: Shape) -> bool:
    boxes = shape.boxes
    return bool("Sampler" in boxes.settings or shape.constructs or boxes.settings or boxes.negative)


def looks_prompt_control(shape: Shape) -> bool:
    return "Sampler" not in shape.boxes.settings and any(construct.control for construct in shape.constructs)


def read_a1111(source: Source, options: Options) -> Parts:
    """Returns the parts of a prompt, perhaps with the negative prompt and settings that A1111 writes below it."""
    return _read(source, options, _A1111)


def read_prompt_control(source: Source, options: Options) -> Parts:
    """Returns the parts of a prompt for prompt-control, without comments (``#`` to the end of the line)."""
    return _read(source, options, _CONTROL)


def _read(source: Source, options: Options, host: str) -> Parts:
    boxes = read_boxes(source)
    without = _without_comment if host == _CONTROL else _unchanged
    prompt, negative = (
        join([line for line in map(without, box) if line.text], "\n") for box in (boxes.prompt, boxes.negative)
    )
    if not prompt.text.strip():
        raise source.error(0, "there is no prompt; write one")
    tracks = {"prompt": [Stop(0, prompt_of(source, join([options.before, prompt, options.after], ", ")))]}
    if negative.text.strip():
        tracks["negative"] = [Stop(0, prompt_of(source, negative))]
    seed = options.seed if options.seed is not None else seed_of(source, boxes.settings)
    if seed is not None:
        tracks["seed"] = [Stop(0, Mix.one(seed))]
    _note(source, f"{prompt.text}\n{negative.text}", host)
    keyframes, _ = to_keyframes(source, tracks)
    film = film_of(source, boxes.settings)
    return Parts(
        keyframes,
        frames=options.frames or film.get("frames", 1),
        fps=options.fps or film.get("fps"),
        loop=film.get("loop"),
        **recipe_fields(source, boxes.settings, "AnimateDiff"),
    )


def _note(source: Source, text: str, host: str) -> None:
    """Adds a note on text that is passed on, and for which host."""
    for kind in dict.fromkeys(found.kind for found in constructs(text) if host == _CONTROL or not found.control):
        first = next(found.text for found in constructs(text) if found.kind == kind)
        if kind == LORA_SCHEDULE:
            source.note(
                f"{first} changes the LoRA over the denoising steps, as sd-webui-loractl does, and engines refuse it. "
                "Give one strength, or set loras in the keyframes for a strength that travels over the frames"
            )
            continue
        source.note(f"{kind} ({first}) is passed on as text; {host} reads it, other engines refuse it or say so")


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
