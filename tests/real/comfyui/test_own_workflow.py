"""A recipe with a workflow of its own on a real ComfyUI, whose nodes need no model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix.client import ComfyUI, render
from remix.client.timeouts import Timeouts
from remix.engine import Outcome
from remix.errors import Unsupported
from remix.motion import save_picture
from remix.plan import Recipe
from tests.client.comfyui.runs import frames
from tests.real.comfyui.host import Host

TIMEOUTS = Timeouts(poll=0.5, reconnect=0.1)
RED, GREEN = (255, 0, 0), (0, 128, 0)


def run(host: Host, folder: Path, nodes: Any, keyframes: list[dict[str, Any]], **fields: Any) -> Outcome:
    (folder / "mine.json").write_text(json.dumps(nodes), encoding="utf-8")
    for name, color in (("red", RED), ("green", GREEN)):
        save_picture(folder / f"{name}.png", np.full((20, 36, 3), color, np.uint8))
    given: dict[str, Any] = {"frames": 3, "workflow": {"file": "mine.json"}, **fields}
    given["keyframes"] = [{"inputs": each} if each else {} for each in keyframes]
    asked = Recipe.from_dict(given, folder=str(folder))
    with ComfyUI(host.url, timeouts=TIMEOUTS) as engine:
        return render(asked, folder / "out", engine=engine, film=None, report=False)


def test_pictures_and_numbers_travel_in_any_workflow(host: Host, tmp_path: Path) -> None:
    nodes = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "nothing.png"}},
        "2": {"class_type": "ImageScaleBy", "inputs": {"image": ["1", 0], "upscale_method": "area", "scale_by": 1.0}},
        "3": {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}},
    }
    ends = [{"LoadImage.image": "red.png"}, {"LoadImage.image": "green.png"}]
    assert run(host, tmp_path, nodes, ends).rendered == 3
    found = frames(tmp_path / "out")
    assert found.shape == (3, 16, 32, 3)  # of 36x20, cut to multiples of 8
    assert [tuple(picture[0, 0]) for picture in found] == [RED, (127, 64, 0), GREEN]
    with pytest.raises(Unsupported, match=r"outside of 0\.01 to 8"):
        run(host, tmp_path, nodes, [{"LoadImage.image": "red.png", "ImageScaleBy.scale_by": 9}])


def test_a_video_is_a_clip_between_two_keyframes(host: Host, tmp_path: Path) -> None:
    nodes = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 32, "height": 16, "batch_size": 1, "color": 0}},
        "2": {"class_type": "RepeatImageBatch", "inputs": {"image": ["1", 0], "amount": 3}},
        "3": {"class_type": "CreateVideo", "inputs": {"images": ["2", 0], "fps": 8}},
        "4": {"class_type": "SaveVideo", "inputs": {"video": ["3", 0], "filename_prefix": "x", "format": "auto"}},
    }
    nodes["4"]["inputs"]["codec"] = "auto"
    keyframes = [{"EmptyImage.color": 0xFF0000}, {"EmptyImage.color": 0x008000}, {}]
    run(host, tmp_path, nodes, keyframes, frames=5, workflow={"file": "mine.json", "clip": "keyframes"})
    assert [tuple(picture[0, 0]) for picture in frames(tmp_path / "out")] == [RED, RED, GREEN, GREEN, GREEN]
