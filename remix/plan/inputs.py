"""Inputs of other tools that keyframes set: those of a ComfyUI workflow, and the fields of an A1111 payload."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from remix.errors import RecipeError
from remix.plan import fields as check
from remix.plan.expression import Expression, expressions_in
from remix.plan.mix import Mix

LARGEST = 2**64 - 1
"""The largest number of an input, which is the largest seed. The smallest is its negative."""

MAX_INPUTS = 64
MAX_CLIP = 10_000
MAX_DEPTH = 16
MAX_PAYLOAD = 2**20
"""Characters of a payload as JSON."""

KEYFRAMES = "keyframes"
"""The clip of a workflow that renders all frames from one keyframe to the next in one run."""

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif")
"""Suffixes of texts that may name a picture next to the recipe."""

Input = bool | int | float | Expression | Mix[str]
"""The value of an input in a keyframe. In a frame, expressions are evaluated."""

Inputs = tuple[tuple[str, Any], ...]
"""Inputs by name, in order of their names."""


@dataclass(frozen=True)
class Workflow:
    """A ComfyUI workflow that renders the frames.

    - `file`: its path below the recipe's folder: a file that ComfyUI saved, or a picture that carries one.
    - `output`: the node whose pictures are the frames, by its title, class or number. None: the only one.
    - `clip`: how many frames one run of the workflow gives: a number, or "keyframes" for all frames from one keyframe
      to the next.
    """

    file: str
    output: str | None = None
    clip: int | str = 1

    def __post_init__(self) -> None:
        clip = self.clip
        if clip != KEYFRAMES:
            if isinstance(clip, str):
                raise RecipeError(f'{check.show(clip)} is neither a number nor "{KEYFRAMES}"; write one', path="clip")
            clip = check.integer(clip, "clip", 1, MAX_CLIP)
        check.settle(
            self,
            file=check.picture(self.file, "file"),
            output=None if self.output is None else check.name(self.output, "output"),
            clip=clip,
        )

    @property
    def name(self) -> str:
        """Returns its file."""
        return self.file


@dataclass(frozen=True)
class Payload:
    """Fields of A1111's API that all requests of a film have, as canonical JSON. `Payload.of` reads them."""

    text: str

    @classmethod
    def of(cls, value: Any) -> Payload:
        """Returns the payload in a table of plain values. Raises RecipeError, with the field, for any other value."""
        if isinstance(value, Payload):
            return value
        text = json.dumps(_plain_json(value, "", 0), ensure_ascii=False)
        if len(text) > MAX_PAYLOAD:
            raise RecipeError(f"{len(text)} characters of JSON are too many; keep to {MAX_PAYLOAD}")
        return cls(text)

    @property
    def fields(self) -> dict[str, Any]:
        """Returns the fields as plain values."""
        found: dict[str, Any] = json.loads(self.text)
        return found

    @property
    def name(self) -> str:
        """Returns the names of its fields."""
        return ", ".join(self.fields) or "no field"


def read_workflow(value: Any, astray: Mapping[str, str]) -> Workflow:
    """Returns the workflow of a recipe from plain values: its file alone, or a table."""
    if isinstance(value, Workflow):
        return value
    if isinstance(value, str):
        return Workflow(value)
    found = check.only(value, WORKFLOW_FIELDS, astray)
    if "file" not in found:
        raise RecipeError('is missing; write the workflow, such as file = "mine.json"', path="file")
    return Workflow(**found)


def read_inputs(value: Any, read: Callable[[str, str], Expression | str]) -> Inputs:
    """Returns the inputs in a keyframe's `value`, a table of names and values, in order of their names.

    `read` returns the expression or the checked text in a text.
    """
    pairs = list(value.items()) if isinstance(value, Mapping) else value
    if not isinstance(pairs, (list, tuple)) or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs):
        raise RecipeError(f'{check.show(value)} is not a table; write {{ "KSampler.cfg" = 5 }}', path="inputs")
    if not 1 <= len(pairs) <= MAX_INPUTS:
        raise RecipeError(f"there are {len(pairs)}; give 1 to {MAX_INPUTS}", path="inputs")
    found = []
    for name, each in pairs:
        with check.under("inputs"):
            checked = check.name(name, "")
            path = check.step(checked)
            found.append((checked, _input(each, path, read)))
    return tuple(sorted(found, key=lambda pair: pair[0]))


def _input(value: Any, path: str, read: Callable[[str, str], Expression | str]) -> Input:
    if isinstance(value, bool | Expression):
        return value
    if isinstance(value, int):
        return check.integer(value, path, -LARGEST, LARGEST)
    if isinstance(value, float):
        return check.number(value, path, -LARGEST, LARGEST)
    if isinstance(value, str):
        found = read(value, path)
        return found if isinstance(found, Expression) else Mix.one(found)
    if isinstance(value, Mix | Mapping | list | tuple):

        def text(each: Any, where: str) -> str:
            if isinstance(each, str) and isinstance(each := read(each, where), str):
                return each
            raise RecipeError(f"{check.show(each)} is not a text, and only texts can be mixed; write one", path=where)

        return check.mixed(value, path, text)
    raise RecipeError(f"{check.show(value)} is neither a number, a text nor true or false; write one", path=path)


def plain_input(value: Input) -> Any:
    """Returns the value of an input as a plain value. An expression is a text in backticks."""
    if isinstance(value, Expression):
        return f"`{value.text}`"
    if isinstance(value, Mix):
        return value.items[0][0] if len(value.items) == 1 else [list(item) for item in value.items]
    return value


def rounded(value: Any, *, whole: bool) -> Any:
    """Returns a value of an input as a tool takes it: the nearest whole number if it is to be `whole`.

    >>> rounded(4.5, whole=True), rounded(4.5, whole=False), rounded("4.5", whole=True)
    (5, 4.5, '4.5')
    """
    return math.floor(value + 0.5) if whole and isinstance(value, float) else value


def is_whole_expression(text: str) -> bool:
    """Returns whether a text is one expression in backticks, whose value is a number.

    >>> is_whole_expression("`5 + t`"), is_whole_expression("(snow:`t`)")
    (True, False)
    """
    return len(text) > 2 and text[0] == text[-1] == "`" and text.count("`") == 2


def kind_of(value: Input) -> str:
    """Returns what an input is: a number, a text, or a switch."""
    if isinstance(value, bool):
        return "a switch"
    return "a text" if isinstance(value, Mix) else "a number"


def value_text(value: Input) -> str:
    """Returns the value of an input in a frame as a short text; of a mix, the heaviest."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mix):
        return repr(value.heaviest)
    return value.text if isinstance(value, Expression) else f"{value:.9g}"


def inputs_text(inputs: Inputs) -> str:
    """Returns the inputs of a frame as a short text."""
    return ", ".join(f"{name} {value_text(value)}" for name, value in inputs)


def variables_of(value: Input) -> set[str]:
    """Returns the names of variables that an input uses."""
    if isinstance(value, Expression):
        return set(value.names)
    if isinstance(value, Mix):
        return {name for text in value.values for part in expressions_in(text) for name in part.names}
    return set()


def clips(clip: int | str, frames: int, positions: Sequence[int], *, loop: bool) -> list[range]:
    """Returns the frames of each run of a workflow, in order. The last one may be shorter than the others.

    The last frame belongs to the last clip, so a keyframe there does not begin another one, unless the film loops.

    >>> clips("keyframes", 33, [0, 16, 32], loop=False), clips(8, 20, [0], loop=False)
    ([range(0, 16), range(16, 33)], [range(0, 8), range(8, 16), range(16, 20)])
    """
    if isinstance(clip, int):
        return [range(start, min(start + clip, frames)) for start in range(0, frames, clip)]
    starts = sorted(set(positions))
    if starts[0] != 0:
        raise RecipeError('"keyframes" needs a keyframe at frame 0, where the first clip begins; add it', path="clip")
    if len(starts) > 1 and starts[-1] == frames - 1 and not loop:
        del starts[-1]
    return [range(start, end) for start, end in zip(starts, [*starts[1:], frames], strict=True)]


def pictures_in(value: Any) -> Iterator[str]:
    """Yields the texts in plain values, or in a mix, that may name a picture next to the recipe."""
    if isinstance(value, Mix):
        value = value.values
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if isinstance(value, (list, tuple)):
        for each in value:
            yield from pictures_in(each)
    elif isinstance(value, str) and len(value) <= check.MAX_NAME and value.lower().endswith(PICTURES):
        try:
            yield check.picture(value, "")
        except RecipeError:
            return  # a prompt


def _plain_json(value: Any, path: str, depth: int) -> Any:
    """Returns plain JSON values, checked."""
    if depth > MAX_DEPTH:
        raise RecipeError(f"there are more than {MAX_DEPTH} tables within each other; use fewer", path=path)
    if isinstance(value, Mapping):
        found = {}
        for key, each in value.items():
            name = check.name(key, path)
            found[name] = _plain_json(each, f"{path}{check.joined(name)}" if path else check.step(name), depth + 1)
        return found
    if depth == 0:
        raise RecipeError(f"{check.show(value)} is not a table of fields; write them below [payload]")
    if isinstance(value, (list, tuple)):
        return [_plain_json(each, f"{path}[{number}]", depth + 1) for number, each in enumerate(value)]
    if isinstance(value, str):
        return check.text(value, path, MAX_PAYLOAD)
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return check.integer(value, path, -LARGEST, LARGEST)
    if isinstance(value, float):
        return check.number(value, path, -LARGEST, LARGEST)
    raise RecipeError(f"{check.show(value)} is not a value of JSON; write one, or leave the field out", path=path)


WORKFLOW_FIELDS = tuple(f.name for f in fields(Workflow))
