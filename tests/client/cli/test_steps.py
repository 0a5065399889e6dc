"""`remix steps`: film, sheet and page of the bundled model's steps, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from remix.client.cli import main
from remix.client.local import Local
from remix.client.local.steps import steps_of
from remix.engine import Event
from remix.job import read_metadata
from remix.motion import load_picture
from remix.motion.reading import probe
from remix.plan import Keyframe, Recipe, plan
from tests.client.local.films import largest_difference


def test_the_steps_of_a_prompt_become_a_film_a_sheet_and_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["steps", "a red house", "-o", str(out), "--steps", "3", "--seed", "3"]
    assert main(words) == 0
    assert capsys.readouterr().out.split()[1::2] == [
        str(out / name) for name in ("steps.mp4", "steps.png", "steps.html")
    ]
    assert probe(out / "steps.mp4").frames == 4
    assert load_picture(out / "steps.png").shape[1] > 4 * 128
    for name in ("steps.mp4", "steps.png"):
        made = read_metadata(out / name).remix
        assert made is not None
        assert made["recipe"]["steps"] == 3
    assert "a red house" in (out / "steps.html").read_text(encoding="utf-8")
    assert main(words) == 2
    assert "--overwrite" in capsys.readouterr().err


def test_the_last_estimate_is_the_picture_and_the_noise_falls() -> None:
    engine = Local(device="cpu")
    recipe = Recipe(1, [Keyframe(prompt="a red house", seed=3)], width=128, height=128, sampler="heun", steps=3, cfg=3)
    schedule = plan(recipe)
    events = list[Event]()
    steps, picture = steps_of(engine, schedule, 0, {}, events.append)
    assert [(event.done, event.total) for event in events if event.stage == "steps"] == [(1, 3), (2, 3), (3, 3)]
    assert [step.done for step in steps] == [0, 0, 1, 1, 2]  # heun calls the model twice, but for the last step
    assert [step.level for step in steps] == sorted((step.level for step in steps), reverse=True)
    assert largest_difference(steps[-1].estimate, picture) <= 1
    assert all(step.guidance is not None for step in steps)
    [rendered] = engine.render(schedule, [0], {}, lambda event: None)
    assert largest_difference(picture, rendered) == 0
    plain, _ = steps_of(engine, plan(recipe.replace(cfg=1, steps=1)), 0, {})
    assert [(step.guidance, step.strength) for step in plain] == [(None, 0.0)]


def test_what_samples_nothing_and_what_is_no_recipe_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["steps", "missing.toml", "-o", str(tmp_path / "out")]) == 2
    assert "missing.toml" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--film", "steps.html"], "is the name of the sheet or the page"),
        (["--film", "steps.png"], "is the name of the sheet or the page"),
        (["--film", "steps.xyz"], "is not a film's suffix"),
        (["-o", "a file"], "a file: File exists; give another path"),
    ],
)
def test_outputs_are_refused_before_a_model_is_loaded(
    tmp_path: Path,
    options: list[str],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("remix.client.cli.steps.open_engine", None)
    (tmp_path / "a file").touch()
    assert main(["steps", "a red house", "-o", "out", *options]) == 2
    assert words in capsys.readouterr().err
