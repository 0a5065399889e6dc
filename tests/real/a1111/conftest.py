"""One real A1111 for all tests of this folder; where there is none they are skipped, and say so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from tests.real.a1111.host import A1111, CHECKPOINT, Host, Kind


def started_host(
    tmp_path_factory: pytest.TempPathFactory,
    kind: Kind = A1111,
    checkpoint: str = CHECKPOINT,
    extensions: Sequence[str] = (),
) -> Iterator[Host]:
    """Yields a started host, and ends it."""
    webui = kind.installed()
    if webui is None:
        pytest.skip(f"no {kind.name} to test with: set {kind.variable} to the folder of one")
    models = webui / "models" / "Stable-diffusion"
    if not (models / checkpoint).is_file():
        pytest.skip(f"no checkpoint to test with: put {checkpoint} into {models}")
    started = Host(kind, webui, tmp_path_factory.mktemp(kind.name.lower()), checkpoint, extensions)
    try:
        started.start()
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A started host, in which there are a few other extensions, which do nothing unless they are asked to."""
    yield from started_host(tmp_path_factory, extensions=("fills-in", "hints", "small-text"))
