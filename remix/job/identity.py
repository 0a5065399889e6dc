"""The identity of a job: the keys of its frames and its engine, and how two engines differ."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from remix.digest import canonical, sha256
from remix.errors import BadInput
from remix.job.files import inside, safe_name
from remix.job.inputs import input_hashes
from remix.job.job import frame_key
from remix.job.reading import JOURNAL
from remix.plan import Schedule

SHORT = 10
"""Digits of the key in the name of a job folder."""

LONGEST_VALUE = 24
"""Characters of the longest value that `differing` shows."""


OF_FILM = {
    "prompts": "set of prompts, on which every frame depends with this model",
    "first seed": "first seed, on which every frame with wildcards depends",
}
"""Parts of an engine's identity that depend on the film, in words. A frame of another film may be another picture."""

_FILE_DETAILS = re.compile(r" (\(\d+ bytes) (?:of [\d:TZ-]+|with SHA-256 [0-9a-f]+)\)$", re.ASCII)
"""Size and age, or hash, of a file at the end of its name. A server that is slow to list its files omits them."""


def same_engine(was: Mapping[str, Any], now: Mapping[str, Any], *, same_film: bool = False) -> bool:
    """Returns whether two engine identities are the same. Sizes and ages of files count if both have them.

    In the same film, `OF_FILM` makes no difference.

    >>> file, other = (f"a.safetensors ({size} bytes of 2026-01-02T03:04:05Z)" for size in (8, 9))
    >>> same_engine({"checkpoint": file}, {"checkpoint": "a.safetensors"})
    True
    >>> same_engine({"checkpoint": file}, {"checkpoint": other})
    False
    """
    if same_film:
        was, now = ({name: engine[name] for name in engine if name not in OF_FILM} for engine in (was, now))
    return was.keys() == now.keys() and all(_same_part(was[name], now[name]) for name in was)


def _same_part(was: Any, now: Any) -> bool:
    if was == now or not (isinstance(was, str) and isinstance(now, str)):
        return bool(was == now)
    return _FILE_DETAILS.sub("", was) == now or _FILE_DETAILS.sub("", now) == was


def without_file_details(engine: Mapping[str, str], *, sizes: bool = False) -> dict[str, str]:
    """Returns an engine's identity without the ages of model files, which differ between servers, nor their sizes.

    `sizes` keeps the sizes.

    >>> without_file_details({"checkpoint": "a.safetensors (8 bytes of 2026-01-02T03:04:05Z)"})
    {'checkpoint': 'a.safetensors'}
    """

    def plain(found: re.Match[str]) -> str:
        return f" {found[1]})" if sizes else ""

    return {name: _FILE_DETAILS.sub(plain, value) for name, value in engine.items()}


def most_detailed(was: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the identity `now` of the `same_engine` with all sizes and ages of files that one of the two has."""
    return {name: max(now[name], was.get(name, ""), key=lambda part: len(str(part))) for name in now}


def differing(was: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Returns a description of the parts in which two engine identities differ.

    >>> differing({"engine": "local", "checkpoint": "a"}, {"engine": "local", "checkpoint": "b", "vae": "c"})
    "checkpoint ('a', now 'b') and vae (none, now 'c')"
    """
    names = [name for name in {**was, **now} if not _same_part(was.get(name), now.get(name))]
    parts = [OF_FILM.get(name) or f"{name} ({_short(was.get(name))}, now {_short(now.get(name))})" for name in names]
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


def _short(value: Any) -> str:
    text = "none" if value is None else repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."


def prompts_that_meet(schedule: Schedule, *, plain_attention: bool) -> dict[str, str]:
    """Returns a hash of the film's prompts, as "prompts", if every frame depends on all of them, otherwise {}.

    This applies to engines that bring all prompts to one length. Padding or trimming a prompt changes its picture, so a
    frame is the same only with the same prompts. Repeating a prompt whole ("tile") changes nothing in models with plain
    cross-attention (`plain_attention`: SD 1, SD 2 and SDXL), which do that unless the recipe sets `lengths`.

    >>> from remix.plan import Keyframe, Recipe, plan
    >>> prompts_that_meet(plan(Recipe(frames=1, keyframes=(Keyframe(prompt="a cat"),))), plain_attention=True)
    {}
    """
    policy = schedule.recipe.lengths or ("tile" if plain_attention else "empty")
    if policy == "equal" or (policy == "tile" and plain_attention):
        return {}
    return {"prompts": sha256(canonical(sorted(schedule.texts)).encode())[:16]}


def job_folder(root: Path, name: str, schedule: Schedule, engine: Mapping[str, str]) -> Path:
    """Returns the folder of a job below `root`: the same for equal frames of the same engine.

    Its name consists of `name` and a key of everything that affects the pictures, but not of the film's rate and
    format. Raises BadInput for a name that is not valid for a folder, and RecipeError for a missing picture.
    """
    if safe_name(name) != name or not name:
        raise BadInput(f"name: {name!r} is not a name of a folder; write one such as film")
    inputs = input_hashes(schedule.recipe)
    keys = [frame_key(schedule, index, inputs) for index in range(len(schedule))]
    return inside(root, f"{name}_{sha256(canonical([keys, dict(engine)]).encode())[:SHORT]}")


def siblings(root: Path, name: str, *, begun: bool = False) -> list[Path]:
    """Returns the folders of jobs with that name below `root`, the one with the newest frame first.

    `begun` includes jobs that have no frame yet.
    """
    named = re.compile(rf"{re.escape(name)}_[0-9a-f]{{{SHORT}}}(_\d+)?", re.ASCII)
    found = [path for path in (root.iterdir() if root.is_dir() else ()) if named.fullmatch(path.name)]
    return sorted((path for path in found if begun or finished_at(path)), key=finished_at, reverse=True)


def finished_at(folder: Path) -> int:
    """Returns the time at which the last frame of a job was finished, in nanoseconds; 0 if there is none."""
    try:
        return (folder / JOURNAL).stat().st_mtime_ns
    except OSError:
        return 0
