"""The pack as a whole: how it is loaded, and what its nodes say of themselves."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from remix import __version__
from remix.engine.pack import REPORT, SUPPORTED, Pack
from tests.fakes.comfyui import PACK, SCHEMA, Slot, comfyui
from tests.fakes.webui import write_checkpoint
from tests.hosts.comfyui.conftest import ROOT, load

FILES = {"recipe", "values", "conditioning", "mix", "noise", "latents", "render", "job", "film"}


def nodes(pack: ModuleType) -> list[Any]:
    extension = asyncio.run(pack.comfy_entrypoint())
    return asyncio.run(extension.get_node_list())


def schemas(pack: ModuleType) -> list[Any]:
    return [node.define_schema() for node in nodes(pack)]


def test_every_node_is_found_by_its_name(pack: ModuleType) -> None:
    found = [schema.node_id for schema in schemas(pack)]
    assert len(set(found)) == len(found)
    assert {
        "RemixPlayground",
        "RemixRecipe",
        "RemixPromptTravel",
        "RemixNoiseTravel",
        "RemixConditioningMix",
        "RemixLatentBlend",
        "RemixValueTravel",
        "RemixRender",
        "RemixFrames",
        "RemixFilm",
        "RemixSaveFilm",
        "RemixLoadJob",
        "RemixReport",
    } == set(found)


@pytest.mark.parametrize(
    ("name", "weight", "plain"),
    [
        ("a.safetensors", "model.diffusion_model.input_blocks.0.0.weight", True),
        ("b.safetensors", "model.diffusion_model.double_blocks.0.weight", False),
        ("../c.safetensors", "model.diffusion_model.input_blocks.0.0.weight", None),
    ],
)
def test_the_server_reports_about_the_pack_and_a_checkpoint_it_lists(
    pack: ModuleType, name: str, weight: str, plain: bool | None
) -> None:
    write_checkpoint(pack.base / "models" / "checkpoints" / name, "m", weight)
    asyncio.run(pack.comfy_entrypoint())
    answer = vars(sys.modules["server"])["PromptServer"].instance.routes.answers[REPORT]
    found = Pack.read(asyncio.run(answer(SimpleNamespace(query={"checkpoint": name}))))
    assert found == Pack(__version__, frozenset(SUPPORTED), plain, frozenset({"sd1", "anima"}))


@pytest.mark.parametrize(
    "name",
    [
        *("", "..", "../../../etc/passwd", "/etc/passwd", "C:\\windows\\win.ini", "a\0b", "\ud800", "%2e%2e%2fa"),
        *("a" * 100_000, "broken.safetensors", "a.safetensors/../broken.safetensors"),
    ],
)
def test_the_report_gives_away_four_values_whatever_is_asked_and_changes_nothing(pack: ModuleType, name: str) -> None:
    (pack.base / "models" / "checkpoints" / "broken.safetensors").write_bytes(b"PK\3\4 secret")
    asyncio.run(pack.comfy_entrypoint())
    answer = vars(sys.modules["server"])["PromptServer"].instance.routes.answers[REPORT]
    before = {path: path.stat().st_mtime_ns for path in pack.base.rglob("*")}
    query = {"checkpoint": name, "version": "9", "filename_prefix": "x"}
    found = asyncio.run(answer(SimpleNamespace(query=query)))
    assert found.keys() == {"version", "supports", "plain_attention", "families"}
    assert found["plain_attention"] is (False if name == "broken.safetensors" else None)
    assert len(text := json.dumps(found)) < 300
    assert not any(part in text for part in (str(pack.base), "secret", "/", "\\"))
    assert {path: path.stat().st_mtime_ns for path in pack.base.rglob("*")} == before


def test_every_node_says_what_it_does(pack: ModuleType) -> None:
    for schema in schemas(pack):
        assert schema.display_name.startswith("Remix ")
        assert schema.category.startswith("Remix/")
        assert schema.description.endswith(".")
        assert len(schema.search_aliases) >= 2


def test_every_input_and_output_has_a_tooltip(pack: ModuleType) -> None:
    bare = [
        (schema.node_id, slot.id)
        for schema in schemas(pack)
        for top in [*schema.inputs, *schema.outputs]
        for slot in top.slots()
        if type(slot).__name__ in ("Input", "Output") and not slot.tooltip.endswith(".")
    ]
    assert bare == []


def test_no_widget_takes_a_path_an_address_or_a_key(pack: ModuleType) -> None:
    texts = {
        (schema.node_id, slot.id)
        for schema in schemas(pack)
        for top in schema.inputs
        for slot in top.slots()
        if type(slot).__name__ == "Input" and getattr(slot, "kind", "") == "STRING"
    }
    assert texts <= {
        ("RemixRecipe", "recipe"),
        ("RemixRender", "filename_prefix"),
        ("RemixSaveFilm", "filename_prefix"),
        ("RemixValueTravel", "expression"),
        ("RemixConditioningMix", "numbers"),
        ("RemixLatentBlend", "numbers"),
    }


def test_loading_leaves_the_path_as_it_is(tmp_path: Path) -> None:
    before = list(sys.path)
    with comfyui(tmp_path):
        nodes(load())
        assert sys.path == before


def test_a_comfyui_without_newer_fields_of_schemas_will_do(tmp_path: Path) -> None:
    with comfyui(tmp_path, "0.8.0", (*SCHEMA, "is_output_node")):
        for schema in schemas(load()):
            assert not hasattr(schema, "search_aliases")


@pytest.mark.parametrize("version", ["0.3.64", "0.7.9", "0.7.10rc1"])
def test_an_older_comfyui_is_refused_in_one_sentence(tmp_path: Path, version: str) -> None:
    sentence = rf"Remix Toolkit: this is ComfyUI {version}; update it to 0.8 or newer"
    with comfyui(tmp_path, version), pytest.raises(ImportError, match=f"^{sentence}$"):
        load()


def test_the_core_is_loaded_from_the_clone_where_no_other_is_installed(
    tmp_path: Path,
) -> None:
    installed = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "remix"}
    try:
        with comfyui(tmp_path):
            load()
            assert Path(sys.modules["remix"].__file__ or "") == ROOT / "remix" / "__init__.py"
            assert sys.modules["remix"] is not installed["remix"]
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "remix"]:
            del sys.modules[name]
        sys.modules.update(installed)


def test_another_package_of_that_name_is_told_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = ModuleType("remix")
    other.__file__ = "/site-packages/remix/__init__.py"
    monkeypatch.setitem(sys.modules, "remix", other)
    sentence = "another package called 'remix' is loaded already, from '/site-packages/remix/__init__.py'; remove that"
    with comfyui(tmp_path), pytest.raises(ImportError, match=sentence):
        load()


def test_without_a_host_the_root_does_nothing() -> None:
    assert "folder_paths" not in sys.modules
    assert not hasattr(load(), "comfy_entrypoint")
    del sys.modules[PACK]


def test_slots_within_slots_are_seen() -> None:
    inner = Slot("w")
    assert list(Slot("x", options=[Slot("key", [inner])]).slots())[-1] is inner
