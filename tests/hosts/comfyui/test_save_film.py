"""Remix Save Film: films of every format, with transparency, sound and the workflow where the format has them."""

from __future__ import annotations

import json
import sys
from fractions import Fraction
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from remix.job import read_metadata
from remix.motion import probe, read_video
from remix.motion.ffmpeg import READ_STRICTLY, Ffmpeg
from remix.motion.sound import probe_sound
from tests.hosts.comfyui.conftest import listed, room

WIDTH, HEIGHT, COUNT = 48, 32, 5
SOUND = {"waveform": torch.sin(torch.arange(4410) / 10)[None, None], "sample_rate": 8820}


@pytest.fixture
def node(pack: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Any:
    bar = SimpleNamespace(update_absolute=lambda done, total: None)
    monkeypatch.setattr(sys.modules["comfy.utils"], "ProgressBar", lambda total: bar)
    (found,) = room(pack, "save_film").NODES
    monkeypatch.setattr(found, "hidden", SimpleNamespace(extra_pnginfo=None, prompt=None), raising=False)
    return found


def images(channels: int = 3) -> torch.Tensor:
    """Frames whose left half gets brighter; their alpha is the height."""
    frames = torch.zeros(COUNT, HEIGHT, WIDTH, 4)
    for index in range(COUNT):
        frames[index, :, : WIDTH // 2, :3] = (index + 1) / COUNT
    frames[..., 3] = torch.linspace(0.2, 1, HEIGHT)[None, :, None]
    return frames[..., :channels]


def film(pack: ModuleType, pictures: torch.Tensor, **more: Any) -> Any:
    widgets = {"fps": 10.0, "ping_pong": False, "repeat": 1, **more}
    return room(pack, "film").RemixFilm.execute(**listed(images=pictures, **widgets)).result[0]


def saved(pack: ModuleType, node: Any, video: Any, format: str, **more: Any) -> tuple[Path, dict[str, Any]]:
    shown = node.execute(video, "films/x", format, **more).ui
    (path,) = Path(pack.base, "output", "films").iterdir()
    return path, shown


def first_alpha(path: Path, format: str) -> np.ndarray[Any, Any]:
    """The alpha channel of a film's first frame."""
    if format in ("webp", "apng"):
        with Image.open(path) as picture:
            return np.array(picture.convert("RGBA"))[..., 3]
    decoder = ("-c:v", "libvpx-vp9") if format == "webm" else ()
    with Ffmpeg([*READ_STRICTLY, *decoder, "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgba", "pipe:1"]) as process:
        data = process.read(HEIGHT * WIDTH * 4)
        while process.read(2**20):
            pass
    return np.frombuffer(data, np.uint8).reshape(HEIGHT, WIDTH, 4)[..., 3]


@pytest.mark.parametrize("format", ["mp4", "webm", "gif", "webp", "apng"])
def test_a_film_is_saved_and_shown_in_each_format_that_browsers_play(pack: ModuleType, node: Any, format: str) -> None:
    path, shown = saved(pack, node, film(pack, images()), format)
    assert path.name == f"x_00001_.{format}"
    if format == "gif":  # which the front end does not play
        assert shown["images"][0]["filename"].endswith(".webp")
        assert shown["images"][0]["type"] == "temp"
    else:
        assert shown["images"] == [{"filename": path.name, "subfolder": "films", "type": "output"}]
    assert shown["animated"] == (True,)
    assert shown["remarks"] == ()
    found = probe(path)
    assert (found.frames, found.width, found.height, found.fps) == (COUNT, WIDTH, HEIGHT, 10)
    left = [picture[:, 4:20].mean() for picture in read_video(path)]
    assert left == pytest.approx([255 * (index + 1) / COUNT for index in range(COUNT)], abs=3)


def test_another_format_is_shown_by_a_small_film(pack: ModuleType, node: Any) -> None:
    path, shown = saved(pack, node, film(pack, images().repeat(1, 20, 20, 1), repeat=40), "prores")
    assert probe(path).codec == "prores"
    (preview,) = shown["images"]
    assert preview["type"] == "temp"
    found = probe(Path(pack.base, "temp", preview["filename"]))
    assert (found.width, found.height) == (384, 256)
    assert (found.frames, found.fps) == (67, Fraction(10, 3))  # every third of 200 frames
    assert found.frames / found.fps == pytest.approx(20, abs=0.2)


@pytest.mark.parametrize("format", ["webm", "webp", "apng", "prores"])
def test_transparency_is_kept(pack: ModuleType, node: Any, format: str) -> None:
    path, shown = saved(pack, node, film(pack, images(4)), format)
    assert shown["remarks"] == ()
    assert first_alpha(path, format).mean(axis=1) == pytest.approx(255 * np.linspace(0.2, 1, HEIGHT), abs=6)


def test_what_a_format_cannot_keep_is_left_out_with_a_remark(pack: ModuleType, node: Any) -> None:
    path, shown = saved(pack, node, film(pack, images(4), audio=SOUND), "gif")
    assert probe(path).frames == COUNT
    assert [remark.split(";")[0] for remark in shown["remarks"]] == [
        "format: gif has no transparency, so it is left out",
        "audio: gif has no sound, so it is left out",
    ]


def test_sound_is_saved_and_no_file_of_it_stays(pack: ModuleType, node: Any) -> None:
    path, _ = saved(pack, node, film(pack, images(), audio=SOUND), "mp4")
    assert probe_sound(path).codec == "aac"
    assert probe(path).frames == COUNT
    assert list(Path(pack.base, "temp").iterdir()) == []


@pytest.mark.parametrize("format", ["mp4", "webm", "gif", "webp", "apng", "prores"])
def test_a_film_carries_the_workflow(pack: ModuleType, node: Any, format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node.hidden, "prompt", {"1": {"class_type": "A", "inputs": {}}})
    monkeypatch.setattr(node.hidden, "extra_pnginfo", {"workflow": {"nodes": []}})
    path, _ = saved(pack, node, film(pack, images()), format)
    assert json.loads(read_metadata(path).texts["workflow"]) == {"nodes": []}


def test_a_video_of_another_node_is_saved_with_its_alpha(pack: ModuleType, node: Any) -> None:
    parts = SimpleNamespace(images=images(), alpha=images(4)[..., 3:], audio=None, frame_rate=Fraction(24))
    path, _ = saved(pack, node, SimpleNamespace(get_components=lambda: parts), "webp", loops=3)
    assert probe(path).fps == 24
    assert first_alpha(path, "webp").mean(axis=1) == pytest.approx(255 * np.linspace(0.2, 1, HEIGHT), abs=6)


def test_an_interrupt_stops_the_film(pack: ModuleType, node: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped() -> None:
        raise KeyboardInterrupt

    management = sys.modules["comfy.model_management"]
    monkeypatch.setattr(management, "throw_exception_if_processing_interrupted", stopped)
    with pytest.raises(KeyboardInterrupt):
        node.execute(film(pack, images()), "films/x", "webp")
    assert list(Path(pack.base, "output", "films").iterdir()) == []


def test_films_for_the_hosts_encoder_have_no_alpha(pack: ModuleType) -> None:
    for repeat in (1, 2):
        made = film(pack, images(4), repeat=repeat)
        written: list[Any] = []
        made.save_to(written)
        assert written[1].shape == (HEIGHT, WIDTH, 3)
        assert made.get_components().images.shape == (COUNT * repeat, HEIGHT, WIDTH, 3)
