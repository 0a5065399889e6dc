"""The node Remix Render, among fakes of the host: whole films and parts of them, and what of them is kept."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from remix.errors import BadInput
from remix.plan import Schedule
from tests.hosts.comfyui.conftest import room
from tests.hosts.comfyui.test_conditioning import Clip
from tests.hosts.comfyui.test_engine import Pictures, Vae, sample, schedule
from tests.hosts.comfyui.test_job import graph


@pytest.fixture
def node(pack: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Remix Render in a workflow."""
    host: Any = sys.modules["comfy.sample"]
    host.sample, host.fix_empty_latent_channels = sample, lambda model, latent: latent
    bar = SimpleNamespace(update_absolute=lambda at, total, preview=None: None)
    monkeypatch.setattr(sys.modules["comfy.utils"], "ProgressBar", lambda total: bar)
    (found,) = room(pack, "render").NODES
    monkeypatch.setattr(found, "hidden", SimpleNamespace(dynprompt=graph(), unique_id="render"), raising=False)
    return found


class Model(Pictures):
    """A model of pictures with what a preview needs."""

    def __init__(self) -> None:
        super().__init__()
        self.load_device = "cpu"
        self.model.latent_format = None


def rendered(node: Any, asked: Schedule, **part: int) -> tuple[list[str], list[str]]:
    """The frames of the job that goes on, and the pictures that the node shows."""
    output = node.execute(Model(), Clip(), Vae(), asked, "remix/film", 2, **part)
    (job,) = output.result
    return [path.name for path in job.frames], [image["filename"] for image in output.ui["images"]]


def names(*numbers: int) -> list[str]:
    return [f"{number:06d}.png" for number in numbers]


def test_a_whole_film_shows_its_sheet(node: Any) -> None:
    assert rendered(node, schedule()) == (names(0, 1, 2, 3, 4), ["sheet.png"])


def test_a_part_is_rendered_shown_frame_by_frame_and_goes_on_alone(pack: ModuleType, node: Any) -> None:
    assert rendered(node, schedule(), first=1, count=2) == (names(1, 2), names(1, 2))
    (job,) = Path(pack.base, "output", "remix").iterdir()
    assert sorted(path.name for path in (job / "frames").iterdir()) == names(1, 2)
    assert not (job / "sheet.png").exists()
    assert rendered(node, schedule(), first=3) == (names(3, 4), names(3, 4))
    assert rendered(node, schedule(), count=9) == (names(0, 1, 2, 3, 4), names(0, 1, 2, 3, 4))
    assert (job / "sheet.png").exists()


def test_a_part_past_the_end_is_refused(node: Any) -> None:
    with pytest.raises(BadInput, match=r"first: 5 is past the last frame \(4\); give a smaller one"):
        rendered(node, schedule(), first=5, count=1)


def test_what_is_kept_counts_until_one_of_its_files_is_gone(pack: ModuleType, node: Any) -> None:
    def said() -> str:
        found: str = node.fingerprint_inputs(filename_prefix="remix/film", batch_size=2)
        return found

    before = said()
    rendered(node, schedule(), count=2)
    assert said() == before
    (job,) = Path(pack.base, "output", "remix").iterdir()
    (job / "frames" / "000001.png").unlink()
    gone = said()
    assert gone != before
    assert gone != node.fingerprint_inputs(filename_prefix="remix/other")
    rendered(node, schedule(), count=2)
    assert said() == before
