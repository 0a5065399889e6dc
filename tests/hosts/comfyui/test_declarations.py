"""Nodes agree with their pages and locales, widgets fit, and the host stays unchanged."""

from __future__ import annotations

import ast
import inspect
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from docs.make_node_pages import as_text, definitions, inputs_of, page, presets, schemas
from remix.plan import plan
from remix.syntax.table import read_text
from tests.hosts.comfyui.conftest import room

ROOT = Path(__file__).parents[3]
PAGES = ROOT / "web" / "docs"


def test_each_widget_has_a_default_that_it_takes(pack: ModuleType) -> None:
    for schema in schemas(pack):
        for name, slot in inputs_of(schema):
            if slot.options.get("options") == []:  # files of the host, the first of which is the default
                continue
            if slot.kind in {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}:
                assert "default" in slot.options, f"{schema.node_id}.{name}"
            if slot.kind == "COMBO":
                assert slot.options["default"] in slot.options["options"]
            if slot.kind in {"INT", "FLOAT"}:
                assert slot.options["min"] <= slot.options["default"] <= slot.options["max"]


def test_what_a_node_is_given_is_what_it_takes(pack: ModuleType) -> None:
    for file in pack.custom_nodes.FILES:
        for node in room(pack, file).NODES:
            given = {slot.id for slot in node.define_schema().inputs}
            assert set(inspect.signature(node.execute).parameters) == given


def test_pages_hold_the_inputs_and_outputs_as_they_are(pack: ModuleType) -> None:
    """Run `python -m docs.make_node_pages` after a change."""
    found = schemas(pack)
    assert {path.stem for path in PAGES.glob("*.md")} == {schema.node_id for schema in found}
    for schema in found:
        text = (PAGES / f"{schema.node_id}.md").read_text(encoding="utf-8")
        assert page(text, schema) == text
        assert text.startswith(f"# {schema.display_name}\n")


def test_the_english_locale_is_what_the_nodes_say(pack: ModuleType) -> None:
    """Run `python -m docs.make_node_pages` after a change."""
    english = (ROOT / "locales" / "en" / "nodeDefs.json").read_text(encoding="utf-8")
    assert english == as_text(definitions(schemas(pack)))


def leaves(tree: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], str]:
    if not isinstance(tree, dict):
        return {path: tree}
    found: dict[tuple[str, ...], str] = {}
    for name, part in tree.items():
        found.update(leaves(part, (*path, name)))
    return found


def test_the_presets_are_the_examples() -> None:
    """Run `python -m docs.make_node_pages` after a change of an example."""
    assert (ROOT / "web" / "presets.json").read_text(encoding="utf-8") == as_text(presets())
    for name, preset in presets().items():
        recipe, _, _ = read_text(preset["recipe"], frames=preset.get("frames"), fps=preset.get("fps"))
        assert len(plan(recipe)) > 1, name


@pytest.mark.parametrize("file", ["nodeDefs.json", "main.json"])
def test_every_language_says_the_same(file: str) -> None:
    tables = {
        path.parent.name: leaves(json.loads(path.read_text(encoding="utf-8")))
        for path in (ROOT / "locales").glob(f"*/{file}")
    }
    assert {"en", "de", "fr"} <= tables.keys()
    for texts in tables.values():
        assert texts.keys() == tables["en"].keys()
        assert all(isinstance(text, str) and text.strip() for text in texts.values())


@pytest.mark.parametrize("path", sorted((ROOT / "custom_nodes").glob("*.py")), ids=lambda path: path.stem)
def test_a_file_of_nodes_adds_no_route_but_the_report_and_changes_nothing_of_the_host(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    routes = {"PromptServer", "routes"} if path.name == "report.py" else set()
    own = {"PromptServer"} if path.name == "queued.py" else routes  # which remembers requests, and changes none
    found = (names | attributes) & {"PromptServer", "routes", "add_routes", "setattr", "monkeypatch"}
    assert found == own
    calls = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert [call for call in calls if "routes" in call and call.startswith("PromptServer")] == (
        ["PromptServer.instance.routes.get(REPORT)(answer)", "PromptServer.instance.routes.get(REPORT)"]
        if routes
        else []
    )
    hosts = {"comfy", "folder_paths", "nodes", "server", "latent_preview"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                while isinstance(target, ast.Attribute | ast.Subscript):
                    target = target.value
                assert not (isinstance(target, ast.Name) and target.id in hosts), ast.unparse(node)
