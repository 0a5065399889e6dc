"""Credits: what a picture or film was made of, with the hash of each source.

A job lists its `sources` in its metadata: init pictures, masks, song and workflow. A film of other pictures has a text
of its own, `CREDITS`. `credits_of` returns the sheet of any file, for every tool that is read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from remix.digest import canonical, sha256
from remix.errors import RecipeError, RemixError
from remix.hosts.record import Origin, Sampling, json_of
from remix.job.files import inside
from remix.job.metadata import CREDITS, FILM_BYTES, Made, read_metadata
from remix.job.reading import INPUTS
from remix.motion.regular import fingerprint
from remix.plan import Mix, Recipe
from remix.plan.inputs import plain_input

Rows = list[tuple[str, str]]
"""Labels and texts, in the order of a sheet."""

MOST_SOURCES = 500
"""The largest number of files that credits list one by one."""

SHORT = 8 * 1024
"""Characters of the sources in the metadata of a single frame."""

MOST_ROWS, LONGEST = 200, 2_000
"""The largest number of rows of other pictures in the credits of a film, and of characters of a text."""


def sources(recipe: Recipe, folder: Path) -> dict[str, Any]:
    """Returns the record of the files that a job was made of, {} if it has none: pictures, song and workflow.

    Each has its name, its hash, and its own credits if it is a picture that has some, up to `FILM_BYTES` of all.
    """
    found, left = [], FILM_BYTES
    for name, path in islice(_files(recipe, folder), MOST_SOURCES):
        each = _source(path, name)
        left -= len(canonical(each.get("credits", [])))
        if left < 0:
            each.pop("credits", None)
        found.append(each)
    return {"sources": found} if found else {}


def short_sources(recipe: Recipe, folder: Path) -> dict[str, Any]:
    """Returns the record of `sources` for a single frame: names and hashes, or one hash of many of them."""
    found = [{"name": name, "sha256": fingerprint(path)} for name, path in _files(recipe, folder)]
    text = canonical(found)
    if len(text) > SHORT:
        return {"sources_sha256": sha256(text.encode())}
    return {"sources": found} if found else {}


def _files(recipe: Recipe, folder: Path) -> Iterator[tuple[str, Path]]:
    """Yields the names and paths of a job's source files."""
    others = [recipe.music.file] if recipe.music is not None else []
    others += [recipe.workflow.file] if recipe.workflow is not None else []
    for name in dict.fromkeys([*recipe.pictures(), *recipe.input_pictures(), *others]):
        if (path := inside(folder / INPUTS, name)).is_file():
            yield name, path


def _source(path: Path, name: str) -> dict[str, Any]:
    try:
        rows = _distinct(_rows(read_metadata(path, hidden=False)))
    except RemixError:  # a song or a workflow
        rows = []
    made = {"credits": [list(row) for row in rows[:MOST_ROWS]]} if rows else {}
    return {"name": name, "sha256": fingerprint(path), **made}


def film_credits(paths: Sequence[Path]) -> dict[str, str]:
    """Returns the metadata with the credits of a film that is made of these pictures."""
    found, rows = [], Rows()
    for path in paths:
        each = _source(path, path.name)
        rows += [(label, text) for label, text in each.pop("credits", ())]
        found.append(each)
    about = {
        "pictures": len(found),
        "sha256": sha256("".join(each["sha256"] for each in found).encode()),
        "sources": found[:MOST_SOURCES],
        "credits": [list(row) for row in _distinct(rows)[:MOST_ROWS]],
    }
    return {CREDITS: canonical(about)}


def credits_of(made: Made) -> Rows:
    """Returns the credits of a picture or film by its metadata, which may be forged; [] if it says nothing."""
    rows = list(_rows(made))
    about = json_of(made.texts.get(CREDITS, ""))
    if isinstance(about, dict):
        rows.append(("made of", f"{about.get('pictures')} pictures, sha256 {about.get('sha256')}"))
        rows += _sources(about.get("sources"))
        rows += _plain_rows(about.get("credits"))
    return _distinct(rows)


def _rows(made: Made) -> Iterator[tuple[str, str]]:
    if made.remix is not None:
        yield from _ours(made.remix)
    elif made.origin is not None:
        yield from _of_origin(made.origin)


def _ours(about: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    engine = about.get("engine")
    engine = engine if isinstance(engine, Mapping) else {}
    by = f", engine {engine['engine']}" if "engine" in engine else ""
    yield "made with", f"Remix Toolkit {about.get('toolkit', '')}".rstrip() + by
    yield from ((str(name), str(value)) for name, value in engine.items() if name != "engine")
    try:
        recipe = Recipe.from_dict(about["recipe"]) if "recipe" in about else None
    except RecipeError:
        recipe = None
    frame = about.get("frame") if isinstance(about.get("frame"), Mapping) else None
    if recipe is not None:
        yield from _of_models(recipe, _strengths(recipe, frame), named="checkpoint" in engine)
        yield from _of_keyframes(recipe) if frame is None else _of_frame(frame)
        if recipe.payload is not None:
            yield from ((name, str(value)) for name, value in recipe.payload.fields.items())
    yield from _sources(about.get("sources"), set() if recipe is None or frame is None else _unused(recipe, frame))


def _of_models(recipe: Recipe, loras: Iterable[tuple[str, float]], *, named: bool) -> Iterator[tuple[str, str]]:
    if not named and not recipe.has_own_settings:
        yield "model", recipe.model.checkpoint
    if recipe.model.vae is not None:
        yield "vae", recipe.model.vae
    strengths: dict[str, list[float]] = {}
    for name, strength in loras:
        strengths.setdefault(name, []).append(strength)
    for name, values in strengths.items():
        low, high = min(values), max(values)
        yield "lora", f"{name} {low:g}" + ("" if low == high else f" to {high:g}")


def _strengths(recipe: Recipe, frame: Mapping[str, Any] | None) -> list[tuple[str, float]]:
    """Returns the LoRAs of a film, or of one of its frames, with each of their strengths."""
    loras = [*recipe.model.loras, *(lora for key in recipe.keyframes for lora in key.loras or () if frame is None)]
    found = [(lora.name, strength) for lora in loras for strength in (lora.strength, lora.in_text)]
    own = {} if frame is None else frame.get("loras")
    for name, value in own.items() if isinstance(own, Mapping) else ():
        numbers = value.values() if isinstance(value, Mapping) else [value]
        found += [(str(name), float(number)) for number in numbers if isinstance(number, (int, float))]
    return found


def _of_keyframes(recipe: Recipe) -> Iterator[tuple[str, str]]:
    for name in ("prompt", "negative", "seed"):
        mixes: list[Mix[Any] | None] = [getattr(keyframe, name) for keyframe in recipe.keyframes]
        yield from ((name, str(value)) for mix in mixes if mix is not None for value in mix.values if value != "")
    for keyframe in recipe.keyframes:
        for name, value in keyframe.inputs or ():
            yield name, str(plain_input(value))


def _of_frame(frame: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    inputs = frame.get("inputs")
    if isinstance(inputs, Mapping):  # of a workflow or a payload, which has the settings
        for name, value in inputs.items():
            yield from ((str(name), str(part)) for part in _parts(value) or [value])
        return
    for name in ("prompt", "negative", "seed"):
        yield from ((name, str(value)) for value in _parts(frame.get(name)) if value != "")


def _parts(mix: Any) -> list[Any]:
    """Returns the values of a mix in the record of a frame, which may be forged."""
    pairs = mix if isinstance(mix, list) else []
    return [pair[0] for pair in pairs if isinstance(pair, list) and len(pair) == 2]


def _unused(recipe: Recipe, frame: Mapping[str, Any]) -> set[Any]:
    """Returns the names of the film's pictures that do not reach a frame."""
    inputs = frame.get("inputs")
    mixes = [frame.get("image"), frame.get("mask"), *(inputs.values() if isinstance(inputs, Mapping) else ())]
    used = {part for mix in mixes for part in _parts(mix) if isinstance(part, str)}
    return {*recipe.pictures(), *recipe.input_pictures()} - used


def _of_origin(origin: Origin) -> Iterator[tuple[str, str]]:
    yield "made with", f"{origin.tool} {origin.version}".rstrip()
    for one in origin.passes:
        yield from _of_pass(one)


def _of_pass(one: Sampling) -> Iterator[tuple[str, str]]:
    kept = ("prompt", "negative", "seed", "model", "vae", "lora", "controlnet")
    for name, text in one.rows():
        if name in kept or "hash" in name.lower():
            yield name, text


def _sources(value: Any, left_out: Collection[Any] = ()) -> Iterator[tuple[str, str]]:
    for each in value if isinstance(value, list) else ():
        if isinstance(each, Mapping) and str(each.get("name")) not in left_out:
            yield "source", f"{each.get('name')}, sha256 {each.get('sha256')}"
            yield from ((f"  {label}", text) for label, text in _plain_rows(each.get("credits")))


def _plain_rows(value: Any) -> Iterator[tuple[str, str]]:
    for row in value if isinstance(value, list) else ():
        if isinstance(row, list) and len(row) == 2 and all(isinstance(each, str) for each in row):
            yield row[0], row[1]


def _distinct(rows: Iterable[tuple[str, str]]) -> Rows:
    """Returns the rows, each once, in the order in which they first appear. Long texts are cut."""
    return list(
        dict.fromkeys((label, text if len(text) <= LONGEST else text[:LONGEST] + "...") for label, text in rows)
    )
