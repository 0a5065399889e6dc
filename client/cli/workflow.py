"""`remix workflow`: shows, converts, changes, compares, checks and runs ComfyUI workflows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from remix.client.cli.engines import server_options
from remix.client.cli.outputs import overwrite_option, print_data, refuse_present
from remix.client.cli.screen import progress
from remix.errors import BadInput, EngineError
from remix.hosts.comfyui.editing import differences, find_input, inputs_of, problems, set_input, title_of, written
from remix.hosts.comfyui.workflow import Prompt
from remix.hosts.converting import Available, graph_of_origin, infotext_of_origin
from remix.hosts.record import Origin, json_of
from remix.job import read_file_metadata, read_metadata
from remix.job.files import write_text
from remix.plan.wording import printable

URL = "http://127.0.0.1:8188"

url_option = click.option("--url", help="Address of a ComfyUI, for the inputs of nodes from packs that it has.")
out_option = click.option("-o", "--out", type=click.Path(path_type=Path), help="File to write; printed if omitted.")
file_argument = click.argument("file", type=click.Path(path_type=Path))


@click.group("workflow")
def command() -> None:
    """Shows, converts, changes, compares, checks and runs ComfyUI workflows.

    A workflow is a file that ComfyUI saved or exported, or a picture or film that carries one.
    """


@command.command("show")
@file_argument
@url_option
@server_options
def show(file: Path, url: str | None, **server: Any) -> None:
    """Prints the nodes of a workflow that run, and their inputs."""
    prompt = _converted(file, url, server)
    for key, node in prompt.nodes.items():
        kind = str(node.get("class_type"))
        click.echo(printable(f"{key}  {title_of(node)}" + ("" if title_of(node) == kind else f"  ({kind})")))
        for name, value in inputs_of(node).items():
            click.echo(printable(f"    {name} = {written(value)}"))


@command.command("convert")
@file_argument
@out_option
@overwrite_option
@click.option("--infotext", is_flag=True, help="Write the settings as A1111's infotext instead.")
@url_option
@server_options
def convert(file: Path, out: Path | None, overwrite: bool, infotext: bool, url: str | None, **server: Any) -> None:
    """Writes a workflow as a prompt of the API.

    It is what ComfyUI's front end would send. FILE may also be a picture of another tool, or its infotext: its settings
    become a workflow of ComfyUI's own nodes. Notes name what is lost.
    """
    origin = None if file.suffix.lower() == ".json" and not infotext else read_file_metadata(file).origin
    if infotext or (origin is not None and not carries_workflow(file)):
        _convert_settings(file, origin, out, overwrite, infotext, url, server)
        return
    _write(_converted(file, url, server), out, overwrite)


def _convert_settings(
    file: Path,
    origin: Origin | None,
    out: Path | None,
    overwrite: bool,
    infotext: bool,
    url: str | None,
    server: Mapping[str, Any],
) -> None:
    if origin is None:
        raise BadInput(f"{file}: has no settings of a known tool")
    if infotext:
        text, notes = infotext_of_origin(origin)
    else:
        nodes, notes = graph_of_origin(origin, Available() if url is None else _available(url, server))
    for note in notes:
        click.echo(printable(f"note: {note}"), err=True)
    if not infotext:
        _write(Prompt(nodes), out, overwrite)
    elif out is None:
        print_data(text + "\n")
    else:
        refuse_present(out, overwrite)
        write_text(out, text + "\n")
        click.echo(f"infotext  {out}")


def _available(url: str, server: Mapping[str, Any]) -> Available:
    """Returns the model files of a server."""
    from remix.client.workflows import model_files

    return Available(model_files(url, **{name: value for name, value in server.items() if value is not None}))


@command.command("set")
@file_argument
@click.argument("changes", nargs=-1, required=True, metavar="NODE.INPUT=VALUE...")
@out_option
@overwrite_option
@url_option
@server_options
def change(
    file: Path, changes: tuple[str, ...], out: Path | None, overwrite: bool, url: str | None, **server: Any
) -> None:
    """Writes a workflow with other inputs, as a prompt of the API.

    NODE is a number, a title or a class that only one node has: KSampler.seed=7 "Positive.text=a red house".
    """
    prompt = _converted(file, url, server)
    nodes = prompt.nodes
    for path, value in _changes(nodes, changes).items():
        nodes = set_input(nodes, path, value)
    _write(Prompt(nodes, prompt.notes), out, overwrite)


@command.command("diff")
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
def diff(before: Path, after: Path) -> None:
    """Prints what differs between two workflows, node by node. The exit code is 1 if something does."""
    found = list(differences(*(_converted(file, None, {}).nodes for file in (before, after))))
    for line in found:
        click.echo(printable(line))
    if found:
        raise click.exceptions.Exit(1)


@command.command("check")
@file_argument
@click.option("--url", default=URL, show_default=True, help="Address of the ComfyUI.")
@server_options
def check(file: Path, url: str, **server: Any) -> None:
    """Checks whether a ComfyUI can run a workflow.

    It needs the nodes, models and other choices of the workflow. The exit code is 1 if it cannot.
    """
    from remix.client.workflows import prompt_of, workflow_json

    data = workflow_json(file)
    info = _object_info(url, server, data)
    nodes = prompt_of(file, data, info).nodes
    found = list(problems(nodes, info)) if nodes else ["no node of it would run; add one that saves or shows a result"]
    for line in found:
        click.echo(printable(line))
    if found:
        raise click.exceptions.Exit(1)
    click.echo(f"{file}: {url} can run it")


@command.command("run")
@file_argument
@click.argument("changes", nargs=-1, metavar="[NODE.INPUT=VALUE...]")
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="Folder for the files that it gives.")
@click.option("--url", default=URL, show_default=True, help="Address of the ComfyUI.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
@server_options
def run(file: Path, changes: tuple[str, ...], out: Path, url: str, quiet: bool, **server: Any) -> None:
    """Runs a workflow on a ComfyUI and writes the files that it gives.

    NODE.INPUT=VALUE sets other inputs, as in remix workflow set. Pictures of this machine that are set as inputs are
    uploaded: LoadImage.image=photo.png. Of those that FILE itself names, only pictures next to it are. Existing files
    are kept.
    """
    from remix.client.workflows import run_workflow

    nodes = _converted(file, url, server).nodes
    given = {name: value for name, value in server.items() if value is not None}
    given |= {"changes": _changes(nodes, changes), "folder": file.absolute().parent}
    with progress(quiet) as listen:
        paths = run_workflow(nodes, out, url=url, listen=listen, **given)
    for path in paths:
        click.echo(f"file    {path}")
    if not paths:
        raise EngineError(f"{file}: the server ran it, and it gave no file; does it have a node that saves?")


def carries_workflow(file: Path) -> bool:
    """Returns whether a file is a workflow, or a picture or film that carries one."""
    if file.suffix.lower() in (".json", ".txt"):
        return file.suffix.lower() == ".json"
    return not {"workflow", "prompt"}.isdisjoint(read_metadata(file).texts)


def _changes(nodes: Mapping[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """Returns the values of ``NODE.INPUT=VALUE`` by ``NODE.INPUT``."""
    found = {}
    for each in changes:
        path, sign, text = each.partition("=")
        if not sign:
            raise BadInput(f"{each}: has no value; write NODE.INPUT=VALUE")
        found[path] = _value(nodes, path, text)
    return found


def _converted(file: Path, url: str | None, server: Mapping[str, Any]) -> Prompt:
    """Returns the prompt of a file, and prints notes on what could not be known."""
    from remix.client.workflows import prompt_of, workflow_json

    data = workflow_json(file)
    prompt = prompt_of(file, data, None if url is None else _object_info(url, server, data))
    for note in prompt.notes:
        click.echo(printable(f"note: {note}; --url asks a server"), err=True)
    return prompt


def _object_info(url: str, server: Mapping[str, Any], data: Any) -> Mapping[str, Any]:
    """Returns a server's definitions of the nodes in a workflow, None for those that it lacks."""
    from remix.client.workflows import object_info

    return object_info(data, url, **{name: value for name, value in server.items() if value is not None})


def _value(nodes: Mapping[str, Any], path: str, text: str) -> Any:
    """Returns the value of a text: a number or a switch if the input has one or a link, otherwise the text."""
    key, slot = find_input(nodes, path)
    if isinstance(inputs_of(nodes[key])[slot], str):
        return text
    value = json_of(text)
    return value if isinstance(value, bool | int | float) else text


def _write(prompt: Prompt, out: Path | None, overwrite: bool) -> None:
    text = json.dumps(prompt.nodes, indent=2, ensure_ascii=False) + "\n"
    if out is None:
        print_data(text)
        return
    refuse_present(out, overwrite)
    write_text(out, text)
    click.echo(f"prompt  {out}  {len(prompt.nodes)} nodes")
