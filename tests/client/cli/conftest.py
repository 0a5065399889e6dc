"""A recipe, and an engine that paints its frames."""

from __future__ import annotations

from pathlib import Path

import pytest

from remix.engine import Engine
from tests.client.cli.running import RECIPE
from tests.fakes.renderer import Painter


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


@pytest.fixture
def painter(monkeypatch: pytest.MonkeyPatch) -> Painter:
    """The engine that `render` opens, whatever its name."""
    engine = Painter()

    def opened(name: str, **options: object) -> Engine:
        return engine

    monkeypatch.setattr("remix.client.cli.render.open_engine", opened)
    return engine
