"""The rows of the catalog: their names, and what they say about each other."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from remix.catalog.families import FAMILIES, TRAVEL, UNKNOWN, family_of_shapes
from remix.catalog.rows import EVERY_HOST
from remix.catalog.samplers import SAMPLER_LABELS, SAMPLERS, Sampler, require_sampler, sampler_of
from remix.catalog.schedulers import SCHEDULER_LABELS, SCHEDULERS, Scheduler, require_scheduler
from remix.errors import RecipeError, Unsupported
from remix.plan import Keyframe, Recipe

ROWS = [*SAMPLERS.values(), *SCHEDULERS.values()]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_has_hosts_and_a_label_where_these_use_labels(row: Sampler | Scheduler) -> None:
    assert row.hosts
    assert row.hosts <= EVERY_HOST
    assert bool(row.label) == bool(row.hosts - {"comfyui"})


@pytest.mark.parametrize("rows", [SAMPLERS, SCHEDULERS])
def test_no_label_names_two_rows(rows: dict[str, Sampler | Scheduler]) -> None:
    labels = [label for row in rows.values() for label in (row.label.lower(), *row.aliases) if label]
    assert len(labels) == len(set(labels))


@pytest.mark.parametrize("rows", [SAMPLERS, SCHEDULERS])
def test_relatives_are_rows_and_end_at_what_every_host_has(rows: dict[str, Sampler | Scheduler]) -> None:
    for name in rows:
        seen = [name]
        while rows[seen[-1]].like:
            seen.append(rows[seen[-1]].like)
            assert len(set(seen)) == len(seen), seen
        assert rows[seen[-1]].hosts == EVERY_HOST


def test_the_schedulers_that_samplers_take_by_default_are_rows() -> None:
    assert {row.automatic for row in SAMPLERS.values()} <= SCHEDULERS.keys()
    assert {row.rendered_as for row in SAMPLERS.values() if row.rendered_as} <= SAMPLERS.keys()


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("DPM++ 2M Karras", ("dpmpp_2m", "karras")),
        ("k_euler_a", ("euler_ancestral", "")),
        ("euler_a", ("euler_ancestral", "")),
        ("kdpm_2_a", ("dpm_2_ancestral", "")),
        ("ddim_v3", ("ddim", "")),
        ("HeunPP2", ("heunpp2", "")),
        ("UniPCMultistepScheduler", ("uni_pc", "")),
        ("DPMSolverMultistepScheduler", ("dpmpp_2m", "")),
        ("res_multistep", ("res_multistep", "")),
        ("Euler Turbo", ("euler", "turbo")),
        ("Euler b", None),
    ],
)
def test_samplers_are_found_by_the_labels_of_tools(label: str, name: tuple[str, str] | None) -> None:
    assert sampler_of(label) == name


@cache
def tables(code: str) -> list[set[str]]:
    """Returns the texts in each table of a module: a list, tuple, set or mapping."""
    found = []
    for node in ast.walk(ast.parse(code)):
        parts = node.elts if isinstance(node, ast.List | ast.Tuple | ast.Set) else []
        if isinstance(node, ast.Dict):
            functions = all(isinstance(value, ast.Name | ast.Attribute) for value in node.values)
            parts = [] if functions else [*node.keys, *node.values]  # the code of each is no second row
        texts = {part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)}
        if len(texts) > 1:
            found.append(texts)
    return found


def tables_of_names(code: str, names: set[str]) -> list[list[str]]:
    """Returns those of `names` in each table of a module that has several of them."""
    return [sorted(texts & names) for texts in tables(code) if len(texts & names) > 1]


NAMED = {label for row in ROWS for label in (row.name, row.label, *row.aliases)} - {"", "simple", "normal", "linear"}


def tables_elsewhere(names: set[str], *without: str) -> dict[str, list[list[str]]]:
    """Returns the tables of these names in the product, outside of the catalog and of the paths `without`."""
    root = Path(__file__).parents[3]
    rooms = ("remix", "client", "custom_nodes", "a1111_extension")
    paths = sorted(path for room in rooms for path in (root / room).rglob("*.py"))
    named = {path.relative_to(root).as_posix(): path for path in paths}
    return {
        name: found
        for name, path in named.items()
        if not name.startswith(("remix/catalog/", *without))
        and (found := tables_of_names(path.read_text(encoding="utf-8"), names))
    }


def test_only_the_catalog_lists_samplers_and_schedulers() -> None:
    """The lab's experiment on samplers names those that it compares."""
    assert tables_elsewhere(NAMED, "client/lab/topics/samplers.py") == {}
    assert tables_of_names('MORE = {"DPM++ 2M": "x", "lms": "y"}', NAMED) == [["DPM++ 2M", "lms"]]


def test_only_the_catalog_lists_families() -> None:
    """So a family of the nodes is one row. The local engine has a file for each family that it loads."""
    classes = {name for row in FAMILIES.values() for name in (row.name, *row.comfyui)}
    assert tables_elsewhere(classes, "client/local/") == {}
    assert tables_of_names('MORE = ("sd1", "sdxl")', classes) == [["sd1", "sdxl"]]


@pytest.mark.parametrize("name", ["res_multistep", "uni_pc_bh2", "dpmpp_2m_sde_gpu", "sa_solver_pece", "ddim_cfgpp"])
def test_a_recipe_can_name_every_sampler(name: str) -> None:
    assert Recipe(frames=1, keyframes=(Keyframe(),), sampler=name).sampler == name


@pytest.mark.parametrize("name", ["linear_quadratic", "turbo", "align_your_steps_gits"])
def test_a_recipe_can_name_every_scheduler(name: str) -> None:
    assert Recipe(frames=1, keyframes=(Keyframe(),), scheduler=name).scheduler == name


@pytest.mark.parametrize(
    ("field", "value", "advice"),
    [("sampler", "DPM++ 2M", "dpmpp_2m"), ("sampler", "LCMScheduler", "lcm"), ("scheduler", "Uniform", "normal")],
)
def test_a_label_in_a_recipe_is_refused_with_the_name(field: str, value: str, advice: str) -> None:
    with pytest.raises(RecipeError, match=f'write "{advice}"'):
        Recipe(frames=1, keyframes=(Keyframe(),), **{field: value})  # type: ignore[arg-type]


def test_what_an_engine_lacks_is_refused_with_the_nearest_that_it_has() -> None:
    require_sampler("euler", ("euler",), "this engine")
    with pytest.raises(Unsupported, match="sampler: this engine does not have 'uni_pc_bh2'; use \"dpmpp_2m\""):
        require_sampler("uni_pc_bh2", ("euler", "dpmpp_2m"), "this engine")
    with pytest.raises(Unsupported, match="scheduler: this engine does not have 'turbo'; use \"normal\""):
        require_scheduler("turbo", ("normal", "karras"), "this engine")


def test_labels_never_hide_names() -> None:
    assert not SAMPLER_LABELS.keys() & SAMPLERS.keys()
    assert not SCHEDULER_LABELS.keys() & SCHEDULERS.keys()


@pytest.mark.parametrize(
    ("width", "pooled", "rows", "keys", "family"),
    [
        (768, None, 248, (), "sd1"),  # encoders with long positions
        (1024, None, 154, (), "sd2"),
        (1024, None, 512, (), "anima"),
        (1024, None, 154, ("t5xxl_ids",), "anima"),
        (2048, 2816, 77, (), "sdxl"),  # A1111 has the sizes in the vector
        (1280, 2560, 77, (), "sdxl_refiner"),
        (2048, None, 30, ("attention_mask",), "omnigen2"),
        (4096, 768, 256, ("guidance",), "flux"),
        (15360, None, 40, (), "flux2"),
        (4096, None, 300, ("guidance",), "unknown"),
        (4096, None, 512, (), "wan"),
        (4096, None, 512, ("attention_mask",), "unknown"),
        (128, None, 32, (), "playground"),
        (99, None, 32, (), "unknown"),
    ],
)
def test_a_family_is_found_by_shapes_and_keys(
    width: int, pooled: int | None, rows: int, keys: tuple[str, ...], family: str
) -> None:
    assert family_of_shapes(width, pooled, rows, keys) is FAMILIES[family]


def test_an_unknown_family_pads_nothing() -> None:
    assert UNKNOWN.lengths == TRAVEL
    assert not UNKNOWN.tiles
