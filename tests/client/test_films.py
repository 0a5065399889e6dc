"""Films in one call: what may be given as a recipe, an engine and a folder, and what comes back."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from remix import Keyframe, Local, Recipe, arender, plan, render
from remix.catalog.families import FAMILIES, Family
from remix.client.recipes import read_any
from remix.engine import Event, Listener, Picture
from remix.errors import BadInput, Interrupted, RecipeError
from remix.job import recipe_of
from remix.motion import save_picture
from remix.plan import Schedule
from tests.fakes.renderer import Painter

RECIPE = Recipe(frames=4, width=64, height=64, keyframes=(Keyframe(prompt="a cat", seed=1), Keyframe(seed=2)))


def as_path(tmp_path: Path) -> Path:
    RECIPE.save(tmp_path / "morph.toml")
    return tmp_path / "morph.toml"


def as_json_path(tmp_path: Path) -> str:
    RECIPE.save(tmp_path / "morph.json")
    return str(tmp_path / "morph.json")


def as_job(tmp_path: Path) -> Path:
    render(RECIPE, tmp_path / "job", engine=Painter(), film=None)
    return tmp_path / "job"


@pytest.mark.parametrize(
    "given",
    [
        lambda folder: RECIPE,
        lambda folder: plan(RECIPE),
        as_path,
        as_json_path,
        as_job,
        lambda folder: RECIPE.to_toml(),
        lambda folder: RECIPE.to_json(),
    ],
    ids=["recipe", "schedule", "path", "json path", "job folder", "TOML text", "JSON text"],
)
def test_a_recipe_is_given_in_any_form(given: Any, tmp_path: Path) -> None:
    painter = Painter()
    outcome = render(given(tmp_path), tmp_path / "out", engine=painter, film=None)
    assert painter.rendered == [0, 1, 2, 3]
    assert (outcome.folder, outcome.frames, outcome.rendered) == (tmp_path / "out", 4, 4)
    assert outcome.remarks == ()
    assert read_any(outcome.folder).recipe == RECIPE


def test_a_schedule_of_another_tool_is_read_and_its_notes_are_remarks(tmp_path: Path) -> None:
    (tmp_path / "schedule.txt").write_text('"0": "spring", "24": "summer --neg snow", "47": "winter"', encoding="utf-8")
    with pytest.raises(RecipeError, match="frames"):
        render(tmp_path / "schedule.txt", tmp_path / "out", engine=Painter())
    settings = '{"max_frames": 4, "fps": 12, "W": 64, "H": 64, "prompts": {"0": "spring"}, "angle": "0:(1)"}'
    outcome = render(settings, tmp_path / "out", engine=Painter())
    assert outcome.frames == 4
    assert any("angle" in remark for remark in outcome.remarks)


@pytest.mark.parametrize("bad", [3, None, b"frames = 3", ["morph.toml"]])
def test_what_is_no_recipe_is_refused(bad: Any, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=rf"recipe: {type(bad).__name__} .* give a Recipe, a Schedule, the path"):
        render(bad, tmp_path, engine=Painter())


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"nothing\.toml: cannot be read"):
        render(tmp_path / "nothing.toml", tmp_path / "out", engine=Painter())


def test_a_picture_given_as_a_recipe_is_rendered_again_or_says_how_to_see_what_made_it(tmp_path: Path) -> None:
    import numpy as np

    save_picture(tmp_path / "draw1.png", np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(RecipeError, match=r"draw1\.png: is a picture, not a recipe\. .*: remix inspect \S*draw1\.png$"):
        render(tmp_path / "draw1.png", tmp_path / "out", engine=Painter())
    outcome = render(RECIPE, tmp_path / "out", engine=Painter())
    frame = outcome.folder / "frames" / "000000.png"
    for number, made in enumerate((frame, outcome.folder / "film.mp4")):
        again = render(made, tmp_path / f"again{number}", engine=Painter())
        assert again.schedule is not None
        assert outcome.schedule is not None
        assert again.schedule.frames == outcome.schedule.frames


def test_an_engine_in_the_place_of_the_folder_is_refused() -> None:
    with pytest.raises(BadInput, match=r"folder: Painter is not a path; write render\(recipe, "):
        render(RECIPE, Painter(), engine="local")  # type: ignore[arg-type]


def test_an_engine_is_opened_by_name_with_its_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = dict[str, Any]()
    painter = Painter()

    def made(**options: Any) -> Painter:
        asked.update(options)
        return painter

    monkeypatch.setattr("remix.client.comfyui.ComfyUI", made)
    render(RECIPE, tmp_path / "out", engine="comfyui", url="http://127.0.0.1:1", batch=3)
    assert asked == {"url": "http://127.0.0.1:1", "batch": 3}
    assert painter.rendered == [0, 1, 2, 3]
    with pytest.raises(BadInput, match="device: the comfyui engine does not take it"):
        render(RECIPE, tmp_path / "out", engine="comfyui", device="cpu")
    with pytest.raises(BadInput, match=r"url: goes with the name of an engine; pass it to Painter\(\.\.\.\)"):
        render(RECIPE, tmp_path / "out", engine=painter, url="http://127.0.0.1:1")
    with pytest.raises(BadInput, match="there is no 'comfy'"):
        render(RECIPE, tmp_path / "out", engine="comfy")


def test_the_local_engine_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    painter = Painter()
    monkeypatch.setattr("remix.client.local.Local", lambda: painter)
    render(RECIPE, tmp_path / "out")
    assert painter.rendered == [0, 1, 2, 3]


def test_remarks_are_in_the_outcome_and_in_the_log_with_their_folder(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    outcome = render(RECIPE, tmp_path / "out", engine=Painter(remarks=["prompt: 'stars' is not known"]))
    assert outcome.remarks == ("prompt: 'stars' is not known",)
    assert caplog.messages == [f"{tmp_path / 'out'}: prompt: 'stars' is not known"]
    heard = list[str]()
    again = render(RECIPE, tmp_path / "out", engine=Painter(remarks=["a remark"]), tell=heard.append)
    assert heard == list(again.remarks) == ["a remark"]
    assert len(caplog.messages) == 1


def test_it_can_be_awaited(tmp_path: Path) -> None:
    async def both() -> list[Any]:
        return await asyncio.gather(
            arender(RECIPE, tmp_path / "a", engine=Painter()), arender(RECIPE, tmp_path / "b", engine=Painter())
        )

    outcomes = asyncio.run(both())
    assert [outcome.rendered for outcome in outcomes] == [4, 4]
    assert [outcome.folder.name for outcome in outcomes] == ["a", "b"]


class Waiting(Painter):
    """Paints a frame and then waits until it is cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.ended = threading.Event(), threading.Event()

    def cancel(self) -> None:
        super().cancel()
        self.ended.set()

    def render(
        self, schedule: Schedule, frames: Sequence[int], inputs: Mapping[str, Picture], listen: Listener
    ) -> Iterator[Picture]:
        for picture in super().render(schedule, frames, inputs, listen):
            yield picture
            self.begun.set()
            self.ended.wait(20)


def test_cancelling_the_task_ends_the_run_and_keeps_what_is_finished(tmp_path: Path) -> None:
    engine, after = Waiting(), list[bool]()

    async def cancelled() -> None:
        task = asyncio.create_task(arender(RECIPE, tmp_path / "out", engine=engine))
        await asyncio.to_thread(engine.begun.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        after.append(engine.ended.is_set())

    asyncio.run(cancelled())
    assert after == [True]
    painter = Painter()
    outcome = render(RECIPE, tmp_path / "out", engine=painter)  # the folder is not locked any more
    assert outcome.frames - outcome.rendered == len(engine.rendered) > 0
    assert painter.rendered == [index for index in range(4) if index not in engine.rendered]


def test_a_failure_is_raised_from_an_awaited_render(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        asyncio.run(arender(RECIPE, tmp_path / "out", engine=Painter(stop_after=2)))
    with pytest.raises(Interrupted):
        asyncio.run(arender(RECIPE, tmp_path / "out", engine=Painter(), stop=lambda: True))
    events = list[Event]()
    asyncio.run(arender(RECIPE, tmp_path / "out", engine=Painter(), listen=events.append, film=None))
    assert events[-1] == Event("frames", 4, 4)


class Trained(Painter):
    """An engine whose model is made for small pictures."""

    def defaults(self, recipe: Recipe) -> Mapping[str, Any]:
        return {"width": 32, "height": 32, "sampler": "heun", "steps": 9, "cfg": 2.0}


def test_what_a_recipe_leaves_out_is_what_the_model_is_made_for(tmp_path: Path) -> None:
    asked = Recipe(frames=2, keyframes=(Keyframe(prompt="a cat"),), steps=20, cfg=7)
    made = recipe_of(render(asked, tmp_path / "out", engine=Trained(), film=None).folder)
    assert (made.width, made.height, made.sampler, made.steps, made.cfg) == (32, 32, "heun", 20, 7.0)
    engine = Trained()
    assert render(tmp_path / "out", tmp_path / "out", engine=engine, film=None).rendered == 0
    assert render(plan(asked), tmp_path / "exact", engine=engine, film=None).frames == 2
    assert recipe_of(tmp_path / "exact").width == Recipe.width  # a schedule is already planned


def test_a_job_that_was_begun_without_the_models_defaults_goes_on(tmp_path: Path) -> None:
    asked = Recipe(frames=2, keyframes=(Keyframe(prompt="a cat"),))
    render(asked, tmp_path / "out", engine=Painter(), film=None)
    engine = Trained()
    assert render(asked, tmp_path / "out", engine=engine, film=None).rendered == 0
    assert engine.rendered == []


def test_the_bundled_model_has_defaults_of_its_own() -> None:
    recipe = Recipe(frames=1, keyframes=(Keyframe(prompt="a red heart"),))
    engine = Local(device="cpu")
    assert engine.check(plan(recipe)) != []
    assert engine.check(plan(recipe.fitted_to(engine.defaults(recipe)))) == []


@pytest.mark.parametrize("family", [family for family in FAMILIES.values() if family.defaults])
def test_the_defaults_of_a_family_are_settings_of_a_recipe(family: Family) -> None:
    recipe = Recipe(frames=1, keyframes=(Keyframe(prompt="a cat"),))
    fitted = recipe.fitted_to(family.defaults)
    assert {name: getattr(fitted, name) for name in family.defaults} == family.defaults
    side = 128 if family.name == "playground" else 1024
    assert (fitted.width, fitted.height) == (side, side)
