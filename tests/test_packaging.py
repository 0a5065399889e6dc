"""The wheel: what it holds, what it leaves out, and that it works where nothing else is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LARGEST_WHEEL = 25 << 20


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built with the tools of this environment: tests need no network."""
    out, config = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("config") / "setup.cfg"
    # Not in the checkout: modules that an earlier build left there would be packed too.
    config.write_text(f"[build]\nbuild_base = {tmp_path_factory.mktemp('build')}\n", encoding="utf-8")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)],
        check=True,
        capture_output=True,
        env={**os.environ, "DIST_EXTRA_CONFIG": str(config)},
    )
    (built,) = out.glob("*.whl")
    return built


def test_remix_is_the_only_top_level_name(wheel: Path) -> None:
    names = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"remix"}


def test_it_holds_every_module_and_the_model_and_no_tests(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder, prefix in (("remix", "remix"), ("client", "remix/client")):
        for path in (ROOT / folder).rglob("*.py"):
            assert f"{prefix}/{path.relative_to(ROOT / folder).as_posix()}" in names
    weights = ROOT / "remix" / "playground" / "weights"
    for path in weights.rglob("*.*"):
        if path.is_file():
            assert f"remix/playground/weights/{path.relative_to(weights).as_posix()}" in names
    assert {"remix/py.typed", "remix/client/cli/demo.toml", "remix/client/cli/new.toml"} <= names
    assert "remix/client/playground/classifier.safetensors" in names
    course = ROOT / "docs" / "course"
    assert {f"remix/client/lab/course/{path.relative_to(course).as_posix()}" for path in course.rglob("*.*")} <= names
    assert "remix/client/lab/languages/de.toml" in names
    assert not [name for name in names if "test" in name]
    assert wheel.stat().st_size < LARGEST_WHEEL


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has the wheel and nothing of this one."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=True, symlinks=True)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    install = [python, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet", wheel]
    subprocess.run(install, check=True, capture_output=True)
    return python


USERS_SCRIPT = """
import asyncio
from pathlib import Path

import remix.plan
from remix import A1111, ComfyUI, Event, Keyframe, Local, Lora, Model, Outcome, Recipe, Schedule, arender, errors
from remix import open_engine, plan, read_recipe, render, render_all
from remix.plan import Mix, Recipe as SameRecipe

keyframes = [
    Keyframe(at="0%", prompt="a cat", seed=1, loras={"style.safetensors": 1}),
    Keyframe(at=12, prompt={"a cat": 0.7, "a dog": 0.3}, seed={1: 1, 2: 2}, cfg="5 + sin(t)"),
    Keyframe(at="2s", prompt=[["a cat", 1], ["a dog", 2]], seed=Mix.one(3), image="a.png", denoise=0.5),
]
recipe: SameRecipe = Recipe(
    frames="4s", fps=12, keyframes=keyframes, width=512, steps=20, cfg=7,
    model=Model("sd15.safetensors", loras=[Lora("style.safetensors", 1)]),
)
schedule: Schedule = plan(recipe)
prompts: tuple[str, ...] = schedule[0].prompt.values
smooth: Schedule = remix.plan(recipe, [0.0, 0.5, *range(2, 48)])

def watch(event: Event) -> None:
    print(event.stage, event.done, event.total)

outcome: Outcome = render(recipe, "film", engine="comfyui", url="http://127.0.0.1:8188", batch=8, listen=watch)
film: Path | None = outcome.film
remarks: tuple[str, ...] = outcome.remarks
render(schedule, Path("film"), engine=Local("cpu"), film=None, frames=range(8))
render("film.toml", "film", engine=ComfyUI("http://127.0.0.1:8188", batch=4))
render(read_recipe(Path("film.toml")), "film", engine=open_engine("a1111", url="http://127.0.0.1:7860"))
awaited: Outcome = asyncio.run(arender(recipe, "film", engine=A1111(), new=True))
several: list[Outcome] = render_all(["a.toml", recipe, Path("b.toml")], "films", engines=["local", Local()], retries=1)
render_all({"a": recipe, "b": "b.toml"}, device="cpu", events=lambda line: print(line["event"]))
with open("log.jsonl", "a") as log:
    render_all([schedule], "films", events=log)
try:
    render(recipe, "film")
except errors.RecipeError as error:
    print(error.path, error.line)
"""

MISTAKES = {
    "render(recipe, 3)": "arg-type",
    "render(recipe, 'film', urll='http://127.0.0.1')": "call-arg",
    "render(recipe, 'film', batch='8')": "arg-type",
    "Recipe(frames=1.5, keyframes=keyframes)": "arg-type",
    "plan('film.toml')": "arg-type",
}


def test_a_users_script_passes_strict_type_checks(installed: Path, tmp_path: Path) -> None:
    checked = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--python-executable", str(installed)]
    script = tmp_path / "film.py"
    script.write_text(USERS_SCRIPT, encoding="utf-8")
    found = subprocess.run([*checked, script.name], capture_output=True, text=True, cwd=tmp_path)
    assert found.stdout == "Success: no issues found in 1 source file\n"
    script.write_text(USERS_SCRIPT + "\n".join(MISTAKES) + "\n", encoding="utf-8")
    found = subprocess.run([*checked, script.name], capture_output=True, text=True, cwd=tmp_path)
    kinds = re.findall(r"film\.py:(\d+): error: .*\[([\w-]+)\]$", found.stdout, re.MULTILINE)
    first = USERS_SCRIPT.count("\n") + 1
    assert kinds == [(str(line), kind) for line, kind in enumerate(MISTAKES.values(), first)]


def test_installed_by_itself_it_imports_and_has_its_command(installed: Path, tmp_path: Path) -> None:
    """In an environment with nothing of this one: the parts that need no package but click still answer."""
    python, scripts = installed, installed.parent
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    )
    top = {path.name for path in Path(site.stdout.strip()).iterdir() if not path.name.endswith(".dist-info")}
    assert top - {"pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils-precedence.pth"} == {"remix"}
    code = "import remix, remix.plan, remix.client.playground as p; print(remix.__version__, p.WEIGHTS.is_dir())"
    out = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert out.stdout.strip().endswith("True")
    assert (scripts / "remix").exists() or (scripts / "remix.exe").exists()
