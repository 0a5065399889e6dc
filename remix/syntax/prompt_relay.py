"""Prompt Relay for ComfyUI: one global prompt, and local prompts that hold for a segment of the film each.

``{"global_prompt": "a park", "local_prompts": "a cat | a dog", "segment_lengths": "24, 24"}``, as its node has them.
"""

from __future__ import annotations

import re
from itertools import accumulate

from remix.plan.fields import show
from remix.plan.moments import MAX_FRAMES
from remix.syntax.text.calls import note_unread
from remix.syntax.text.literal import fields_of, read_all, text_of
from remix.syntax.text.parts import Options, Parts
from remix.syntax.text.prompts import prompt_of
from remix.syntax.text.source import Source, Span, join
from remix.syntax.text.syntax import Shape, Syntax
from remix.syntax.text.tracks import Stop, clip, held_positions, to_keyframes

_READ = {"global_prompt", "local_prompts", "segment_lengths"}


def looks(shape: Shape) -> bool:
    return shape.has_keys("local_prompts")


def read(source: Source, options: Options) -> Parts:
    """Returns the parts of the segments; without lengths they are of equal length."""
    data = fields_of(source, read_all(source), "this text")
    texts = {name: text_of(source, data[name], name) for name in _READ if name in data}
    if "local_prompts" not in texts:
        raise source.error(0, 'there are no "local_prompts"; write them with | between: "a cat | a dog"')
    note_unread(source, [name for name in data if name not in _READ])
    return read_segments(source, texts, options)


def read_segments(source: Source, texts: dict[str, Span], options: Options) -> Parts:
    """Returns the parts of the texts of a node by name."""
    local = texts["local_prompts"]
    prompts = [part for part in local.split("|") if part.text]
    if not prompts:
        raise source.error(local.start, "there are no local prompts; write them with | between")
    head = texts.get("global_prompt", local[:0]).strip()
    mixes = [prompt_of(source, join([options.before.strip(), head, p, options.after.strip()], ", ")) for p in prompts]
    lengths = _lengths(source, texts.get("segment_lengths"), len(prompts))
    if lengths is None and options.frames is None:
        raise source.error(local.start, "the number of frames is not in the text; give frames (--frames 48)")
    if lengths is None and len(mixes) > (options.frames or 0):
        raise source.error(local.start, f"{len(mixes)} prompts do not fit into {options.frames} frames; give more")
    if lengths is None:
        frames = options.frames or 0
        stops = held_positions(mixes, frames)
    else:
        frames = options.frames or sum(lengths)
        stops = [Stop(at, mix, "hold") for at, mix in zip([0, *accumulate(lengths)], mixes, strict=False)]
    if len(stops) > 1:
        source.note("each segment holds its prompt; Prompt Relay blurs the borders, here they are cuts")
    keyframes, ease = to_keyframes(source, {"prompt": clip(source, stops, frames)})
    return Parts(keyframes, frames=frames, fps=options.fps, loop=options.loop or None, ease=ease)


def _lengths(source: Source, written: Span | None, count: int) -> list[int] | None:
    if written is None or not written.text.strip():
        return None
    lengths = []
    for part in written.split(","):
        if not part.text:
            continue
        if not re.fullmatch(r"[0-9]{1,9}", part.text, re.ASCII) or not 1 <= int(part.text) <= MAX_FRAMES:
            raise source.error(part.start, f"{show(part.text)} is not a number of frames; write one from 1")
        lengths.append(int(part.text))
    if len(lengths) != count:
        raise source.error(written.start, f"{len(lengths)} lengths for {count} prompts; give one for each")
    return lengths


SYNTAX = Syntax("prompt-relay", "Prompt Relay's segments", looks, read)
