"""Deforum's settings file: prompts, frames, seed and its behaviour, and the schedules of cfg and sampler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from remix.plan.fields import show
from remix.plan.keyframe import MAX_SEED
from remix.plan.mix import Mix
from remix.plan.model import Model
from remix.plan.moments import MAX_FRAMES
from remix.plan.names import sampler_of
from remix.syntax.deforum_prompts import prompt_tracks
from remix.syntax.literal import Node, fields_of, number_of, read_all, text_of
from remix.syntax.pairs import Pair, frame_of, in_order, read_pairs
from remix.syntax.parts import Given, Parts
from remix.syntax.scan import Source
from remix.syntax.seeds import BEHAVIOURS, behaved
from remix.syntax.tracks import Stop, lay, steps_of
from remix.syntax.values import TARGETS, number_track, seed_track

PROMPTS = ("prompts", "animation_prompts")
MOTION = (
    *("angle", "zoom", "translation_x", "translation_y", "translation_z", "transform_center_x", "transform_center_y"),
    *("rotation_3d_x", "rotation_3d_y", "rotation_3d_z", "strength_schedule", "noise_schedule", "steps_schedule"),
    *("checkpoint_schedule", "clipskip_schedule", "subseed_schedule", "subseed_strength_schedule", "init_images"),
    "fov_schedule",
)
SET = (
    *("use_init", "init_image", "parseq_manifest", "negative_prompts", "subseed", "subseed_strength"),
    *("enable_subseed_scheduling", "hybrid_composite", "hybrid_motion", "hybrid_generate_inputframes"),
    *("hybrid_use_init_image", "use_mask", "use_mask_video", "use_noise_mask", "mask_file"),
)
"""What is named where it is set: a settings file has a value for everything, and most of them mean nothing."""
SWITCHES = {"init_image": "use_init", "mask_file": "use_mask", "subseed": "subseed_strength"}
"""What has to be on, where it is there, for another to count."""
UNSET = {"", "0", "-1", "none", "false", "null", "{}"}


def read(source: Source, given: Given) -> Parts:
    """The parts that a settings file says. What moves the camera has no place in a recipe: a note names it."""
    data = fields_of(source, read_all(source), "this text")
    key = next((name for name in PROMPTS if name in data), None)
    if key is None:
        raise source.refuse(0, 'there are no "prompts"; write them: {"0": "a cat"}')
    frames = given.frames
    if frames is None and "max_frames" in data:
        frames = number_of(source, data["max_frames"], "max_frames", 1, MAX_FRAMES, whole=True)
    seed = given.seed
    if seed is None and "seed" in data:
        seed = number_of(source, data["seed"], "seed", -1, MAX_SEED, whole=True)
    if seed is not None and seed < 0:
        source.note("the seed -1 stands for a random one; here it is 0")
        seed = 0
    given = _surrounding(source, data, replace(given, frames=frames, seed=seed, fps=given.fps or _fps(source, data)))
    mode = text_of(source, data["animation_mode"], "animation_mode").text if "animation_mode" in data else ""
    ease = "linear" if mode == "Interpolation" else "hold"
    tracks = {**prompt_tracks(source, _prompt_pairs(source, data, key), given, ease), **_seeds(source, data, given)}
    fields = _fields(source, data)
    if "cfg_scale_schedule" in data:
        tracks["cfg"] = number_track(
            source, _schedule(source, data["cfg_scale_schedule"], given), given, TARGETS["cfg"]
        )
    _note_rest(source, data)
    keyframes, laid = lay(source, tracks)
    return Parts(keyframes, frames=frames, fps=given.fps, ease=laid, **fields)


def _surrounding(source: Source, data: Mapping[str, Node], given: Given) -> Given:
    """What is given, with the prompts that the settings put around all others."""
    before, after = (
        text_of(source, data[name], name).text.strip() if name in data else ""
        for name in ("animation_prompts_positive", "animation_prompts_negative")
    )
    after = f"--neg {after}" if after and "--neg" not in after else after
    return replace(given, before=f"{given.before} {before}".strip(), after=f"{given.after} {after}".strip())


def _fps(source: Source, data: Mapping[str, Node]) -> float | None:
    found: float | None = number_of(source, data["fps"], "fps", 0.001, 240) if "fps" in data else None
    return found


def _prompt_pairs(source: Source, data: Mapping[str, Node], key: str) -> list[Pair]:
    node = data[key]
    pairs = [
        Pair(node.keys[name], text_of(source, value, "the prompt"), True)
        for name, value in fields_of(source, node, key).items()
    ]
    if not pairs:
        raise source.refuse(node.at, "there are no prompts; write one for a frame")
    return pairs


def _schedule(source: Source, node: Node, given: Given) -> list[tuple[int, Pair]]:
    """The pairs of a schedule that stands in quotes, in order of their frames, with places in the whole text."""
    written = text_of(source, node, "the schedule")
    with source.within(written):
        pairs = read_pairs(Source(written.text, plain=True))
    clock = given.clock()
    ordered = []
    for key, value, is_text in pairs:
        key, value = (replace(part, places=[written.places[at] for at in part.places]) for part in (key, value))
        ordered.append((frame_of(source, key, clock), key, Pair(key, value, is_text)))
    return in_order(source, ordered)


def _seeds(source: Source, data: Mapping[str, Node], given: Given) -> dict[str, list[Stop]]:
    """The track of the seeds, by the behaviour that the settings name."""
    seed = given.seed or 0
    node = data.get("seed_behavior")
    behaviour = text_of(source, node, "seed_behavior").text if node else "fixed"
    if behaviour == "schedule" and "seed_schedule" in data:
        return {"seed": seed_track(source, _schedule(source, data["seed_schedule"], given), given)}
    if node and behaviour not in BEHAVIOURS:
        raise source.refuse(
            node.at, f"{show(behaviour)} is no behaviour of seeds; use {', '.join(BEHAVIOURS)}, schedule"
        )
    if behaviour == "fixed":
        return {"seed": [Stop(0, Mix.one(seed))]} if given.seed is not None else {}
    if given.frames is None:
        raise source.refuse(
            node.at if node else 0, "the number of frames is not in the text; give frames (--frames 48)"
        )
    every = 1
    if "seed_iter_N" in data:
        every = number_of(source, data["seed_iter_N"], "seed_iter_N", 1, MAX_FRAMES, whole=True)
    if behaviour == "random":
        source.note("random seeds are drawn from the main seed and the frame, so that they are the same again")
    return {"seed": steps_of([Mix.one(found) for found in behaved(behaviour, seed, given.frames, every)])}


def _fields(source: Source, data: Mapping[str, Node]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if "steps" in data:
        fields["steps"] = number_of(source, data["steps"], "steps", 1, 1000, whole=True)
    for name, field in (("W", "width"), ("H", "height")):
        if name in data:
            side = number_of(source, data[name], name, 8, 8192, whole=True)
            fields[field] = side - side % 8  # as Deforum itself does
    for name in ("scale", "cfg_scale"):
        if name in data:
            fields["cfg"] = number_of(source, data[name], name, 0, 100)
    if "sampler" in data:
        label = text_of(source, data["sampler"], "sampler").text
        meant = sampler_of(label)
        if meant is None:
            source.note(f"the sampler {show(label)} has no name here; it is left as it is")
        else:
            fields.update({"sampler": meant[0], **({"scheduler": meant[1]} if meant[1] else {})})
    node = data.get("sd_model_name")
    if node is not None and (name := text_of(source, node, "sd_model_name").text.strip()):
        with source.within(text_of(source, node, "sd_model_name")):
            fields["model"] = Model(checkpoint=name)
    return fields


def _note_rest(source: Source, data: Mapping[str, Node]) -> None:
    """Name what moves or feeds back, which a recipe of single frames cannot say."""
    left = [name for name in MOTION if name in data and data[name].value is not None]
    if left:
        source.note(f"every frame is made on its own here, so these are left out: {', '.join(left)}")
    rest = [name for name in SET if _is_set(data, name) and (name not in SWITCHES or _is_on(data, SWITCHES[name]))]
    if "sampler_schedule" in data and _is_set(data, "enable_sampler_scheduling"):
        rest.append("sampler_schedule")
    cadence = data["diffusion_cadence"].plain() if "diffusion_cadence" in data else 1
    if str(cadence)[:20].strip() not in ("0", "1", "1.0", "None"):
        rest.append("diffusion_cadence")
    if rest:
        source.note(f"set, and without a place in a recipe, so these are left out: {', '.join(rest)}")


def _is_set(data: Mapping[str, Node], name: str) -> bool:
    """Whether a setting is there and says more than that it is off."""
    value = data[name].plain() if name in data else None
    return bool(value) and str(value)[:20].strip().lower() not in UNSET


def _is_on(data: Mapping[str, Node], name: str) -> bool:
    return name not in data or _is_set(data, name)
