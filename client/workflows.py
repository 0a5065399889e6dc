"""ComfyUI workflows as values: read from a file, picture or film, and run on a server.

    prompt = read_workflow("portrait.png")
    files = run_workflow(prompt.nodes, "out", changes={"KSampler.seed": 7, "LoadImage.image": "photo.jpg"})

`remix.hosts.comfyui.editing` has the operations on them: `set_input`, `differences`, `problems`.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from remix.client.comfyui.connection import URL, Connection
from remix.client.comfyui.names import LOADERS
from remix.client.comfyui.routes import PromptJob
from remix.client.comfyui.run import Run
from remix.client.comfyui.server import SavedFile, Server
from remix.client.comfyui.workflow_files import MOST_PROBLEMS, described, prompt_of, read_workflow, workflow_json
from remix.client.http import connected
from remix.client.timeouts import Timeouts
from remix.engine import Listener
from remix.errors import BadInput, Unsupported
from remix.hosts.comfyui.definitions import UPLOADS
from remix.hosts.comfyui.editing import all_inputs, find_input, inputs_of, problems, set_input, with_server_names
from remix.hosts.comfyui.graph import Graph, Nodes
from remix.job.files import inside, safe_name, write_bytes
from remix.motion import load_picture
from remix.plan.inputs import PICTURES

__all__ = ["model_files", "object_info", "prompt_of", "read_workflow", "run_workflow", "workflow_json"]


def object_info(data: Any, url: str = URL, **options: Any) -> dict[str, Any]:
    """Returns the descriptions of the classes in a workflow's JSON by the server at `url`. `options` are of `Http`."""
    with connected(url, **options) as http:
        return described(Server(http, "remix workflow"), data)


def model_files(url: str = URL, **options: Any) -> dict[str, list[str]]:
    """Returns the model files of the server at `url` by kind: checkpoint, vae, lora. `options` are of `Http`."""
    with connected(url, **options) as http:
        server = Server(http, "remix workflow")
        return {kind: server.choices(node, slot) for kind, (node, slot, _) in LOADERS.items()}


def run_workflow(
    nodes: Mapping[str, Any],
    out: str | os.PathLike[str],
    *,
    changes: Mapping[str, Any] | None = None,
    folder: str | os.PathLike[str] | None = None,
    url: str = URL,
    listen: Listener = lambda event: None,
    timeouts: Timeouts | None = None,
    **options: Any,
) -> list[Path]:
    """Runs a prompt on the ComfyUI at `url`, writes all files that it gives into the folder `out`, returns their paths.

    `changes` sets inputs by name: ``{"LoadImage.image": "photo.jpg"}``. Pictures of this machine that it names are
    uploaded if the server lacks them. Of those that the nodes themselves name, only pictures below `folder` are: a
    workflow of somebody else must not send other files of yours to a server. `options` are those of `Http`. Existing
    files are kept: a file of the same name gets a number.

    Raises `BadInput` for a change that fits no input, `Unsupported` with what the server lacks, before anything runs,
    and the errors of the engine.
    """
    trusted = set[tuple[str, str]]()
    for path, value in (changes or {}).items():
        trusted.add(find_input(nodes, path))
        nodes = set_input(nodes, path, value)
    connection = Connection(url, timeouts, **options)
    with closing(connection), connection.presentable():
        changed = _uploaded(nodes, connection.server, trusted, folder)
        Path(out).mkdir(parents=True, exist_ok=True)  # before anything runs
        # Its own identity, so that the server runs it even if it ran the same before.
        with connection.run(None, {"run": connection.client}, listen) as run:
            files = run.files(PromptJob((), 0, lambda attempt, batch: (_graph(changed), "")))
            return list(_written(files, Path(out), connection.server, run))


def _uploaded(
    nodes: Mapping[str, Any],
    server: Server,
    trusted: Collection[tuple[str, str]],
    folder: str | os.PathLike[str] | None,
) -> Nodes:
    """Returns a prompt whose local pictures are on the server. Raises `Unsupported` if that cannot run it."""
    info = described(server, nodes)
    nodes = with_server_names(nodes, info)
    absent = dict(_absent_pictures(nodes, info))
    local = {place: path for place, name in absent.items() if (path := _local(name, place in trusted, folder))}
    if lacking := list(problems(nodes, info, local.keys())):
        lacking = lacking[:MOST_PROBLEMS]
        if unnamed := next((place for place in absent if place not in local and place not in trusted), None):
            name = ".".join(unnamed)
            lacking.append(f"of this machine, only pictures next to the workflow are uploaded; set others: {name}=PATH")
        raise Unsupported("the server cannot run the workflow: " + "; ".join(lacking))
    changed: Nodes = {key: {**node, "inputs": dict(inputs_of(node))} for key, node in nodes.items()}
    for (key, slot), path in local.items():
        changed[key]["inputs"][slot] = server.upload(load_picture(path))
    return changed


def _absent_pictures(nodes: Mapping[str, Any], info: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], str]]:
    """Yields the inputs for uploads that name a picture which the server does not list, and the names."""
    for key, node in nodes.items():
        rows = all_inputs(info, node)
        for slot, value in inputs_of(node).items():
            row = rows.get(slot)
            if not isinstance(row, list) or len(row) < 2 or not isinstance(row[1], Mapping):
                continue
            if isinstance(value, str) and value.lower().endswith(PICTURES) and any(map(row[1].get, UPLOADS)):
                known = row[0] if isinstance(row[0], list) else row[1].get("options")
                if value not in (known if isinstance(known, list) else ()):
                    yield (key, slot), value


def _local(name: str, trusted: bool, folder: str | os.PathLike[str] | None) -> Path | None:
    """Returns the picture of this machine that may be uploaded under a name, None if there is none.

    A name that is not trusted is not looked up outside `folder`: Windows would log in to the server in a network path.
    """
    if trusted:
        return Path(name) if Path(name).is_file() else None
    try:
        path = None if folder is None else inside(folder, name)
    except BadInput:
        return None
    return path if path is not None and path.is_file() else None


def _graph(nodes: Nodes) -> Graph:
    graph = Graph()
    graph.nodes = nodes
    return graph


def _written(files: Mapping[str, Sequence[SavedFile]], out: Path, server: Server, run: Run) -> Iterator[Path]:
    """Writes the files of all nodes into a folder, and yields their paths. A name that is taken gets a number."""
    for file in dict.fromkeys(file for each in files.values() for file in each):
        stem, suffix = Path(file.filename).stem, Path(file.filename).suffix
        names = (f"{stem}-{number}{suffix}" if number > 1 else file.filename for number in itertools.count(1))
        path = next(path for name in names if not os.path.lexists(path := out / safe_name(name)))
        write_bytes(path, run.retrying(partial(server.download, file)))
        yield path
