"""Grids: a recipe with other values of some fields in each cell, and the recipes that render all cells.

Each cell is one frame of the recipe. Cells with equal settings become the frames of one recipe, so that an engine loads
each model once and renders them in batches.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from remix.errors import RecipeError
from remix.plan.axes import INPUTS, OF_KEYFRAME, OF_MIX, OF_MODEL, Axis
from remix.plan.fields import mixed, number, show, under
from remix.plan.keyframe import Keyframe
from remix.plan.mix import Mix
from remix.plan.model import MAX_STRENGTH, Lora
from remix.plan.moments import moment, place
from remix.plan.recipe import Recipe
from remix.plan.schedule import Frame, keyframe_of, plan

MAX_CELLS = 2_000
"""The maximum number of cells of a grid."""

MAX_KEYFRAMES = 100_000
"""The maximum number of keyframes of all cells together. Each cell has a recipe of its own, with all its keyframes."""


@dataclass(frozen=True)
class Grid:
    """A recipe and up to three axes: `x` from left to right, `y` from top to bottom, `z` one block after another.

    `at` is the moment of the recipe that each cell shows, as keyframes have it. Raises RecipeError for two axes with
    the same field, or too many cells.
    """

    recipe: Recipe
    x: Axis | None = None
    y: Axis | None = None
    z: Axis | None = None
    at: int | str = 0

    def __post_init__(self) -> None:
        names = [axis.name for axis in self.axes]
        if len(set(names)) < len(names):
            raise RecipeError(f"is on two axes ({', '.join(names)}); give each its own field", path=names[-1])
        if "size" in names and (other := {"width", "height"}.intersection(names)):
            raise RecipeError(f"is on an axis, and so is {other.pop()}; keep one of them", path="size")
        columns, rows, blocks = self.shape
        if (count := columns * rows * blocks) > MAX_CELLS:
            raise RecipeError(f"{columns} x {rows} x {blocks} are {count} cells; keep to {MAX_CELLS}", path="grid")
        if (keyframes := len(self.recipe.keyframes)) * count > MAX_KEYFRAMES:
            raise RecipeError(
                f"{count} cells of a recipe with {keyframes} keyframes take too long; keep to "
                f"{MAX_KEYFRAMES // keyframes} cells, or leave out keyframes that they do not show",
                path="grid",
            )

    @property
    def axes(self) -> tuple[Axis, ...]:
        """Returns the axes that the grid has, in the order x, y, z."""
        return tuple(axis for axis in (self.x, self.y, self.z) if axis is not None)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Returns the number of columns, rows and blocks."""
        x, y, z = (1 if axis is None else len(axis.values) for axis in (self.x, self.y, self.z))
        return x, y, z


@dataclass(frozen=True)
class Cell:
    """A cell of a grid: its column, row and block, its recipe, and the frame that it shows."""

    place: tuple[int, int, int]
    recipe: Recipe
    frame: Frame


@dataclass(frozen=True)
class CellFilm:
    """A recipe whose frames are cells with equal settings, and the places of the cells that each frame shows."""

    recipe: Recipe
    places: tuple[tuple[tuple[int, int, int], ...], ...]


def cells_of(grid: Grid, fit: Callable[[Recipe], Recipe] = Recipe.settled) -> list[Cell]:
    """Returns the cells of a grid, row by row and block by block.

    `fit` sets the fields that a cell's recipe leaves to its model. Raises RecipeError, with the field, for a value that
    the recipe cannot have.
    """
    columns, rows, blocks = grid.shape
    cells = []
    for block, row, column in product(range(blocks), range(rows), range(columns)):
        at = (column, row, block)
        values = [
            (axis, axis.values[index])
            for axis, index in zip((grid.x, grid.y, grid.z), at, strict=True)
            if axis is not None
        ]
        try:
            cells.append(_cell(grid, at, values, fit))
        except RecipeError as error:
            path = re.sub(r"^keyframes\[\d+\]\.", "", error.path or "")
            raise RecipeError(error.problem, path=path or None, excerpt=error.excerpt) from error
    return cells


def films_of(cells: Sequence[Cell]) -> list[CellFilm]:
    """Returns the recipes that render the cells. Equal cells share a frame, and recipes of one model are neighbors."""
    films: dict[Recipe, dict[str, list[Cell]]] = {}
    for cell in cells:
        frames = films.setdefault(_still(cell.recipe), {})
        frames.setdefault(repr(replace(cell.frame, index=0)), []).append(cell)
    models = list(dict.fromkeys(cell.recipe.model for cell in cells))
    found = [_film([*frames.values()]) for frames in films.values()]
    return sorted(found, key=lambda film: models.index(film.recipe.model))


def _film(frames: Sequence[Sequence[Cell]]) -> CellFilm:
    recipe = _still(frames[0][0].recipe)
    keyframes = [keyframe_of(cells[0].frame, at) for at, cells in enumerate(frames)]
    if recipe.has_own_settings:
        keyframes = [Keyframe(keyframe.at, inputs=keyframe.inputs) for keyframe in keyframes]
    recipe = recipe.replace(frames=len(frames), keyframes=keyframes)
    return CellFilm(recipe, tuple(tuple(cell.place for cell in cells) for cells in frames))


def _still(recipe: Recipe) -> Recipe:
    """Returns a recipe with the same settings and one empty frame, without what only shapes a film."""
    return Recipe(
        1,
        (Keyframe(),),
        width=recipe.width,
        height=recipe.height,
        model=recipe.model,
        sampler=recipe.sampler,
        scheduler=recipe.scheduler,
        steps=recipe.steps,
        cfg=Recipe.cfg,
        mix=recipe.mix,
        lengths=recipe.lengths,
        emphasis=recipe.emphasis,
        chunks=recipe.chunks,
        restore=recipe.restore,
        invert=recipe.invert,
        variety=recipe.variety,
        workflow=None if recipe.workflow is None else replace(recipe.workflow, clip=1),
        payload=recipe.payload,
        folder=recipe.folder,
    )


def _cell(
    grid: Grid, at: tuple[int, int, int], values: Sequence[tuple[Axis, Any]], fit: Callable[[Recipe], Recipe]
) -> Cell:
    recipe, when = grid.recipe, grid.at
    of_model = {f"loras[{lora.name}]" for lora in recipe.model.loras}
    parts = []
    for axis, value in values:
        if axis.field == "at":
            when = value
        elif axis.of is None or axis.field == INPUTS or axis.name in of_model:
            recipe = _changed(recipe, axis, value)
        else:
            parts.append((axis, value))
    recipe = fit(recipe)
    frame = _frame_at(recipe, when)
    for axis, value in sorted(parts, key=lambda part: part[0].field == "word"):  # words reach the values of mixes too
        with under(axis.name):
            frame = _with_part(frame, axis, value)
    return Cell(at, recipe, frame)


def _changed(recipe: Recipe, axis: Axis, value: Any) -> Recipe:
    """Returns a recipe with a value of a field for its whole length."""
    name = axis.field
    if axis.field == INPUTS:
        return _with_input(recipe, axis.of or "", value)
    if axis.of is not None:
        strength = number(value, axis.name, -MAX_STRENGTH, MAX_STRENGTH)
        loras = (Lora(axis.of, strength) if lora.name == axis.of else lora for lora in recipe.model.loras)
        return recipe.replace(model=replace(recipe.model, loras=tuple(loras)))
    if name in OF_MODEL:
        return recipe.replace(model=replace(recipe.model, **{name: value}))
    if name == "size":
        sized = Recipe.from_dict({"frames": 1, "keyframes": [{}], "size": value})
        return recipe.replace(width=sized.width, height=sized.height)
    if name in OF_KEYFRAME:
        first, *rest = recipe.keyframes
        held = (replace(first, **{name: value}), *(replace(keyframe, **{name: None}) for keyframe in rest))
        return recipe.replace(keyframes=held)
    return recipe.replace(**{name: value})


def _with_input(recipe: Recipe, name: str, value: Any) -> Recipe:
    """Returns a recipe with a value of an input for its whole length.

    A field of a payload that no keyframe sets belongs to the payload, where the size of the pictures is read.
    """
    others = [tuple(pair for pair in keyframe.inputs or () if pair[0] != name) for keyframe in recipe.keyframes]
    tracked = any(
        len(kept) < len(keyframe.inputs or ()) for kept, keyframe in zip(others, recipe.keyframes, strict=True)
    )
    if recipe.payload is not None and not tracked and "." not in name:
        return recipe.replace(payload={**recipe.payload.fields, name: value})
    others[0] = (*others[0], (name, value))
    pairs = zip(recipe.keyframes, others, strict=True)
    return recipe.replace(keyframes=tuple(replace(each, inputs=kept or None) for each, kept in pairs))


def _frame_at(recipe: Recipe, when: Any) -> Frame:
    """Returns the frame of a recipe at a moment, without planning the others if possible."""
    found = moment(when)
    try:
        index = place(0 if found is None else found, recipe.frames, recipe.fps, recipe.loop, "at", recipe.music)
    except RecipeError as error:
        if recipe.music is None and isinstance(found, str) and " " in found:  # a beat without a song
            raise
        raise RecipeError(f"{error.problem.partition(';')[0]}; give an earlier moment", path="at") from None
    return plan(recipe)[index] if recipe.clock is not None else plan(recipe, [index])[0]


def _with_part(frame: Frame, axis: Axis, value: Any) -> Frame:
    """Returns a frame with a share of a mix, a strength of a LoRA, or another word in its prompts."""
    of = axis.of or ""
    if axis.field in OF_MIX:
        changes: dict[str, Any] = {axis.field: _shared(getattr(frame, axis.field), axis.field, of, value)}
        return replace(frame, **changes)
    if axis.field == "word":
        return _reworded(frame, of, value)
    loras = {lora.name: lora for lora in frame.loras} | {of: Lora(of, number(value, "", -MAX_STRENGTH, MAX_STRENGTH))}
    return replace(frame, loras=tuple(loras[name] for name in sorted(loras)))


def _shared(mix: Mix[Any] | None, field: str, of: str, value: Any) -> Mix[Any]:
    """Returns a mix in which one value has a share, and the others share the rest as before."""
    share = number(value, "", 0, 1)
    # Read as in a recipe, which checks the value and turns the text of a seed into a number.
    alone: dict[str, Any] = {field: {of: 1}}
    own = getattr(Keyframe(**alone), field).values[0]
    items = {} if mix is None else dict(mix.items)
    rest = sum(weight for each, weight in items.items() if each != own)
    if share < 1 and not rest:
        raise RecipeError(f"has no other value to share with; set {field} in the recipe, or give the share 1 only")
    scale = (1 - share) / rest if rest else 0.0
    weights = {each: weight * scale for each, weight in items.items()} | {own: share}
    return mixed([*weights.items()], "", lambda each, path: each)


def _reworded(frame: Frame, word: str, other: str) -> Frame:
    """Returns a frame with another word in its prompts. Raises RecipeError if they do not contain the first one."""
    pattern = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")

    def changed(mix: Mix[str]) -> Mix[str]:
        return Mix(tuple((pattern.sub(lambda found: other, text), weight) for text, weight in mix.items))

    if not any(pattern.search(text) for mix in (frame.prompt, frame.negative) for text in mix.values):
        raise RecipeError(f"is not a word of the prompt {show(frame.prompt.heaviest)}; give one that is")
    return replace(frame, prompt=changed(frame.prompt), negative=changed(frame.negative))
