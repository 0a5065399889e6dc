"""Makes the choices in a recipe's prompts, ``{red|green}`` and ``__animals__``, before it is planned."""

from __future__ import annotations

import os
import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from remix.errors import BadInput, RecipeError
from remix.plan.documents import read_file
from remix.plan.expression import verbatim
from remix.plan.fields import joined, show
from remix.plan.keyframe import Keyframe
from remix.plan.mix import Mix
from remix.plan.recipe import Recipe
from remix.prompt.variants import Draw, Work, expand, has_variants, matching

CHOICE = re.compile(r"\{[^{}]{0,400}(?:\||\$\$)|__[\w*/-]{1,99}__")
"""The beginning of a choice, or a word list."""

MOST_BYTES = 2**22
"""Largest size of a word list."""

MOST_LISTS, MOST_ENTRIES = 10_000, 1_000_000
"""The largest number of word lists in a folder, and of entries that all choices of a recipe come from."""


def with_choices(recipe: Recipe) -> Recipe:
    """Returns a recipe in which all choices are made, unchanged if it has no `variants`.

    Raises RecipeError, with the keyframe, for a choice that cannot be made.
    """
    if recipe.variants is None:
        return recipe
    lists = _Lists(Path(recipe.folder or "."), recipe.wildcards)
    work = Work()
    keyframes = tuple(
        _chosen(recipe, number, keyframe, lists, work) for number, keyframe in enumerate(recipe.keyframes)
    )
    return recipe.replace(keyframes=keyframes, variants=None, variant=Recipe.variant, wildcards=Recipe.wildcards)


def unread_variants(recipe: Recipe) -> str | None:
    """Returns a remark if prompts have choices that are not made, because the recipe does not ask for it."""
    mixes = [mix for keyframe in recipe.keyframes for mix in (keyframe.prompt, keyframe.negative) if mix]
    found = next((text for mix in mixes for text in mix.values if CHOICE.search(text)), None)
    if recipe.variants is not None or found is None:
        return None
    return f'prompt: choices in {show(found)} are passed on as text; set variants = "keyframe" or "film" to make them'


def _chosen(recipe: Recipe, number: int, keyframe: Keyframe, lists: _Lists, work: Work) -> Keyframe:
    def chosen(field: str, mix: Any, input_name: str | None = None) -> Any:
        if not isinstance(mix, Mix) or not any(map(has_variants, mix.values)):
            return mix
        # Counted for each input alone, since tracks of other inputs add keyframes.
        draw_number = number if input_name is None else _times_set(recipe.keyframes[:number], input_name)
        items = []
        for place, (text, weight) in enumerate(mix.items):
            each = f"{recipe.variant}:{draw_number}:{field}:{place}"
            draw = _in_turn(each) if recipe.variants == "keyframe" else _by_text(str(recipe.variant))
            try:
                items.append((expand(text, draw, lists, work), weight))
            except BadInput as error:
                raise RecipeError(str(error), path=f"keyframes[{number}].{field}") from error
        return Mix(tuple(items))

    changed: dict[str, Any] = {field: chosen(field, getattr(keyframe, field)) for field in ("prompt", "negative")}
    inputs = tuple((name, chosen(f"inputs{joined(name)}", value, name)) for name, value in keyframe.inputs or ())
    return replace(keyframe, **changed, inputs=inputs or None)


def _times_set(keyframes: Sequence[Keyframe], name: str) -> int:
    """Returns how many keyframes set an input."""
    return sum(any(each == name for each, _ in keyframe.inputs or ()) for keyframe in keyframes)


def _in_turn(seed: str) -> Draw:
    """Returns one source of random numbers for all choices of a prompt."""
    source = random.Random(seed)
    return lambda text: source


def _by_text(seed: str) -> Draw:
    """Returns a source for each choice, by its text and how often that occurred before in the prompt."""
    seen: Counter[str] = Counter()

    def draw(text: str) -> random.Random:
        seen[text] += 1
        return random.Random(f"{seed}:{text}:{seen[text]}")

    return draw


class _Lists:
    """The word lists in a folder below `root`: text files with an entry on each line, and comments after #."""

    def __init__(self, root: Path, folder: str) -> None:
        self._root, self._folder = root, root / folder
        self._entries = dict[str, list[str]]()
        self._found = dict[str, list[str]]()

    def __call__(self, name: str) -> Sequence[str] | None:
        """Returns the entries of the lists that match a name, None if there are none."""
        if name not in self._found:
            names = matching(name, self._names)
            if not names:
                return None
            self._found[name] = [line for each in names for line in self._lines(each)]
            if sum(map(len, self._found.values())) > MOST_ENTRIES:
                raise BadInput(f"{self._folder}: the word lists have more than {MOST_ENTRIES:,} entries; use fewer")
        return self._found[name]

    def _is_inside(self, path: Path) -> bool:
        return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self._root))

    def _lines(self, name: str) -> list[str]:
        if name not in self._entries:
            path = self._folder / f"{name}.txt"
            if not self._is_inside(path):
                raise BadInput(f"{path}: a link leads out of {self._root}; copy the word list into it")
            lines = read_file(path, limit=MOST_BYTES).decode("utf-8-sig", errors="replace").splitlines()
            self._entries[name] = [verbatim(line) for text in lines if (line := text.split("#")[0].strip())]
        return self._entries[name]

    @cached_property
    def _names(self) -> tuple[str, ...]:
        """The names of the word lists in the folder and below it, with slashes and without .txt."""
        if not self._is_inside(self._folder):
            raise BadInput(f"{self._folder}: a link leads out of {self._root}; copy the word lists into it")
        paths = list(islice(self._folder.rglob("*.txt"), MOST_LISTS + 1))
        if len(paths) > MOST_LISTS:
            raise BadInput(f"{self._folder}: has more than {MOST_LISTS:,} word lists; use fewer")
        return tuple(sorted(path.relative_to(self._folder).with_suffix("").as_posix() for path in paths))
