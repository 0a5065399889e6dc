"""Axes of a grid: a field of a recipe, and the values that it has along the axis, read from one line of text.

steps=1,2,4,8                    values
cfg=1..9..2                      a range with a step
prompt:a red {house,boat,moon}   a prompt with words in braces
prompt=a house, at night|a boat  values with commas, separated by |
prompt[a dog]=0..1..0.25         shares of a value in a mix
word[red]=red,blue               words in place of a word of the prompt
loras[film grain]=0,0.5,1        strengths of a LoRA
KSampler.cfg=5,7                 values of an input of the recipe's workflow, or of a field of its payload
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from typing import Any

from remix.errors import RecipeError
from remix.plan.fields import only, show
from remix.plan.keyframe import KEYFRAME_FIELDS
from remix.plan.model import MODEL_FIELDS

MAX_VALUES = 256
"""The maximum number of values of an axis."""

LONGEST_AXIS = 20_000
"""The maximum length of an axis as text, in characters."""

OF_RECIPE = (
    *("steps", "sampler", "scheduler", "size", "width", "height", "mix", "lengths", "emphasis", "chunks"),
    *("ease", "curve", "loop", "variant", "variants", "wildcards"),
)
OF_MODEL = ("checkpoint", "vae", "clip_skip")
OF_KEYFRAME = ("prompt", "negative", "seed", "cfg", "denoise", "image", "mask")
OF_MIX = ("prompt", "negative", "seed", "image", "mask")
"""Fields with a mix, in which a value in brackets has a share."""

OF_PART = ("loras", "word")
"""Fields that need brackets: the name of a LoRA, or a word of the prompt."""

FIELDS = (*OF_RECIPE, *OF_KEYFRAME, *OF_MODEL, "at", *OF_PART)
"""The fields that an axis can have."""

NUMBERS = ("steps", "width", "height", "clip_skip", "variant", "seed", "cfg", "denoise", "at")
"""Fields of numbers, which can have ranges, as shares and strengths can."""

TEXTS = ("prompt", "negative")
"""Fields whose values may have commas, so that only | separates them."""

INPUTS = "inputs"
"""The field of an axis over an input of a workflow or a field of a payload, whose name is in `Axis.of`."""

BESIDE_INPUTS = ("at", "size", "variant", "variants", "wildcards", "ease", "curve", "loop")
"""The fields of a recipe that an axis can have if the recipe has a workflow or a payload."""

_FILM = "shapes a whole film, and each cell of a grid is one picture; use another field"
_ASTRAY = {
    **dict.fromkeys(("frames", "fps", "pace", "clock", "budget", "rendered", "between", "music"), _FILM),
    "keyframes": f"is a list; use a field of keyframes: {', '.join(OF_KEYFRAME)}",
    "model": f"is a table; use a field of it: {', '.join(OF_MODEL)}",
    "frame": 'is called "at" here, as in keyframes',
}

_AXIS = re.compile(r"\s*([A-Za-z_][\w.]*)\s*(?:\[(.+?)\])?\s*[=:](.*)", re.DOTALL)
_NUMBER = r"[+-]?(?:[0-9]{1,20}(?:\.[0-9]{1,12})?|\.[0-9]{1,12})"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})(?:\.\.({_NUMBER}))?")
_BRACES = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True)
class Axis:
    """A field, and its values along an axis of a grid.

    `of` is the text in brackets: a value of a mix, a LoRA or a word. `labels` has a short text for each value.
    `template` is the prompt whose words in braces differ.
    """

    field: str
    of: str | None
    values: tuple[Any, ...]
    labels: tuple[str, ...]
    template: str = ""

    @property
    def name(self) -> str:
        """Returns the field as the user writes it, with its brackets."""
        if self.of is None:
            return self.field
        return self.of if self.field == INPUTS else f"{self.field}[{self.of}]"

    @property
    def title(self) -> str:
        """Returns what the labels mean, in words."""
        if self.of is None or self.field == INPUTS:
            return self.name
        names = {"loras": f"strength of {self.of}", "word": f'in place of "{self.of}"'}
        return names.get(self.field, f"share of {self.of} in {self.field}")

    @property
    def heading(self) -> str:
        """Returns the title, with the template if there is one."""
        return f"{self.title}: {self.template}" if self.template else self.title


def read_axis(text: str, *, inputs: bool = False) -> Axis:
    """Returns the axis in a text. Raises RecipeError with the field for an unknown field or a text without values.

    `inputs`: the recipe has a workflow or a payload, so that all names but `BESIDE_INPUTS` are those of its inputs.

    >>> read_axis("steps=1,2,4").values, read_axis("prompt:a {red,blue} moon").labels
    ((1, 2, 4), ('red', 'blue'))
    >>> read_axis("Positive prompt.text=a cat, at night|a dog", inputs=True).values
    ('a cat, at night', 'a dog')
    """
    if inputs and (name := text.partition("=")[0].strip()) not in BESIDE_INPUTS and len(text) <= LONGEST_AXIS:
        return _axis(INPUTS, name, text.partition("=")[2])
    found = _AXIS.fullmatch(text)
    if found is None or len(text) > LONGEST_AXIS:
        raise RecipeError(f'{show(text)} is not an axis; write FIELD=VALUES, such as "steps=1,2,4"')
    field, of, rest = found.groups()
    return _axis(_field(field, of), of, rest)


def _axis(field: str, of: str | None, rest: str) -> Axis:
    """Returns an axis with the values in the text `rest`."""
    name = field if of is None else of if field == INPUTS else f"{field}[{of}]"
    braces = _BRACES.search(rest) if field == INPUTS or (of is None and field in TEXTS) else None
    if braces is not None and "|" not in _BRACES.sub("", rest):
        texts, labels = _filled(rest.strip())
        values: list[Any] = [*texts]
        template = _BRACES.sub("{...}", rest.strip())
    else:
        values = [value for part in _split(field if of is None else "", rest) for value in _values(field, of, part)]
        labels = [str(value).lower() if isinstance(value, bool) else str(value) for value in values]
        template = ""
    if not values:
        raise RecipeError(f"has no values; write {name}=VALUE,VALUE", path=name)
    if len(values) > MAX_VALUES:
        raise RecipeError(f"has {len(values)} values; keep to {MAX_VALUES}", path=name)
    if twice := [label for at, label in enumerate(labels) if values[at] in values[:at]]:
        raise RecipeError(f"has the value {show(twice[0])} twice; give each once", path=name)
    return Axis(field, of, tuple(values), tuple(label or "(empty)" for label in labels), template)


def _field(written: str, of: str | None) -> str:
    """Returns the name of a field. Raises RecipeError with the nearest name for an unknown one."""
    field = written.removeprefix("model.").removeprefix("keyframes.")
    only({field: None}, FIELDS, {**_ASTRAY, **dict.fromkeys(KEYFRAME_FIELDS + MODEL_FIELDS, _FILM)})
    if of is None and field in OF_PART:
        example = "loras[film grain]=0,0.5,1" if field == "loras" else "word[red]=red,blue"
        raise RecipeError(f"needs a name in brackets, such as {example}", path=field)
    if of is not None and field not in (*OF_MIX, *OF_PART):
        raise RecipeError(f"has no parts, so it takes no [{of}]; write {field}=VALUES", path=field)
    return field


def _split(field: str, text: str) -> list[str]:
    """Returns the values in a text: separated by | if there is one, else by commas, except in prompts."""
    bars = r"\|(?![^{}]*\})"  # those outside of braces
    parts = re.split(bars, text) if field in TEXTS or re.search(bars, text) else text.split(",")
    return [part.strip() for part in parts if part.strip() or (field in TEXTS and len(parts) > 1)]


def _filled(template: str) -> tuple[list[str], list[str]]:
    """Returns the texts of a template with words in braces, for all combinations, and the words of each."""
    parts = _BRACES.split(template)  # text and braces alternate
    choices = [[word.strip() for word in words.split("|" if "|" in words else ",")] for words in parts[1::2]]
    texts, labels = [], []
    for words in product(*choices):
        texts.append("".join(text for pair in zip(parts[::2], (*words, ""), strict=True) for text in pair))
        labels.append(", ".join(words))
        if len(texts) > MAX_VALUES:
            break
    return [" ".join(text.split()) for text in texts], labels


def _values(field: str, of: str | None, text: str) -> list[Any]:
    """Returns the values that one part of an axis stands for: all of a range, else one."""
    if field in ("loop", INPUTS) and text.lower() in ("true", "false"):
        return [text.lower() == "true"]
    if field not in (NUMBERS if of is None else (*OF_MIX, "loras", INPUTS)):
        return [text]
    if found := _RANGE.fullmatch(text):
        return _ranged(*found.groups(), name=field if of is None else f"{field}[{of}]")
    return [_number(Decimal(text)) if re.fullmatch(_NUMBER, text) else text]


def _ranged(begin: str, end: str, by: str | None, *, name: str) -> list[Any]:
    """Returns the numbers of a range, computed in decimals, so that 0..1..0.1 has exactly eleven."""
    first, last = Decimal(begin), Decimal(end)
    step = Decimal(by) if by is not None else Decimal(1)
    step = abs(step) if last >= first else -abs(step)
    if not step:
        raise RecipeError(f"{begin}..{end}..{by} has a step of 0; write another", path=name)
    count = int((last - first) / step) + 1
    if count > MAX_VALUES:
        raise RecipeError(f"{begin}..{end} are {count} values; keep to {MAX_VALUES}, or add a step", path=name)
    return [_number(first + place * step) for place in range(count)]


def _number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)
