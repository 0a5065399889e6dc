"""Which syntax a text is written in, from how it looks."""

from __future__ import annotations

import re

from remix.errors import RecipeError
from remix.plan.expression import parse
from remix.plan.keyframe import KEYFRAME_FIELDS
from remix.plan.names import sampler_of
from remix.plan.recipe import RECIPE_FIELDS
from remix.syntax import seed_travel, shift_attention
from remix.syntax.animatediff_evolved import PYTHONIC
from remix.syntax.boxes import read_boxes
from remix.syntax.deforum_prompts import NAMED
from remix.syntax.fizznodes import has_head
from remix.syntax.keyed import FRAME, MOMENT, refuse_keyed
from remix.syntax.literal import gap
from remix.syntax.over_steps import constructs
from remix.syntax.pairs import Pair, read_pairs
from remix.syntax.prompt_travel import STEPS
from remix.syntax.scan import Source, quoted, straightened
from remix.syntax.values import is_text, label_of

_TABLE = re.compile(r"(?m)^[ \t]*\[\[?(?:keyframes|model)[\].]")
_FIELD = re.compile(rf"(?m)^[ \t]*(?:{'|'.join(RECIPE_FIELDS)})[ \t]*=")
_YAML = re.compile(
    r"""(?m)^(?:keyframes:[ \t]*$|frames:[ \t]*["']?[0-9.]{1,12}s?["']?[ \t]*$)"""
    rf"|^[ \t]*-[ \t]+(?:{'|'.join(KEYFRAME_FIELDS)}):[ \t]"
)
_WALK = re.compile(r"\bprompts\s*=\s*\[")
_FREE = re.compile(r"\bprompt\s*=\s*\{")
_NUMERIC_OBJECT = re.compile(r"\{\s*[0-9]+\s*:")
_INDEX = re.compile(r"[-\d:.]+", re.ASCII)
_COUNTED = re.compile(r"-?[0-9]+\.?[0-9]*:[-0-9.]*|-[0-9]+|[0-9]*\.[0-9]*:?", re.ASCII)
_VARIED = re.compile(r"\s*[0-9]+\s*(?:,\s*[0-9]+\s*:\s*[0-9.]+\s*)+", re.ASCII)
_WORD = re.compile(r"(\w+)(\s{0,9}\()?")
_KNOWN = re.compile(r"\d+(?:e\d*)?|t|s|max_f|fps|pi|tau|e|pw_[abcd]", re.ASCII)
_QUOTED_KEY = re.compile(r"[\"'][^\"'\n]*[\"']\s*:")
_QUOTED = re.compile(r"""[0-9]{1,12}\s*:\s*("[^"\n]*"|'[^'\n]*')[^\S\n]*(?:,|\n|$)""")
_FIRST = re.compile(r"[0-9]+\s*:\s*(\(\s*[-+.\d(\"'][^,\n]*)")
_TOKEN = re.compile(r"""["']|[\[\]{}]""")

NO_YAML = "recipes are not written in YAML; write it as TOML or JSON"

OBJECTS = (
    (("rendered_frames",), "parseq"),
    (("prompt_map",), "animatediff-cli"),
    (("prompts", "seeds"), "stable-diffusion-videos"),
    (("prompts", "num_interpolation_steps"), "stable-diffusion-videos"),
    (("prompts",), "deforum-settings"),
    (("animation_prompts",), "deforum-settings"),
    (("prompt", "num_frames"), "freenoise"),
    (("keyframes",), "json"),
    (("frames",), "json"),
)
"""Which keys at the top of an object tell whose it is, the first that fits."""


def detect(text: str, source: str | None = None) -> str:
    """The name of the syntax that `text` is written in; RecipeError, with a reason, when it cannot be told.

    `source` names the text in errors.

    >>> detect("0: closed mouth\\\\n8: open mouth"), detect("0:(7), 24:(9)"), detect("a [cat:dog:0.5]")
    ('sd-webui-animatediff', 'deforum-values', 'a1111')
    """
    held = Source(straightened(text), source)
    start = held.blank(0)
    if start >= len(text):
        raise held.refuse(len(text), "there is nothing in this text; write a schedule")
    for look in (_settings, _object, _yaml, _pairs, _marked, _lines):
        name = look(held)
        if name is not None:
            return name
    raise held.refuse(
        start,
        "this is one line of plain text, with no frame and no sign of a syntax; name the syntax (--from), "
        "or give each prompt a line of its own after its frame: 0: first",
    )


def _settings(source: Source) -> str | None:
    """Texts of the form name = value."""
    start = gap(source, 0)
    if label_of(source):
        return "deforum-values"
    if source.text.startswith("{", start):
        return None
    if NAMED.match(source.text, start):
        return "deforum-prompts"
    if _TABLE.search(source.text):
        return "toml"
    if _WALK.search(source.text):
        return "stable-diffusion-videos"
    if _FREE.search(source.text):
        return "freenoise"
    return "toml" if _FIELD.search(source.text) else None


def _object(source: Source) -> str | None:
    """Texts in braces."""
    start = gap(source, 0)
    if not source.text.startswith("{", start):
        return None
    keys = _top_keys(source, start)
    for needed, name in OBJECTS:
        if all(key in keys for key in needed):
            return name
    if _NUMERIC_OBJECT.match(source.text, start):
        return "freenoise"
    if PYTHONIC.match(source.text, start) or _are_counted(keys):
        return "animatediff-evolved"
    if keys and all(_is_frame(key) for key in keys):
        return "deforum-prompts"
    if not keys and not source.text.rstrip().endswith("}"):
        return None  # a prompt that begins with a choice: {red|blue} cats
    return "json"


def _yaml(source: Source) -> str | None:
    """Refuses fields of a recipe in YAML, whose lines would pass for prompts."""
    if found := _YAML.search(source.text):
        raise source.refuse(found.start(), NO_YAML)
    return None


def _top_keys(source: Source, start: int) -> list[str]:
    """The keys in quotes at the top of an object, as far as it can be read."""
    keys: list[str] = []
    depth, here = 0, start
    while found := _TOKEN.search(source.text, here):
        here = found.end()
        if found[0] in "[{":
            depth += 1
        elif found[0] in "]}":
            depth -= 1
            if depth == 0:
                break
        else:
            try:
                text, here = quoted(source, found.start())
            except RecipeError:
                break
            after = source.blank(here)
            if depth == 1 and source.text[after : after + 1] == ":":
                keys.append(text.text)
    return keys


def _are_counted(keys: list[str]) -> bool:
    """Whether keys are as AnimateDiff-Evolved alone has them: -1, 0.5, 0:12 or 12: among them."""
    keys = [key.strip() for key in keys]
    return all(_INDEX.fullmatch(key) for key in keys) and any(_COUNTED.fullmatch(key) for key in keys)


def _is_frame(key: str) -> bool:
    """Whether a key may be a frame: an expression of what frames are counted with."""
    try:
        parse(key, ("max_f", "fps", "s"))
    except RecipeError:
        return False
    return True


def _pairs(source: Source) -> str | None:
    """Texts of pairs, without braces around them."""
    start = gap(source, 0)
    if PYTHONIC.match(source.text, start):
        return "animatediff-evolved"
    if has_head(source):
        return "fizznodes"
    if source.text[start : start + 1] not in set("\"'(0123456789m"):
        return None
    if source.text[start] in "\"'":
        return _quoted_pairs(source, start)
    if _QUOTED.match(source.text, start) and not _samplers(source):
        return "fizznodes"
    if _values(source, start):
        return "deforum-values"
    return None


def _samplers(source: Source) -> bool:
    """Whether the values of a text, which begin in quotes, are numbers, or names of samplers."""
    try:
        pairs = read_pairs(Source(source.text, plain=True))
    except RecipeError:
        return False
    return all(not is_text(pair) or sampler_of(pair.value.text.strip("()'\" ")) for pair in pairs)


def _values(source: Source, start: int) -> bool:
    """Whether the text is pairs whose values are numbers, expressions or text in brackets."""
    try:
        pairs = read_pairs(Source(source.text, plain=True))
    except RecipeError:
        first = _FIRST.match(source.text, start)
        return first is not None and not (FRAME.match(source.text, start) and _is_emphasis(first[1]))
    return all(is_text(pair) or _is_value(pair) for pair in pairs)


def _is_value(pair: Pair) -> bool:
    try:
        parse(pair.value.text, ("t", "max_f", "s", "fps", "pw_a", "pw_b", "pw_c", "pw_d"))
    except RecipeError as error:
        text = pair.value.text
        return text[:1] == "(" and not _is_emphasis(text) and "there is no number named" not in str(error)
    return True


def _is_emphasis(value: str) -> bool:
    """Whether a value in brackets is a prompt, as (a cat:1.2) and ((a cat)) are: words that are nothing to work out."""
    if re.match(r"\(\s*[\"']", value):
        return False
    words = (found[1] for found in _WORD.finditer(value) if not found[2])
    return ":" in value or any(not _KNOWN.fullmatch(word) for word in words)


def _quoted_pairs(source: Source, start: int) -> str | None:
    """Texts of pairs whose keys are in quotes: prompts of FizzNodes or AnimateDiff-Evolved, or values."""
    try:
        pairs = read_pairs(Source(source.text, plain=True))
    except RecipeError:
        return "fizznodes" if _QUOTED_KEY.match(source.text, start) else None
    if _are_counted([pair.key.text for pair in pairs]):
        return "animatediff-evolved"
    return "fizznodes" if any(pair.quoted for pair in pairs) else "deforum-values"


def _marked(source: Source) -> str | None:
    """Texts with a sign that one syntax alone has."""
    if _VARIED.fullmatch(source.text):
        return "seed-explorer"
    lines = [line.strip() for line in source.text.split("\n") if line.strip()]
    if _are_seeds(lines):
        return "seed-travel"
    if any(MOMENT.match(line) for line in lines):
        return "moments"
    if any(FRAME.match(line) for line in lines):
        return "sd-webui-animatediff"
    if shift_attention.THEN.search(source.text) or any(
        "~" in found[0] for found in shift_attention.RANGE.finditer(source.text)
    ):
        return "shift-attention"
    return None


def _are_seeds(lines: list[str]) -> bool:
    """Whether the lines are seeds and what seed travel's panel says; a lone number is no way."""
    said = "".join(lines)
    if not seed_travel.SEEDS.fullmatch(said):
        labels = [seed_travel.LABEL.fullmatch(line) for line in lines if not seed_travel.SEEDS.fullmatch(line)]
        names = [" ".join(found[1].lower().split()) for found in labels if found]
        seeds = len(names) < len(lines) or "destination seeds" in names
        return seeds and len(names) == len(labels) and set(names) <= set(seed_travel.LABELS)
    return "," in said or len(lines) > 1


def _lines(source: Source) -> str | None:
    """Texts of prompts alone: one picture with a host's syntax, or a stage on each line."""
    boxes = read_boxes(source)
    lines = [line for line in boxes.prompt if line.text]
    if "Sampler" in boxes.settings:
        return "a1111"  # what A1111 writes below a picture
    refuse_keyed(source, lines)
    if any(STEPS.match(line.text) for line in lines):
        return "prompt-travel"
    found = constructs("\n".join(line.text for line in lines))
    if any(construct.control for construct in found):
        return "prompt-control"
    if len(lines) > 1 and found:
        raise source.refuse(
            lines[0].start,
            f"{found[0].text} may stand in one prompt of several lines (a1111), or in a stage of its own on each line "
            "(prompt-travel); name the syntax (--from)",
        )
    if len(lines) > 1:
        return "prompt-travel"
    return "a1111" if found or boxes.settings or len(boxes.negative) > 0 else None
