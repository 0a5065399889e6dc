"""In-betweens of Remix Film, sizes and names of Remix Save Film, Remix Report, and the syntax of Remix Recipe."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from remix.errors import BadInput, JobError, Unsupported
from remix.motion import probe
from remix.plan import Keyframe, Recipe, Schedule, plan
from tests.hosts.comfyui.conftest import listed, room
from tests.hosts.comfyui.rendering import Model, render_node
from tests.hosts.comfyui.stand_ins import Clip, Vae, schedule

WIDGETS = {"fps": 0.0, "ping_pong": False, "repeat": 1}
NOW = time.struct_time((2026, 3, 4, 5, 6, 7, 2, 63, 0))


def shades(*levels: float) -> torch.Tensor:
    return torch.stack([torch.full((24, 40, 3), level) for level in levels])


def film(pack: ModuleType, *levels: float, **more: Any) -> Any:
    inputs = listed(images=shades(*levels), **{**WIDGETS, **more})
    return room(pack, "film").RemixFilm.execute(**inputs).result[0]


def seen(video: Any) -> tuple[float, list[float]]:
    """The frame rate of a film, and the brightness of its frames."""
    images = video.get_components().images[:, 0, 0, 0]
    return float(video.get_frame_rate()), [round(level, 2) for level in images.tolist()]


@pytest.mark.parametrize(
    ("more", "rate", "levels"),
    [
        ({"between": 1}, 24, [0, 0.2, 0.4, 0.6, 0.8]),
        ({"between": 1, "fps": 6.0, "method": "fast"}, 12, [0, 0.2, 0.4, 0.6, 0.8]),
        ({"to_fps": 48.0}, 48, [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]),
        ({"to_fps": 18.0}, 18, [0, 0.27, 0.53, 0.8]),
        ({"to_fps": 6.0}, 6, [0, 0.8]),
        ({"between": 1, "ping_pong": True}, 24, [0, 0.2, 0.4, 0.6, 0.8, 0.6, 0.4, 0.2]),
    ],
)
def test_a_film_gets_the_in_betweens_of_its_widgets(
    pack: ModuleType, more: dict[str, Any], rate: float, levels: list[float]
) -> None:
    pytest.importorskip("cv2")
    assert seen(film(pack, 0.0, 0.4, 0.8, **more)) == (rate, pytest.approx(levels, abs=0.011))


def test_widgets_go_before_the_recipe_and_agree(pack: ModuleType) -> None:
    pytest.importorskip("cv2")
    smooth = plan(Recipe(frames=2, fps=10, between=3, keyframes=(Keyframe(prompt="a"), Keyframe(prompt="b"))))
    assert film(pack, 0.0, 0.8, schedule=smooth).get_frame_rate() == 40
    assert film(pack, 0.0, 0.8, schedule=smooth, between=1).get_frame_rate() == 20
    with pytest.raises(BadInput, match="between, to_fps: both set"):
        film(pack, 0.0, 0.8, between=1, to_fps=60.0)


def test_a_part_of_a_loop_does_not_lead_back_to_its_first_frame(pack: ModuleType) -> None:
    pytest.importorskip("cv2")
    loop = plan(Recipe(frames=3, loop=True, keyframes=(Keyframe(prompt="a"),)))
    assert seen(film(pack, 0.0, 0.4, 0.8, schedule=loop, between=1))[1][5:] == [0.4]
    assert seen(film(pack, 0.4, 0.8, schedule=loop, between=1))[1] == pytest.approx([0.4, 0.6, 0.8], abs=0.011)


class Interpolation:
    """A model of the host that lays the second picture over the first, and needs sides of multiples of 32."""

    pad_align = 32

    def __init__(self) -> None:
        self.features = 0

    def memory_used_forward(self, shape: Any, dtype: Any) -> int:
        return 1

    def extract_features(self, image: torch.Tensor) -> torch.Tensor:
        assert image.shape == (1, 3, 32, 64)
        self.features += 1
        return image

    def __call__(self, one: Any, two: Any, timestep: Any, cache: dict[str, Any]) -> torch.Tensor:
        assert timestep.shape == (1, 1, 32, 64)
        return torch.lerp(cache["img0"], cache["img1"], timestep) + 0.05


def test_a_frame_interpolation_model_of_the_host_makes_in_betweens(
    pack: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders, nodes = sys.modules["folder_paths"], sys.modules["nodes"]
    interpolation, node = room(pack, "interpolation"), room(pack, "film").RemixFilm
    assert interpolation.methods() == ["fine", "fast"]
    models = Path(pack.base, "models", "frame_interpolation")
    models.mkdir()
    (models / "rife.safetensors").touch()
    folders.folder_names_and_paths["frame_interpolation"] = ([str(models)], {".safetensors"})
    offered = next(slot for slot in node.define_schema().inputs if slot.id == "method")
    assert offered.options["options"] == ["fine", "fast", "rife.safetensors"]
    model = Interpolation()
    patcher = SimpleNamespace(model=model, load_device="cpu", model_dtype=lambda: torch.float32)
    loader = SimpleNamespace(
        execute=lambda name: SimpleNamespace(args=(patcher,)) if name == "rife.safetensors" else None
    )
    monkeypatch.setitem(nodes.NODE_CLASS_MAPPINGS, "FrameInterpolationModelLoader", loader)
    monkeypatch.setitem(sys.modules, "cv2", None)  # which it does not need
    video = film(pack, 0.0, 0.4, 0.8, between=3, method="rife.safetensors")
    levels = [0, 0.15, 0.25, 0.35, 0.4, 0.55, 0.65, 0.75, 0.8]
    assert seen(video) == (48, pytest.approx(levels, abs=0.011))
    assert model.features == 4  # two for each pair


@pytest.fixture
def saver(pack: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Any:
    bar = SimpleNamespace(update_absolute=lambda done, total: None)
    monkeypatch.setattr(sys.modules["comfy.utils"], "ProgressBar", lambda total: bar)
    (found,) = room(pack, "save_film").NODES
    monkeypatch.setattr(found, "hidden", SimpleNamespace(extra_pnginfo=None, prompt=None), raising=False)
    return found


def test_a_film_is_saved_for_a_place(pack: ModuleType, saver: Any) -> None:
    saver.execute(film(pack, 0.0, 0.4), "x_%width%x%height%", "mp4", place="square")
    (path,) = Path(pack.base, "output").glob("*.mp4")
    assert path.name.startswith("x_1080x1080_")
    info = probe(path)
    assert (info.width, info.height, info.frames) == (1080, 1080, 2)


WORKFLOW = {
    "nodes": [
        {"id": 3, "type": "KSampler", "title": "Sampler", "properties": {"Node name for S&R": "S"}},
        {"id": 4, "type": "CLIPTextEncode", "title": "Words"},
    ]
}
PROMPT = {
    "3": {"class_type": "KSampler", "inputs": {"seed": 77, "model": ["1", 0]}},
    "4": {"class_type": "CLIPTextEncode", "inputs": {"text": 'a/b:c"d'}},
    "5": {"class_type": "Note", "inputs": {"text": "n"}, "_meta": {"title": "By hand"}},
}


@pytest.mark.parametrize(
    ("prefix", "filled"),
    [
        ("remix/film", "remix/film"),
        ("%date%/x", "2026-03-04/x"),
        ("%date:yyyy-MM-dd%", "2026-03-04"),
        ("%date:yy_M_d hhmmss%", "26_3_4 050607"),
        ("a_%year%%month%%day%_%hour%-%minute%-%second%", "a_20260304_05-06-07"),
        ("%width%x%height%", "640x480"),
        ("%S.seed%", "77"),
        ("%Sampler.seed%", "77"),
        ("%KSampler.seed%", "77"),
        ("%Words.text%", "a_b_c_d"),
        ("%By hand.text%", "n"),
        ("50% and 100%", "50% and 100%"),
    ],
)
def test_placeholders_of_a_name_are_filled_in(pack: ModuleType, prefix: str, filled: str) -> None:
    hidden = SimpleNamespace(prompt=PROMPT, extra_pnginfo={"workflow": WORKFLOW})
    assert room(pack, "placeholders").filled(prefix, hidden, (640, 480), NOW) == filled


@pytest.mark.parametrize("prefix", ["%dat%", "%KSampler.sed%", "%Nobody.seed%", "%KSampler.model%", "%a.b.c%"])
def test_a_placeholder_that_stands_for_nothing_is_refused_by_its_name(pack: ModuleType, prefix: str) -> None:
    hidden = SimpleNamespace(prompt=PROMPT, extra_pnginfo={"workflow": WORKFLOW})
    with pytest.raises(BadInput, match=f"filename_prefix: {prefix} stands for nothing; write %date"):
        room(pack, "placeholders").filled(prefix, hidden, (640, 480), NOW)
    with pytest.raises(BadInput, match="stands for nothing"):
        room(pack, "placeholders").filled(prefix, SimpleNamespace(prompt=None, extra_pnginfo=None), (1, 1))


def test_a_job_has_a_report_and_its_node_shows_the_figures(pack: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pygal")
    node = render_node(pack, monkeypatch)

    def rendered(asked: Schedule, **more: int) -> Any:
        return node.execute(Model(), Clip(), Vae(), asked, f"remix/%width%-{time.localtime().tm_year}", 2, **more)

    report = room(pack, "film_report").RemixReport
    (part,) = rendered(schedule(), count=2).result
    with pytest.raises(JobError, match="3 of 5 frames are missing"):
        report.execute(part)
    output = rendered(schedule())
    (job,) = output.result
    assert job.folder.name.startswith("64-20")
    link = {"filename": "report.html", "subfolder": f"remix/{job.folder.name}", "type": "output"}
    assert output.ui["page"] == (link,)
    shown = report.execute(job)
    page, variation = shown.result
    assert page == str(job.folder / "report.html")
    assert "<html" in Path(page).read_text(encoding="utf-8")
    assert variation >= 0
    assert shown.ui["page"] == (link,)
    assert f"CV {variation:.2f}" in shown.ui["remarks"][0]
    assert shown.ui["remarks"][-1] == f"page: {page}"


KEYED = "0 | a cat\n8 | a dog"


def test_a_syntax_that_is_chosen_reads_the_text(pack: ModuleType) -> None:
    node = room(pack, "recipe").RemixRecipe
    with pytest.raises(BadInput):
        node.execute(KEYED, 8, 0.0, 0, 0)
    output = node.execute(KEYED, 8, 0.0, 0, 0, "prompt-travel")
    assert output.result[0][0].prompt.values == ("0 | a cat",)
    assert output.ui["remarks"][0].startswith("Read as A1111's prompt travel script (prompt-travel)")
    pairs = '"0": "a", "4": "b"'
    travels, holds = (node.execute(pairs, 8, 0.0, 0, 0, name).result[0] for name in ("auto", "deforum-prompts"))
    assert (len(travels[2].prompt.values), len(holds[2].prompt.values)) == (2, 1)


def test_the_check_before_a_run_knows_the_syntax_of_its_request(
    pack: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = room(pack, "recipe").RemixRecipe
    monkeypatch.setattr(node, "hidden", SimpleNamespace(unique_id="5"), raising=False)
    asyncio.run(pack.comfy_entrypoint())
    (handler,) = sys.modules["server"].PromptServer.instance.on_prompt

    def checked(inputs: dict[str, Any], number: str = "5") -> Any:
        request = {"prompt": {number: {"class_type": "RemixRecipe", "inputs": inputs}}, "client_id": "x"}
        assert handler(request) is request
        return node.validate_inputs(KEYED)

    assert "0 | a cat" in checked({"recipe": KEYED})
    assert checked({"recipe": KEYED, "syntax": "prompt-travel"}) is True
    assert "0 | a cat" in checked({"recipe": KEYED, "syntax": ["7", 0]})
    assert "0 | a cat" in checked({"recipe": KEYED, "syntax": "prompt-travel"}, "6")
    assert handler({"prompt": 3}) == {"prompt": 3}
    assert "0 | a cat" in node.validate_inputs(KEYED)


@pytest.mark.parametrize("field", ["prompt", "negative"])
def test_tags_of_loras_are_refused_where_wires_decide(pack: ModuleType, field: str) -> None:
    keyframe = Keyframe(**{"prompt": "a", field: "a cat <lora:ink:0.8>"})  # type: ignore[arg-type]
    node = room(pack, "conditioning").RemixPromptTravel
    widgets = {"batch_size": 0, "how": "recipe", "lengths": "recipe"}
    with pytest.raises(Unsupported, match=r"only Remix Render loads <lora:ink>; .* leave the tag out"):
        node.execute(**listed(clip=Clip(), schedule=plan(Recipe(frames=1, keyframes=(keyframe,))), **widgets))


def test_pictures_of_a_film_for_a_place_keep_their_alpha(pack: ModuleType, saver: Any) -> None:
    clear = torch.cat([shades(0.0, 0.4), torch.full((2, 24, 40, 1), 0.5)], dim=-1)
    video = room(pack, "film").RemixFilm.execute(**listed(images=clear, **WIDGETS)).result[0]
    frames = room(pack, "save_film").film_of(video)
    (first, _) = room(pack, "save_film").replace(frames, fitted=(8, 12)).pictures(alpha=True)
    assert first.shape == (12, 8, 4)
    assert np.unique(first[..., 3]).tolist() == [127]
