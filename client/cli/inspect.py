"""`remix inspect`: shows the recipe or metadata of a picture, a film or a job."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from remix.client.cli.outputs import overwrite_option, print_data, refuse_present
from remix.client.recipes import own_recipe
from remix.errors import BadInput, RecipeError
from remix.hosts.record import Origin, Sampling
from remix.hosts.remaking import recipe_of_origin
from remix.job import Made, credits_of, is_job, read_file_metadata, read_job
from remix.job.reading import INPUTS
from remix.motion.regular import fingerprint
from remix.motion.stripping import strip_metadata
from remix.plan import Recipe
from remix.plan.wording import printable

LONGEST = 4000
"""The maximum number of characters of a text that is shown because no reader knows it."""


@click.command("inspect")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--recipe", "as_recipe", is_flag=True, help="Print only the recipe, as TOML (with --json as JSON).")
@click.option("--credits", "as_credits", is_flag=True, help="Print only what it was made of, with hashes of sources.")
@click.option("--strip", is_flag=True, help="Write a copy without metadata to --out; pixels stay as they are.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="File for --strip.")
@overwrite_option
def command(
    file: Path, as_json: bool, as_recipe: bool, as_credits: bool, strip: bool, out: Path | None, overwrite: bool
) -> None:
    """Prints what made FILE: prompts, settings, models and LoRAs, in the same form for every tool.

    FILE is a picture, a film, a job folder, a workflow (.json), or the settings next to a picture (.txt, .json).
    """
    if strip != (out is not None):
        raise click.UsageError("--strip and --out: give both, or none of them")
    if out is not None:
        if as_json or as_recipe or as_credits:
            raise click.UsageError("--strip: writes a copy and prints no metadata; leave the other options out")
        _strip(file, out, overwrite)
        return
    if as_recipe and as_credits:
        raise click.UsageError("--recipe and --credits: each prints only that; give one of them")
    made = read_job(file) if is_job(file) else read_file_metadata(file)
    if not made.texts and made.remix is None and any(note.startswith("metadata: skipped") for note in made.notes):
        raise BadInput(f"{file}: is not a readable picture or film; give a PNG, JPEG, WebP, AVIF, GIF, film or job")
    if as_recipe:
        recipe, notes = _recipe(file, made)
        if as_json:
            for note in notes:
                click.echo(f"note    {note}", err=True)
        text = recipe.to_json() if as_json else "".join(f"# {note}\n" for note in notes) + recipe.to_toml()
        print_data(text)
    elif as_credits:
        _print_credits(file, made, as_json)
    elif as_json:
        text = json.dumps(asdict(made), indent=2, ensure_ascii=False)
        print_data(printable(text) + "\n")
    else:
        _print_rows(_lines(made))


def _print_rows(rows: Iterable[tuple[str, str]]) -> None:
    lines = [(printable(label), printable(text)) for label, text in rows]
    width = max(9, *(len(label) for label, _ in lines)) + 1
    for label, text in lines:
        click.echo(f"{label:{width}}" + text.replace("\n", "\n" + " " * width))


def _print_credits(file: Path, made: Made, as_json: bool) -> None:
    rows = credits_of(made)
    if not rows:
        raise BadInput(f"{file}: does not say what it was made of")
    if file.is_file():
        rows.insert(0, ("file", f"{file.name}, sha256 {fingerprint(file)}"))
    if as_json:
        print_data(printable(json.dumps(rows, indent=2, ensure_ascii=False)) + "\n")
    else:
        _print_rows(rows)


def _strip(file: Path, out: Path, overwrite: bool) -> None:
    refuse_present(out, overwrite)
    removed = strip_metadata(file, out)
    click.echo(f"file    {out}")
    click.echo(f"removed {printable(', '.join(removed)) or 'nothing, it had no texts'}")


def _recipe(file: Path, made: Made) -> tuple[Recipe, list[str]]:
    """Returns the recipe of a file, and notes for rendering it again."""
    if made.remix is None and made.origin is not None:
        try:
            recipe, notes = recipe_of_origin(made.origin)
        except RecipeError as error:
            raise RecipeError(error.problem, path=error.path, source=str(file)) from error
        return recipe, [" ".join(printable(note).split()) for note in notes]
    if made.remix is None or "recipe" not in made.remix:
        raise BadInput(f"{file}: contains no recipe and no settings; leave out --recipe to see what it contains")
    recipe, notes = own_recipe(made.remix)
    if names := [*recipe.pictures(), *([recipe.music.file] if recipe.music else [])]:
        there = file / INPUTS if is_job(file) else "the folder inputs of its job"
        notes.append(f"copy its files next to this recipe, from {there}: {', '.join(names)}")
    return recipe, [" ".join(printable(note).split()) for note in notes]


def _lines(made: Made) -> Iterator[tuple[str, str]]:
    tool = made.origin.tool if made.origin is not None else "unknown"
    yield "made by", "Remix Toolkit" if made.remix is not None else tool
    if made.remix is not None:
        yield from _ours(made.remix)
    if made.origin is not None:
        yield from _origin(made.origin)
        if made.comfyui is not None:
            yield "nodes", ", ".join(f"{count} {kind}" for kind, count in made.comfyui.nodes.items())
    elif made.remix is None:
        yield from ((f"text {name}", _shortened(text)) for name, text in made.texts.items())
    yield from (("note", note) for note in made.notes)


def _origin(origin: Origin) -> Iterator[tuple[str, str]]:
    """Yields the lines of what another tool wrote: one block for each pass, with the places of values."""
    if origin.version:
        yield "version", origin.version
    for number, one in enumerate(origin.passes, 1):
        count = f" {number}" if len(origin.passes) > 1 else ""
        yield f"pass{count}", one.place
        yield from _pass(one)
    yield from (("note", note) for note in origin.notes)


def _pass(one: Sampling) -> Iterator[tuple[str, str]]:
    if not one.prompts:
        yield "prompt", "unknown"
    for name, value in one.rows():
        yield name, value + _place(one, "width" if name == "size" else name)


def _place(one: Sampling, name: str) -> str:
    """Returns where a value was found, if that is not where the pass itself is."""
    where = one.found.get(name, "")
    return "" if not where or where.startswith(one.place) else f"   from {where}"


def _shortened(text: str) -> str:
    more = len(text) - LONGEST
    return text if more <= 0 else f"{text[:LONGEST]} ... ({more} more characters; --json shows all)"


def _ours(about: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields the lines of Remix Toolkit's metadata, which may be forged."""
    for label in ("toolkit", "engine"):
        value = about.get(label, "")
        yield label, ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, Mapping) else str(value)
    frame = about.get("frame")
    frame = frame if isinstance(frame, Mapping) else {}
    if isinstance(inputs := frame.get("inputs"), Mapping):  # of a workflow or a payload, which has the other settings
        frame = {"index": frame.get("index"), **inputs}
    yield from ((str(name), _mix(value)) for name, value in frame.items())
    if "recipe" in about:
        for number, line in enumerate(_toml(about["recipe"]).splitlines()):
            yield ("recipe" if number == 0 else ""), line
    elif "recipe_sha256" in about:
        yield "recipe", f"too long for metadata; its canonical JSON has the SHA-256 {about['recipe_sha256']}"


def _toml(recipe: Any) -> str:
    try:
        return Recipe.from_dict(recipe).settled().to_toml()
    except RecipeError as error:
        return f"cannot be read: {error}"


def _mix(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{strength} {name}" for name, strength in value.items())
    if not isinstance(value, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        return str(value)
    if len(value) == 1:
        return str(value[0][0])
    return " + ".join(f"{weight} {part}" for part, weight in value)
