"""`remix inspect`: shows the recipe or metadata of a picture, a film or a job."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from remix.client.cli.outputs import print_data
from remix.errors import BadInput, RecipeError
from remix.hosts.comfyui.reading import ComfyGraph, Strength
from remix.job import Made, is_job, read_job, read_metadata
from remix.job.reading import INPUTS
from remix.plan import Model, Recipe
from remix.plan.wording import printable

TOOLS = {"remix": "Remix Toolkit", "a1111": "A1111", "comfyui": "ComfyUI", "unknown": "unknown"}


@click.command("inspect")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--recipe", "as_recipe", is_flag=True, help="Print only the recipe, as TOML (with --json as JSON).")
def command(file: Path, as_json: bool, as_recipe: bool) -> None:
    """Prints what made FILE: a recipe of this toolkit, A1111's parameters, or a ComfyUI graph.

    FILE is a picture, a film, or a job folder.
    """
    made = read_job(file) if is_job(file) else read_metadata(file)
    if not made.texts and made.remix is None and any(note.startswith("metadata: skipped") for note in made.notes):
        raise BadInput(f"{file}: is not a readable picture or film; give a PNG, JPEG, WebP, GIF, film or job")
    if as_recipe:
        recipe, notes = _recipe(file, made)
        if as_json:
            for note in notes:
                click.echo(f"note    {note}", err=True)
        text = recipe.to_json() if as_json else "".join(f"# {note}\n" for note in notes) + recipe.to_toml()
        print_data(text)
    elif as_json:
        text = json.dumps(asdict(made), indent=2, ensure_ascii=False)
        print_data(printable(text) + "\n")
    else:
        lines = [(printable(label), printable(text)) for label, text in _lines(made)]
        width = max(9, *(len(label) for label, _ in lines)) + 1
        for label, text in lines:
            click.echo(f"{label:{width}}" + text.replace("\n", "\n" + " " * width))


def _recipe(file: Path, made: Made) -> tuple[Recipe, list[str]]:
    """Returns the recipe of a file, and notes for rendering it again."""
    if made.remix is None or "recipe" not in made.remix:
        raise BadInput(f"{file}: contains no recipe of this toolkit; leave out --recipe to see what it contains")
    recipe, notes = Recipe.from_dict(made.remix["recipe"]).settled(), []
    engine = made.remix.get("engine")
    if recipe.model.checkpoint == Model.checkpoint and isinstance(engine, Mapping):
        host, name = engine.get("engine"), engine.get("checkpoint")
        files = [str(key).removeprefix("file ") for key in engine if str(key).startswith("file ")]
        if isinstance(name, str) and name not in ("", Model.checkpoint):
            recipe = recipe.replace(model=replace(recipe.model, checkpoint=name))
            notes.append(f"{host} calls the checkpoint by this name; for the local engine, write the path of its file")
        elif files:
            notes.append(f"{host} rendered it with {', '.join(files)}; write the checkpoint below [model]")
    if names := [*recipe.pictures(), *([recipe.music.file] if recipe.music else [])]:
        there = file / INPUTS if is_job(file) else "the folder inputs of its job"
        notes.append(f"copy its files next to this recipe, from {there}: {', '.join(names)}")
    return recipe, [" ".join(printable(note).split()) for note in notes]


def _lines(made: Made) -> Iterator[tuple[str, str]]:
    yield "made by", TOOLS[made.kind]
    if made.remix is not None:
        yield from _ours(made.remix)
    if made.a1111 is not None:
        yield "prompt", made.a1111.prompt
        yield "negative", made.a1111.negative
        yield from made.a1111.settings.items()
    if made.comfyui is not None:
        yield from _graph(made.comfyui)
    yield from (("note", note) for note in made.notes)


def _graph(graph: ComfyGraph) -> Iterator[tuple[str, str]]:
    """Yields the lines of a ComfyUI graph: one block for each pass, with the nodes in which values were found."""
    if not graph.passes:
        yield from (("prompt", prompt) for prompt in graph.prompts)
    for number, one in enumerate(graph.passes, 1):
        count = f" {number}" if len(graph.passes) > 1 else ""
        yield f"pass{count}", f"node {one.node} ({one.kind})"
        for kind, prompts in (("prompt", one.prompts), ("negative", one.negatives)):
            yield from ((kind, prompt) for prompt in prompts)
        for name, value in one.settings.items():
            where = one.found.get(name, "")
            yield (
                name,
                str(value) + (f"   from node {where}" if where and not where.startswith(f"{one.node} (") else ""),
            )
        for kind, strengths in (("lora", one.loras), ("controlnet", one.controlnets)):
            yield from ((kind, _strength(each)) for each in strengths)
        if one.clip_skip is not None:
            yield "clip skip", str(one.clip_skip)
    yield "nodes", ", ".join(f"{count} {kind}" for kind, count in graph.nodes.items())
    yield from (("note", note) for note in graph.notes)


def _strength(found: Strength) -> str:
    text = "" if found.text in (None, found.strength) else f", text encoder {found.text:g}"
    return f"{found.name} {found.strength:g}{text}"


def _ours(about: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields the lines of Remix Toolkit's metadata, which may be forged."""
    for label in ("toolkit", "engine"):
        value = about.get(label, "")
        yield label, ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, Mapping) else str(value)
    frame = about.get("frame")
    for name, value in frame.items() if isinstance(frame, Mapping) else ():
        yield str(name), _mix(value)
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
