"""The prompt box of sd-webui-animatediff: lines ``0: closed mouth``, with lines before and after for all of them."""

from __future__ import annotations

from dataclasses import replace

from remix.plan.fields import show
from remix.plan.recipe import Recipe
from remix.syntax.text.boxes import film_of, read_boxes, recipe_fields
from remix.syntax.text.export import Draft, Export, lose_misread
from remix.syntax.text.lines import FRAME, SECOND, Key, constant_tracks, refuse_keyed_negatives, split_keys
from remix.syntax.text.pairs import MAX_FRAME, by_frame
from remix.syntax.text.parts import Options, Parts
from remix.syntax.text.prompts import prompt_of
from remix.syntax.text.source import Source, Span, join
from remix.syntax.text.syntax import Shape, Syntax
from remix.syntax.text.tracks import Stop, clip, to_keyframes


def looks(shape: Shape) -> bool:
    return any(FRAME.match(line) for line in shape.lines)


def read(source: Source, options: Options) -> Parts:
    """Returns the parts of a prompt box; it travels by slerp, and the panel's settings close the loop."""
    boxes = read_boxes(source)
    film = film_of(source, boxes.settings)
    options = replace(
        options,
        frames=options.frames or film.get("frames"),
        fps=options.fps or film.get("fps"),
        loop=options.loop or bool(film.get("loop")),
    )
    head, keys, tail = split_keys(source, [line for line in boxes.prompt if line.text], _key_of)
    refuse_keyed_negatives(source, boxes.negative)
    first: list[Span | str] = [options.before.strip(), join(head, ", ")]
    last: list[Span | str] = [join(tail, ", "), options.after.strip()]
    found = []
    for at, line, prompt in keys:
        frame = int(at)
        if prompt.text[:1] == '"' and prompt.text[-1:] == '"':
            source.note("the quote marks around a prompt are part of it here; remove them if they should not be")
        if (options.loop and options.frames is not None and frame >= options.frames) or frame > MAX_FRAME:
            raise source.error(line.start, f"frame {frame} is past the last frame of the loop; give more frames")
        whole = join([*first, prompt, *last], ", ")
        found.append((frame, line, prompt_of(source, whole)))
    track = clip(source, [Stop(frame, mix) for frame, mix in by_frame(source, found)], options.frames)
    tracks = {"prompt": track, **constant_tracks(source, boxes)}
    keyframes, ease = to_keyframes(source, tracks)
    fields = recipe_fields(source, boxes.settings, "AnimateDiff")
    loop = options.loop or None
    return Parts(keyframes, frames=options.frames, fps=options.fps, loop=loop, ease=ease, mix="slerp", **fields)


def _key_of(line: Span) -> Key | None:
    found = FRAME.match(line.text)
    return Key(int(found[1]), line, line[found.end() :]) if found else None


def write(recipe: Recipe, field: str) -> Export:
    """Returns the recipe as a prompt box, a line for each prompt, and the negative box below it."""
    draft = Draft(recipe, supported=("mix",))
    if recipe.mix != "slerp" and len(draft.lines) > 1:
        draft.lose("mixing by lerp: this tool travels by slerp")
    if recipe.loop:
        draft.lose('the loop, unless its setting "Closed loop" is A or R+P')
    lines = [line for line in draft.straight_lines() if line.frame < recipe.frames]
    texts = [f"{line.frame}: {_one_line(draft, draft.one(line.prompt, line.frame))}" for line in lines]
    negatives = [draft.one(line.negative, line.frame) for line in lines]
    if any(negative != negatives[0] for negative in negatives):
        draft.lose("negatives that change; the first is written")
    if negatives[0]:
        texts.append(f"Negative prompt: {_one_line(draft, negatives[0])}")
    return draft.export("\n".join(texts) + "\n")


def _one_line(draft: Draft, text: str) -> str:
    lose_misread(draft, text, {"\n": "the end of the prompt; it is written as a blank"})
    if second := SECOND.search(text):
        draft.lose(f"{show(text)} has {second[1]!r} in it, which is read as another key")
    return text.replace("\n", " ")


SYNTAX = Syntax("sd-webui-animatediff", "sd-webui-animatediff's box", looks, read, write, emphasis="a1111")
