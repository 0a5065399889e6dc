"""A recipe with a workflow of its own, on a fake server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix.client import ComfyUI, cli, render, render_all
from remix.engine import Capabilities, Event, Outcome, refuse_unsupported
from remix.errors import EngineError, Interrupted, OtherRecipe, Unsupported, WrongSize
from remix.job import frame_path, read_metadata
from remix.motion import save_picture
from remix.plan import Recipe, plan
from tests.client.comfyui.runs import QUICK, at_frames, frames
from tests.fakes.comfyui_server import ComfyServer, Script
from tests.fakes.faults import Answer

GRAPH = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "x.png"}, "_meta": {"title": "First"}},
    "2": {"class_type": "EmptyImage", "inputs": {"width": 32, "height": 16, "batch_size": 1, "color": 0}},
    "3": {
        "class_type": "ImageBlend",
        "inputs": {"image1": ["2", 0], "image2": ["1", 0], "blend_factor": 0.5, "blend_mode": "normal"},
    },
    "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "mine"}},
}


def recipe(folder: Path, *inputs: dict[str, Any], graph: Any = GRAPH, **fields: Any) -> Recipe:
    (folder / "mine.json").write_text(json.dumps(graph), encoding="utf-8")
    save_picture(folder / "a.png", np.full((24, 40, 3), 90, np.uint8))
    first = {"First.image": "a.png"}
    keyframes = [{"inputs": {**first, **each}} for each in inputs or ({"ImageBlend.blend_factor": 0}, {})]
    given = {"frames": 4, "size": [32, 16], "workflow": {"file": "mine.json"}, **fields}
    return Recipe.from_dict({**given, "keyframes": keyframes}, folder=str(folder))


def run(server: ComfyServer, asked: Recipe | Path, folder: Path, **options: Any) -> Outcome:
    how = {name: options.pop(name) for name in ("batch",) if name in options}
    with ComfyUI(server.url, timeouts=QUICK, **how) as engine:
        return render(asked, folder, engine=engine, **{"film": None, "report": False, **options})


def factors(server: ComfyServer) -> list[float]:
    return [entry["prompt"][2]["3"]["inputs"]["blend_factor"] for entry in server.history.values()]


def test_each_frame_is_a_prompt_with_its_values_and_its_picture(tmp_path: Path) -> None:
    asked = recipe(tmp_path, {"ImageBlend.blend_factor": 0}, {"ImageBlend.blend_factor": 0.75})
    with ComfyServer(pack=False).started() as server:
        outcome = run(server, asked, tmp_path / "out", film="film.gif", report=True)
        assert factors(server) == [0, 0.25, 0.5, 0.75]
        (name,) = [place for place in server.files if place[0] == "input"]
        assert "_40x24" in name[2]  # as it is, not in the size of the frames
        assert next(iter(server.history.values()))["prompt"][2]["1"]["inputs"]["image"] == f"remix/{name[2]}"
    assert outcome.rendered == 4
    assert outcome.film is not None
    assert outcome.report is not None
    page = outcome.report.read_text(encoding="utf-8")
    assert "ImageBlend.blend_factor" in page
    assert "playground" not in page  # settings of a recipe that the workflow does not use
    assert len({picture.tobytes() for picture in frames(tmp_path / "out")}) == 4
    made = read_metadata(frame_path(tmp_path / "out", 1))
    assert made.comfyui is not None
    nodes = json.loads(made.texts["prompt"])
    assert (nodes["3"]["inputs"]["blend_factor"], nodes["1"]["inputs"]["image"]) == (0.25, f"remix/{name[2]}")


def test_a_run_goes_on_where_it_stopped_also_from_its_folder_alone(tmp_path: Path) -> None:
    asked = recipe(tmp_path, {"ImageBlend.blend_factor": 0}, {"ImageBlend.blend_factor": 0.75})
    stopped: list[int] = []
    with ComfyServer(pack=False).started() as server:
        with pytest.raises(Interrupted):
            run(
                server,
                asked,
                tmp_path / "out",
                listen=at_frames(2, lambda: stopped.append(1)),
                stop=lambda: bool(stopped),
            )
        (tmp_path / "mine.json").unlink()
        (tmp_path / "a.png").unlink()
        assert run(server, tmp_path / "out", tmp_path / "out").rendered < 4
        assert set(server.rendered.values()) == {1}
        # A frame with equal values is known again in another film.
        other = recipe(tmp_path, {"ImageBlend.blend_factor": 0.75}, {"ImageBlend.blend_factor": 0})
        assert run(server, other, tmp_path / "other", donors=[tmp_path / "out"]).rendered == 0


def test_another_workflow_is_another_job(tmp_path: Path) -> None:
    with ComfyServer(pack=False).started() as server:
        run(server, recipe(tmp_path), tmp_path / "out")
        moved = {**GRAPH, "5": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}}
        assert run(server, recipe(tmp_path, graph=moved), tmp_path / "out").rendered == 0
        other = json.loads(json.dumps(GRAPH))
        other["2"]["inputs"]["color"] = 7
        with pytest.raises(OtherRecipe, match="workflow"):
            run(server, recipe(tmp_path, graph=other), tmp_path / "out")


def test_another_way_to_mix_is_refused_if_texts_are_mixed(tmp_path: Path) -> None:
    asked = recipe(tmp_path, {"First.image": "a.png"}, {"First.image": "b.png"}, mix="slerp")
    save_picture(tmp_path / "b.png", np.full((24, 40, 3), 20, np.uint8))
    with (
        ComfyServer(pack=False).started() as server,
        pytest.raises(Unsupported, match="mix: 'slerp' is set, and the workflow cannot render that"),
    ):
        run(server, asked, tmp_path / "out")


def test_many_prompts_can_be_queued_at_once(tmp_path: Path) -> None:
    most = 0

    def listen(event: Event) -> None:
        nonlocal most
        with server.lock:
            most = max(most, len(server.pending) + len(server.history) + 1)

    with ComfyServer(pack=False, seconds=0.03).started() as server:
        run(server, recipe(tmp_path, frames=8), tmp_path / "out", batch=6, listen=listen)
    assert most >= 6


def test_the_size_may_be_left_out_and_is_that_of_the_pictures(tmp_path: Path) -> None:
    asked = recipe(tmp_path)
    unsized = Recipe.from_dict(
        {name: each for name, each in asked.to_dict().items() if name != "size"}, folder=str(tmp_path)
    )
    with ComfyServer(pack=False).started() as server:
        server.size = (45, 26)
        outcome = run(server, unsized, tmp_path / "out")
        assert len(server.ran) == 4  # the first one is found again
        with pytest.raises(WrongSize, match=r"size = \[40, 24\]"):
            run(server, asked, tmp_path / "other")
    assert outcome.schedule is not None
    assert (outcome.schedule.recipe.width, outcome.schedule.recipe.height) == (40, 24)
    assert frames(tmp_path / "out").shape == (4, 24, 40, 3)


def test_numbers_that_are_rounded_alike_are_one_frame(tmp_path: Path) -> None:
    def colored(last: float) -> Recipe:
        return recipe(tmp_path, {"EmptyImage.color": 0}, {"EmptyImage.color": last}, frames=3)

    with ComfyServer(pack=False).started() as server:
        run(server, colored(9), tmp_path / "out")
        colors = [entry["prompt"][2]["2"]["inputs"]["color"] for entry in server.history.values()]
        assert colors == [0, 5, 9]
        assert run(server, colored(9.4), tmp_path / "out").rendered == 0


def test_a_grid_compares_inputs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe(tmp_path, {"ImageBlend.blend_factor": 0}).save(tmp_path / "film.toml")
    axes = ["--x", "ImageBlend.blend_factor=0..1..0.5", "--y", "ImageBlend.blend_mode=normal,screen"]
    words = ["grid", str(tmp_path / "film.toml"), *axes, "-o", str(tmp_path / "grid.png"), "--json"]
    with ComfyServer(pack=False).started() as server:
        assert cli.main([*words, "--engine", "comfyui", "--url", server.url]) == 0
        sent = [entry["prompt"][2]["3"]["inputs"] for entry in server.history.values()]
    cells = json.loads(capsys.readouterr().out)["cells"]
    assert [(each["blend_factor"], each["blend_mode"]) for each in sent] == [
        (factor, mode) for mode in ("normal", "screen") for factor in (0, 0.5, 1)
    ]
    assert cells[4]["labels"] == {"ImageBlend.blend_factor": "0.5", "ImageBlend.blend_mode": "screen"}
    assert cells[4]["settings"]["ImageBlend.blend_factor"] == "0.5"
    assert "steps" not in cells[4]["settings"]


def test_clips_are_joined_at_their_keyframes(tmp_path: Path) -> None:
    clip = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 32, "height": 16, "batch_size": 1, "color": 0}},
        "2": {"class_type": "RepeatImageBatch", "inputs": {"image": ["1", 0], "amount": 4}},
        "3": {"class_type": "CreateVideo", "inputs": {"images": ["2", 0], "fps": 8}},
    }
    given = {"workflow": {"file": "mine.json", "clip": "keyframes", "output": "CreateVideo"}, "frames": 7}
    (tmp_path / "mine.json").write_text(json.dumps(clip), encoding="utf-8")
    keyframes = [{"inputs": {"EmptyImage.color": color}} for color in (1, 5, 9)]
    asked = Recipe.from_dict({**given, "size": [32, 16], "keyframes": keyframes}, folder=str(tmp_path))
    with ComfyServer(pack=False).started() as server:
        assert run(server, asked, tmp_path / "out").rendered == 7
        graphs = [entry["prompt"][2] for entry in server.history.values()]
        assert [graph["1"]["inputs"]["color"] for graph in graphs] == [1, 5]
        assert len({picture.tobytes() for picture in frames(tmp_path / "out")}) == 7
        (tmp_path / "out" / "frames" / "000001.png").unlink()
        assert run(server, asked, tmp_path / "out").rendered == 1
        with pytest.raises(EngineError, match="4 pictures"):
            run(server, asked.replace(frames=11), tmp_path / "long")


def test_pacing_and_many_films(tmp_path: Path) -> None:
    asked = recipe(tmp_path, {"ImageBlend.blend_factor": 0}, {"ImageBlend.blend_factor": 0.75}, pace="even")
    with ComfyServer(pack=False).started() as server, ComfyUI(server.url, timeouts=QUICK) as engine:
        outcomes = render_all(
            {tmp_path / "one": asked, tmp_path / "two": recipe(tmp_path)}, engines=[engine], film=None, report=False
        )
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert outcomes[0].schedule is not None
    assert outcomes[0].schedule.recipe.clock is not None


def test_a_frame_of_one_color_is_fine_where_nothing_samples(tmp_path: Path) -> None:
    with ComfyServer(pack=False, script=Script(black=4)).started() as server:
        assert run(server, recipe(tmp_path), tmp_path / "out").rendered == 4


@pytest.mark.parametrize(
    ("inputs", "graph", "fact"),
    [
        ({"ImageBlend.blend_factr": 0}, GRAPH, '"blend_factor"'),
        ({"ImageBlend.blend_factor": 2}, GRAPH, "outside of 0 to 1"),
        ({"First.image": "nowhere.png"}, GRAPH, "nowhere.png"),
        ({}, {**GRAPH, "9": {"class_type": "NoSuchNode", "inputs": {}}}, "NoSuchNode"),
    ],
)
def test_names_and_values_are_checked_before_the_first_frame(
    tmp_path: Path, inputs: dict[str, Any], graph: Any, fact: str
) -> None:
    with ComfyServer(pack=False).started() as server:
        with pytest.raises(Unsupported, match=fact):
            run(server, recipe(tmp_path, inputs, graph=graph), tmp_path / "out")
        assert not server.ran
    assert not (tmp_path / "out").exists()


def test_what_the_workflow_has_itself_cannot_be_set_beside_it(tmp_path: Path) -> None:
    with ComfyServer().started() as server, pytest.raises(Unsupported, match=r"steps.*inputs"):
        run(server, recipe(tmp_path, steps=3), tmp_path / "out")


def test_other_engines_name_the_one_that_runs_workflows(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="--engine comfyui"):
        refuse_unsupported(plan(recipe(tmp_path)), Capabilities("another engine", "width height", "", ""))


def test_a_file_on_the_server_belongs_to_the_job_by_its_content(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = recipe(tmp_path, {"First.image": "there/b.png"}, frames=1)
    with ComfyServer(pack=False).started() as server:
        server.files["input", "there", "b.png"] = b"one"
        assert run(server, asked, tmp_path / "out").rendered == 1
        assert run(server, asked, tmp_path / "out").rendered == 0
        server.files["input", "there", "b.png"] = b"two"
        with pytest.raises(OtherRecipe, match=r"input there/b\.png"):
            run(server, asked, tmp_path / "out")
        monkeypatch.setattr(server, "_get_view", lambda asked: Answer(b"", 404))
        assert run(server, asked, tmp_path / "out").rendered == 0
        assert "another file of the same name would not be noticed" in caplog.text
