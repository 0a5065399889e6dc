"""Agreement of tools: a table of measurements, and the prompt syntax that tools read differently.

The table, agreement.json in this folder, is written by `python -m tests.agreement` from pictures that ComfyUI,
AUTOMATIC1111 and the local engine rendered. docs/agreement.md shows it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

from remix.engine.passes import OUTPUT, texts_of
from remix.motion.pictures import Difference
from remix.plan import Recipe, Schedule
from remix.prompt.composition import is_composed
from remix.prompt.editing import is_edited
from remix.prompt.encoders import have_own_texts

ENGINES = ("comfyui", "a1111", "local")
"""The engines that were measured. Nothing is known about others."""

TABLE = Path(__file__).with_suffix(".json")


EXTRAS: Mapping[str, str] = {
    "image": "pictures that begin from given ones",
    "traveling denoise": "pictures whose `denoise` travels",
    "mask": "masks",
    "loras": "LoRAs",
    "traveling loras": "LoRAs whose strengths travel",
    "long": "prompts over 75 tokens",
    "no negative": "no negative prompt",
    "clip skip": "`clip_skip` 2, for SDXL 3",
    "comfy emphasis": "weights by ComfyUI's rule",
    "long comfy emphasis": "weights by ComfyUI's rule, over 75 tokens",
    "a1111 emphasis": "weights by A1111's rule",
    "long a1111 emphasis": "weights by A1111's rule, over 75 tokens, with commas and `BREAK`",
    "no-norm emphasis": 'weights by `"a1111-no-norm"`',
    "output": '`mix = "output"`',
    "AND": "prompts with `AND`",
    "editing": "prompts that change over the steps",
    "TE": "texts of single text encoders",
}
"""Parts of a recipe other than prompts and seeds: their names in the table, and in words."""


@dataclass(frozen=True)
class Row:
    """A sampler and scheduler, the number of measured frames, and the difference of each pair of engines.

    `kind` is one of `EXTRAS` if these frames use it, else ""; `family` is the model's in `remix.catalog.families`, ""
    for SD 1.5.
    """

    sampler: str
    scheduler: str
    frames: int
    apart: Mapping[frozenset[str], Difference]
    kind: str = ""
    family: str = ""

    def portable(self) -> bool:
        """Returns whether all engines agree."""
        return all(
            (found := self.apart.get(frozenset(pair))) is not None and found.agrees()
            for pair in combinations(ENGINES, 2)
        )


@cache
def table() -> Mapping[tuple[str, str], Row]:
    """Returns the rows by sampler and scheduler."""
    return {(row.sampler, row.scheduler): row for row in rows("rows")}


@cache
def rows(part: str) -> tuple[Row, ...]:
    """Returns the rows of a part of the table: "rows", as in `table`; "extras"; "families"; "forge"."""
    return tuple(_row(plain) for plain in measured().get(part, ()))


@cache
def measured() -> dict[str, Any]:
    """Returns the complete stored table, including how it was measured."""
    found: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    return found


def _row(plain: Mapping[str, Any]) -> Row:
    apart = {
        frozenset(pair.split("-")): Difference(math.inf if psnr is None else psnr, off)
        for pair, (psnr, off) in plain["apart"].items()
    }
    return Row(
        plain["sampler"], plain["scheduler"], plain["frames"], apart, plain.get("kind", ""), plain.get("family", "")
    )


def disagreement(one: str, other: str, schedule: Schedule) -> str | None:
    """Returns the reason why the pictures of two engines may differ, in a phrase; None if they agree.

    A recipe does not name its model's family, so families that were not measured, such as Flux, are not reported.

    >>> from remix.plan import Keyframe, plan
    >>> recipe = Recipe(frames=1, keyframes=(Keyframe(prompt="an apple # red"),))
    >>> disagreement("comfyui", "local", plan(recipe))
    "prompt: '# red' begins a comment in A1111, and is a letter elsewhere"
    """
    for engine in (one, other):
        if engine not in ENGINES:
            return f"{engine} was not measured against others"
    if found := next(read_differently(schedule), None):
        return found
    recipe = schedule.recipe
    pair = frozenset((one, other))
    for kind in (*_kinds(recipe), *_rules(schedule)):
        known = [row.apart[pair] for row in rows("extras") if row.kind == kind and pair in row.apart]
        if not known:
            return f"{kind.split()[-1]}: {EXTRAS[kind]} were not measured on both"
        if worst := next((apart for apart in known if not apart.agrees()), None):
            return f"{kind.split()[-1]}: {EXTRAS[kind]} differ there ({worst})"
    row = table().get((recipe.sampler, recipe.scheduler))
    apart = row.apart.get(pair) if row else None
    if apart is None:
        return f"sampler {recipe.sampler!r} with scheduler {recipe.scheduler!r} was not measured on both"
    return None if apart.agrees() else f"sampler {recipe.sampler!r} with {recipe.scheduler!r} differs there ({apart})"


def _kinds(recipe: Recipe) -> Iterator[str]:
    """Yields the `EXTRAS` that a recipe uses, except for long prompts, which every engine cuts in the same way."""
    if any(frame.image for frame in recipe.keyframes):
        yield "image"
        set_ones = {keyframe.denoise for keyframe in recipe.keyframes if keyframe.denoise is not None}
        if len(set_ones) > 1 or any(not isinstance(denoise, float) for denoise in set_ones):
            yield "traveling denoise"
    if any(frame.mask for frame in recipe.keyframes):
        yield "mask"
    named = {keyframe.loras for keyframe in recipe.keyframes if keyframe.loras}
    if len(named) > 1:
        yield "traveling loras"
    elif named or recipe.model.loras:
        yield "loras"
    if recipe.model.clip_skip > 1:
        yield "clip skip"
    if recipe.mix == OUTPUT:
        yield "output"


def _rules(schedule: Schedule) -> Iterator[str]:
    """Yields the `EXTRAS` for the syntax in prompts, and for the rule by which their weights are read."""
    reading = schedule.recipe.reading
    if any(map(is_composed, schedule.prompts)):
        yield "AND"
    if any(map(is_edited, schedule.texts)):
        yield "editing"
    if have_own_texts(schedule.texts):
        yield "TE"
    rule = reading.emphasis.removeprefix("a1111-")
    if rule in ("comfy", "a1111", "no-norm") and any(map(reading.is_weighted, texts_of(schedule))):
        yield f"{rule} emphasis"


def remarks(recipe: Recipe, engines: Collection[str] = ENGINES) -> list[str]:
    """Returns a remark on the engines that are known to render a recipe's sampler and scheduler differently."""
    found, row = list[str](), table().get((recipe.sampler, recipe.scheduler))
    for pair in combinations(engines, 2):
        apart = row.apart.get(frozenset(pair)) if row else None
        if apart is not None and not apart.agrees():
            found.append(
                f"sampler: {recipe.sampler!r} with {recipe.scheduler!r} is not the same in {pair[0]} and {pair[1]} "
                f"({apart}); docs/agreement.md lists those that are"
            )
    return found


READ_DIFFERENTLY = {
    r"#[^\n]*": "begins a comment in A1111, and is a letter elsewhere",
}
"""Syntax in prompts -> why tools read it differently."""


def read_differently(schedule: Schedule) -> Iterator[str]:
    """Yields the syntax in prompts that tools read differently, each item once."""
    prompts = schedule.texts
    for pattern, why in READ_DIFFERENTLY.items():
        if found := next(filter(None, (re.search(pattern, prompt) for prompt in prompts)), None):
            yield f"prompt: {found[0]!r} {why}"
