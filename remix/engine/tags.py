"""LoRA tags in prompts, for engines that take LoRAs from the schedule: `<lora:ink:0.8>` becomes a LoRA of the frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from remix.errors import Unsupported
from remix.plan import Frame, Keyframe, Lora, Mix, Schedule
from remix.plan.fields import show
from remix.prompt.tags import networks_of, without_tags


def with_tags_applied(schedule: Schedule) -> Schedule:
    """Returns a schedule without tags in its prompts, and with their LoRAs in its frames.

    As in A1111, the strength of a tag counts by the share of its prompt, and is added to the LoRA's own. Raises
    Unsupported for a tag that is not a LoRA.
    """
    tagged = [prompt for prompt in dict.fromkeys((*schedule.prompts, *schedule.texts)) if networks_of(prompt)]
    if not tagged:
        return schedule
    strengths = {prompt: _strengths(prompt) for prompt in tagged}
    names = dict.fromkeys(name for found in strengths.values() for name in found)
    always = {lora.name: _pair(lora) for lora in schedule.recipe.model.loras if lora.name in names}
    frames = tuple(_frame(frame, strengths, {**dict.fromkeys(names, (0.0, 0.0)), **always}) for frame in schedule)
    recipe = schedule.recipe.replace(keyframes=tuple(map(_keyframe, schedule.recipe.keyframes)))
    whole = schedule.whole and replace(
        schedule.whole, prompts=tuple(sorted({*map(without_tags, schedule.whole.prompts)}, key=repr))
    )
    return Schedule(recipe, frames, whole)


class TagsApplied:
    """Calls `with_tags_applied`, and keeps the last result for the steps of a run, which all need it."""

    def __init__(self) -> None:
        self._last: tuple[Schedule, Schedule] | None = None

    def __call__(self, schedule: Schedule) -> Schedule:
        last = self._last  # read once, since another thread may replace it
        if last is None or last[0] is not schedule:
            self._last = last = (schedule, with_tags_applied(schedule))
        return last[1]


Pair = tuple[float, ...]
"""The strengths of a LoRA in the model and in the text encoder."""


def _pair(lora: Lora) -> Pair:
    return lora.strength, lora.in_text


def _strengths(prompt: str) -> dict[str, Pair]:
    """Returns the LoRAs that a prompt's tags name, with their strengths."""
    found: dict[str, Pair] = {}
    for network, strengths in networks_of(prompt).items():
        if network.kind != "lora" or network.rest:
            raise Unsupported(
                f"prompt: {show(prompt)} has a tag <{network.kind}:{network.name}> with more than a LoRA and its "
                "strengths, which only A1111 reads; leave it out"
            )
        found[network.name] = strengths[::-1]  # a tag has that of the text encoder first
    return found


def _frame(frame: Frame, strengths: Mapping[str, Mapping[str, Pair]], base: Mapping[str, Pair]) -> Frame:
    total = {**base, **{lora.name: _pair(lora) for lora in frame.loras}}
    for prompt, weight in frame.prompt.items:
        for name, pair in strengths.get(prompt, {}).items():
            total[name] = tuple(before + weight * strength for before, strength in zip(total[name], pair, strict=True))
    loras = tuple(Lora(name, *(round(each, 9) for each in pair)) for name, pair in sorted(total.items()))
    return replace(frame, prompt=_plain(frame.prompt), loras=loras)


def _keyframe(keyframe: Keyframe) -> Keyframe:
    return keyframe if keyframe.prompt is None else replace(keyframe, prompt=_plain(keyframe.prompt))


def _plain(mix: Mix[str]) -> Mix[str]:
    """Returns a mix of prompts without their tags. Prompts that become equal are merged."""
    return Mix(tuple((without_tags(prompt), weight) for prompt, weight in mix.items))
