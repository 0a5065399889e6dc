"""Reads ComfyUI workflows from files, pictures and films."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from remix.client.comfyui.server import Server
from remix.errors import BadInput
from remix.hosts.comfyui.definitions import Definitions
from remix.hosts.comfyui.editing import with_server_names
from remix.hosts.comfyui.workflow import (
    NotAWorkflow,
    Prompt,
    classes_in,
    is_node,
    is_workflow,
    to_prompt,
    without_envelope,
)
from remix.hosts.record import json_of
from remix.job import read_metadata
from remix.job.inputs import MAX_WORKFLOW
from remix.motion.regular import open_file

MOST_PROBLEMS = 5
"""The largest number of problems of a workflow that an error lists."""


def read_workflow(path: str | os.PathLike[str], info: Mapping[str, Any] | None = None) -> Prompt:
    """Returns the prompt of a workflow in a file that ComfyUI saved or exported, or in a picture or film.

    `info` is a server's ``/object_info``; without it, the widgets of ComfyUI's own nodes are known. The prompt's notes
    say what is not. Raises BadInput for a file without a workflow.
    """
    return prompt_of(path, workflow_json(path), info)


def prompt_of(path: str | os.PathLike[str], data: Any, info: Mapping[str, Any] | None = None) -> Prompt:
    """Returns the prompt of a workflow's JSON, which was read from `path`. Raises BadInput if it is none.

    With `info`, names of files are as the server spells them.
    """
    prompt = _prompt_of(path, data, info)
    return prompt if info is None else replace(prompt, nodes=with_server_names(prompt.nodes, info))


def _prompt_of(path: str | os.PathLike[str], data: Any, info: Mapping[str, Any] | None) -> Prompt:
    data = without_envelope(data)
    try:
        if is_workflow(data):
            _refuse_damaged_nodes(path, data["nodes"])
            return to_prompt(data, None if info is None else Definitions.read(info))
    except NotAWorkflow as error:
        raise BadInput(f"{os.fspath(path)}: {error}") from None
    nodes = data if isinstance(data, dict) else {}
    if nodes and all(isinstance(node, dict) and isinstance(node.get("class_type"), str) for node in nodes.values()):
        return Prompt(nodes)
    raise BadInput(
        f"{os.fspath(path)}: is not a workflow of ComfyUI; give a file that it saved or exported, or its picture"
    )


def _refuse_damaged_nodes(path: str | os.PathLike[str], nodes: Sequence[Any]) -> None:
    for place, node in enumerate(nodes, 1):
        if not is_node(node):
            raise BadInput(
                f"{os.fspath(path)}: node {place} of its list has no type or no number; "
                "save the workflow again in ComfyUI"
            )


def workflow_json(path: str | os.PathLike[str]) -> Any:
    """Returns the JSON of a workflow's file, or that in a picture or film; None if there is none."""
    path = Path(path)
    if not path.is_file():
        raise BadInput(f"{path}: there is no such file")
    if path.suffix.lower() == ".json":
        with open_file(path, limit=MAX_WORKFLOW, remedy="give a workflow of ComfyUI", error=BadInput) as file:
            texts = [file.read()]
    else:
        held = read_metadata(path).texts
        texts = [held[name].encode() for name in ("workflow", "prompt") if name in held]
    return next((data for text in texts if (data := json_of(text)) is not None), None)


def described(server: Server, data: Any) -> dict[str, Any]:
    """Returns a server's descriptions of the classes in a workflow's JSON, None for those that it lacks."""
    return {kind: server.node(kind) for kind in sorted(classes_in(data))}
