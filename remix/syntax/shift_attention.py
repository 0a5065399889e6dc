"""Shift attention: ``(cat:1~0) and (dog:0~1)``, ``cat :1~0 AND dog :0~1``, ``a THEN(seed=2,cfg=5) b THEN c``.

The numbers of a range are spread over the frames of their prompt. THEN switches to the next prompt. The seed and cfg in
its brackets are reached by the end of the prompt before it.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from remix.plan.keyframe import MAX_CFG, MAX_SEED
from remix.plan.mix import Mix
from remix.plan.recipe_values import MAX_KEYFRAMES
from remix.syntax.text.boxes import read_boxes, recipe_fields, seed_of
from remix.syntax.text.parts import Options, Parts
from remix.syntax.text.prompts import mix_of_and, wrap
from remix.syntax.text.source import Source, Span, join
from remix.syntax.text.syntax import Shape, Syntax
from remix.syntax.text.tracks import Stop, clip, to_keyframes

_RANGE = re.compile(r"(?<![.0-9])[-+]?[.0-9]+~[-+~.0-9]*", re.ASCII)
_NUMBER = re.compile(r"[-+]?(?:[0-9]{1,9}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})", re.ASCII)
_THEN = re.compile(r"\bTHEN\b(?:\(([^()]{0,200})\))?")
_MAX_SEGMENTS = 1000


class Segment(NamedTuple):
    """A prompt up to its THEN, and the seed and cfg that it travels to meanwhile."""

    prompt: Span
    seed: int | None = None
    cfg: float | None = None


class Ranged(NamedTuple):
    """A prompt split at its ranges of numbers."""

    written: Span
    texts: list[str]
    ranges: list[list[float]]

    def at(self, distance: float) -> Span:
        """Returns the prompt with each range at `distance` (0 to 1) along its numbers."""
        # A weight of AND becomes a share, which is exact; one in brackets is text, where four decimals are enough.
        decimals = 12 if "AND" in self.written.text else 4
        parts = [self.texts[0]]
        for numbers, text in zip(self.ranges, self.texts[1:], strict=True):
            place = distance * (len(numbers) - 1)
            i = min(int(place), len(numbers) - 2)
            value = numbers[i] + (numbers[i + 1] - numbers[i]) * (place - i)
            parts += [f"{value:.{decimals}f}".rstrip("0").rstrip("."), text]
        text = "".join(parts)
        return Span(text, [self.written.start] * (len(text) + 1))


def looks(shape: Shape) -> bool:
    return bool(_THEN.search(shape.text)) or any("~" in found[0] for found in _RANGE.finditer(shape.text))


def read(source: Source, options: Options) -> Parts:
    """Returns the parts of a prompt with ranges; `options.spacing` is the script's number of steps."""
    boxes = read_boxes(source)
    sides = [_segments(source, join(box, " "), options) for box in (boxes.prompt, boxes.negative)]
    count = len(sides[0])
    while count > 1 and not sides[0][count - 1].prompt.text and count >= len(sides[1]):
        count -= 1  # only what it travels to follows the last THEN
    count = max(count, len(sides[1]))
    frames = options.frames or (count * (options.spacing[0] + 1) if options.spacing else None)
    if frames is None:
        raise source.error(0, "the number of steps is not in the text; give frames (--frames 48)")
    if frames > MAX_KEYFRAMES or count > min(_MAX_SEGMENTS, frames):
        raise source.error(0, f"{count} prompts over {frames} frames; keep to {MAX_KEYFRAMES} frames, one for each")
    tracks = {"prompt": _spread(source, sides[0], count, frames)}
    if boxes.negative:
        tracks["negative"] = _spread(source, sides[1], count, frames)
    fields = recipe_fields(source, boxes.settings)
    seed = options.seed if options.seed is not None else seed_of(source, boxes.settings)
    tracks.update(_walks(sides, count, frames, seed or 0, fields.get("cfg", 7.0), seed is not None))
    keyframes, ease = to_keyframes(source, {name: clip(source, track, frames) for name, track in tracks.items()})
    return Parts(keyframes, frames=frames, fps=options.fps, ease=ease, **fields)


def _segments(source: Source, box: Span, options: Options) -> list[Segment]:
    segments, start = [], 0
    for found in _THEN.finditer(box.text):
        prompt = wrap(box[start : found.start()], options.before, options.after, ", ")
        segments.append(Segment(prompt, **_targets(source, box, found)))
        start = found.end()
    rest = box[start:].strip()
    return [*segments, Segment(wrap(rest, options.before, options.after, ", ") if rest.text else rest)]


def _targets(source: Source, box: Span, found: re.Match[str]) -> dict[str, Any]:
    """Returns the seed and cfg in the brackets of THEN."""
    targets: dict[str, Any] = {}
    for part in (found[1] or "").split(","):
        name, sign, value = (text.strip() for text in part.partition("="))
        if not name and not sign:
            continue
        limits = {"seed": MAX_SEED, "cfg": MAX_CFG}
        if name not in limits or not re.fullmatch(r"[0-9]{1,20}(\.[0-9]{0,20})?", value, re.ASCII):
            raise source.error(box.places[found.start()], f"{part.strip()[:40]!r} is not seed=2 or cfg=5; correct it")
        number: float = float(value) if name == "cfg" or "." in value else int(value)
        if number > limits[name] or (name == "seed" and number != int(number)):
            raise source.error(box.places[found.start()], f"{part.strip()[:40]!r} is not a {name}; choose another")
        targets[name] = number
    return targets


def _ranged(source: Source, written: Span) -> Ranged:
    texts, ranges, start = [], [], 0
    for found in _RANGE.finditer(written.text):
        numbers = found[0].split("~")
        for number in numbers:
            if not _NUMBER.fullmatch(number):
                place = written.places[found.start()]
                raise source.error(place, f"{found[0][:40]!r} is not a range; write numbers such as 1~0.5~1")
        texts.append(written.text[start : found.start()])
        ranges.append([float(number) for number in numbers])
        start = found.end()
    return Ranged(written, [*texts, written.text[start:]], ranges)


def _spans(count: int, frames: int) -> list[range]:
    return [range(i * frames // count, (i + 1) * frames // count) for i in range(count)]


def _spread(source: Source, segments: list[Segment], count: int, frames: int) -> list[Stop]:
    """Returns the stops of the prompts, each over its frames; the last one also covers parts without a prompt."""
    stops: list[Stop] = []
    ranged = [_ranged(source, segment.prompt) for segment in segments if segment.prompt.text]
    ranged = ranged or [_ranged(source, segments[0].prompt)]
    for i, span in enumerate(_spans(count, frames)):
        prompt = ranged[min(i, len(ranged) - 1)]
        for j, frame in enumerate(span):
            mix = mix_of_and(source, prompt.at(j / max(len(span) - 1, 1)))
            if not stops or stops[-1].value != mix:
                stops.append(Stop(frame, mix, "hold"))
    return stops


def _walks(
    sides: list[list[Segment]], count: int, frames: int, seed: int, cfg: float, has_seed: bool
) -> dict[str, list[Stop]]:
    """Returns the tracks of seed and cfg where a segment travels to another value."""
    seeds, cfgs = [Stop(0, Mix.one(seed))], [Stop(0, cfg)]
    for i, span in enumerate(_spans(count, frames)):
        segments = [side[i] for side in sides if i < len(side)]
        to_seed = next((segment.seed for segment in segments if segment.seed is not None), None)
        to_cfg = next((segment.cfg for segment in segments if segment.cfg is not None), None)
        if to_seed is not None:
            _walk(seeds, span, Mix.one(to_seed))
        if to_cfg is not None:
            _walk(cfgs, span, to_cfg)
    found = {"seed": seeds} if len(seeds) > 1 or has_seed else {}
    return {**found, **({"cfg": cfgs} if len(cfgs) > 1 else {})}


def _walk(stops: list[Stop], span: range, value: Mix[int] | float) -> None:
    """Adds the travel to `value` over the frames of `span`."""
    if span[0] > stops[-1].frame:
        stops.append(Stop(span[0], stops[-1].value))
    if span[-1] == stops[-1].frame:
        stops.pop()
    stops.append(Stop(span[-1], value))


SYNTAX = Syntax("shift-attention", "A1111's shift attention script", looks, read, emphasis="a1111")
