"""A record of what an engine can render, and the check that refuses everything else by field name.

An engine lists the fields it renders. A field that it does not list is refused as soon as a recipe sets it, so a field
that is added to `Recipe`, `Model` or `Keyframe` later is refused by every engine that does not render it yet.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any

from remix.catalog.samplers import require_sampler
from remix.catalog.schedulers import require_scheduler
from remix.engine.passes import texts_of
from remix.engine.prompts import SYNTAXES, reading_for
from remix.errors import Unsupported
from remix.plan import Frame, Mix, Schedule
from remix.plan.denoise import nearest_whole
from remix.plan.fields import show
from remix.prompt import Reading, may_be_cut

PLANNED = frozenset(
    {
        *("frames", "keyframes", "fps", "loop", "ease", "curve", "pace", "clock", "budget", "rendered", "between"),
        *("music", "folder", "defaulted", "model", "at", "hold", "whole"),
        *("variants", "variant", "wildcards"),
    }
)
"""Fields that `plan` evaluates, or that name other content. No engine needs to know them."""

OF_MIXES = frozenset({"mix", "lengths"})
"""Fields that matter only if some frame mixes prompts."""


ELSEWHERE = {
    "workflow": "only ComfyUI runs workflows; use --engine comfyui",
    "payload": "only A1111 and Forge take payloads; use --engine a1111",
}
"""Fields that one engine renders, with the advice for all others."""


@dataclass(frozen=True)
class Capabilities:
    """The abilities of an engine.

    - `who`: the engine's name in errors.
    - `recipe`, `model`, `keyframe`: the fields that it renders, separated by spaces.
    - `samplers`, `schedulers`: the names that it supports, None if it checks them itself.
    - `from_pictures`: the samplers that can start from an init picture, None for all.
    - `most_mixed`: field -> the maximum number of values that one frame may mix, if limited.
    - `traveling_loras`: whether LoRA strengths may change between frames.
    - `fractional_denoise`: whether a frame may start between two whole steps.
    - `mixings`: the values of `mix` that it supports, None for all.
    - `prompts`: the prompt syntax it reads, of `remix.engine.prompts.SYNTAXES`.
    - `readings`: the rules by which it can read prompts, None for all.
    - `instead`: what the user can do about a refusal, "" if the reasons include it.
    - `reasons`: field -> why it is refused, if not obvious.
    """

    who: str
    recipe: str
    model: str
    keyframe: str
    samplers: Collection[str] | None = None
    schedulers: Collection[str] | None = None
    from_pictures: Collection[str] | None = None
    most_mixed: Mapping[str, int] = field(default_factory=dict)
    traveling_loras: bool = True
    fractional_denoise: bool = True
    mixings: Collection[str] | None = None
    prompts: frozenset[str] = frozenset()
    readings: Sequence[Reading] | None = None
    instead: str = "use another engine"
    reasons: Mapping[str, str] = field(default_factory=dict)


def only_inputs(field: str, kind: str, example: str) -> Capabilities:
    """Returns the capabilities for a recipe with a `field` that has all settings, a workflow or payload.

    Keyframes may only set its inputs. `kind` is what the field calls one, and `example` sets one.
    """
    return Capabilities(
        who=f"the {field}",
        recipe=f"width height {field}",
        model="",
        keyframe="inputs",
        instead=f"write it as {kind} of the {field}: inputs = {{ {example} }}",
    )


def refuse_unsupported(schedule: Schedule, can: Capabilities) -> None:
    """Raises `Unsupported`, starting with the field's name, for the first part of a schedule that `can` lacks."""
    for problem in _problems(schedule, can):
        raise Unsupported(problem)


def _problems(schedule: Schedule, can: Capabilities) -> Iterator[str]:
    yield from _unknown_fields(schedule, can)
    yield from _unknown_names(schedule, can)
    yield from _unread_syntax(schedule, can)
    yield from _other_reading(schedule, can)
    travels = len({frame.loras for frame in schedule}) > 1
    if travels and not can.traveling_loras:
        yield _refusal("loras", "their strengths travel", can)
    for frame in schedule:
        yield from _in_frame(schedule, frame, can)


def _unknown_fields(schedule: Schedule, can: Capabilities) -> Iterator[str]:
    """Yields a sentence for each field that is set but not rendered."""
    recipe = schedule.recipe
    mixes = any(map(_mixes_texts, schedule))
    for name, value in _set_fields(recipe, can.recipe):
        if name not in OF_MIXES or mixes:
            yield _refusal(name, f"{_shown(value)} is set", can)
    if mixes and can.mixings is not None and recipe.mix not in can.mixings:
        yield _refusal("mix", f"{recipe.mix!r} is set", can)
    for name, value in _set_fields(recipe.model, can.model):
        yield _refusal(f"model.{name}", f"{_shown(value)} is set", can)
    known = {*PLANNED, *can.keyframe.split()}
    for number, keyframe in enumerate(recipe.keyframes):
        for one in fields(keyframe):
            if one.name not in known and getattr(keyframe, one.name) is not None:
                yield _refusal(one.name, f"keyframes[{number}] sets it", can)


def _mixes_texts(frame: Frame) -> bool:
    texts = (frame.prompt, frame.negative, *(value for _, value in frame.inputs if isinstance(value, Mix)))
    return any(len(mix.values) > 1 for mix in texts)


def _set_fields(values: Any, known: str) -> Iterator[tuple[str, Any]]:
    """Yields the fields that are neither known nor at their default, with their values."""
    for one in fields(values):
        value = getattr(values, one.name)
        if one.name not in PLANNED and one.name not in known.split() and value != _default(one):
            yield one.name, value


def _default(one: Field[Any]) -> Any:
    return one.default_factory() if one.default_factory is not MISSING else one.default


def _unknown_names(schedule: Schedule, can: Capabilities) -> Iterator[str]:
    recipe = schedule.recipe
    if can.samplers is not None and recipe.sampler not in can.samplers and "sampler" in can.reasons:
        yield _refusal("sampler", repr(recipe.sampler), can)
    if can.samplers is not None:
        require_sampler(recipe.sampler, can.samplers, can.who)
    if can.schedulers is not None:
        require_scheduler(recipe.scheduler, can.schedulers, can.who)
    starts = next((frame.index for frame in schedule if frame.image is not None), None)
    if starts is not None and can.from_pictures is not None and recipe.sampler not in can.from_pictures:
        yield (
            f"sampler: frame {starts} starts from a picture, which {can.who} does in other steps than a recipe means "
            f"with {recipe.sampler!r}; use another sampler{_or(can)}"
        )


def _unread_syntax(schedule: Schedule, can: Capabilities) -> Iterator[str]:
    for name, problem in SYNTAXES.items():
        if name not in can.prompts:
            yield from (found for prompt in schedule.texts if (found := problem(prompt, can.who)))


def _other_reading(schedule: Schedule, can: Capabilities) -> Iterator[str]:
    """Yields a sentence if an engine reads weights, BREAK or long prompts by another rule than the recipe's.

    Raises BadInput for a prompt that cannot be read.
    """
    wanted, texts = schedule.recipe.reading, texts_of(schedule)
    for text in texts:
        wanted.sections(text)
    if can.readings is None:
        return
    if reading_for(schedule, can.readings) is None:
        prompt = next(text for text in texts if wanted.differs(can.readings[0], text))
        own = dict.fromkeys(one.emphasis for one in can.readings)
        yield _refusal("emphasis", f"{show(prompt)} is read by the rule {wanted.emphasis!r}", can) + (
            f", or set emphasis to {' or '.join(map(repr, own))}"
        )
    elif all(one.chunks != wanted.chunks for one in can.readings) and any(map(may_be_cut, texts)):
        yield _refusal("chunks", f"{wanted.chunks!r} is the rule for long prompts", can)


def _in_frame(schedule: Schedule, frame: Frame, can: Capabilities) -> Iterator[str]:
    """Yields the parts of one frame that cannot be rendered."""
    for name, most in can.most_mixed.items():
        mix = getattr(frame, name)
        if mix is not None and len(mix.values) > most:
            yield _refusal(name, f"frame {frame.index} mixes {len(mix.values)}", can)
    if frame.image is None or can.fractional_denoise:
        return
    if (whole := nearest_whole(schedule.recipe.steps, frame.denoise)) is not None:
        yield (
            f"denoise: frame {frame.index} has {frame.denoise:g}, which "
            f"{can.reasons.get('denoise', f'{can.who} rounds to whole steps')}; use {whole:.12g} throughout{_or(can)}"
        )


def _refusal(path: str, fact: str, can: Capabilities) -> str:
    why = {**ELSEWHERE, **can.reasons}.get(path.rpartition(".")[2], f"{can.who} cannot render that")
    if path in ELSEWHERE:
        return f"{path}: {fact}, and {why}"
    return f"{path}: {fact}, and {why}" + (f"; {can.instead}" if can.instead else "")


def _shown(value: Any) -> str:
    named = value if isinstance(value, tuple) else (value,)
    return ", ".join(repr(getattr(one, "name", one)) for one in named)


def _or(can: Capabilities) -> str:
    return f", or {can.instead}" if can.instead else ""
