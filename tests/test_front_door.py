"""What `import remix` offers: its names, in every order of imports, and nothing heavy before it is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import remix
import remix.client
from tests.fakes.renderer import Painter

SURFACE = {
    *("Recipe", "Keyframe", "Mix", "Model", "Lora", "Schedule", "read_recipe", "plan"),
    *("render", "arender", "render_all", "open_engine", "Local", "ComfyUI", "A1111"),
    *("Event", "Outcome", "errors"),
}


def test_the_surface_is_as_documented() -> None:
    assert set(remix.__all__) == SURFACE
    assert set(dir(remix)) >= SURFACE | {"job", "motion", "mix", "syntax", "show", "engine", "client", "hosts"}
    assert set(dir(remix.client)) == {
        *("A1111", "ComfyUI", "Local", "ENGINES", "Kind", "Pool", "Worker"),
        *("arender", "open_engine", "render", "render_all"),
    }


@pytest.mark.parametrize("name", [*sorted(SURFACE), "job", "motion", "mix", "syntax", "show", "engine", "client"])
def test_every_name_is_there(name: str) -> None:
    assert getattr(remix, name).__name__.rpartition(".")[2] == name


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'rendr'"):
        remix.rendr  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'Comfy'"):
        remix.client.Comfy  # noqa: B018


@pytest.mark.parametrize(
    "statements",
    [
        "from remix import plan, Recipe, Keyframe",
        "import remix.plan; from remix import plan, Recipe, Keyframe",
        "from remix.plan import Recipe, Keyframe; from remix import plan",
        "from remix import plan; from remix.plan import Recipe, Keyframe",
        "from remix.plan import Recipe, Keyframe, plan",
        "import remix; plan = remix.plan; Recipe, Keyframe = remix.plan.Recipe, remix.Keyframe",
        "import remix.plan; plan = remix.plan.plan; Recipe, Keyframe = remix.plan.Recipe, remix.plan.Keyframe",
        "import remix.plan.schedule; from remix import *",
    ],
)
def test_plan_is_a_package_and_a_function_in_every_order_of_imports(statements: str) -> None:
    code = f"{statements}; print(len(plan(Recipe(frames=3, keyframes=[Keyframe(prompt='a cat')]))))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "3\n"


def test_names_are_imported_on_first_use() -> None:
    code = "import sys, remix; remix.Recipe; print(sorted({'numpy', 'torch', 'requests', 'click'} & {*sys.modules}))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


@pytest.mark.parametrize("given", ["film.toml", {"frames": 3}, None])
def test_what_is_no_recipe_is_refused_by_name(given: Any, tmp_path: Path) -> None:
    message = f"recipe: {type(given).__name__} is not a Recipe; read a file with read_recipe"
    with pytest.raises(remix.errors.RecipeError, match=message):
        remix.plan(given)
    with pytest.raises(remix.errors.RecipeError, match=message):
        remix.engine.render(given, Painter(), tmp_path / "out")
