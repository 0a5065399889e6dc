"""The report about the nodes and a checkpoint, for clients. It has no nodes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import folder_paths
from aiohttp import web
from comfy import supported_models
from server import PromptServer

from remix.catalog.families import FAMILIES
from remix.engine.pack import REPORT, report

from .encoding import embedding_paths
from .pictures import file_hash


def checkpoint_file(name: str) -> Path | None:
    """Returns the file of a checkpoint by the host's name, None if there is none."""
    if name not in folder_paths.get_filename_list("checkpoints"):
        return None
    found = folder_paths.get_full_path("checkpoints", name)
    return None if found is None else Path(found)


def families() -> list[str]:
    """Returns the catalog's names of the image families whose classes the host has."""
    classes = {each.__name__ for each in supported_models.models}
    return [row.name for row in FAMILIES.values() if not row.film and not row.sound and classes & {*row.comfyui}]


def embedding_hashes() -> dict[str, str]:
    """Returns the hashes of the host's embeddings, by their names in prompts."""
    return {name: found for name, path in embedding_paths().items() if (found := file_hash(path))}


async def answer(request: web.Request) -> web.Response:
    """Returns the report, about the checkpoint in the query if there is one."""
    file = checkpoint_file(request.query.get("checkpoint", ""))
    return web.json_response(await asyncio.to_thread(lambda: report(file, families(), embedding_hashes())))


def add_route() -> None:
    """Adds the report to the host's server. Must run before the server starts."""
    PromptServer.instance.routes.get(REPORT)(answer)
