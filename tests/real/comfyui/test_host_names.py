"""The real ComfyUI has every name that the nodes use, with the arguments that they give."""

from __future__ import annotations

import json
from pathlib import Path

from tests.real.comfyui.graphs import Builder
from tests.real.comfyui.host import Host
from tests.real.comfyui.host_names import Names, names_used

NODES = Path(__file__).parents[3] / "custom_nodes"


def missing(host: Host, names: Names) -> list[str]:
    """Returns what the host lacks of these names."""
    builder = Builder()
    builder.add("TestNames", names=json.dumps(names))
    found: list[str] = json.loads(host.run(builder.graph)["1"]["text"][0])
    return found


def test_the_host_has_every_name_that_the_nodes_use(host: Host) -> None:
    names = names_used(NODES)
    assert {"comfy.sample.sample", "comfy_api.latest.io.Int.Input", "folder_paths.get_input_directory"} <= names.keys()
    assert {"noise_mask", "sigmas", "callback"} <= set(names["comfy.sample.sample"])
    assert missing(host, names) == []


def test_a_name_that_the_host_lacks_is_found(host: Host) -> None:
    names = {
        "comfy.sample.sample": ["seed", "no_argument"],
        "comfy.sample.sampled": [],
        "comfy.no_module": [],
        "comfy_api.latest.io.Int.Output.nothing": [],
        "folder_paths.get_output_directory": [],
    }
    assert missing(host, names) == [
        "comfy.sample.sample(no_argument)",
        "comfy.sample.sampled",
        "comfy.no_module",
        "comfy_api.latest.io.Int.Output.nothing",
    ]
