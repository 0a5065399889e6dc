"""A recipe from Python, TOML or JSON, validated as it is built."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from remix.catalog.schedulers import SCHEDULER_LABELS, SCHEDULERS
from remix.errors import RecipeError
from remix.plan import fields as check
from remix.plan.contradictions import refuse_contradictions
from remix.plan.documents import read_file, read_json, read_toml, write_toml
from remix.plan.inputs import KEYFRAMES, Payload, Workflow, clips, pictures_in, read_workflow
from remix.plan.keyframe import (
    KEYFRAME_FIELDS,
    MAX_SEED,
    Keyframe,
    easing,
    plain_keyframe,
    read_keyframes,
)
from remix.plan.locate import locate
from remix.plan.model import MODEL_FIELDS, Model, plain_model, read_model
from remix.plan.moments import clock as moments_of_clock
from remix.plan.moments import frame_count, places, rendered_frames
from remix.plan.music import MUSIC_FIELDS, Music, plain_music, read_music
from remix.plan.recipe_values import check_keyframes, read_cfg, read_names, read_sampler, read_side, read_size
from remix.prompt import CHUNKS, EMPHASIS, Reading

MAX_FPS = 240

CURVES = ("linear", "cubic")
"""How numbers are interpolated between keyframes: linearly, or along one smooth curve."""

PACES = ("linear", "even")
"""How frames are spaced: evenly in time, or evenly in how much the picture changes."""

BUDGETS = (0.01, 10)
"""The limits of `budget`."""

MIXINGS = ("lerp", "slerp", "output")
"""How prompts are mixed: their conditionings, or with "output" what the model predicts for each of them."""

LENGTHS = ("tile", "empty", "zero", "front", "equal", "trim")
"""How conditionings with different numbers of tokens are brought to one length."""

VARIANTS = ("keyframe", "film")
"""Where choices in prompts are made: in each keyframe by itself, or alike in the whole film."""

FITTED = ("width", "height", "sampler", "scheduler", "steps", "cfg")
"""Fields whose defaults depend on the model, see `Recipe.fitted_to`."""


@dataclass(frozen=True, init=False)
class Recipe:
    """A recipe: the description of a film.

    - `frames` is a number, a time at `fps` (``"4s"``), or ``"song"`` for the length of the music.
    - `width` and `height` are multiples of 8.
    - `cfg` and `ease` apply where no keyframe sets its own.
    - `loop`: the last keyframe travels back to the first. The frame that would repeat frame 0 is left out.
    - `curve`: numbers travel linearly ("linear") or along a smooth curve that never overshoots ("cubic").
    - `mix`: how prompts are mixed: their conditionings ("lerp", "slerp"), or the model's predictions ("output").
    - `lengths`: how conditionings of different lengths are combined. None uses the method of the model family.
    - `emphasis`: how weights such as ``(word:1.2)`` are read. None reads them as ComfyUI does.
    - `variants`: whether choices in prompts, ``{red|green}``, are made for each "keyframe" or once for the "film". None
      leaves them to the engine. `variant` is the number of the variant, and `wildcards` the folder of word lists.
    - `chunks`: how prompts of more than 75 tokens are cut. None cuts them as the tool does whose `emphasis` is read.
    - `pace`: "linear" spaces frames evenly in time, "even" by how much the picture changes, measured while rendering.
    - `clock`: the moment, in frames, that each frame shows. It stores a measured pace, so that it is measured once.
    - `budget`: the maximum number of rendered pictures per frame. Below 1, in-betweens show the other frames.
    - `rendered`: the frames that are rendered, the others being in-betweens. It stores what a budget was spent on.
    - `between`: the number of in-betweens that the film has from each frame to the next.
    - `restore`: frames between init pictures keep the contrast of the pictures; at denoise 0, they are the pictures.
    - `invert`: frames with init pictures start with the noise that the model finds in them, not with that of the seed.
    - `variety`: how much noise prompts get, from the seeds of a frame, for models that change little with the seed.
    - `workflow`: a ComfyUI workflow that renders the frames. Keyframes set its `inputs`.
    - `payload`: fields of A1111's API in every request. Keyframes set others by `inputs`.
    - `hold`: inputs that keep their value until the next keyframe, instead of traveling.
    - `whole`: inputs that the tool takes as whole numbers. It stores what a server says of them.
    - `music`: a song. A table without numbers is measured here, from the file in `folder`.
    - `folder`: the base of relative paths of pictures and songs. It is not part of the recipe's content.
    - `defaulted`: the fields of `FITTED` that were left out; `fitted_to` may still set them.

    Raises RecipeError, with the path of the field, for invalid values.
    """

    frames: int
    keyframes: tuple[Keyframe, ...]
    fps: float = 12.0
    width: int = 512
    height: int = 512
    model: Model = field(default=Model())
    sampler: str = "euler"
    scheduler: str = "normal"
    steps: int = 20
    cfg: float = 7.0
    loop: bool = False
    ease: str = "linear"
    curve: str = "linear"
    mix: str = "lerp"
    lengths: str | None = None
    pace: str = "linear"
    clock: tuple[float, ...] | None = None
    budget: float | None = None
    rendered: tuple[int, ...] | None = None
    between: int = 0
    restore: bool = False
    invert: bool = False
    variety: float = 0.0
    music: Music | None = None

    emphasis: str | None = None
    chunks: str | None = None
    variants: str | None = None
    variant: int = 0
    wildcards: str = "wildcards"
    workflow: Workflow | None = None
    payload: Payload | None = None
    hold: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    folder: str = field(default="", compare=False, repr=False)
    defaulted: frozenset[str] = field(default=frozenset(), compare=False, repr=False)

    def __init__(
        self,
        frames: int | str,
        keyframes: Sequence[Keyframe],
        fps: float = 12.0,
        width: int | None = None,
        height: int | None = None,
        model: Model = Model(),  # noqa: B008 - frozen
        sampler: str | None = None,
        scheduler: str | None = None,
        steps: int | None = None,
        cfg: float | None = None,
        loop: bool = False,
        ease: str = "linear",
        curve: str = "linear",
        mix: str = "lerp",
        lengths: str | None = None,
        pace: str = "linear",
        clock: Sequence[float] | None = None,
        between: int = 0,
        music: Music | Mapping[str, Any] | None = None,
        folder: str = "",
        defaulted: Iterable[str] = (),
        emphasis: str | None = None,
        chunks: str | None = None,
        variants: str | None = None,
        variant: int = 0,
        wildcards: str = "wildcards",
        budget: float | None = None,
        rendered: Sequence[int] | None = None,
        restore: bool = False,
        invert: bool = False,
        variety: float = 0.0,
        workflow: Workflow | str | Mapping[str, Any] | None = None,
        payload: Payload | Mapping[str, Any] | None = None,
        hold: Sequence[str] = (),
        whole: Sequence[str] = (),
    ) -> None:
        fitted: dict[str, Any] = {"width": width, "height": height, "sampler": sampler}
        fitted |= {"scheduler": scheduler, "steps": steps, "cfg": cfg}
        left_out = {name for name, value in fitted.items() if value is None}
        fitted |= {name: getattr(Recipe, name) for name in left_out}
        if not isinstance(model, Model):
            raise RecipeError(f"{check.show(model)} is not a Model; write one", path="model")
        fps = check.number(fps, "fps", 0.001, MAX_FPS)
        with check.under("music"):
            song = None if music is None else read_music(music, folder, _ASTRAY)
        with check.under("workflow"):
            own = None if workflow is None else read_workflow(workflow, _ASTRAY)
        with check.under("payload"):
            request = None if payload is None else Payload.of(payload)
        check.settle(
            self,
            fps=fps,
            frames=frame_count(frames, fps, music=song),
            keyframes=check_keyframes(keyframes),
            width=read_side(fitted["width"], "width"),
            height=read_side(fitted["height"], "height"),
            model=model,
            sampler=read_sampler(fitted["sampler"]),
            scheduler=check.choice(fitted["scheduler"], "scheduler", SCHEDULERS, SCHEDULER_LABELS),
            steps=check.integer(fitted["steps"], "steps", 1, 1000),
            cfg=read_cfg(fitted["cfg"]),
            loop=check.flag(loop, "loop"),
            ease=easing(ease),
            curve=check.choice(curve, "curve", CURVES),
            mix=check.choice(mix, "mix", MIXINGS),
            lengths=None if lengths is None else check.choice(lengths, "lengths", LENGTHS),
            emphasis=None if emphasis is None else check.choice(emphasis, "emphasis", EMPHASIS),
            chunks=None if chunks is None else check.choice(chunks, "chunks", CHUNKS),
            variants=None if variants is None else check.choice(variants, "variants", VARIANTS),
            variant=check.integer(variant, "variant", 0, MAX_SEED),
            wildcards=check.picture(wildcards, "wildcards"),
            workflow=own,
            payload=request,
            hold=read_names(hold, "hold"),
            whole=read_names(whole, "whole"),
            pace=check.choice(pace, "pace", PACES),
            clock=clock,
            budget=None if budget is None else check.number(budget, "budget", *BUDGETS),
            rendered=rendered,
            restore=check.flag(restore, "restore"),
            invert=check.flag(invert, "invert"),
            variety=check.number(variety, "variety", 0, 1),
            between=check.integer(between, "between", 0, MAX_FPS),
            music=song,
            folder=str(folder),
            defaulted=frozenset(defaulted) | left_out,
        )
        refuse_contradictions(self)
        if clock is not None:
            check.settle(self, clock=moments_of_clock(clock, self.frames, self.loop, self.positions()))
        if rendered is not None:
            check.settle(self, rendered=rendered_frames(rendered, self.frames, self.loop))

    @property
    def has_own_settings(self) -> bool:
        """Returns whether a workflow or a payload has the settings, so that sampler, steps and model are not used."""
        return self.workflow is not None or self.payload is not None

    def clips(self) -> list[range]:
        """Returns the frames of each run of the workflow, in order, see `remix.plan.inputs.clips`."""
        clip = 1 if self.workflow is None else self.workflow.clip
        return clips(clip, self.frames, self.positions() if clip == KEYFRAMES else (), loop=self.loop)

    @property
    def reading(self) -> Reading:
        """Returns how prompts are read."""
        return Reading.of(self.emphasis, self.chunks)

    def positions(self) -> tuple[int, ...]:
        """Returns the frame of each keyframe, in the order in which the keyframes are given."""
        return places([keyframe.at for keyframe in self.keyframes], self.frames, self.fps, self.loop, self.music)

    def replace(self, **changes: Any) -> Recipe:
        """Returns this recipe with some fields changed, validated again."""
        return replace(self, **{"defaulted": self.defaulted.difference(changes), **changes})

    def fitted_to(self, defaults: Mapping[str, Any]) -> Recipe:
        """Returns this recipe with a model's own `defaults` for the fields of `FITTED` that were left out.

        `whole` is always set, if `defaults` has it.

        >>> recipe = Recipe(frames=1, keyframes=[Keyframe(prompt="a cat")], steps=20)
        >>> fitted = recipe.fitted_to({"steps": 12, "cfg": 3})
        >>> fitted.steps, fitted.cfg
        (20, 3.0)
        """
        changes = {name: value for name, value in defaults.items() if name in self.defaulted or name == "whole"}
        return self.replace(**changes) if changes else self

    def settled(self) -> Recipe:
        """Returns this recipe with every default set explicitly, so that no model default replaces it."""
        return replace(self, defaulted=frozenset())

    def pictures(self) -> list[str]:
        """Returns the distinct names of init pictures, followed by those of masks, as keyframes name them."""
        mixes = [keyframe.image for keyframe in self.keyframes] + [keyframe.mask for keyframe in self.keyframes]
        return list(dict.fromkeys(name for mix in mixes if mix is not None for name in mix.values))

    def input_pictures(self) -> list[str]:
        """Returns the distinct texts in inputs and in the payload that may name pictures next to the recipe."""
        values = [value for keyframe in self.keyframes for _, value in keyframe.inputs or ()]
        if self.payload is not None:
            values.append(self.payload.fields)
        return list(dict.fromkeys(name for value in values for name in pictures_in(value)))

    def to_dict(self) -> dict[str, Any]:
        """Returns the recipe as plain JSON values, in a fixed order, without fields at their defaults.

        ``Recipe.from_dict(recipe.to_dict()) == recipe``.
        """
        return self._plain(check.changed(self))

    def given(self) -> dict[str, Any]:
        """Returns the fields that differ from their defaults, and those of `FITTED` that were set to their default.

        Of the latter, only the size if a workflow or a payload has the settings.
        """
        changed = check.changed(self)
        names = {*changed, *(FITTED[:2] if self.has_own_settings else FITTED)} - (self.defaulted - {*changed})
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name in names}

    def _plain(self, names: Container[str]) -> dict[str, Any]:
        """Returns the fields with these names, and the keyframes, as plain JSON values."""
        plain: dict[str, Any] = {}
        for name in (each.name for each in fields(self) if each.name in names):
            if name in ("width", "height"):
                plain["size"] = [self.width, self.height]
            elif name == "model":
                plain["model"] = plain_model(self.model)
            elif name in ("clock", "rendered"):
                plain[name] = list(getattr(self, name) or ())
            elif name == "music":
                plain[name] = None if self.music is None else plain_music(self.music)
            elif name == "workflow":
                plain[name] = None if self.workflow is None else check.changed(self.workflow)
            elif name == "payload":
                plain[name] = None if self.payload is None else self.payload.fields
            elif name in ("hold", "whole"):
                plain[name] = list(getattr(self, name))
            elif name != "keyframes":
                plain[name] = getattr(self, name)
        plain["keyframes"] = [plain_keyframe(keyframe) for keyframe in self.keyframes]
        return plain

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, folder: str = "") -> Recipe:
        """Returns the recipe in a table of plain values, as read from TOML or JSON.

        In addition to the fields of Recipe, it accepts ``size = [width, height]`` or ``"768x512"``, and a checkpoint
        name as `model`. Raises RecipeError with the path of the field, such as ``keyframes[2].at``.
        """
        found = check.only(data, RECIPE_FIELDS, _ASTRAY)
        if "keyframes" not in found:
            raise RecipeError("is missing; write at least one keyframe", path="keyframes")
        if "size" in found:
            if "width" in found or "height" in found:
                raise RecipeError('says again what "width" and "height" say; keep one of them', path="size")
            found["width"], found["height"] = read_size(found.pop("size"))
        if "model" in found:
            with check.under("model"):
                found["model"] = read_model(found["model"], _ASTRAY)
        with check.under("keyframes"):
            found["keyframes"] = read_keyframes(found["keyframes"], _ASTRAY)
        if none := [name for name in FITTED if name in found and found[name] is None]:
            raise RecipeError("null is not a value; write one, or leave the field out", path=none[0])
        if "frames" not in found:  # checked last: a "frames" below a table was already refused there, with its position
            raise RecipeError('is missing; write 48 or "4s"', path="frames")
        return cls(**found, folder=folder)

    def to_json(self) -> str:
        """Returns the recipe as JSON text, the inverse of `from_json`."""
        return json.dumps(self._plain(self.given()), ensure_ascii=False, indent=2) + "\n"

    def to_toml(self) -> str:
        """Returns the recipe as TOML text, the inverse of `from_toml`."""
        return write_toml(self._plain(self.given()))

    @classmethod
    def from_json(cls, text: str | bytes, *, source: str | None = None, folder: str = "") -> Recipe:
        """Returns the recipe in a JSON text named `source` in errors. Raises RecipeError with line and column."""
        return located(read_json(text, source=source), text, source, folder)

    @classmethod
    def from_toml(cls, text: str | bytes, *, source: str | None = None, folder: str = "") -> Recipe:
        """Returns the recipe in a TOML text named `source` in errors. Raises RecipeError with line and column."""
        return located(read_toml(text, source=source), text, source, folder)

    @classmethod
    def load(cls, path: str | Path) -> Recipe:
        """Returns the recipe in the UTF-8 file at `path`: TOML or JSON, depending on its suffix."""
        return read_recipe(path)

    def text_for(self, path: str | Path) -> str:
        """Returns the recipe as the text of a file called `path`: TOML or JSON, depending on its suffix."""
        return self.to_json() if _format(Path(path)) == "json" else self.to_toml()

    def save(self, path: str | Path) -> None:
        """Writes the recipe to `path` as UTF-8: TOML or JSON, depending on its suffix.

        An existing file is overwritten in place. Use `remix.job.files.write_text` to replace it atomically.
        """
        Path(path).write_text(self.text_for(path), encoding="utf-8", newline="\n")


def read_recipe(path: str | Path) -> Recipe:
    """Returns the recipe in the UTF-8 file at `path`: TOML or JSON, depending on its suffix.

    Relative picture paths start at the file's folder. Raises RecipeError, with the position, if it cannot be read.
    """
    path = Path(path)
    kind = _format(path)
    raw = read_file(path)
    read = Recipe.from_json if kind == "json" else Recipe.from_toml
    return read(raw, source=str(path), folder=str(path.parent))


def _format(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in (".toml", ".json"):
        raise RecipeError(f"{suffix!r} is not a suffix of recipes; name it .toml or .json", source=str(path))
    return suffix[1:]


def located(data: Any, text: str | bytes, source: str | None, folder: str) -> Recipe:
    """Returns the recipe of `data`, which was read from `text`. Errors get their position in `text`."""
    try:
        return Recipe.from_dict(data, folder=folder)
    except RecipeError as error:
        line, column = locate(text, error.path or "")
        raise RecipeError(
            error.problem, path=error.path, source=source, line=line, column=column, excerpt=error.excerpt
        ) from error.__cause__


RECIPE_FIELDS = (*(f.name for f in fields(Recipe) if f.compare), "size")

_ASTRAY = {
    "tracks": "is read from the file of a recipe: remix.read_recipe(path)",
    **{name: f'belongs to the music; write "{name}" below [music]' for name in MUSIC_FIELDS},
    **{name: f'belongs to a keyframe; write "{name}" below [[keyframes]]' for name in KEYFRAME_FIELDS},
    **{name: f'belongs to the model; write "{name}" below [model]' for name in MODEL_FIELDS},
    **{name: f'belongs to the whole recipe; write "{name}" above all [[keyframes]]' for name in RECIPE_FIELDS},
}
"""Where each field belongs, for error messages."""
