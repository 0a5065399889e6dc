"""A recipe that renders a picture of another tool again, as far as its metadata tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from remix.catalog.rows import plain
from remix.catalog.samplers import SAMPLERS, sampler_of
from remix.catalog.schedulers import SCHEDULER_LABELS, SCHEDULERS
from remix.errors import RecipeError
from remix.hosts.record import Origin, Sampling, without_loras
from remix.plan import Keyframe, Lora, Mix, Model, Recipe
from remix.plan.expression import verbatim
from remix.prompt import Reading

_WEBUI = ("a1111", "stability-matrix", "civitai")
"""The tools that read prompts as A1111 does, with LoRAs as tags in them."""

_SYNTAX = {
    "invokeai": ("+", "-", ".blend(", ".and("),
    "novelai": ("{", "[", "::"),
    "swarmui": ("<",),
}
"""Signs of a tool's own prompt syntax, which no engine of this toolkit reads."""

_NO_MODEL = ("automatic", "none", "default (model)", "default")


def recipe_of_origin(origin: Origin) -> tuple[Recipe, list[str]]:
    """Returns a recipe for the first pass of a picture, and notes on what has no place in it or is unknown.

    Raises RecipeError if there is no pass, or if its prompt is too long for a recipe.
    """
    if not origin.passes:
        raise RecipeError(f"{origin.tool} made it, but its metadata has no sampling pass to render again")
    one, notes = origin.passes[0], list[str]()
    settings: dict[str, Any] = {**dict(samplers_of(origin, one, notes.append)), **dict(numbers_of(one, notes.append))}
    prompts = [prompt_of(origin, texts) for texts in (one.prompts, one.negatives)]
    notes.extend(_lost(origin, one, prompts))
    keyframe: dict[str, Any] = {"prompt": Mix.one(verbatim(prompts[0]))}
    if prompts[1]:
        keyframe["negative"] = Mix.one(verbatim(prompts[1]))
    if one.seed is not None and 0 <= one.seed < 2**64:
        keyframe["seed"] = Mix.one(one.seed)
    else:
        notes.append("the seed is unknown")
    model = _model(one, notes.append)
    recipe = Recipe(1, (Keyframe(**keyframe),), model=model, emphasis=_emphasis(origin, prompts), **settings)
    return recipe, notes


Note = Callable[[str], None]


def samplers_of(origin: Origin, one: Sampling, note: Note) -> Iterator[tuple[str, str]]:
    """Yields sampler and scheduler by the catalog's names. A label of A1111 may have both in it."""
    if one.sampler is None:
        note("the sampler is unknown")
        return
    label = plain(one.sampler).removesuffix(" trailing").removesuffix(" ays")
    karras = origin.kind == "invokeai" and label.endswith("_k")
    label = label.removesuffix("_k") if karras else label
    found = sampler_of(label)
    if found is None:
        note(f"the sampler {one.sampler!r} has no name in a recipe")
        return
    name, scheduler = found
    yield "sampler", name
    label = "karras" if karras else plain(one.scheduler or scheduler or "automatic")
    if label == "native":
        label = "normal"
    if label == "automatic" or (origin.kind in _WEBUI and SAMPLERS[name].own_schedule):
        if origin.kind in _WEBUI:
            yield "scheduler", SAMPLERS[name].automatic
        return
    known = SCHEDULER_LABELS.get(label, label.replace(" ", "_"))
    if known in SCHEDULERS:
        yield "scheduler", known
    else:
        note(f"the scheduler {one.scheduler!r} has no name in a recipe")


def numbers_of(one: Sampling, note: Note) -> Iterator[tuple[str, Any]]:
    """Yields steps, cfg, width and height as far as a recipe can have them."""
    for name, value, low, high in (("steps", one.steps, 1, 1000), ("cfg", one.cfg, 0, 100)):
        if value is not None and low <= value <= high:
            yield name, value
        else:
            note(f"{name}: unknown" if value is None else f"{name}: {value:g} is outside of {low} to {high}")
    sides = (one.width, one.height)
    if all(side is not None and 8 <= side <= 8192 and side % 8 == 0 for side in sides):
        yield from zip(("width", "height"), sides, strict=True)
    elif None in sides:
        note("the size is unknown")
    else:
        note(f"the size {one.width}x{one.height} is not one of a recipe, whose sides are multiples of 8 up to 8192")


def _model(one: Sampling, note: Note) -> Model:
    """Returns the model as far as a recipe can name it."""
    fields: dict[str, Any] = {}
    for name, value in (("checkpoint", one.model), ("vae", one.vae), ("clip_skip", one.clip_skip)):
        if value is not None and str(value).lower() not in _NO_MODEL:
            try:
                Model(**{"checkpoint": "a", **fields, name: value})
            except RecipeError as error:
                note(f"{name.replace('_', ' ')}: {error.problem}")
            else:
                fields[name] = value
    if "checkpoint" not in fields:
        note("the model is unknown; write the checkpoint below [model]")
    else:
        note("the checkpoint has the name that it has there; for the local engine, write the path of its file")
    loras: dict[str, Lora] = {}
    for lora in one.loras:
        try:
            loras.setdefault(lora.name, Lora(lora.name, lora.strength, lora.text))
        except RecipeError as error:
            note(f"a LoRA: {error.problem}")
    return Model(**fields, loras=tuple(loras.values()))


def prompt_of(origin: Origin, texts: tuple[str, ...]) -> str:
    """Returns the first of a pass's texts, without tags of LoRAs."""
    text = texts[0] if texts else ""
    return without_loras(text) if origin.kind in (*_WEBUI, "swarmui", "fooocus") else text


def reads_as_a1111(origin: Origin) -> bool:
    """Returns whether the tool reads prompts as A1111 does."""
    return origin.kind in _WEBUI and origin.tool != "ComfyUI"


def _emphasis(origin: Origin, prompts: list[str]) -> str | None:
    """Returns A1111's rule of emphasis, if the tool has it and the prompts may be read otherwise without it."""
    if not reads_as_a1111(origin):
        return None
    own, default = Reading.of("a1111", None), Reading.of(None, None)
    return "a1111" if any(own.may_differ(default, prompt) for prompt in prompts) else None


def _lost(origin: Origin, one: Sampling, prompts: list[str]) -> Iterator[str]:
    """Yields a note for each part of a picture that a recipe does not have."""
    for name, texts in (("prompt", one.prompts), ("negative prompt", one.negatives)):
        if len(texts) > 1:
            yield f"there are {len(texts)} texts of the {name}; the recipe has the first"
    signs = _SYNTAX.get(origin.kind, ())
    if any(sign in prompt for sign in signs for prompt in prompts):
        yield f"the prompt may use {origin.tool}'s own syntax, which is passed on as text"
    if one.denoise is not None and one.denoise < 1 and origin.kind != "easy-diffusion":
        yield f"denoise was {one.denoise:g}; add the picture that it began with, as image and denoise of the keyframe"
    if "AnimateDiff" in one.other:
        yield "AnimateDiff made a film, of which this is one picture; remix import reads its number of frames"
    for control in one.controlnets:
        yield f"the ControlNet {control.name!r} ({control.strength:g}) has no place in a recipe"
    for later in origin.passes[1:]:
        words = [later.place]
        if later.width and later.height:
            words.append(f"{later.width}x{later.height}")
        if later.denoise is not None:
            words.append(f"denoise {later.denoise:g}")
        yield f"a later pass has no place in a recipe: {', '.join(words)}"
