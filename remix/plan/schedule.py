"""Schedules: every number of every frame of a recipe, identical to the byte on every machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, overload

from remix.catalog.schedulers import SCHEDULERS
from remix.errors import RecipeError
from remix.plan.bounds import FULL, PREVIEW
from remix.plan.denoise import DENOISE_OF_PICTURES, RULE, WHOLE, is_between
from remix.plan.expression import verbatim
from remix.plan.inputs import Inputs, pictures_in
from remix.plan.keyframe import MAX_CFG, Keyframe
from remix.plan.loops import loop_remarks
from remix.plan.mix import Mix
from remix.plan.model import Lora
from remix.plan.moments import moments_in
from remix.plan.recipe import Recipe
from remix.plan.travel import Travel, changes
from remix.plan.variants import unread_variants, with_choices
from remix.prompt.composition import is_composed
from remix.prompt.editing import is_edited

SCHEDULE_VERSION = 1

COMPOSED = "composed"
"""The version of the rule for AND and prompt editing, which once was not read by every engine."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The values that produce one picture.

    `denoise` is the share of noise that a picture starts with; 1 is pure noise. `image` is None without an init
    picture, `mask` is None if all of the picture may change. `loras` are those that keyframes name, in order of their
    names. The model's other LoRAs keep the strength that the model sets. `inputs` are those of the workflow or payload;
    `clip` is the place of the frame in its clip, and the frames of the clip, if the workflow gives clips.
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
    inputs: Inputs = ()
    clip: tuple[int, int] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Returns the frame as plain JSON values; a mix is a list of ``[value, weight]``.

        `mask`, `loras`, `inputs` and `clip` are included only if the recipe sets them.
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
            plain["loras"] = {lora.name: lora.value for lora in self.loras}
        if self.inputs:
            plain["inputs"] = {name: _pairs(value) if isinstance(value, Mix) else value for name, value in self.inputs}
        if self.clip is not None:
            plain["clip"] = list(self.clip)
        return plain


def keyframe_of(frame: Frame, at: int) -> Keyframe:
    """Returns a keyframe at frame `at` with all values of a frame.

    Backticks in its prompts are literal, because their expressions are already evaluated.
    """
    return Keyframe(
        at=at,
        prompt=_verbatim(frame.prompt),
        negative=_verbatim(frame.negative),
        seed=frame.seed,
        cfg=frame.cfg,
        denoise=None if frame.image is None else frame.denoise,
        image=frame.image,
        mask=frame.mask,
        loras=frame.loras or None,
        inputs=tuple((name, _verbatim(value) if isinstance(value, Mix) else value) for name, value in frame.inputs)
        or None,
    )


def _plain_lora(lora: Lora) -> dict[str, Any]:
    """Returns a LoRA as plain values. `text` is included only if the recipe sets it."""
    return {name: value for name, value in asdict(lora).items() if value is not None}


def _verbatim(mix: Mix[str]) -> Mix[str]:
    if not any("`" in prompt for prompt in mix.values):
        return mix
    return Mix(tuple((verbatim(prompt), weight) for prompt, weight in mix.items))


@dataclass(frozen=True)
class Whole:
    """The properties of a film that the frames of a part of it depend on.

    Prompts are brought to one length with all others of the film, and wildcards are filled in with its first seed.
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
        """Returns the distinct prompts of the film, in a fixed order (that of `repr`)."""
        return self.whole.prompts if self.whole else _distinct(frame.prompt for frame in self.frames)

    @cached_property
    def negatives(self) -> tuple[str, ...]:
        """Returns the distinct negative prompts of the film, in the same order."""
        return self.whole.negatives if self.whole else _distinct(frame.negative for frame in self.frames)

    @property
    def first_seed(self) -> int:
        """Returns the first seed of the first frame's mix."""
        return self.whole.seed if self.whole else self.frames[0].seed.values[0]

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Returns the distinct prompts and negatives of the keyframes, with their expressions evaluated."""
        if self.whole:
            return tuple(dict.fromkeys((*self.prompts, *self.negatives)))
        return _texts(self.recipe, self.frames)

    def input_pictures(self, index: int) -> list[str]:
        """Returns the texts in a frame's inputs and in the payload that may name pictures next to the recipe."""
        payload = () if self.recipe.payload is None else pictures_in(self.recipe.payload.fields)
        values = (value for _, value in self.frames[index].inputs)
        return list(dict.fromkeys([*payload, *(name for value in values for name in pictures_in(value))]))

    def has_frames_of(self, other: Schedule) -> bool:
        """Returns whether two schedules have the same frames, with the same settings."""
        return self.frames == other.frames and self.settings() == other.settings()

    def settings(self) -> dict[str, Any]:
        """Returns the settings that all frames share and every picture depends on, as plain JSON values.

        `emphasis`, `chunks`, `restore`, `invert`, `variety` and `payload` are included only if the recipe sets them.
        """
        recipe = self.recipe
        prompts = {name: value for name in ("emphasis", "chunks") if (value := getattr(recipe, name)) is not None}
        flags = {name: True for name in ("restore", "invert") if getattr(recipe, name)}
        model = {**asdict(recipe.model), "loras": [_plain_lora(lora) for lora in recipe.model.loras]}
        return {
            "height": recipe.height,
            "lengths": recipe.lengths,
            "mix": recipe.mix,
            "model": model,
            "sampler": recipe.sampler,
            "scheduler": recipe.scheduler,
            "steps": recipe.steps,
            "width": recipe.width,
            **prompts,
            **flags,
            **({"variety": recipe.variety} if recipe.variety else {}),
            **({} if recipe.payload is None else {"payload": recipe.payload.fields}),
        }

    def to_dict(self) -> dict[str, Any]:
        """Returns the schedule as plain JSON values: settings, rate and frames.

        `clock` and `rendered` are included if the recipe has them.
        """
        lists = {name: getattr(self.recipe, name) for name in ("clock", "rendered")}
        return {
            "fps": self.recipe.fps,
            "frames": [frame.to_dict() for frame in self.frames],
            "loop": self.recipe.loop,
            "settings": self.settings(),
            **{name: list(values) for name, values in lists.items() if values is not None},
            "version": SCHEDULE_VERSION,
        }

    def to_json(self) -> str:
        """Returns the schedule as canonical JSON: the same bytes for the same recipe on every machine."""
        return _canonical(self.to_dict())

    def frame_hash(self, index: int) -> str:
        """Returns the SHA-256 (hex) of everything that affects the picture of a frame.

        This covers the settings and the frame's own numbers, but not its index, so equal frames of a film have equal
        hashes. Pictures and models are identified by name; callers add their content. The version of the rule for noise
        levels is included if `denoise` falls between two whole numbers of steps.
        """
        frame = self.frames[index]
        made_of = {name: value for name, value in frame.to_dict().items() if name != "index"}
        if frame.image is not None and is_between(self.recipe.steps, frame.denoise):
            made_of["levels"] = RULE
        if any(map(is_composed, frame.prompt.values)) or any(
            map(is_edited, (*frame.prompt.values, *frame.negative.values))
        ):
            made_of["prompts"] = COMPOSED
        text = f'{{"frame":{_canonical(made_of)},"settings":{self._settings_text}}}'
        return hashlib.sha256(text.encode("ascii")).hexdigest()

    @cached_property
    def _settings_text(self) -> str:
        return _canonical(self.settings())


def plan(recipe: Recipe, at: Sequence[float] | None = None) -> Schedule:
    """Returns the schedule of a recipe, frame by frame.

    Each field travels independently between the keyframes that set it. At those it has exactly their value. Before the
    first and after the last it stays constant, unless the recipe loops: then the last travels on to the first. A travel
    uses the ease of the keyframe where it starts. A field that no keyframe sets has its default: empty prompts, seed 0,
    the recipe's cfg, no picture, no mask, and a denoise of `DENOISE_OF_PICTURES` with pictures, else 1. The strength of
    each LoRA is a separate field.

    `at` requests other moments than the frames, one frame for each. It gives them in frames, ascending, from 0 to the
    last frame (in a loop, to just before `frames`), as integers or fractions with six decimals.

    Choices in prompts are made first, so that the schedule's recipe has none, see `remix.plan.variants`.

    Raises RecipeError if all frames together exceed `bounds.FULL`, or if `recipe` is not a Recipe.
    """
    if not isinstance(recipe, Recipe):
        kind = type(recipe).__name__
        raise RecipeError(
            f"{kind} is not a Recipe; read a file with read_recipe(path), or write Recipe(...)", path="recipe"
        )
    recipe = with_choices(recipe)
    travel = Travel(recipe, None if at is None else moments_in(at, recipe.frames, recipe.loop, "at"))
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
        travel.inputs(),
        strict=True,
    )
    frames = tuple([Frame(*column) for column in columns])
    if at is None and recipe.workflow is not None and recipe.workflow.clip != 1:
        # Each frame of a clip is known by what the whole clip is rendered from: the inputs of its first frame.
        frames = tuple(
            replace(frames[index], inputs=frames[clip.start].inputs, clip=(place, len(clip)))
            for clip in recipe.clips()
            for place, index in enumerate(clip)
        )
    return Schedule(recipe, frames)


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
    """Returns whether a recipe is small enough (`PREVIEW`) to be planned and plotted while the user types."""
    travel = Travel(recipe)
    return travel.extent() <= PREVIEW.size and travel.work() <= PREVIEW.work


def prompts_of(recipe: Recipe) -> list[str]:
    """Returns the distinct prompts and negatives of a recipe, in order, with their expressions evaluated."""
    mixes = [mix for keyframe in recipe.keyframes for mix in (keyframe.prompt, keyframe.negative) if mix]
    return list(_texts(recipe, plan(recipe).frames if any(map(changes, mixes)) else ()))


def _texts(recipe: Recipe, frames: Iterable[Frame]) -> tuple[str, ...]:
    """Returns the prompts and negatives of keyframes, or of `frames` if they contain expressions."""
    mixes = [mix for keyframe in recipe.keyframes for mix in (keyframe.prompt, keyframe.negative) if mix]
    if any(map(changes, mixes)):
        mixes = [mix for frame in frames for mix in (frame.prompt, frame.negative)]
    return tuple(dict.fromkeys(prompt for mix in mixes for prompt in mix.values))


def _distinct(mixes: Iterable[Mix[str]]) -> tuple[str, ...]:
    return tuple(sorted({text for mix in dict.fromkeys(mixes) for text in mix.values}, key=repr))


def remarks_on(schedule: Schedule) -> list[str]:
    """Returns a sentence for each likely mistake: what it is, where, and what to do."""
    found = []
    if forgotten := [
        frame.index for frame in schedule if frame.image is not None and frame.mask is None and frame.denoise > WHOLE
    ]:
        have = "has" if len(forgotten) == 1 else "have"
        found.append(
            f"image: {_frames(forgotten)} {have} denoise 1, which leaves nothing of the picture; set denoise below 1, "
            f"such as {DENOISE_OF_PICTURES:g}"
        )
    found += loop_remarks(schedule)
    recipe = schedule.recipe
    if (unread := unread_variants(recipe)) is not None:
        found.append(unread)
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
    """Returns ascending frame numbers in words: all of them if they are consecutive, else the first."""
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
