"""Calls of diffusers' pipelines: FreeNoise, and the walks of stable-diffusion-videos.

``pipe(prompt={0: "a", 40: "b"}, negative_prompt={0: "c"})`` has prompts on frames;
``walk(prompts=["a", "b"], seeds=[42, 1337], num_interpolation_steps=60)``, or the JSON that it saves, has stages.
The call may be part of a script.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from remix.plan.keyframe import MAX_SEED
from remix.plan.mix import Mix
from remix.plan.moments import MAX_FRAMES
from remix.syntax.text.calls import generator_seed, note_unread, pipeline_fields, read_arguments
from remix.syntax.text.literal import Node, items_of, number_of, text_of
from remix.syntax.text.pairs import Clock, by_frame, frame_of
from remix.syntax.text.parts import Options, Parts
from remix.syntax.text.prompts import prompt_of
from remix.syntax.text.source import Source
from remix.syntax.text.syntax import Shape, Syntax
from remix.syntax.text.tracks import Stop, clip, from_stages, to_keyframes

_TOML_TABLE = r"\s*(?:\"[^\"\n]*\"|'[^'\n]*'|[\w-]+)\s*="
_FREENOISE = re.compile(rf"\bprompt\s*=\s*\{{(?!{_TOML_TABLE})")
_FREENOISE_CALL = re.compile(r"\bprompt\s*=\s*\w+\s*,")
_PROMPTS_BY_NUMBER = re.compile(r"\{\s*[0-9]+\s*:")
_WALK = re.compile(r"\bprompts\s*=\s*\[")
_READ_BY_BOTH = {"num_inference_steps", "guidance_scale", "width", "height", "negative_prompt", "generator"}


def looks_freenoise(shape: Shape) -> bool:
    if shape.braced:
        return shape.has_keys("prompt", "num_frames") or bool(_PROMPTS_BY_NUMBER.match(shape.text, shape.start))
    if _FREENOISE.search(shape.text):
        return True
    named = _FREENOISE_CALL.search(shape.text)
    return bool(named) and "num_frames" in shape.text and bool(re.search(r"=\s*\{\s*[0-9]+\s*:", shape.text))


def read_freenoise(source: Source, options: Options) -> Parts:
    """Returns the parts of a FreeNoise call."""
    data = read_arguments(source, "prompt")
    if "prompt" not in data:
        raise source.error(0, 'there is no prompt; write prompt={0: "a", 40: "b"}')
    fields = pipeline_fields(source, data, {"num_frames": (1, 100_000)})
    frames = options.frames or fields.pop("num_frames", None)
    fields.pop("num_frames", None)
    tracks = {"prompt": _prompts_by_frame(source, data["prompt"], frames)}
    if "negative_prompt" in data and data["negative_prompt"].value is not None:
        tracks["negative"] = _prompts_by_frame(source, data["negative_prompt"], frames)
    seed = generator_seed(source, data)
    if seed is not None:
        tracks["seed"] = [Stop(0, Mix.one(seed))]
    note_unread(source, [name for name in data if name not in _READ_BY_BOTH | {"prompt", "num_frames"}])
    keyframes, ease = to_keyframes(source, tracks)
    return Parts(keyframes, frames=frames, fps=options.fps, ease=ease, **fields)


def _prompts_by_frame(source: Source, node: Node, frames: int | None) -> list[Stop]:
    if not isinstance(node.value, dict):
        return [Stop(0, prompt_of(source, text_of(source, node, "the prompt")))]
    if not node.value:
        raise source.error(node.at, "there are no prompts; write one for a frame")
    found = [
        (frame_of(source, node.keys[key], Clock(None, None, 0)), node.keys[key], text_of(source, value, "the prompt"))
        for key, value in node.value.items()
    ]
    return clip(source, [Stop(frame, prompt_of(source, text)) for frame, text in by_frame(source, found)], frames)


def looks_walk(shape: Shape) -> bool:
    if shape.braced:
        return shape.has_keys("prompts", "seeds") or shape.has_keys("prompts", "num_interpolation_steps")
    return bool(_WALK.search(shape.text))


def read_walk(source: Source, options: Options) -> Parts:
    """Returns the parts of a walk: stages of prompt and seed, evenly spaced or as its steps say."""
    data = read_arguments(source, "prompts")
    if "prompts" not in data:
        raise source.error(0, 'there are no prompts; write prompts=["a", "b"]')
    prompts = [text_of(source, node, "the prompt") for node in items_of(source, data["prompts"], "prompts")]
    if not prompts:
        raise source.error(data["prompts"].at, "there are no prompts; write two or more")
    tracks: dict[str, list[Mix[Any]]] = {"prompt": [prompt_of(source, prompt) for prompt in prompts]}
    if "seeds" in data:
        seeds = items_of(source, data["seeds"], "seeds")
        if len(seeds) != len(prompts):
            raise source.error(data["seeds"].at, f"{len(seeds)} seeds for {len(prompts)} prompts; give one for each")
        tracks["seed"] = [Mix.one(number_of(source, node, "the seed", 0, MAX_SEED, whole=True)) for node in seeds]
    elif (seed := generator_seed(source, data)) is not None:
        tracks["seed"] = [Mix.one(seed)]
    if "negative_prompt" in data and data["negative_prompt"].value is not None:
        tracks["negative"] = [prompt_of(source, text_of(source, data["negative_prompt"], "negative_prompt"))]
    read = _READ_BY_BOTH | {"prompts", "seeds", "num_interpolation_steps", "fps"}
    note_unread(source, [name for name in data if name not in read])
    fields = pipeline_fields(source, data, {})
    if "fps" in data and options.fps is None:
        fields["fps"] = number_of(source, data["fps"], "fps", 0.001, 240)
    fields.setdefault("fps", options.fps)
    return from_stages(source, tracks, options, _steps_between(source, data, len(prompts)), fields)


def _steps_between(source: Source, data: Mapping[str, Node], stages: int) -> list[int] | None:
    """Returns the frames from each stage to the next: a clip of n pictures includes both of its ends."""
    if "num_interpolation_steps" not in data:
        return None
    node = data["num_interpolation_steps"]
    nodes = items_of(source, node, "num_interpolation_steps") if isinstance(node.value, list) else [node] * (stages - 1)
    if len(nodes) != stages - 1:
        raise source.error(node.at, f"{len(nodes)} numbers for {stages - 1} gaps between prompts; give one for each")
    counts = [number_of(source, n, "num_interpolation_steps", 2, MAX_FRAMES, whole=True) for n in nodes]
    if stages > 2:
        source.note("a clip repeats the last picture of the one before; here it appears once")
    return [count - 1 for count in counts]


FREENOISE = Syntax("freenoise", "FreeNoise in diffusers", looks_freenoise, read_freenoise, wraps=False)
STABLE_DIFFUSION_VIDEOS = Syntax(
    "stable-diffusion-videos", "stable-diffusion-videos", looks_walk, read_walk, wraps=False
)
