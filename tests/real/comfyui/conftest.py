"""One real ComfyUI for all tests of this folder; where there is none they are skipped, and say so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.real.comfyui.host import CHECKPOINT, Host, installed, python_of


def started_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Yields a started host, and ends it."""
    comfyui = installed()
    if comfyui is None or not python_of(comfyui).is_file():
        pytest.skip("no ComfyUI to test with: set COMFYUI_DIR to the folder of one")
    if not (comfyui / "models" / "checkpoints" / CHECKPOINT).is_file():
        pytest.skip(f"no checkpoint to test with: put {CHECKPOINT} into {comfyui / 'models' / 'checkpoints'}")
    started = Host(comfyui, tmp_path_factory.mktemp("comfyui"))
    try:
        started.start()
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A started host."""
    yield from started_host(tmp_path_factory)
