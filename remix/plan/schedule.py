"""The recipe worked out: every number of every frame, the same to the byte on every machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, overload

from remix.catalog.schedulers import SCHEDULERS
from remix.errors import RecipeError
from remix.plan.bounds import FULL, PREVIEW
from remix.plan.denoise import DENOISE_OF_PICTURES, RULE, WHOLE, is_between
from remix.plan.keyframe import MAX_CFG
from remix.plan.mix import Mix
from remix.plan.model import Lora
from remix.plan.moments import rising
from remix.plan.recipe import Recipe
from remix.plan.travel import Travel, changes

SCHEDULE_VERSION = 1


@dataclass(frozen=True, slots=True)
class Frame:
    """What one picture is made of.

    `denoise` is the share of the noise that a picture starts with (1: from noise alone); `image` is None
    where there is no init picture, `mask` where all of it may change. `loras` are those that keyframes name, in
    order of their names; the model's others have the strength that they have there.
    """

    index: int
    prompt: Mix[str]
    negative: Mix[str]
    seed: Mix[int]
    cfg: float
    denoise: float
    image: Mix[str] | None
    mask: Mix[str] | None = None
    loras: tuple[Lora, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The frame as plain JSON values; a mix is a list of ``[value, weight]``.

        `mask` and `loras` are only there where a keyframe sets them.
        """
        plain: dict[str, Any] = {
            "cfg": self.cfg,
            "denoise": self.denoise,
            "image": None if self.image is None else _pairs(self.image),
            "index": self.index,
            "negative": _pairs(self.negative),
            "prompt": _pairs(self.prompt),
            "seed": _pairs(self.seed),
        }
        if self.mask is not None:
            plain["mask"] = _pairs(self.mask)
        if self.loras:
            plain["loras"] = {lora.name: lora.strength for lora in self.loras}
        return plain


@dataclass(frozen=True)
class Whole:
    """What the frames of a part depend on in the film that they were cut from.

    Prompts are brought to one length with all others of the film, and wildcards are filled in by its first seed.
    """

    prompts: tuple[str, ...]
    negatives: tuple[str, ...]
    seed: int


@dataclass(frozen=True)
class Schedule:
    """The frames of a recipe, in order; or a part of a longer film, which `whole` then describes."""

    recipe: Recipe
    frames: tuple[Frame, ...]
    whole: Whole | None = None

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[Frame]:
        return iter(self.frames)

    @overload
    def __getitem__(self, index: int) -> Frame: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Frame, ...]: ...
    def __getitem__(self, index: int | slice) -> Frame | tuple[Frame, ...]:
        return self.frames[index]

    @cached_property
    def prompts(self) -> tuple[str, ...]:
        """The distinct prompts of the film, in an order of their own (that of `repr`)."""
        return self.whole.prompts if self.whole else _distinct(frame.prompt for frame in self.frames)

    @cached_property
    def negatives(self) -> tuple[str, ...]:
        """The distinct negative prompts of the film, in the same order."""
        return self.whole.negatives if self.whole else _distinct(frame.negative for frame in self.frames)

    @property
    def first_seed(self) -> int:
        """The seed that weighs first in the first frame of the film."""
        return self.whole.seed if self.whole else self.frames[0].seed.values[0]

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The distinct prompts and negatives that keyframes set, with the expressions in them worked out."""
        if self.whole:
            return tuple(dict.fromkeys((*self.prompts, *self.negatives)))
        return _texts(self.recipe, self.frames)

    def settings(self) -> dict[str, Any]:
        """What all frames share and every picture depends on, as plain JSON values."""
        recipe = self.recipe
        model = {**asdict(recipe.model), "loras": [asdict(lora) for lora in recipe.model.loras]}
        return {
            "height": recipe.height,
            "lengths": recipe.lengths,
            "mix": recipe.mix,
            "model": model,
            "sampler": recipe.sampler,
            "scheduler": recipe.scheduler,
            "steps": recipe.steps,
            "width": recipe.width,
        }

    def to_dict(self) -> dict[str, Any]:
        """The schedule as plain JSON values: settings, rate and frames; `clock` only where the recipe has one."""
        clock = {} if self.recipe.clock is None else {"clock": list(self.recipe.clock)}
        return {
            **clock,
            "fps": self.recipe.fps,
            "frames": [frame.to_dict() for frame in self.frames],
            "loop": self.recipe.loop,
            "settings": self.settings(),
            "version": SCHEDULE_VERSION,
        }

    def to_json(self) -> str:
        """The schedule as canonical JSON: the same bytes for the same recipe on every machine."""
        return _canonical(self.to_dict())

    def frame_hash(self, index: int) -> str:
        """The SHA-256 (hex) of all that makes the picture of a frame.

        That is the settings and the frame's own numbers, not its index, so that equal frames of a film
        have equal hashes. Pictures and models count by name; their content is the caller's to add. The version of
        the rule for noise levels counts where `denoise` lies between two whole numbers of steps.
        """
        frame = self.frames[index]
        made_of = {name: value for name, value in frame.to_dict().items() if name != "index"}
        if frame.image is not None and is_between(self.recipe.steps, frame.denoise):
            made_of["levels"] = RULE
        text = f'{{"frame":{_canonical(made_of)},"settings":{self._settings_text}}}'
        return hashlib.sha256(text.encode("ascii")).hexdigest()

    @cached_property
    def _settings_text(self) -> str:
        return _canonical(self.settings())


def plan(recipe: Recipe, at: Sequence[float] | None = None) -> Schedule:
    """The schedule of a recipe: one Frame after another.

    Each field travels on its own between the keyframes that set it. At those it is exactly what they say;
    before the first and after the last it holds, unless the recipe loops: then the last travels on to the
    first. The ease of a travel is that of the keyframe where it starts. A field that no keyframe sets has
    its default: empty prompts, seed 0, the recipe's cfg, no picture, no mask; denoise is `DENOISE_OF_PICTURES` where
    there are pictures, else 1. The strength of each LoRA is a field of its own.

    `at` asks for other moments than the frames: in frames, rising, from 0 to the last frame (in a loop, to just before
    `frames`), whole or not, to six decimals. The schedule then has a frame for each of them.

    Raises RecipeError where all frames together come to more than `bounds.FULL`, and for what is no Recipe.
    """
    if not isinstance(recipe, Recipe):
        kind = type(recipe).__name__
        raise RecipeError(
            f"{kind} is not a Recipe; read a file with read_recipe(path), or write Recipe(...)", path="recipe"
        )
    travel = Travel(recipe, None if at is None else rising(at, recipe.frames, recipe.loop, "at"))
    _refuse_large(travel)
    has_pictures = any(keyframe.image is not None for keyframe in recipe.keyframes)
    columns = zip(
        range(len(travel)),
        travel.prompts("prompt"),
        travel.prompts("negative"),
        travel.mixes("seed", Mix.one(0)),
        travel.numbers("cfg", recipe.cfg, 0.0, MAX_CFG),
        travel.numbers("denoise", DENOISE_OF_PICTURES if has_pictures else 1.0, 0.0, 1.0),
        travel.mixes("image", None),
        travel.mixes("mask", None),
        travel.strengths(),
        strict=True,
    )
    return Schedule(recipe, tuple([Frame(*column) for column in columns]))


def _refuse_large(travel: Travel) -> None:
    if (size := travel.extent()) > FULL.size:
        raise RecipeError(
            f"{len(travel)} frames, each with all that it is mixed of, come to {size} bytes; "
            f"keep to {FULL.size}: make fewer frames, shorter prompts or smaller mixes",
            path="frames",
        )
    if (work := travel.work()) > FULL.work:
        raise RecipeError(
            f"{len(travel)} frames, each with all its expressions and LoRAs, take {work / 10**6:.0f} seconds to plan; "
            f"keep to {FULL.work / 10**6:.0f}: make fewer frames, or use fewer or shorter expressions and LoRAs",
            path="frames",
        )


def is_quick(recipe: Recipe) -> bool:
    """Returns whether a recipe is planned and drawn within `PREVIEW`: while somebody types."""
    travel = Travel(recipe)
    return travel.extent() <= PREVIEW.size and travel.work() <= PREVIEW.work


def prompts_of(recipe: Recipe) -> list[str]:
    """The distinct prompts and negatives of a recipe, in order, with the expressions in them worked out."""
    mixes = [mix for keyframe in recipe.keyframes for mix in (keyframe.prompt, keyframe.negative) if mix]
    return list(_texts(recipe, plan(recipe).frames if any(map(changes, mixes)) else ()))


def _texts(recipe: Recipe, frames: Iterable[Frame]) -> tuple[str, ...]:
    """The prompts and negatives of keyframes, or of `frames` where they hold expressions."""
    mixes = [mix for keyframe in recipe.keyframes for mix in (keyframe.prompt, keyframe.negative) if mix]
    if any(map(changes, mixes)):
        mixes = [mix for frame in frames for mix in (frame.prompt, frame.negative)]
    return tuple(dict.fromkeys(prompt for mix in mixes for prompt in mix.values))


def _distinct(mixes: Iterable[Mix[str]]) -> tuple[str, ...]:
    return tuple(sorted({text for mix in dict.fromkeys(mixes) for text in mix.values}, key=repr))


def remarks_on(schedule: Schedule) -> list[str]:
    """Returns a sentence for each thing that may not be meant: what it is, where, and what to do."""
    found = []
    if forgotten := [
        frame.index for frame in schedule if frame.image is not None and frame.mask is None and frame.denoise > WHOLE
    ]:
        have = "has" if len(forgotten) == 1 else "have"
        found.append(
            f"image: {_frames(forgotten)} {have} denoise 1, which leaves nothing of the picture; set denoise below 1, "
            f"such as {DENOISE_OF_PICTURES:g}"
        )
    recipe = schedule.recipe
    moving = {
        frame.denoise for frame in schedule if frame.image is not None and is_between(recipe.steps, frame.denoise)
    }
    if SCHEDULERS[recipe.scheduler].in_stages and len(moving) > 1:
        found.append(
            f"denoise: moves in stages with scheduler {recipe.scheduler!r}, which has the same noise levels for many "
            'lengths; use another one, such as "normal"'
        )
    return found


def _frames(indices: Sequence[int]) -> str:
    """Rising frames in words: all of them where they lie side by side, else the first."""
    first, last = indices[0], indices[-1]
    if first == last:
        return f"frame {first}"
    if last - first + 1 == len(indices):
        return f"frames {first} to {last}"
    return f"frame {first} and {len(indices) - 1} others"


def _pairs(mix: Mix[Any]) -> list[list[Any]]:
    return [[value, weight] for value, weight in mix.items]


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
