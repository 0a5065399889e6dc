"""Lines with a moment before each prompt, as recipes write it: ``0s: a cat``, ``1.5s: a dog``, ``100%: a bird``.

A moment is a frame (``12`` or ``Frame 12``), a time or a share of the film. Lines before and after the keys belong to
all prompts. Prompts travel straight from key to key. Comfyroll's keyframes, ``0, a cat``, are lines with frames too.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

from remix.errors import RecipeError
from remix.plan.fields import show
from remix.plan.keyframe import Keyframe
from remix.plan.mix import Mix
from remix.plan.moments import place
from remix.plan.recipe import Recipe
from remix.syntax.text.boxes import read_boxes, recipe_fields
from remix.syntax.text.lines import MOMENT, Key, constant_tracks, key_of, refuse_keyed_negatives, split_keys
from remix.syntax.text.pairs import MAX_FRAME, by_frame
from remix.syntax.text.parts import FAR, Options, Parts
from remix.syntax.text.prompts import prompt_of
from remix.syntax.text.source import Source, Span, join
from remix.syntax.text.syntax import Shape, Syntax
from remix.syntax.text.tracks import Stop, clip, to_keyframes

_COMFYROLL = re.compile(r"([0-9]{1,12})\s{0,9},\s{0,9}(?=\S)", re.ASCII)


def looks(shape: Shape) -> bool:
    return any(MOMENT.match(line) for line in shape.lines)


def read(source: Source, options: Options) -> Parts:
    """Returns the parts of the lines."""
    boxes = read_boxes(source)
    head, keys, tail = split_keys(source, [line for line in boxes.prompt if line.text], key_of)
    refuse_keyed_negatives(source, boxes.negative)
    first: list[Span | str] = [options.before.strip(), join(head, ", ")]
    last: list[Span | str] = [join(tail, ", "), options.after.strip()]
    prompts = [prompt_of(source, join([*first, key.prompt, *last], ", ")) for key in keys]
    keyframes = _placed(source, keys, prompts, options)
    constants = {name: track[0].value for name, track in constant_tracks(source, boxes).items()}
    keyframes[0] = replace(keyframes[0], **constants)
    loop = options.loop or None
    return Parts(
        tuple(keyframes),
        frames=options.frames,
        fps=options.fps,
        loop=loop,
        mix="lerp",
        **recipe_fields(source, boxes.settings),
    )


def _placed(source: Source, keys: list[Key], prompts: list[Mix[str]], options: Options) -> list[Keyframe]:
    """Returns the keyframes in order: at their moments as written, or at frames if one of them lies past the end."""
    placed = _sorted(source, keys, prompts, options)
    if options.frames is None or placed[-1][0] < options.frames:
        return [Keyframe(at=at, prompt=prompt) for _, (at, prompt) in placed]
    stops = clip(source, [Stop(frame, prompt) for frame, (_, prompt) in placed], options.frames)
    return [Keyframe(at=stop.frame, prompt=stop.value) for stop in stops]


def _sorted(
    source: Source, keys: list[Key], prompts: list[Mix[str]], options: Options
) -> list[tuple[int, tuple[int | str, Mix[str]]]]:
    """Returns the frame of each key, with its moment and prompt. Without a length, shares are those of `FAR` frames.

    Raises RecipeError for two keys on one frame, a share above 100% and a film that ends before its first key.
    """
    found = []
    for key, prompt in zip(keys, prompts, strict=True):
        frame = _frame(source, key, options)
        if frame > MAX_FRAME and not str(key.at).endswith("%"):
            raise source.error(key.line.start, f"{show(key.at)} is too far away; keep to frame {MAX_FRAME}")
        found.append((frame, key.line, (key.at, prompt)))
    placed = by_frame(source, found)
    if options.frames is not None and placed[0][0] >= options.frames:
        earliest = min(zip(found, keys, strict=True), key=lambda pair: pair[0][0])[1]
        raise source.error(
            earliest.line.start,
            f"{show(earliest.at)} is past the last frame ({options.frames - 1}), and so are all keys; give more frames",
        )
    return placed


def _frame(source: Source, key: Key, options: Options) -> int:
    if str(key.at).endswith("%"):
        if float(str(key.at)[:-1]) > 100:
            raise source.error(key.line.start, f"{key.at} is past the end of the film; write up to 100%")
        frames, loop = options.frames or FAR, options.loop
        if loop and float(str(key.at)[:-1]) == 100:
            raise source.error(key.line.start, "100% of a loop is frame 0 again; remove this key")
        return place(key.at, frames, 1.0, loop, "at")
    try:
        return place(key.at, FAR, options.fps or Recipe.fps, False, "at")
    except RecipeError as error:
        raise source.error(key.line.start, f"{show(key.at)} is too far away; keep to frame {MAX_FRAME}") from error


def looks_comfyroll(shape: Shape) -> bool:
    # The comma of "0,5s: a" is that of a decimal.
    found = [None if MOMENT.match(line.text) else _COMFYROLL.match(line.text) for line in shape.prompt_lines]
    frames = [int(key[1]) for key in found if key]
    return len(found) == len(frames) > 1 and frames[0] == 0 and all(a < b for a, b in pairwise(frames))


def read_comfyroll(source: Source, options: Options) -> Parts:
    """Returns the parts of Comfyroll's keyframes, ``0, a girl``; prompts travel straight from frame to frame."""
    boxes = read_boxes(source)
    found = []
    for line in (line for line in boxes.prompt if line.text):
        key = _COMFYROLL.match(line.text)
        if key is None or int(key[1]) > MAX_FRAME:
            raise source.error(line.start, f"{show(line.text)} has no frame from 0 to {MAX_FRAME}; write 12, a cat")
        whole = join([options.before.strip(), line[key.end() :], options.after.strip()], ", ")
        found.append((int(key[1]), line, prompt_of(source, whole)))
    if not found:
        raise source.error(0, "there are no prompts; write 0, a cat")
    stops = [Stop(frame, prompt) for frame, prompt in by_frame(source, found)]
    tracks = {"prompt": clip(source, stops, options.frames), **constant_tracks(source, boxes)}
    keyframes, ease = to_keyframes(source, tracks)
    fields = recipe_fields(source, boxes.settings)
    return Parts(keyframes, frames=options.frames, fps=options.fps, loop=options.loop or None, ease=ease, **fields)


MOMENTS = Syntax("moments", "lines with frames, times or shares", looks, read)
COMFYROLL = Syntax("comfyroll", "Comfyroll's keyframes", looks_comfyroll, read_comfyroll)
