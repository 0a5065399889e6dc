"""The prompt box of sd-webui-animatediff: lines ``0: closed mouth``, with lines before and after for all of them."""

from __future__ import annotations

from collections.abc import Mapping

from remix.plan.fields import show
from remix.plan.mix import Mix
from remix.plan.recipe import Recipe
from remix.syntax.boxes import read_boxes, said, seed_said
from remix.syntax.keyed import FRAME, SECOND, Key, keys_among, refuse_keyed_negatives
from remix.syntax.pairs import MAX_FRAME, in_order
from remix.syntax.parts import Given, Parts
from remix.syntax.prompts import prompt_of
from remix.syntax.scan import Source, Written, joined
from remix.syntax.tracks import Stop, cut, lay
from remix.syntax.writing import Export, Sheet, refused_in


def read(source: Source, given: Given) -> Parts:
    """The parts that a prompt box says; it travels by slerp, and the host's settings close the loop."""
    boxes = read_boxes(source)
    head, keys, tail = keys_among(source, [line for line in boxes.prompt if line.text], _key_of)
    refuse_keyed_negatives(source, boxes.negative)
    first: list[Written | str] = [given.before.strip(), joined(head, ", ")]
    last: list[Written | str] = [joined(tail, ", "), given.after.strip()]
    found = []
    for at, line, prompt in keys:
        frame = int(at)
        if prompt.text[:1] == '"' and prompt.text[-1:] == '"':
            source.note("the quote marks around a prompt are part of it here; remove them if they are not meant")
        if (given.loop and given.frames is not None and frame >= given.frames) or frame > MAX_FRAME:
            raise source.refuse(line.start, f"frame {frame} is past the last frame of the loop; give more frames")
        whole = joined([*first, prompt, *last], ", ")
        found.append((frame, line, prompt_of(source, whole)))
    track = cut(source, [Stop(frame, mix) for frame, mix in in_order(source, found)], given.frames)
    tracks = {"prompt": track, **_constants(source, boxes.negative, boxes.settings)}
    keyframes, ease = lay(source, tracks)
    fields = said(source, boxes.settings)
    loop = given.loop or None
    return Parts(keyframes, frames=given.frames, fps=given.fps, loop=loop, ease=ease, mix="slerp", **fields)


def _key_of(line: Written) -> Key | None:
    found = FRAME.match(line.text)
    return Key(int(found[1]), line, line[found.end() :]) if found else None


def _constants(source: Source, negative: list[Written], settings: Mapping[str, Written]) -> dict[str, list[Stop]]:
    """The tracks of what is the same on all frames: the negative box and the seed."""
    tracks = {}
    text = joined(negative, " ")
    if text.text.strip():
        tracks["negative"] = [Stop(0, prompt_of(source, text))]
    seed = seed_said(source, settings)
    if seed is not None:
        tracks["seed"] = [Stop(0, Mix.one(seed))]
    return tracks


def write(recipe: Recipe, field: str) -> Export:
    """The recipe as a prompt box, one line for each prompt, and the negative box below it."""
    sheet = Sheet(recipe, carried=("mix",))
    if recipe.mix != "slerp" and len(sheet.lines) > 1:
        sheet.lose("mixing by lerp: this tool travels by slerp")
    if recipe.loop:
        sheet.lose('the loop, unless its setting "Closed loop" is A or R+P')
    lines = [line for line in sheet.travelling() if line.frame < recipe.frames]
    texts = [f"{line.frame}: {_one_line(sheet, sheet.one(line.prompt, line.frame))}" for line in lines]
    negatives = [sheet.one(line.negative, line.frame) for line in lines]
    if any(negative != negatives[0] for negative in negatives):
        sheet.lose("negatives that change; the first is written")
    if negatives[0]:
        texts.append(f"Negative prompt: {_one_line(sheet, negatives[0])}")
    return sheet.export("\n".join(texts) + "\n")


def _one_line(sheet: Sheet, text: str) -> str:
    refused_in(sheet, text, {"\n": "the end of the prompt; it is written as a blank"})
    if second := SECOND.search(text):
        sheet.lose(f"{show(text)} has {second[1]!r} in it, which is read as another key")
    return text.replace("\n", " ")
