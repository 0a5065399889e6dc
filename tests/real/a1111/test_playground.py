"""The bundled model as a checkpoint of a real A1111: the frames of the local engine, by the client and the script."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from remix.client import A1111, Local
from remix.engine import render
from remix.playground.checkpoint import write_checkpoint
from tests.real.a1111 import host as a1111
from tests.real.playground import assert_agree, film, frames_in


class Host(a1111.Host):
    """An A1111 with the bundled model as its checkpoint."""

    def __init__(self, webui: Path, base: Path) -> None:
        super().__init__(a1111.A1111, webui, base)
        folder = base / "models" / "Stable-diffusion"
        folder.mkdir(parents=True)
        self.checkpoint = write_checkpoint(folder)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    webui = a1111.A1111.installed()
    if webui is None:
        pytest.skip("no A1111 to test with: set WEBUI_DIR to the folder of one")
    started = Host(webui, tmp_path_factory.mktemp("a1111"))
    try:
        started.start()
        yield started
    finally:
        started.stop()


@pytest.mark.parametrize(("sampler", "clip_skip"), [("dpmpp_2m", 1), ("euler_ancestral", 2)])
def test_it_renders_the_frames_of_the_local_engine(host: Host, tmp_path: Path, sampler: str, clip_skip: int) -> None:
    recipe, frames = film(sampler, clip_skip), []
    for engine in (Local(device="cpu"), A1111(host.url)):
        render(recipe, engine, tmp_path / engine.name, film=None)
        frames.append(frames_in(tmp_path / engine.name))
    assert_agree(*frames)
