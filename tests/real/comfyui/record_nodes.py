"""The widgets of a real ComfyUI's own nodes. Run: python -m tests.real.comfyui.record_nodes

Writes remix/hosts/comfyui/core_nodes.json, for workflows that are converted without a server.
"""

from __future__ import annotations

import json

from remix.hosts.comfyui.definitions import Definitions
from tests.real.comfyui.host import ROOT, Host, host_alone

PLACE = ROOT / "remix" / "hosts" / "comfyui" / "core_nodes.json"
PACKS = ("custom_nodes", "comfy_api_nodes")
"""Modules whose nodes are not the host's own, or need an account."""


def table(host: Host) -> str:
    """Returns the table as JSON, one line for each node."""
    info = host.get("/object_info")
    own = {kind: about for kind, about in info.items() if not about["python_module"].startswith(PACKS)}
    rows = Definitions.read(own).plain()
    lines = [f"{json.dumps(kind)}: {json.dumps(row, separators=(',', ':'))}" for kind, row in rows.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def make() -> None:
    """Starts the host and writes the table."""
    with host_alone() as host:
        PLACE.write_text(table(host), encoding="utf-8")


if __name__ == "__main__":
    make()
