"""Deforum's schedules: prompts in braces, and values, which FizzNodes has too.

``{"0": "bunny --neg photo", "max_f-20": "durian `10*sin(t)`"}``: each prompt holds until the next. In keys and
backticks `max_f` is the last frame. ``(a):0.7 AND (b):0.3``, as the Interpolation mode writes it, is a mix.

``cfg: 0:(7), 15:(9), 30:(7+sin(t/4))``: numbers are keys with straight lines between them, an expression of `t`,
`max_f` (the last frame), `s` (the seed) and `fps` holds until the next key. ``0:("Euler a")`` names the sampler.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from remix.catalog.samplers import sampler_of
from remix.errors import RecipeError
from remix.plan import fields as check
from remix.plan.expression import parse
from remix.plan.keyframe import Keyframe
from remix.plan.mix import Mix
from remix.plan.recipe import Recipe
from remix.plan.schedule import plan
from remix.syntax.text.export import Draft, Export, lose_misread, number_text
from remix.syntax.text.lines import FRAME
from remix.syntax.text.pairs import Clock, Pair, by_frame, frame_of, read_pairs
from remix.syntax.text.parts import Options, Parts
from remix.syntax.text.prompts import TimedPrompt, mix_of_and, tracks, wrap_sides
from remix.syntax.text.source import Source
from remix.syntax.text.syntax import Shape, Syntax
from remix.syntax.text.tracks import Stop, number_stops, to_keyframes
from remix.syntax.text.values import TARGETS, is_text, sampler_fields, target_of, tracks_of

_ASSIGNED = re.compile(
    r"(?m)^[ \t]*(?P<name>(?:animation_)?prompts|(?:animation_)?(?:neg|negative)_prompts)[ \t]*=\s*(?=\{)"
)
"""The prompts and negative prompts of Deforum's notebook."""

CAMERA = frozenset(
    {"zoom", "angle", "fov", "near", "far", "noise", "contrast", "kernel", "sigma", "amount", "threshold", "cadence"}
    | {"steps", "checkpoint", "clipskip"}
)
"""Deforum's other schedules; so are all that begin with `translation`, `rotation` or `transform`."""

_OTHER_NAMES = {
    "scale": "cfg",
    "guidance": "cfg",
    "guidance_scale": "cfg",
    "cfg_scale": "cfg",
    "denoising_strength": "denoise",
}
_LABEL = re.compile(
    r"""\s*["']?(?P<name>[a-z][a-z0-9_ ]{1,40}?)["']?\s{0,9}[:=]\s{0,9}"""
    r"""(?=["']?\s{0,9}\{?["']?(?:[0-9]{1,12}|max_f[^:\n]{0,20})["']?\s{0,9}:\s{0,9}["'(\d+\-.])""",
    re.IGNORECASE | re.ASCII,
)
_LINE = re.compile(r"[0-9]{1,12}\s{0,9}:\s{0,9}(?:\"[^\"]*\"|'[^']*')", re.ASCII)
_PICTURE = re.compile(r"(?:https?://\S+|[^\s,]+)\.(?:png|jpe?g|webp|gif|bmp)(?:\?\S*)?", re.IGNORECASE)
_NAMES = ("t", "max_f", "s", "fps", "pw_a", "pw_b", "pw_c", "pw_d")
_WORD = re.compile(r"(\w+)(\s{0,9}\()?")
_NAME = re.compile(r"\d+(?:e\d*)?|t|s|max_f|fps|pi|tau|e|pw_[abcd]", re.ASCII)
_QUOTED_VALUE = re.compile(r"""[0-9]{1,12}\s*:\s*("[^"\n]*"|'[^'\n]*')[^\S\n]*(?:,|\n|$)""")
_BRACKETED_VALUE = re.compile(r"[0-9]+\s*:\s*(\(\s*[-+.\d(\"'][^,\n]*)")


def looks_prompts(shape: Shape) -> bool:
    if not shape.braced:
        return _is_lines(shape.text) or any(
            found["name"].endswith("prompts") for found in _ASSIGNED.finditer(shape.text)
        )
    return bool(shape.keys) and all(_is_frame(key) for key in shape.keys)


def _is_lines(text: str) -> bool:
    """Returns whether every line is a frame and a prompt in quotes, without a comma: deforum-comfy splits on lines."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    return len(lines) > 1 and all(_LINE.fullmatch(line) for line in lines)


def _is_frame(key: str) -> bool:
    """Returns whether a key may be a frame: an expression of the variables for keys."""
    try:
        parse(key, ("max_f", "fps", "s"))
    except RecipeError:
        return False
    return True


def read_prompts(source: Source, options: Options) -> Parts:
    """Returns the parts of a set of prompts and, if there is one, of the set of negative prompts."""
    sets = {"prompts": source.part(0, len(source.text))}
    assigned = list(_ASSIGNED.finditer(source.text))
    ends = [*(found.start() for found in assigned[1:]), len(source.text)]
    if assigned:
        sets = {found["name"]: source.part(found.end(), end) for found, end in zip(assigned, ends, strict=True)}
    positive = next((name for name in sets if "neg" not in name), None)
    if positive is None:
        raise source.error(0, 'there are no prompts; write prompts = {"0": "a"}')
    if _is_lines(source.text):
        pairs = [pair for line in _line_parts(source) for pair in read_pairs(line)]
    else:
        pairs = read_pairs(sets[positive])
    if all(_PICTURE.fullmatch(pair.value.text.strip()) for pair in pairs):
        raise source.error(
            pairs[0].value.start,
            "these are pictures (Deforum's guided images), not prompts; set image, and a denoise below 1, in the "
            "keyframes of a recipe",
        )
    found = prompt_tracks(source, pairs, options, "hold")
    for name in sets:
        if "neg" in name:
            found = with_negatives(source, found, prompt_tracks(source, read_pairs(sets[name]), options, "hold"))
    keyframes, ease = to_keyframes(source, found)
    if len(pairs) > 1:
        source.note('each prompt holds until the next; for Deforum\'s mode "Interpolation", read it as fizznodes')
    return Parts(keyframes, frames=options.frames, fps=options.fps, ease=ease)


def _line_parts(source: Source) -> list[Source]:
    """Returns each line that is not blank, as a separate source."""
    lines = source.span().split("\n")
    return [source.part(line.start, line.start + len(line.text)) for line in lines if line.text]


def prompt_tracks(
    source: Source, pairs: Iterable[Pair], options: Options, ease: str, clock: Clock | None = None
) -> dict[str, list[Stop]]:
    """Returns the tracks of prompts in pairs; `ease` is "hold" as in Deforum's animation modes, or "linear".

    Keys are computed from `clock`, by default with the last frame as `max_f`.
    """
    clock = clock or options.clock()
    found = []
    for pair in pairs:
        if not pair.quoted:
            raise source.error(pair.value.start, "this prompt is not in quotes; put it in quotes")
        found.append((frame_of(source, pair.key, clock), pair.key, wrap_sides(source, pair.value, options, " ")))
    prompts = [TimedPrompt(frame, prompt, ease) for frame, prompt in by_frame(source, found)]
    return tracks(source, prompts, options.frames, options.names(), mix_of_and)


def with_negatives(
    source: Source, found: dict[str, list[Stop]], negatives: dict[str, list[Stop]]
) -> dict[str, list[Stop]]:
    """Returns the tracks with those of a set of negative prompts, whose own prompts are the negatives."""
    if "negative" in found:
        source.note("the prompts have negatives of their own (--neg), so the set of negative prompts is left out")
        return found
    return {**found, "negative": negatives["prompt"]}


def write_prompts(recipe: Recipe, field: str) -> Export:
    """Returns the recipe as Deforum's prompts, mixes as ``a :0.7 AND b :0.3``."""
    draft = Draft(recipe)
    moves = any(not line.holds for line in draft.lines)
    lines = draft.straight_lines() if moves else draft.lines
    if moves and len(draft.lines) > 1:
        draft.lose('the travels between prompts, unless Deforum\'s animation mode is "Interpolation": others hold')
    if recipe.loop:
        back = "the text travels back to its start, and " if moves and len(draft.lines) > 1 else ""
        draft.lose(f"whether the film loops: {back}the player has to repeat it")
    entries = {}
    for line in lines:
        prompt, negative = _and_text(draft, line.prompt), _and_text(draft, line.negative)
        entries[str(line.frame)] = f"{prompt} --neg {negative}" if negative else prompt
    return draft.export(json.dumps(entries, ensure_ascii=False, indent=2) + "\n")


def _and_text(draft: Draft, mix: Mix[str]) -> str:
    for value in mix.values:
        lose_misread(draft, value, {"`": "the beginning of an expression", "--neg": "the beginning of the negative"})
        if len(mix.items) > 1:
            lose_misread(draft, value, {"AND": "the beginning of another part", ":": "the beginning of a weight"})
    if len(mix.items) == 1:
        return mix.values[0]
    return " AND ".join(f"{value} :{number_text(weight)}" for value, weight in mix.items)


class Label(NamedTuple):
    """The field that a text names before its values, and where these begin and end."""

    field: str
    start: int
    end: int


def _label_of(source: Source) -> Label | None:
    """Returns the label of ``cfg: 0:(7), 24:(9)`` or ``"strength_schedule": "0:(0.65)"``, None without one.

    Raises RecipeError for a schedule that moves Deforum's camera.
    """
    found = _LABEL.match(source.text)
    if not found:
        return None
    called = "_".join(found["name"].lower().split()).removesuffix("_schedule").removesuffix("_series")
    name = _OTHER_NAMES.get(called, called.removesuffix("s"))
    if called in CAMERA or called.startswith(("translation", "rotation", "transform", "noise", "sub")):
        raise source.error(
            found.start("name"),
            f"{check.show(found['name'])} has no place in a recipe, which renders each frame on its own; leave it "
            f"out, or write values of {', '.join(TARGETS)}",
        )
    if name not in TARGETS:
        return None
    start, end = found.end(), len(source.text.rstrip().rstrip(","))
    mark = source.text[start]
    if mark in "\"'" and end - 1 > start and source.text[end - 1] == mark and _wraps_all(source.text[start:end], mark):
        start, end = start + 1, end - 1
    return Label(name, start, end)


def _wraps_all(text: str, mark: str) -> bool:
    """Returns whether the quotes around a text enclose all its pairs, and not just its first key and last value."""
    return not re.match(rf"{mark}\s*(?:[0-9]{{1,12}}|max_f[^:\n]{{0,20}}){mark}\s*:", text, re.ASCII)


def looks_values(shape: Shape) -> bool:
    """Returns whether a text looks like a value schedule of Deforum."""
    if _label_of(shape.source):
        return True
    first = shape.text[shape.start : shape.start + 1]
    if shape.braced or first not in set("\"'(0123456789m"):
        return False
    if first in ("'", '"'):
        return shape.pairs is not None and not any(pair.quoted for pair in shape.pairs)
    if _QUOTED_VALUE.match(shape.text, shape.start):
        return shape.pairs is not None and all(not is_text(pair) or _is_sampler(pair) for pair in shape.pairs)
    if shape.pairs is None:
        found = _BRACKETED_VALUE.match(shape.text, shape.start)
        return found is not None and not (FRAME.match(shape.text, shape.start) and _is_emphasis(found[1]))
    if any(mark in pair.key.text for pair in shape.pairs for mark in "\"'"):
        return False  # lines of a prompt before the first key
    return all(is_text(pair) or _is_value(pair) for pair in shape.pairs)


def _is_sampler(pair: Pair) -> bool:
    return sampler_of(pair.value.text.strip("()'\" ")) is not None


def _is_value(pair: Pair) -> bool:
    text = pair.value.text
    try:
        parse(text, _NAMES)
    except RecipeError as error:
        return text[:1] == "(" and not _is_emphasis(text) and "there is no number named" not in str(error)
    return True


def _is_emphasis(value: str) -> bool:
    """Returns whether a value in brackets is a prompt such as (a cat:1.2): it has words that no expression has."""
    if re.match(r"\(\s*[\"']", value):
        return False
    words = (found[1] for found in _WORD.finditer(value) if not found[2])
    return ":" in value or any(not _NAME.fullmatch(word) for word in words)


def read_values(source: Source, options: Options) -> Parts:
    """Returns the parts of a value schedule, whose field is its label or `options.field`."""
    if label := _label_of(source):
        if options.field not in (None, label.field):
            raise source.error(0, f"these are values of {label.field}, not of {options.field}; name one of the two")
        source, options = source.part(label.start, label.end), replace(options, field=label.field)
    clock = options.clock()
    ordered = by_frame(source, [(frame_of(source, pair.key, clock), pair.key, pair) for pair in read_pairs(source)])
    pairs = [pair for _, pair in ordered]
    if options.field == "sampler" or all(is_text(pair) for pair in pairs):
        return Parts((Keyframe(at=0),), frames=options.frames, fps=options.fps, **sampler_fields(source, pairs))
    keyframes, ease = to_keyframes(source, tracks_of(source, ordered, options))
    return Parts(keyframes, frames=options.frames, fps=options.fps, ease=ease)


def write_values(recipe: Recipe, field: str) -> Export:
    """Returns one field of the recipe as a value schedule with exactly the planned values."""
    target = target_of(field)
    draft = Draft(recipe, supported=(target.track, "curve"))
    draft.lose("the prompts; write them with --to deforum-prompts or --to fizznodes")
    if field == "sampler":
        return draft.export(f'0:("{recipe.sampler}")\n')
    frames = plan(recipe).frames
    if target.track == "seed":
        if any(len(frame.seed.items) > 1 for frame in frames):
            draft.lose("the mixes of two seeds; the heavier one is written")
        values: list[float] = [frame.seed.heaviest for frame in frames]
    else:
        values = [target.convert(getattr(frame, target.track)) for frame in frames]
    stops = number_stops(0, values)
    if len(stops) > 1 and stops[-1].value == stops[-2].value:
        stops.pop()  # the last key holds to the end
    return draft.export(", ".join(f"{stop.frame}:({number_text(stop.value)})" for stop in stops) + "\n")


PROMPTS = Syntax("deforum-prompts", "Deforum's prompts", looks_prompts, read_prompts, write_prompts, emphasis="a1111")
VALUES = Syntax(
    "deforum-values", "Deforum's and FizzNodes' values", looks_values, read_values, write_values, wraps=False
)
