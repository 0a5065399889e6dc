"""What A1111 finds in a clone: how the script is loaded, and what `install.py` does."""

from __future__ import annotations

import re
import runpy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from remix import __version__
from remix.engine.pack import REPORT, Pack
from tests.fakes.webui import Script, started, webui, write_checkpoint

ROOT = Path(__file__).parents[3]


def test_the_file_that_the_host_runs_has_one_script(tmp_path: Path) -> None:
    with webui(tmp_path):
        found = runpy.run_path(str(ROOT / "scripts" / "remix_toolkit.py"))
    scripts = [value for value in found.values() if isinstance(value, type) and issubclass(value, Script)]
    assert [script.__name__ for script in scripts] == ["RemixScript"]
    assert not (ROOT / "scripts" / "__init__.py").exists()


def test_loading_leaves_the_path_of_modules_as_it_was(tmp_path: Path) -> None:
    before = list(sys.path)
    with webui(tmp_path):
        runpy.run_path(str(ROOT / "scripts" / "remix_toolkit.py"))
        assert sys.path == before


def test_the_list_of_the_scripts_files_names_each_of_them() -> None:
    import a1111_extension

    files = {path.name for path in (ROOT / "a1111_extension").glob("*.py")} - {"__init__.py"}
    assert set(re.findall(r"\w+\.py", a1111_extension.__doc__ or "")) - {"remix_toolkit.py"} == files


@pytest.mark.parametrize("found", [None, "/elsewhere/remix/__init__.py"])
def test_another_package_of_that_name_is_told_plainly(found: str | None) -> None:
    from a1111_extension import refuse_other

    with pytest.raises(ImportError, match="another package called 'remix' is loaded already, from"):
        refuse_other(found)


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Runs install.py, with a `launch` of the host or without, and gives what it would have installed."""

    def run(*, launch: bool = True, package: bool = False, program: str | None = None) -> list[str]:
        asked: list[str] = []
        host: Any = SimpleNamespace(
            is_installed=lambda name: package, run_pip=lambda command, about: asked.append(command), __spec__="here"
        )
        monkeypatch.setattr(shutil, "which", lambda name: program)
        monkeypatch.delitem(sys.modules, "launch", raising=False)
        if launch:
            monkeypatch.setitem(sys.modules, "launch", host)
        runpy.run_path(str(ROOT / "install.py"), run_name="__main__")
        return asked

    return run


def test_the_encoder_alone_is_installed_and_only_where_none_is_found(install: Callable[..., list[str]]) -> None:
    assert install() == ["install imageio-ffmpeg"]
    assert install(package=True) == []
    assert install(program="/usr/bin/ffmpeg") == []


def test_nothing_is_installed_where_another_host_runs_the_file(install: Callable[..., list[str]]) -> None:
    assert install(launch=False) == []


def test_the_extension_has_a_name_of_its_own() -> None:
    assert "Name = remix-toolkit" in (ROOT / "metadata.ini").read_text(encoding="utf-8")


class Api:
    """An application of FastAPI's: its routes, and what was added to them."""

    def __init__(self, *paths: str) -> None:
        self.routes = [SimpleNamespace(path=path, dependencies=[f"login of {path}"]) for path in paths]
        self.added: dict[str, tuple[Callable[..., Any], Any]] = {}

    def add_api_route(self, path: str, answer: Callable[..., Any], *, methods: list[str], dependencies: Any) -> None:
        assert methods == ["GET"]
        self.added[path] = (answer, dependencies)


def test_each_time_scripts_are_loaded_the_report_is_added_to_the_api_behind_its_login(tmp_path: Path) -> None:
    with webui(tmp_path):
        for _ in range(2):  # the host forgets all callbacks before it loads scripts again
            started.clear()
            runpy.run_path(str(ROOT / "scripts" / "remix_toolkit.py"))
            (start,) = started
            start(None, app := Api("/file", "/sdapi/v1/sd-models"))
            answer, login = app.added[REPORT]
            assert login == ["login of /sdapi/v1/sd-models"]
        write_checkpoint(tmp_path / "second.safetensors", "flux", "double_blocks.0.weight")
        found = [Pack.read(answer(**query)) for query in ({}, {"checkpoint": "model"}, {"checkpoint": "second"})]
        for odd in ("..", "/etc/passwd", "a\0b", "second.safetensors/../model", "x" * 100_000):
            assert answer(checkpoint=odd) == answer()
        start(None, without := Api("/file"))
        assert without.added == {}
    assert [pack.plain_attention for pack in found] == [None, True, False]
    assert {pack.version for pack in found} == {__version__}
