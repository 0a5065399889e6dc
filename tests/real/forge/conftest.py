"""One real Forge for all tests of this folder; where there is none they are skipped, and say so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.real.a1111.conftest import started_host
from tests.real.a1111.host import FORGE, Host


@pytest.fixture(scope="session")
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A started host: Forge, unless a test asks for another kind."""
    yield from started_host(
        tmp_path_factory, getattr(request, "param", FORGE), "tiny-sd15.safetensors", ("small-flux",)
    )
