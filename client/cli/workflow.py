"""`remix workflow`: shows, converts, changes, compares and checks ComfyUI workflows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from remix.client.cli.engines import server_options
from remix.client.cli.outputs import overwrite_option, refuse_present
from remix.errors import BadInput
from remix.hosts.comfyui.definitions import Definitions
from remix.hosts.comfyui.editing import differences, find_input, inputs_of, problems, set_input, title_of, written
from remix.hosts.comfyui.workflow import NotAWorkflow, Prompt, classes_in, is_workflow, to_prompt, without_envelope
from remix.hosts.record import json_of
from remix.job.files import write_text
from remix.plan.wording import printable

URL = "http://127.0.0.1:8188"
LARGEST = 64 * 2**20
"""Bytes of a workflow's file."""

url_option = click.option("--url", help="Address of a ComfyUI, for the inputs of nodes from packs that it has.")
out_option = click.option("-o", "--out", type=click.Path(path_type=Path), help="File to write; printed if omitted.")
file_argument = click.argument("file", type=click.Path(path_type=Path))


@click.group("workflow")
def command() -> None:
    """Shows, converts, changes, compares and checks ComfyUI workflows.

    A workflow is a file that ComfyUI saved or exported, or a picture or film that carries one.
    """


@command.command("show")
@file_argument
@url_option
@server_options
def show(file: Path, url: str | None, **server: Any) -> None:
    """Prints the nodes of a workflow that run, with the names of their inputs."""
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
@url_option
@server_options
def convert(file: Path, out: Path | None, overwrite: bool, url: str | None, **server: Any) -> None:
    """Writes a workflow as a prompt of the API, as ComfyUI's front end would send it."""
    _write(_converted(file, url, server), out, overwrite)


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
    nodes: Mapping[str, Any] = prompt.nodes
    for each in changes:
        path, sign, text = each.partition("=")
        if not sign:
            raise BadInput(f"{each}: has no value; write NODE.INPUT=VALUE")
        nodes = set_input(nodes, path, _value(nodes, path, text))
    _write(Prompt(dict(nodes), prompt.notes), out, overwrite)


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
    """Checks whether a ComfyUI can run a workflow: its nodes, models and other choices. The exit code is 1 if not."""
    data = _json_of(file)
    info = _object_info(url, server, data)
    found = list(problems(_prompt(file, data, Definitions.read(info)).nodes, info))
    for line in found:
        click.echo(printable(line))
    if found:
        raise click.exceptions.Exit(1)
    click.echo(f"{file}: {url} can run it")


def _converted(file: Path, url: str | None, server: Mapping[str, Any]) -> Prompt:
    """Returns the prompt of a file, and prints notes on what could not be known."""
    data = _json_of(file)
    prompt = _prompt(file, data, None if url is None else Definitions.read(_object_info(url, server, data)))
    for note in prompt.notes:
        click.echo(printable(f"note: {note}; --url asks a server"), err=True)
    return prompt


def _prompt(file: Path, data: Any, definitions: Definitions | None) -> Prompt:
    data = without_envelope(data)
    try:
        if is_workflow(data):
            return to_prompt(data, definitions)
    except NotAWorkflow as error:
        raise BadInput(f"{file}: {error}") from None
    nodes = data if isinstance(data, dict) else {}
    if nodes and all(isinstance(node, dict) and isinstance(node.get("class_type"), str) for node in nodes.values()):
        return Prompt(nodes)
    raise BadInput(f"{file}: is not a workflow of ComfyUI; give a file that it saved or exported, or its picture")


def _json_of(file: Path) -> Any:
    """Returns the JSON of a workflow's file, or that in a picture or film."""
    from remix.job import read_metadata

    if not file.is_file():
        raise BadInput(f"{file}: there is no such file")
    if file.suffix.lower() == ".json":
        if file.stat().st_size > LARGEST:
            raise BadInput(f"{file}: is larger than {LARGEST // 2**20} MiB, which no workflow is")
        texts = [file.read_bytes()]
    else:
        held = read_metadata(file).texts
        texts = [held[name].encode() for name in ("workflow", "prompt") if name in held]
    for text in texts:
        if (data := json_of(text)) is not None:
            return data
    return None


def _object_info(url: str, server: Mapping[str, Any], data: Any) -> Mapping[str, Any]:
    """Returns a server's definitions of the nodes in a workflow, None for those that it lacks."""
    from remix.client.comfyui.server import Server
    from remix.client.http import Http

    with closing(Http(url, **{name: value for name, value in server.items() if value is not None})) as http:
        found = Server(http, "remix workflow")
        return {kind: found.node(kind) for kind in sorted(classes_in(data))}


def _value(nodes: Mapping[str, Any], path: str, text: str) -> Any:
    """Returns the value of a text: a number or a switch if the input has one or a link, otherwise the text."""
    key, slot = find_input(nodes, path)
    if isinstance(inputs_of(nodes[key])[slot], str):
        return text
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float) else text


def _write(prompt: Prompt, out: Path | None, overwrite: bool) -> None:
    text = json.dumps(prompt.nodes, indent=2, ensure_ascii=False) + "\n"
    if out is None:
        click.echo(text, nl=False)
        return
    refuse_present(out, overwrite)
    write_text(out, text)
    click.echo(f"prompt  {out}  {len(prompt.nodes)} nodes")
