"""The prompt travel script of A1111: each line of the prompt box is a stage, and so is each of the negative box.

``Travel steps between stages: 12, 24, 36``, on its own line, sets the frames from each stage to the next.
"""

from __future__ import annotations

import re
from typing import Any

from remix.plan.mix import Mix
from remix.plan.moments import MAX_FRAMES
from remix.syntax.text.boxes import read_boxes, recipe_fields, seed_of
from remix.syntax.text.lines import refuse_keyed
from remix.syntax.text.parts import Options, Parts
from remix.syntax.text.prompts import prompt_of
from remix.syntax.text.source import Source, Span, join
from remix.syntax.text.syntax import Shape, Syntax
from remix.syntax.text.tracks import from_stages, gaps_between

_STEPS = re.compile(r"travel steps[^:]*:\s*(.*)", re.IGNORECASE)

_CODE = re.compile(r"from [\w.]+ import \w|import [\w.]+(?: as \w+)?\s*$|\w+ = [\w.]+\(|[\w.]+\([\[{\"']")
"""The beginning of a line of Python."""


def looks(shape: Shape) -> bool:
    """Returns whether a text looks like stages of the prompt-travel script."""
    if "Sampler" in shape.boxes.settings:
        return False  # what A1111 writes below a picture
    lines = shape.prompt_lines
    refuse_keyed(shape.source, lines)
    if any(_STEPS.match(line.text) for line in lines):
        return True
    if code := next((line for line in lines if _CODE.match(line.text)), None):
        raise shape.source.error(
            code.start,
            "this looks like a script, whose lines are no prompts; give the call with its arguments by name, such as "
            'walk(prompts=["a", "b"], seeds=[1, 2], num_interpolation_steps=24), or name the syntax (--from)',
        )
    if any(construct.control for construct in shape.constructs):
        return False
    if len(lines) > 1 and shape.constructs:
        raise shape.source.error(
            lines[0].start,
            f"{shape.constructs[0].text} may be part of one prompt of several lines (a1111) or of a stage on each "
            "line (prompt-travel); name the syntax (--from)",
        )
    return len(lines) > 1


def read(source: Source, options: Options) -> Parts:
    """Returns the parts of the two boxes; the shorter of them repeats its last line."""
    boxes = read_boxes(source)
    label = next((line for line in boxes.prompt + boxes.negative if _STEPS.match(line.text)), None)
    prompts, negatives = (
        [_wrapped(line, options) for line in box if line.text and line is not label]
        for box in (boxes.prompt, boxes.negative)
    )
    if not prompts:
        raise source.error(0, "there are no prompts; write one on each line")
    count = max(len(prompts), len(negatives))
    tracks = {"prompt": [prompt_of(source, line) for line in prompts]}
    if negatives:
        tracks["negative"] = [prompt_of(source, line) for line in negatives]
    tracks = {name: [*mixes, *[mixes[-1]] * (count - len(mixes))] for name, mixes in tracks.items()}
    seed = seed_of(source, boxes.settings)
    steps = _steps_between(source, label, count) if label else None
    if steps is not None and options.spacing:
        source.note("the text sets the steps between its stages itself, so the spacing option is left out")
    every: dict[str, list[Mix[Any]]] = {**tracks}
    if seed is not None:
        every["seed"] = [Mix.one(seed)]
    return from_stages(source, every, options, steps, {"fps": options.fps, **recipe_fields(source, boxes.settings)})


def _wrapped(line: Span, options: Options) -> Span:
    return join([options.before.strip(), line, options.after.strip()], ", ")


def _steps_between(source: Source, label: Span, stages: int) -> list[int] | None:
    match = _STEPS.match(label.text)
    assert match is not None
    place = label.places[match.start(1)]
    numbers = [text.strip() for text in match[1].split(",")]
    for text in numbers:
        if not re.fullmatch(r"[0-9]{1,6}", text, re.ASCII) or not 1 <= int(text) <= MAX_FRAMES:
            raise source.error(place, f"{text[:40]!r} is not a number of steps; write 12, or one for each way: 12, 24")
    return gaps_between(source, [int(text) for text in numbers], stages, place)


SYNTAX = Syntax("prompt-travel", "A1111's prompt travel script", looks, read, emphasis="a1111")
