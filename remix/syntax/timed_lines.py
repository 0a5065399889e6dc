"""Lines with a moment before each prompt, in the words of recipes: ``0s: a cat``, ``1.5s: a dog``, ``100%: a bird``.

A moment is a frame (``12`` or ``Frame 12``), a time or a share of the film; lines before and after the keys belong to
all prompts. Prompts travel straight from key to key.
"""

from __future__ import annotations

from remix.errors import RecipeError
from remix.plan.fields import show
from remix.plan.keyframe import Keyframe
from remix.plan.mix import Mix
from remix.plan.moments import place
from remix.plan.recipe import Recipe
from remix.syntax.boxes import read_boxes, said, seed_said
from remix.syntax.keyed import Key, key_of, keys_among, refuse_keyed_negatives
from remix.syntax.pairs import MAX_FRAME, in_order
from remix.syntax.parts import FAR, Given, Parts
from remix.syntax.prompts import prompt_of
from remix.syntax.scan import Source, Written, joined
from remix.syntax.tracks import Stop, cut


def read(source: Source, given: Given) -> Parts:
    """The parts that the lines say."""
    boxes = read_boxes(source)
    head, keys, tail = keys_among(source, [line for line in boxes.prompt if line.text], key_of)
    refuse_keyed_negatives(source, boxes.negative)
    first: list[Written | str] = [given.before.strip(), joined(head, ", ")]
    last: list[Written | str] = [joined(tail, ", "), given.after.strip()]
    prompts = [prompt_of(source, joined([*first, key.prompt, *last], ", ")) for key in keys]
    keyframes = _placed(source, keys, prompts, given)
    negative = joined(boxes.negative, " ")
    constant = {"negative": prompt_of(source, negative)} if negative.text.strip() else {}
    seed = seed_said(source, boxes.settings)
    keyframes[0] = Keyframe(
        at=keyframes[0].at,
        prompt=keyframes[0].prompt,
        negative=constant.get("negative"),
        seed=None if seed is None else Mix.one(seed),
    )
    loop = given.loop or None
    return Parts(
        tuple(keyframes), frames=given.frames, fps=given.fps, loop=loop, mix="lerp", **said(source, boxes.settings)
    )


def _placed(source: Source, keys: list[Key], prompts: list[Mix[str]], given: Given) -> list[Keyframe]:
    """The keyframes in order: at their moments as they are written, or at frames where one leads past the end."""
    placed = _in_order(source, keys, prompts, given)
    if given.frames is None or placed[-1][0] < given.frames:
        return [Keyframe(at=at, prompt=prompt) for _, (at, prompt) in placed]
    stops = cut(source, [Stop(frame, prompt) for frame, (_, prompt) in placed], given.frames)
    return [Keyframe(at=stop.frame, prompt=stop.value) for stop in stops]


def _in_order(
    source: Source, keys: list[Key], prompts: list[Mix[str]], given: Given
) -> list[tuple[int, tuple[int | str, Mix[str]]]]:
    """The frame of each key, with its moment and its prompt. Shares of a film of unknown length are in parts of `FAR`.

    RecipeError for two keys on one frame, a share above 100% and a film that ends before its first key.
    """
    found = []
    for key, prompt in zip(keys, prompts, strict=True):
        frame = _frame(source, key, given)
        if frame > MAX_FRAME and not str(key.at).endswith("%"):
            raise source.refuse(key.line.start, f"{show(key.at)} is too far away; keep to frame {MAX_FRAME}")
        found.append((frame, key.line, (key.at, prompt)))
    placed = in_order(source, found)
    if given.frames is not None and placed[0][0] >= given.frames:
        earliest = min(zip(found, keys, strict=True), key=lambda pair: pair[0][0])[1]
        raise source.refuse(
            earliest.line.start,
            f"{show(earliest.at)} is past the last frame ({given.frames - 1}), and so are all keys; give more frames",
        )
    return placed


def _frame(source: Source, key: Key, given: Given) -> int:
    if str(key.at).endswith("%"):
        if float(str(key.at)[:-1]) > 100:
            raise source.refuse(key.line.start, f"{key.at} is past the end of the film; write up to 100%")
        frames, loop = given.frames or FAR, given.loop
        if loop and float(str(key.at)[:-1]) == 100:
            raise source.refuse(key.line.start, "100% of a loop is frame 0 again; remove this key")
        return place(key.at, frames, 1.0, loop, "at")
    try:
        return place(key.at, FAR, given.fps or Recipe.fps, False, "at")
    except RecipeError as error:
        raise source.refuse(key.line.start, f"{show(key.at)} is too far away; keep to frame {MAX_FRAME}") from error
