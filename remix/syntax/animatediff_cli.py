"""animatediff-cli-prompt-travel's JSON: ``{"prompt_map": {"0": "smile", "32": "walking"}, "head_prompt": ...}``.

Each prompt holds for a share of its way and then travels on, by slerp; the last travels back to the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remix.catalog.samplers import sampler_of
from remix.plan.fields import show
from remix.plan.keyframe import MAX_CFG, MAX_SEED
from remix.plan.mix import Mix
from remix.plan.model import Lora, Model
from remix.syntax.text.calls import note_unread
from remix.syntax.text.literal import Node, fields_of, items_of, number_of, read_all, text_of
from remix.syntax.text.pairs import Clock, by_frame, frame_of
from remix.syntax.text.parts import Options, Parts
from remix.syntax.text.prompts import prompt_of
from remix.syntax.text.source import Source, join
from remix.syntax.text.syntax import Shape, Syntax
from remix.syntax.text.tracks import Stop, to_keyframes

_READ = {
    *(
        "prompt_map",
        "prompt",
        "head_prompt",
        "tail_prompt",
        "prompt_fixed_ratio",
        "n_prompt",
        "seed",
        "steps",
        "scheduler",
    ),
    *("guidance_scale", "clip_skip", "path", "vae_path", "lora_map", "tensor_interpolation_slerp", "output", "name"),
}


def looks(shape: Shape) -> bool:
    return shape.has_keys("prompt_map") or shape.has_keys("prompt", "n_prompt")


def read(source: Source, options: Options) -> Parts:
    """Returns the parts of a prompt travel. The length is not in the text: `options.frames` gives it."""
    data = fields_of(source, read_all(source), "this text")
    tracks: dict[str, list[Stop]] = {}
    if "prompt_map" in data:
        tracks["prompt"] = _travel(source, data, options)
    elif "prompt" in data and (texts := items_of(source, data["prompt"], "prompt")):
        if len(texts) > 1:
            source.note(f"the {len(texts)} prompts stand for as many runs; only the first is read")
        prompt = join([options.before.strip(), text_of(source, texts[0], "prompt"), options.after.strip()], ",")
        tracks["prompt"] = [Stop(0, prompt_of(source, prompt))]
    else:
        raise source.error(0, 'there is no "prompt_map"; write one, with a prompt for each frame')
    if "n_prompt" in data and (texts := items_of(source, data["n_prompt"], "n_prompt")):
        tracks["negative"] = [Stop(0, prompt_of(source, text_of(source, texts[0], "n_prompt")))]
    if "seed" in data and (seed := _seed(source, data["seed"])) is not None:
        tracks["seed"] = [Stop(0, Mix.one(seed))]
    note_unread(source, [key for key in data if key not in _READ])
    keyframes, ease = to_keyframes(source, tracks)
    return Parts(keyframes, frames=options.frames, loop=True, ease=ease, **_fields(source, data, options))


def _travel(source: Source, data: Mapping[str, Node], options: Options) -> list[Stop]:
    node = data["prompt_map"]
    if options.frames is None:
        raise source.error(node.at, "the length of the film is not in the text; give frames (--frames 128)")
    head, tail = (text_of(source, data[n], n) if n in data else "" for n in ("head_prompt", "tail_prompt"))
    found, past = [], []
    for key, value in fields_of(source, node, "prompt_map").items():
        written = node.keys[key]
        frame = frame_of(source, written, Clock(None, None, 0))
        if frame >= options.frames:
            past.append(frame)
            continue
        parts = [options.before.strip(), head, text_of(source, value, "the prompt"), tail, options.after.strip()]
        found.append((frame, written, prompt_of(source, join(parts, ","))))
    if not found:
        where = f" below frame {options.frames}; give more frames" if past else "; write one for a frame"
        raise source.error(node.at, f"there are no prompts{where}")
    if past:
        frames = ", ".join(map(str, sorted(past)[:20]))
        source.note(f"frames past the last one ({options.frames - 1}) are left out, as animatediff-cli does: {frames}")
    ratio = 0.5
    if "prompt_fixed_ratio" in data:
        ratio = number_of(source, data["prompt_fixed_ratio"], "prompt_fixed_ratio", 0, 1)
    return _with_rests(by_frame(source, found), ratio, options.frames)


def _with_rests(prompts: list[tuple[int, Mix[str]]], ratio: float, frames: int) -> list[Stop]:
    """Returns the stops of a closed loop of prompts, each of which holds for the share `ratio` of the way to the next.

    The last holds for that share of the way to the film's end, wherever the first key is.
    """
    stops = []
    for i, (frame, mix) in enumerate(prompts):
        after = prompts[i + 1][0] if i + 1 < len(prompts) else prompts[0][0] + frames
        stops.append(Stop(frame, mix))
        rest = min(round((min(after, frames) - frame) * ratio), after - frame - 1)
        if rest > 0 and len(prompts) > 1:
            stops.append(Stop((frame + rest) % frames, mix))
    return sorted(stops, key=lambda stop: stop.frame)


def _seed(source: Source, node: Node) -> int | None:
    seeds = items_of(source, node, "seed") if isinstance(node.value, list) else [node]
    if not seeds:
        return None
    if len(seeds) > 1:
        source.note(f"the {len(seeds)} seeds stand for as many runs; only the first is read")
    seed: int = number_of(source, seeds[0], "seed", -1, MAX_SEED, whole=True)
    if seed < 0:
        source.note("seed -1 means a random seed; here it is 0 unless you give one (--seed)")
        return None
    return seed


def _fields(source: Source, data: Mapping[str, Node], options: Options) -> dict[str, Any]:
    fields: dict[str, Any] = {"mix": "slerp", "fps": options.fps}
    slerp = data.get("tensor_interpolation_slerp")
    if slerp is not None and slerp.value is False:
        fields["mix"] = "lerp"
    if "steps" in data:
        fields["steps"] = number_of(source, data["steps"], "steps", 1, 1000, whole=True)
    if "guidance_scale" in data:
        fields["cfg"] = number_of(source, data["guidance_scale"], "guidance_scale", 0, MAX_CFG)
    output = data.get("output")
    if options.fps is None and output is not None and "fps" in fields_of(source, output, "output"):
        fields["fps"] = number_of(source, output.value["fps"], "fps", 0.001, 240)
    if "scheduler" in data:
        label = text_of(source, data["scheduler"], "scheduler")
        known = sampler_of(label.text.strip().removeprefix("k_"))
        if known is None:
            source.note(f"the scheduler {show(label.text)} has no name here; the recipe keeps its default")
        else:
            fields["sampler"] = known[0]
            if label.text.strip().startswith("k_"):  # as diffusers calls Karras' noise levels
                fields["scheduler"] = "karras"
    model = _model(source, data)
    return {**fields, "model": model} if model != Model() else fields


def _model(source: Source, data: Mapping[str, Node]) -> Model:
    fields: dict[str, Any] = {}
    for key, name in (("path", "checkpoint"), ("vae_path", "vae")):
        if key in data and text_of(source, data[key], key).text.strip():
            fields[name] = text_of(source, data[key], key).text.strip()
    if "clip_skip" in data:
        fields["clip_skip"] = number_of(source, data["clip_skip"], "clip_skip", 1, 12, whole=True)
    loras = []
    for name, node in fields_of(source, data["lora_map"], "lora_map").items() if "lora_map" in data else ():
        if isinstance(node.value, dict):
            source.note(f"the LoRA {show(name)} applies to regions only, which a recipe does not have; it is left out")
            continue
        with source.errors_at(data["lora_map"].keys[name]):
            loras.append(Lora(name, number_of(source, node, "the strength", -10, 10)))
    whole = source.span(0, 0)
    with source.errors_at(whole):
        return Model(**fields, loras=tuple(loras))


SYNTAX = Syntax("animatediff-cli", "animatediff-cli-prompt-travel's JSON", looks, read, emphasis="a1111")
