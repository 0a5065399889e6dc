"""Prompts separated by ``|``: Wan's in ComfyUI, Replicate's, and the keyframes of Animator for A1111.

``a woman dances | she looks left``: the prompts hold in turn, each for an equal part of the film.

``0: an apple | 50: a banana``: prompts on frames, with straight travels between them.

``0 | prompt | a cat | blurry``: a time in seconds, a command and its values, on a line each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from remix.plan.fields import show
from remix.plan.keyframe import MAX_SEED
from remix.plan.mix import Mix
from remix.plan.recipe import Recipe
from remix.syntax.text.boxes import read_boxes, recipe_fields
from remix.syntax.text.lines import constant_tracks, looks_keyed
from remix.syntax.text.pairs import MAX_FRAME, by_frame
from remix.syntax.text.parts import Options, Parts
from remix.syntax.text.prompts import prompt_of
from remix.syntax.text.source import Source, Span, join
from remix.syntax.text.syntax import Shape, Syntax
from remix.syntax.text.tracks import Stop, clip, held_positions, to_keyframes

_SIGN = re.compile(r"\\.|[\[\]{}()<>|]", re.DOTALL)
_FRAME = re.compile(r"\s{0,9}([0-9]{1,12})\s{0,9}:(?![0-9])\s{0,9}", re.ASCII)
_COMMAND = re.compile(
    r"(?P<time>[0-9]{1,9}(?:\.[0-9]{0,9})?)\s{0,20}\|\s{0,20}(?P<name>prompt|template|seed|denoise|cfg_scale|noise"
    r"|transform|perspective|source|model|prompt_from_png|prompt_vtt|prop|set_text|clear_text|set_stamp|clear_stamp"
    r"|col_correct|vtt)\s{0,20}(?:\||$)",
    re.ASCII,
)


def _parts(text: Span) -> list[Span]:
    """Returns the parts between the ``|`` outside all brackets."""
    parts, depth, start = [], 0, 0
    for found in _SIGN.finditer(text.text):
        sign = found[0]
        if sign in "[{(<":
            depth += 1
        elif sign in "]})>":
            depth = max(depth - 1, 0)
        elif sign == "|" and depth == 0:
            parts.append(text[start : found.start()].strip())
            start = found.end()
    return [*parts, text[start:].strip()]


def _joined(lines: Sequence[Span]) -> Span:
    return join(list(lines), " ")


def looks_replicate(shape: Shape) -> bool:
    parts = [part for part in _parts(_joined(shape.prompt_lines)) if part.text]
    return len(parts) > 1 and all(_FRAME.match(part.text) for part in parts)


def read_replicate(source: Source, options: Options) -> Parts:
    """Returns the parts of prompts on frames."""
    boxes = read_boxes(source)
    found = []
    for part in _parts(_joined([line for line in boxes.prompt if line.text])):
        if not part.text:
            continue
        key = _FRAME.match(part.text)
        if key is None or int(key[1]) > MAX_FRAME:
            raise source.error(part.start, f"{show(part.text)} has no frame from 0 to {MAX_FRAME}; write 12: a cat")
        whole = join([options.before.strip(), part[key.end() :], options.after.strip()], ", ")
        found.append((int(key[1]), part, prompt_of(source, whole)))
    if not found:
        raise source.error(0, "there are no prompts; write 0: a cat | 12: a dog")
    stops = [Stop(frame, prompt) for frame, prompt in by_frame(source, found)]
    if len(stops) > 1:
        source.note("prompts travel from frame to frame; for Deforum's hold, set ease to hold in the recipe")
    tracks = {"prompt": clip(source, stops, options.frames), **constant_tracks(source, boxes)}
    keyframes, ease = to_keyframes(source, tracks)
    fields = recipe_fields(source, boxes.settings)
    return Parts(keyframes, frames=options.frames, fps=options.fps, loop=options.loop or None, ease=ease, **fields)


def looks_wan(shape: Shape) -> bool:
    lines = shape.prompt_lines
    if "Sampler" in shape.boxes.settings:
        return False  # what A1111 writes below a picture
    if len(lines) > 1 and not all(line.text.endswith("|") for line in lines[:-1]):
        return False
    parts = [part for part in _parts(_joined(lines)) if part.text]
    return len(parts) > 1 and not any(looks_keyed(part) for part in (*lines, *parts))


def read_wan(source: Source, options: Options) -> Parts:
    """Returns the parts of prompts that hold in turn, each for an equal part of the film."""
    boxes = read_boxes(source)
    text = _joined([line for line in boxes.prompt if line.text])
    prompts = [part for part in _parts(text) if part.text]
    if not prompts:
        raise source.error(0, "there are no prompts; write a cat | a dog")
    if options.frames is None:
        raise source.error(prompts[0].start, "the number of frames is not in the text; give frames (--frames 48)")
    if len(prompts) > options.frames:
        raise source.error(0, f"{len(prompts)} prompts do not fit into {options.frames} frames; give more frames")
    mixes = [prompt_of(source, join([options.before.strip(), p, options.after.strip()], ", ")) for p in prompts]
    stops = held_positions(mixes, options.frames)
    if len(stops) > 1:
        source.note("each prompt holds for an equal part; to travel between them, write each on its own line")
    keyframes, ease = to_keyframes(source, {"prompt": stops, **constant_tracks(source, boxes)})
    fields = recipe_fields(source, boxes.settings)
    return Parts(keyframes, frames=options.frames, fps=options.fps, loop=options.loop or None, ease=ease, **fields)


class Command(NamedTuple):
    """A line of Animator's keyframes: the frame, the command, its values, and the whole line."""

    frame: int
    name: str
    values: Sequence[Span]
    line: Span


def looks_animator(shape: Shape) -> bool:
    return bool(shape.prompt_lines) and all(_COMMAND.match(line.text) for line in shape.prompt_lines)


def read_animator(source: Source, options: Options) -> Parts:
    """Returns the parts of prompts, templates and seeds at times in seconds; prompts hold until the next."""
    fps = Fraction(repr(options.fps or Recipe.fps))
    boxes = read_boxes(source)
    commands = [_command(source, line, fps) for line in boxes.prompt if line.text]
    by_name: dict[str, list[Command]] = {}
    for command in commands:
        by_name.setdefault(command.name, []).append(command)
    prompts = by_name.pop("prompt", [])
    templates = by_name.pop("template", [])
    if not prompts and templates:
        prompts, templates = templates, []
    if not prompts:
        raise source.error(0, "there are no prompts; write 0 | prompt | a cat")
    if len(templates) > 1:
        raise source.error(templates[1].line.start, "a second template; keep one, and put its changes into the prompts")
    tracks = _prompt_tracks(source, prompts, templates[0].values if templates else (), options)
    if seeds := by_name.pop("seed", []):
        found = [(seed.frame, seed.line, Mix.one(_seed(source, seed))) for seed in seeds]
        tracks["seed"] = [Stop(frame, seed, "hold") for frame, seed in by_frame(source, found)]
    if by_name:
        source.note(f"every frame is rendered on its own here, so these are left out: {', '.join(by_name)}")
    if any(len(track) > 1 for track in tracks.values()):
        source.note("each value holds until the next; for its prompt interpolation, set ease to linear in the recipe")
    clipped: Mapping[str, list[Stop]] = {n: clip(source, track, options.frames) for n, track in tracks.items()}
    keyframes, ease = to_keyframes(source, clipped)
    return Parts(keyframes, frames=options.frames, fps=options.fps, loop=options.loop or None, ease=ease)


def _command(source: Source, line: Span, fps: Fraction) -> Command:
    found = _COMMAND.match(line.text)
    if found is None:
        raise source.error(line.start, f"{show(line.text)} is not a keyframe; write 0 | prompt | a cat")
    frame = (Fraction(found["time"]) * fps + Fraction(1, 2)).__floor__()
    if frame > MAX_FRAME:
        raise source.error(line.start, f"{found['time']} seconds are too far away; keep to frame {MAX_FRAME}")
    return Command(frame, found["name"], _parts(line[found.end() :]), line)


def _prompt_tracks(
    source: Source, prompts: Sequence[Command], template: Sequence[Span], options: Options
) -> dict[str, list[Stop]]:
    tracks: dict[str, list[Stop]] = {}
    for side, name in enumerate(("prompt", "negative")):
        outer = [template[side]] if side < len(template) else []
        around = (options.before.strip(), options.after.strip()) if side == 0 else ("", "")
        found = []
        for command in prompts:
            own = [command.values[side]] if side < len(command.values) else []
            whole = join([around[0], *outer, *own, around[1]], ", ")
            found.append((command.frame, command.line, prompt_of(source, whole)))
        stops = [Stop(frame, prompt, "hold") for frame, prompt in by_frame(source, found)]
        if side == 0 or any(stop.value != Mix.one("") for stop in stops):
            tracks[name] = stops
    return tracks


def _seed(source: Source, command: Command) -> int:
    text = command.values[0].text if command.values else ""
    if not re.fullmatch(r"[0-9]{1,20}", text, re.ASCII) or int(text) > MAX_SEED:
        raise source.error(command.line.start, f"{show(text)} is not a seed; write a number from 0 to 2^64 - 1")
    return int(text)


REPLICATE = Syntax("replicate", "Replicate's prompts on frames", looks_replicate, read_replicate)
WAN = Syntax("wan", "Wan's prompts for ComfyUI", looks_wan, read_wan)
ANIMATOR = Syntax("animator", "keyframes of Animator for A1111", looks_animator, read_animator, emphasis="a1111")
