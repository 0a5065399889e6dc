"""What ComfyUI's registry reads, and what the template browser shows, without a host."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from docs.make_node_pages import schemas
from docs.make_workflows import COPY, with_playground, written
from remix.client.playground import unknown_words
from remix.plan import Recipe, prompts_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[3]
WORKFLOWS = sorted((ROOT / "example_workflows").glob("*.json"))


def declared() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_registry_is_told_what_it_asks_for(pack: ModuleType) -> None:
    project = declared()
    comfy = project["tool"]["comfy"]
    assert comfy["DisplayName"] == "Remix Toolkit"
    assert comfy["PublisherId"]
    assert comfy["requires-comfyui"] == f">={pack.custom_nodes.OLDEST}.0"
    assert "web" not in comfy  # WEB_DIRECTORY says it; said twice it is served twice
    # The registry warns of any other environment than a kind of GPU.
    assert not [line for line in project["project"]["classifiers"] if line.startswith("Environment ::")]


def test_icon_and_banner_have_the_sizes_that_are_asked_for() -> None:
    comfy = declared()["tool"]["comfy"]
    with Image.open(ROOT / comfy["Icon"]) as icon, Image.open(ROOT / comfy["Banner"]) as banner:
        assert icon.width == icon.height <= 400
        assert banner.width / banner.height == pytest.approx(21 / 9, rel=0.01)


def test_a_clone_asks_the_host_to_install_nothing() -> None:
    assert not (ROOT / "requirements.txt").exists()


def test_there_are_seven_workflows_each_with_its_picture() -> None:
    assert len(WORKFLOWS) == 12
    for path in WORKFLOWS:
        with Image.open(path.with_suffix(".jpg")) as picture:
            assert 200 <= picture.width <= 800
            assert picture.format == "JPEG"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_is_whole_and_of_nodes_that_are_there(pack: ModuleType, path: Path) -> None:
    workflow = json.loads(path.read_text(encoding="utf-8"))
    nodes = {node["id"]: node for node in workflow["nodes"]}
    ours = {schema.node_id: schema for schema in schemas(pack)}
    used = [node for node in nodes.values() if node["type"].startswith("Remix")]
    assert {node["type"] for node in used} <= ours.keys()
    assert "RemixFilm" in {node["type"] for node in used}
    kinds = {node["type"] for node in nodes.values()}
    assert "MarkdownNote" in kinds
    assert len(kinds & {"SaveVideo", "RemixSaveFilm"}) == 1
    for number, source, output, target, slot, _kind in workflow["links"]:
        assert number in nodes[source]["outputs"][output]["links"]
        assert nodes[target]["inputs"][slot]["link"] == number
    for node in used:
        inputs = {slot["name"].partition(".")[0] for slot in node["inputs"]}
        assert inputs <= {str(slot.id) for slot in ours[node["type"]].inputs}


@pytest.mark.parametrize("path", [path for path in WORKFLOWS if COPY in path.stem], ids=lambda path: path.stem)
def test_a_workflow_for_a_checkpoint_has_a_twin_with_the_bundled_model(path: Path) -> None:
    """Run `python -m docs.make_workflows` after a change."""
    twin = path.with_name(path.name.replace(COPY, ""))
    workflow = with_playground(json.loads(path.read_text(encoding="utf-8")))
    assert twin.read_text(encoding="utf-8") == written(workflow)
    kinds = [node["type"] for node in workflow["nodes"]]
    assert "RemixPlayground" in kinds
    assert "CheckpointLoaderSimple" not in kinds
    encoded = [node["widgets_values"][0] for node in workflow["nodes"] if node["type"] == "CLIPTextEncode"]
    recipes = [node["widgets_values"][0] for node in workflow["nodes"] if node["type"] == "RemixRecipe"]
    prompts = [prompt for text in recipes for prompt in prompts_of(Recipe.from_toml(text)) if not encoded]
    assert [unknown_words(prompt) for prompt in (*encoded, *prompts)] == [[]] * (len(encoded) + len(prompts))


def test_together_the_workflows_show_most_nodes(pack: ModuleType) -> None:
    used = {node["type"] for path in WORKFLOWS for node in json.loads(path.read_text(encoding="utf-8"))["nodes"]}
    assert {schema.node_id for schema in schemas(pack)} - used <= {"RemixFrames", "RemixLoadJob", "RemixReport"}
