"""The ComfyUI nodes: a thin layer between the host's types and the core.

Files have the names of the core's packages. Each file of `FILES` ends with `NODES`, the list of its nodes.
"""

from __future__ import annotations

import importlib
import re

from comfy_api.latest import ComfyExtension, io
from comfyui_version import __version__ as host

OLDEST = "0.8"
"""The oldest supported ComfyUI version."""

FILES = (
    "playground",
    "recipe",
    "values",
    "conditioning",
    "mix",
    "noise",
    "latents",
    "render",
    "job",
    "film",
    "save_film",
    "film_report",
)


def refuse_older(version: str) -> None:
    """Raises ImportError if ComfyUI is older than `OLDEST`."""
    if _numbers(version) < _numbers(OLDEST):
        raise ImportError(f"Remix Toolkit: this is ComfyUI {version}; update it to {OLDEST} or newer")


def _numbers(version: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", version)]


refuse_older(host)


class RemixExtension(ComfyExtension):
    """All nodes of the toolkit."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """Returns the nodes, file by file."""
        files = [importlib.import_module(f"{__name__}.{name}") for name in FILES]
        return [node for file in files for node in file.NODES]


async def comfy_entrypoint() -> ComfyExtension:
    """Returns the extension, with the report for clients. ComfyUI calls this once, before its server starts."""
    importlib.import_module(f"{__name__}.report").add_route()
    importlib.import_module(f"{__name__}.queued").add_handler()
    return RemixExtension()
