"""The wheel: what it holds, what it leaves out, and that it works where nothing else is."""

from __future__ import annotations

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
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)],
        check=True,
        capture_output=True,
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
    weights = ROOT / "client" / "playground" / "weights"
    for path in weights.rglob("*.*"):
        if path.is_file():
            assert f"remix/client/playground/weights/{path.relative_to(weights).as_posix()}" in names
    assert {"remix/py.typed", "remix/client/cli/demo.toml", "remix/client/cli/new.toml"} <= names
    assert "remix/client/playground/classifier.safetensors" in names
    assert not [name for name in names if "test" in name]
    assert wheel.stat().st_size < LARGEST_WHEEL


def test_installed_by_itself_it_imports_and_has_its_command(wheel: Path, tmp_path: Path) -> None:
    """In an environment with nothing of this one: the parts that need no package but click still answer."""
    venv.create(tmp_path / "venv", with_pip=True, symlinks=True)
    scripts = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
    python = scripts / "python"
    install = [python, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet", wheel]
    subprocess.run(install, check=True, capture_output=True)
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
