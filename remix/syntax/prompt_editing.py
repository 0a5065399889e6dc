"""Prompts of one picture with a host's own syntax: A1111's ``[cat:dog:0.5]``, and that of ComfyUI's prompt-control.

They say what changes over the denoising steps of a picture, which is no schedule of frames: the text is carried
through as it is, for hosts that read it. An engine that cannot refuses it by name.
"""

from __future__ import annotations

from remix.plan.mix import Mix
from remix.syntax.boxes import read_boxes, said, seed_said
from remix.syntax.over_steps import constructs
from remix.syntax.parts import Given, Parts
from remix.syntax.prompts import prompt_of
from remix.syntax.scan import Source, Written, joined
from remix.syntax.tracks import Stop, lay

A1111, CONTROL = "AUTOMATIC1111", "ComfyUI with prompt-control"


def read_a1111(source: Source, given: Given) -> Parts:
    """The parts of a prompt, and perhaps of negative prompt and settings, as A1111 writes them below a picture."""
    return _read(source, given, A1111)


def read_prompt_control(source: Source, given: Given) -> Parts:
    """The parts of a prompt for prompt-control; what stands after ``#`` on a line is a remark and left out."""
    return _read(source, given, CONTROL)


def _read(source: Source, given: Given, host: str) -> Parts:
    boxes = read_boxes(source)
    without = _without_remark if host == CONTROL else _as_it_is
    prompt, negative = (
        joined([line for line in map(without, box) if line.text], "\n") for box in (boxes.prompt, boxes.negative)
    )
    if not prompt.text.strip():
        raise source.refuse(0, "there is no prompt; write one")
    tracks = {"prompt": [Stop(0, prompt_of(source, joined([given.before, prompt, given.after], ", ")))]}
    if negative.text.strip():
        tracks["negative"] = [Stop(0, prompt_of(source, negative))]
    seed = given.seed if given.seed is not None else seed_said(source, boxes.settings)
    if seed is not None:
        tracks["seed"] = [Stop(0, Mix.one(seed))]
    _note(source, f"{prompt.text}\n{negative.text}", host)
    keyframes, _ = lay(source, tracks)
    return Parts(keyframes, frames=given.frames or 1, fps=given.fps, **said(source, boxes.settings))


def _note(source: Source, text: str, host: str) -> None:
    """Say what is carried through for whom; and what another host than this one would read."""
    for kind in dict.fromkeys(found.kind for found in constructs(text) if host == CONTROL or not found.control):
        first = next(found.text for found in constructs(text) if found.kind == kind)
        source.note(f"{kind} ({first}) is carried through as text; {host} reads it, other engines refuse it or say so")


def _as_it_is(line: Written) -> Written:
    return line


def _without_remark(line: Written) -> Written:
    at = 0
    while (at := line.text.find("#", at)) >= 0:
        if line.text[at - 1 : at] != "\\":
            return line[:at].strip()
        at += 1
    return line
