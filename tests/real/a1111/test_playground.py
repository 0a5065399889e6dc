"""The bundled model as a checkpoint of a real A1111: the frames of the local engine, by the client and the script."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from remix import Recipe
from remix.client import A1111, Local
from remix.engine import render
from remix.motion import load_picture
from remix.motion.pictures import difference
from remix.playground.checkpoint import write_checkpoint
from tests.real.a1111 import host as a1111

FILM = """
frames = 4
size = [128, 128]
sampler = "SAMPLER"
scheduler = "sgm_uniform"
steps = 8
cfg = 3
[[keyframes]]
prompt = "a red house on a green hill"
negative = "a tree"
seed = 3
[[keyframes]]
prompt = "a white house in the snow"
seed = 4
"""


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
    film = Recipe.from_toml(FILM.replace("SAMPLER", sampler).replace("[[", f"[model]\nclip_skip = {clip_skip}\n[[", 1))
    frames = []
    for engine in (Local(device="cpu"), A1111(host.url)):
        folder = tmp_path / engine.name
        render(film, engine, folder, film=None)
        frames.append([load_picture(path) for path in sorted((folder / "frames").iterdir())])
    differences = [difference(one, other) for one, other in zip(*frames, strict=True)]
    assert all(each.agrees() for each in differences), [str(each) for each in differences]
