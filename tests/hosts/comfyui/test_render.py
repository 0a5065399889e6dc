"""The node Remix Render, among fakes of the host: whole films and parts of them, and what of them is kept."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from remix.errors import BadInput, RecipeError
from remix.job import job_texts, read_metadata
from remix.motion import save_picture
from remix.plan import Schedule, plan
from tests.core.plan.recipes import recipe_of_text
from tests.hosts.comfyui.conftest import room
from tests.hosts.comfyui.rendering import Model, render_node
from tests.hosts.comfyui.stand_ins import Clip, Vae, sample, schedule


@pytest.fixture
def node(pack: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Any:
    return render_node(pack, monkeypatch)


def rendered(node: Any, asked: Schedule, **part: int) -> tuple[list[str], list[str]]:
    """Returns the job's frames and the pictures that the node shows."""
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


def test_a_draft_lasts_as_long_as_the_film_and_is_completed(pack: ModuleType, node: Any) -> None:
    frames, shown = rendered(node, schedule(), every=3)
    assert (shown, frames) == (names(0, 3, 4), names(0, 0, 0, 3, 4))
    (job,) = Path(pack.base, "output", "remix").iterdir()
    assert sorted(path.name for path in (job / "frames").iterdir()) == names(0, 3, 4)
    assert rendered(node, schedule())[0] == names(0, 1, 2, 3, 4)
    assert rendered(node, schedule(settings='pace = "even"'), every=4)[0] == names(0, 0, 0, 0, 4)
    with pytest.raises(BadInput, match="every: a draft is of the whole film"):
        rendered(node, schedule(), every=2, first=1)


def test_a_part_past_the_end_is_refused(node: Any) -> None:
    with pytest.raises(BadInput, match=r"first: 5 is past the last frame \(4\); give a smaller one"):
        rendered(node, schedule(), first=5, count=1)


def test_what_is_kept_counts_until_one_of_its_files_is_gone(pack: ModuleType, node: Any) -> None:
    def fingerprints() -> str:
        found: str = node.fingerprint_inputs(filename_prefix="remix/film", batch_size=2)
        return found

    before = fingerprints()
    rendered(node, schedule(), count=2)
    assert fingerprints() == before
    (job,) = Path(pack.base, "output", "remix").iterdir()
    (job / "frames" / "000001.png").unlink()
    gone = fingerprints()
    assert gone != before
    assert gone != node.fingerprint_inputs(filename_prefix="remix/other")
    rendered(node, schedule(), count=2)
    assert fingerprints() == before


def test_another_rate_is_the_same_job_and_more_frames_take_over_what_is_there(
    pack: ModuleType, node: Any, caplog: pytest.LogCaptureFixture
) -> None:
    rendered(node, schedule())
    rendered(node, schedule(settings="fps = 30"))
    (job,) = Path(pack.base, "output", "remix").iterdir()
    sampled: list[int] = []
    host: Any = sys.modules["comfy.sample"]
    host.sample = lambda model, noise, *rest, **more: (sampled.append(len(noise)), sample(model, noise, *rest, **more))[
        1
    ]
    edited = schedule().recipe
    last = edited.keyframes[-1]
    longer = edited.replace(frames=6, keyframes=(*edited.keyframes[:-1], replace(last, at=4), replace(last, cfg=3.0)))
    with caplog.at_level(logging.WARNING):
        assert rendered(node, plan(longer))[0] == names(0, 1, 2, 3, 4, 5)
    assert f"took 5 of 6 frames from {job.name}" in caplog.text
    assert sum(sampled) == 2  # the block of the sixth frame


def test_other_strengths_are_other_jobs_though_the_graph_is_the_same(pack: ModuleType, node: Any) -> None:
    def jobs(strength: float, count: int = 0) -> tuple[int, list[str]]:
        model = Model()
        model.patches = {"layer": [(strength, ("diff", (torch.ones(2),)), 1.0, None, None)]}  # type: ignore[attr-defined]
        shown = node.execute(model, Clip(), Vae(), schedule(), "remix/film", 2, count=count).ui
        return len(list(Path(pack.base, "output", "remix").iterdir())), list(shown.get("remarks", ()))

    assert [jobs(strength) for strength in (0.0, 0.5, 0.5, 1.0)] == [(1, []), (2, []), (2, []), (3, [])]
    assert jobs(0.25, count=2) == (4, [])
    number, [remark] = jobs(0.75)
    assert number == 5
    assert " is unfinished and has 2 of these frames" in remark


def test_a_replaced_picture_is_noticed_by_both_nodes(pack: ModuleType, node: Any) -> None:
    picture = Path(pack.base, "input", "in.png")
    text = 'frames = 2\nsize = [64, 64]\nsteps = 2\n[[keyframes]]\nprompt = "a"\nimage = "in.png"\ndenoise = 0.5\n'
    asked = plan(recipe_of_text(text, folder=str(picture.parent)))
    (recipe,) = room(pack, "recipe").NODES

    def fingerprints() -> tuple[str, str]:
        return node.fingerprint_inputs(filename_prefix="remix/film"), recipe.fingerprint_inputs(recipe=text)

    def put(level: int) -> None:
        save_picture(picture, np.full((64, 64, 3), level, np.uint8))

    put(10)
    rendered(node, asked)
    before = fingerprints()
    put(90)
    after = fingerprints()
    assert before[0] != after[0]
    assert before[1] != after[1]
    rendered(node, asked)
    assert fingerprints()[0] == before[0]
    assert len(list(Path(pack.base, "output", "remix").iterdir())) == 2
    assert recipe.fingerprint_inputs() == recipe.fingerprint_inputs(recipe="frames =")


def test_what_is_remembered_of_earlier_renders_is_bounded(pack: ModuleType, node: Any) -> None:
    render = room(pack, "render")
    for number in range(render.MOST_GIVEN + 3):
        rendered(node, schedule(2, settings=f"fps = {number + 1}"), count=1 + number % 2)
        render._remember(render.Given("x", Path(str(number)), (), {}))
    assert len(render._given) == render.MOST_GIVEN


def test_a_render_that_fails_before_its_job_leaves_no_folder(pack: ModuleType, node: Any) -> None:
    text = 'frames = 2\nsize = [64, 64]\n[[keyframes]]\nprompt = "a"\nimage = "no.png"\ndenoise = 0.5\n'
    with pytest.raises(RecipeError, match=r"'no\.png' is not a file"):
        rendered(node, plan(recipe_of_text(text, folder=str(Path(pack.base, "input")))))
    assert not list(Path(pack.base, "output").rglob("job.lock"))


def test_frames_and_sheet_carry_the_workflow_that_opens_when_they_are_dropped(
    pack: ModuleType, node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node.hidden, "prompt", {"1": {"class_type": "RemixRender"}})
    monkeypatch.setattr(node.hidden, "extra_pnginfo", {"workflow": {"nodes": [{"id": 1}]}, "odd\nname": 1})
    rendered(node, schedule())
    (job,) = Path(pack.base, "output", "remix").iterdir()
    for picture in (job / "frames" / "000003.png", job / "sheet.png"):
        texts = read_metadata(picture).texts
        assert json.loads(texts["workflow"]) == {"nodes": [{"id": 1}]}
        assert json.loads(texts["prompt"]) == {"1": {"class_type": "RemixRender"}}
        assert json.loads(texts["remix"])["recipe"]["frames"] == 5
    assert job_texts(job).keys() == {"workflow", "prompt", "remix"}


@pytest.mark.parametrize(("prompt", "workflow", "kept"), [(50, 1, {"workflow"}), (1, 70, set())])
def test_a_workflow_that_is_too_large_for_a_frame_is_left_out(
    pack: ModuleType, node: Any, monkeypatch: pytest.MonkeyPatch, prompt: int, workflow: int, kept: set[str]
) -> None:
    monkeypatch.setattr(node.hidden, "prompt", "p" * prompt * 1300)
    monkeypatch.setattr(node.hidden, "extra_pnginfo", {"workflow": "w" * workflow * 1300})
    rendered(node, schedule())
    (job,) = Path(pack.base, "output", "remix").iterdir()
    assert read_metadata(job / "frames" / "000000.png").texts.keys() == {"remix", *kept}


def test_frames_carry_no_workflow_if_the_host_disables_it_or_a_client_sends_none(
    pack: ModuleType, node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = room(pack, "inputs")
    monkeypatch.setattr(node.hidden, "prompt", {"1": {}})
    assert inputs.workflow_texts(node.hidden) == {}
    monkeypatch.setattr(node.hidden, "extra_pnginfo", {"workflow": {}})
    assert inputs.workflow_texts(node.hidden).keys() == {"workflow", "prompt"}
    monkeypatch.setattr(inputs.args, "disable_metadata", True)
    assert inputs.workflow_texts(node.hidden) == {}


def test_a_job_of_the_output_folder_is_listed_and_opened(pack: ModuleType, node: Any) -> None:
    load = room(pack, "job").RemixLoadJob
    assert load.define_schema().inputs[0].options["options"] == []
    rendered(node, schedule(), first=1, count=2)
    rendered(node, schedule(4, settings="cfg = 3"))
    newest, unfinished = load.define_schema().inputs[0].options["options"]
    output = load.execute(unfinished)
    assert [path.name for path in output.result[0].frames] == names(1, 2)
    assert [image["filename"] for image in output.ui["images"]] == names(1, 2)
    assert output.ui["images"][0]["subfolder"] == f"{unfinished}/frames"
    state, go_on = output.ui["remarks"]
    assert state == "unfinished: 2 of 5 frames, 64x64, 'a cat'"
    assert "drop one of its frames into ComfyUI" in go_on
    output = load.execute(newest)
    assert [image["filename"] for image in output.ui["images"]] == ["sheet.png"]
    assert output.ui["remarks"] == ("finished: 4 of 4 frames, 64x64, 'a cat'",)
    before = load.fingerprint_inputs(unfinished)
    rendered(node, schedule())
    assert load.fingerprint_inputs(unfinished) != before


@pytest.mark.parametrize("name", ["../outside", "remix", "nothing"])
def test_only_jobs_of_the_output_folder_are_opened(pack: ModuleType, node: Any, name: str) -> None:
    rendered(node, schedule())
    with pytest.raises(BadInput):
        room(pack, "job").RemixLoadJob.execute(name)
