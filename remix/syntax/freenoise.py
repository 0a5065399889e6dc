"""FreeNoise in diffusers: ``prompt={0: "a", 40: "b"}, negative_prompt={0: "c"}``, as it stands in a Python call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remix.plan.fields import show
from remix.plan.keyframe import MAX_CFG
from remix.syntax.literal import Node, assignments, number_of, text_of
from remix.syntax.pairs import Clock, frame_of, in_order
from remix.syntax.parts import Given, Parts
from remix.syntax.prompts import prompt_of
from remix.syntax.scan import Source
from remix.syntax.tracks import Stop, cut, lay

READ = {"prompt", "negative_prompt", "num_frames", "num_inference_steps", "guidance_scale", "width", "height"}


def read(source: Source, given: Given) -> Parts:
    """The parts that the arguments of a FreeNoise pipeline say."""
    data = assignments(source, alone="prompt")
    if "prompt" not in data:
        raise source.refuse(0, 'there is no prompt; write prompt={0: "a", 40: "b"}')
    fields = settings(source, data, {"num_frames": (1, 100_000)})
    frames = given.frames or fields.pop("num_frames", None)
    fields.pop("num_frames", None)
    tracks = {"prompt": _track(source, data["prompt"], frames)}
    if "negative_prompt" in data and data["negative_prompt"].value is not None:
        tracks["negative"] = _track(source, data["negative_prompt"], frames)
    left = [name for name in data if name not in READ]
    if left:
        source.note(f"not in a recipe, and left out: {', '.join(name[:40] for name in left[:20])}")
    keyframes, ease = lay(source, tracks)
    return Parts(keyframes, frames=frames, fps=given.fps, ease=ease, **fields)


def _track(source: Source, node: Node, frames: int | None) -> list[Stop]:
    if not isinstance(node.value, dict):
        return [Stop(0, prompt_of(source, text_of(source, node, "the prompt")))]
    if not node.value:
        raise source.refuse(node.at, "there are no prompts; write one for a frame")
    found = [
        (frame_of(source, node.keys[key], Clock(None, None, 0)), node.keys[key], text_of(source, value, "the prompt"))
        for key, value in node.value.items()
    ]
    return cut(source, [Stop(frame, prompt_of(source, text)) for frame, text in in_order(source, found)], frames)


def settings(source: Source, data: Mapping[str, Node], more: Mapping[str, tuple[float, float]]) -> dict[str, Any]:
    """The fields of a recipe that the arguments of a diffusers pipeline say; `more` has further whole numbers."""
    fields: dict[str, Any] = {}
    for name, (low, high) in more.items():
        if name in data:
            fields[name] = number_of(source, data[name], name, low, high, whole=True)
    if "num_inference_steps" in data:
        fields["steps"] = number_of(source, data["num_inference_steps"], "num_inference_steps", 1, 1000, whole=True)
    if "guidance_scale" in data:
        fields["cfg"] = number_of(source, data["guidance_scale"], "guidance_scale", 0, MAX_CFG)
    for name in ("width", "height"):
        if name in data and data[name].value is not None:
            side = number_of(source, data[name], name, 8, 8192, whole=True)
            if side % 8:
                raise source.refuse(data[name].at, f"{name} {show(side)} is no multiple of 8; write {side - side % 8}")
            fields[name] = side
    return fields
