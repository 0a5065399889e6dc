"""Parseq's manifest: the frames that it rendered, one after another, with prompt, seed, subseed and scale."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from remix.errors import RecipeError
from remix.plan import fields as check
from remix.plan.documents import read_json
from remix.plan.keyframe import MAX_CFG, MAX_SEED, Keyframe
from remix.plan.locate import locate
from remix.plan.mix import Mix
from remix.syntax.text.parts import Options, Parts
from remix.syntax.text.prompts import mix_of_and, split_negative
from remix.syntax.text.source import Source
from remix.syntax.text.syntax import Shape, Syntax
from remix.syntax.text.tracks import Stop, clip, held_stops, number_stops, to_keyframes
from remix.syntax.text.values import random_seed

_FRAME = re.compile(r'"frame"\s*:\s*[0-9]')
_USED = {"frame", "deforum_prompt", "seed", "subseed", "subseed_strength", "scale"}
_MAX_RENDERED = 100_000


def looks(shape: Shape) -> bool:
    if shape.has_keys("rendered_frames"):
        return True
    # A document that was not rendered; the keyframes of a recipe have no "frame".
    document = any(shape.has_keys(name) for name in ("options", "prompts", "managedFields", "timeSeries"))
    return document and shape.has_keys("keyframes") and bool(_FRAME.search(shape.text))


def read(source: Source, options: Options) -> Parts:
    """Returns the parts of the rendered frames of a manifest; Parseq has evaluated its formulas."""
    data = read_json(source.text, source=source.name)
    rendered = data.get("rendered_frames") if isinstance(data, Mapping) else None
    if not isinstance(rendered, list) or not rendered:
        raise _wrong(source, "rendered_frames", "there are none; let Parseq render, and copy the manifest again")
    for i, frame in enumerate(rendered):
        _check_frame(source, i, frame)
    tracks: dict[str, list[Stop]] = {}
    if any("deforum_prompt" in frame for frame in rendered):
        tracks.update(_prompts(source, rendered))
    if any("seed" in frame for frame in rendered):
        tracks["seed"] = held_stops([_seed(source, i, frame) for i, frame in enumerate(rendered)])
    if any("scale" in frame for frame in rendered):
        tracks["cfg"] = number_stops(
            0, [_number(source, i, frame, "scale", 0, MAX_CFG) for i, frame in enumerate(rendered)]
        )
    _note_rest(source, rendered)
    frames = options.frames or len(rendered)
    keyframes, ease = to_keyframes(source, {name: clip(source, track, frames) for name, track in tracks.items()})
    manifest = data.get("options")
    fps = manifest.get("output_fps") if isinstance(manifest, Mapping) else None
    if fps is not None:
        fps = check.number(fps, "options.output_fps", 0.001, 240)
    return Parts(keyframes or (Keyframe(at=0),), frames=frames, fps=options.fps or fps, ease=ease)


def _wrong(source: Source, path: str, problem: str) -> RecipeError:
    line, column = locate(source.text, path)
    return RecipeError(f"{path}: {problem}", line=line, column=column)


def _check_frame(source: Source, i: int, frame: Any) -> None:
    path = f"rendered_frames[{i}]"
    if i >= _MAX_RENDERED:
        raise _wrong(source, path, f"there are more than {_MAX_RENDERED} frames; render fewer")
    if not isinstance(frame, Mapping):
        raise _wrong(source, path, f"{check.show(frame)} is not a frame; let Parseq render again")
    if frame.get("frame", i) != i:
        shown = check.show(frame["frame"])
        raise _wrong(source, f"{path}.frame", f"{shown} where {i} should follow; let Parseq render all frames")


def _number(source: Source, i: int, frame: Mapping[str, Any], name: str, low: float, high: float) -> float:
    path = f"rendered_frames[{i}].{name}"
    if name not in frame:
        raise _wrong(
            source, f"rendered_frames[{i}]", f"has no {name}, which other frames have; render all frames again"
        )
    try:
        return check.number(frame[name], "", low, high)
    except RecipeError as error:
        raise _wrong(source, path, error.problem) from error


def _prompts(source: Source, rendered: list[Any]) -> dict[str, list[Stop]]:
    known: dict[str, tuple[Mix[str], Mix[str]]] = {}
    found = []
    for i, frame in enumerate(rendered):
        text = frame.get("deforum_prompt", "")
        if not isinstance(text, str):
            path = f"rendered_frames[{i}].deforum_prompt"
            raise _wrong(source, path, f"{check.show(text)} is not text; put it in quotes")
        if text not in known:
            try:
                nested = Source(text, nested=True)
                positive, negative = split_negative(nested, nested.span())
                known[text] = mix_of_and(nested, positive), mix_of_and(nested, negative)
            except RecipeError as error:
                raise _wrong(source, f"rendered_frames[{i}].deforum_prompt", error.problem) from error
            for sentence in nested.notes:
                source.note(sentence)
        found.append(known[text])
    tracks = {"prompt": held_stops([positive for positive, _ in found])}
    if any(negative != Mix.one("") for _, negative in found):
        tracks["negative"] = held_stops([negative for _, negative in found])
    return tracks


def _seed(source: Source, i: int, frame: Mapping[str, Any]) -> Mix[int]:
    """Returns a frame's seed, mixed with its subseed, or of two seeds if it is fractional; below 0 it is random."""
    seed = _seed_number(source, i, frame, "seed", -1)
    if seed < 0:
        source.note("seed -1 means a random seed; here it is derived from the frame's number")
        return Mix.one(random_seed(0, i))
    if frame.get("subseed") is None or not frame.get("subseed_strength"):
        return _seed_mix(seed, None, None)
    subseed = _seed_number(source, i, frame, "subseed", 0)
    return _seed_mix(seed, subseed, _number(source, i, frame, "subseed_strength", 0, 1))


def _seed_number(source: Source, i: int, frame: Mapping[str, Any], name: str, low: int) -> float:
    """Returns a seed of a frame, exactly if it is an integer: its float may be another number."""
    exact = type(frame.get(name)) is int
    found = _number(source, i, frame, name, low, MAX_SEED if exact else MAX_SEED - 1)
    return int(frame[name]) if exact else found


def _note_rest(source: Source, rendered: list[Any]) -> None:
    """Adds notes on values that change over the frames and that recipes do not have."""
    first = rendered[0]
    names = sorted({name for frame in rendered for name in frame} - _USED)
    left = [name for name in names if any(frame.get(name) != first.get(name) for frame in rendered)]
    plain = [name for name in left if not name.endswith(("_delta", "_pc", "_i"))]
    if plain:
        source.note(f"not in a recipe, and left out: {', '.join(name[:40] for name in plain[:20])}")


def _between_seeds(value: float) -> Mix[int]:
    """Returns the mix of the two seeds next to a fractional one: 1.25 is three quarters of seed 1 and one of seed 2."""
    low = int(value // 1)
    share = value - low
    return Mix(((low, 1 - share), (low + 1, share))) if share else Mix.one(low)


def _seed_mix(seed: float, other: float | None, strength: float | None) -> Mix[int]:
    """Returns the mix of a seed with a share `strength` of another, or else of the seeds next to a fractional seed."""
    if other is None or strength is None:
        return _between_seeds(seed)
    return Mix.one(int(seed)).toward(Mix.one(int(other)), strength)


SYNTAX = Syntax("parseq", "Parseq's manifest", looks, read, wraps=False, emphasis="a1111")
