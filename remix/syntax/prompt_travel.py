"""The prompt travel script of A1111: each line of the prompt box is a stage, and so is each of the negative box.

``Travel steps between stages: 12, 24, 36``, on a line of its own, says how many frames each stage is from the next.
"""

from __future__ import annotations

import re
from typing import Any

from remix.plan.mix import Mix
from remix.plan.moments import MAX_FRAMES
from remix.syntax.boxes import read_boxes, said, seed_said
from remix.syntax.parts import Given, Parts
from remix.syntax.prompts import prompt_of
from remix.syntax.scan import Source, Written, joined
from remix.syntax.stages import spaced, staged

STEPS = re.compile(r"travel steps[^:]*:\s*(.*)", re.IGNORECASE)


def read(source: Source, given: Given) -> Parts:
    """The parts that the two boxes say; the shorter of them repeats its last line."""
    boxes = read_boxes(source)
    label = next((line for line in boxes.prompt + boxes.negative if STEPS.match(line.text)), None)
    prompts, negatives = (
        [_whole(line, given) for line in box if line.text and line is not label]
        for box in (boxes.prompt, boxes.negative)
    )
    if not prompts:
        raise source.refuse(0, "there are no prompts; write one on each line")
    count = max(len(prompts), len(negatives))
    tracks = {"prompt": [prompt_of(source, line) for line in prompts]}
    if negatives:
        tracks["negative"] = [prompt_of(source, line) for line in negatives]
    tracks = {name: [*mixes, *[mixes[-1]] * (count - len(mixes))] for name, mixes in tracks.items()}
    seed = seed_said(source, boxes.settings)
    ways = _ways(source, label, count) if label else None
    if ways is not None and given.spacing:
        source.note("the text says the steps between its stages itself, so the spacing that is given is left out")
    every: dict[str, list[Mix[Any]]] = {**tracks}
    if seed is not None:
        every["seed"] = [Mix.one(seed)]
    return staged(source, every, given, ways, {"fps": given.fps, **said(source, boxes.settings)})


def _whole(line: Written, given: Given) -> Written:
    return joined([given.before.strip(), line, given.after.strip()], ", ")


def _ways(source: Source, label: Written, stages: int) -> list[int] | None:
    match = STEPS.match(label.text)
    assert match is not None
    place = label.places[match.start(1)]
    numbers = [text.strip() for text in match[1].split(",")]
    for text in numbers:
        if not re.fullmatch(r"[0-9]{1,6}", text, re.ASCII) or not 1 <= int(text) <= MAX_FRAMES:
            raise source.refuse(place, f"{text[:40]!r} is not a number of steps; write 12, or one for each way: 12, 24")
    return spaced(source, [int(text) for text in numbers], stages, place)
