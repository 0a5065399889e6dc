"""`remix inspect`: the recipe in a picture, film or job, as the command line shows it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from remix.motion import save_picture
from remix.plan import Keyframe, Mix, Model, Recipe
from tests.client.cli.running import RECIPE, run
from tests.fakes.renderer import Painter


def test_inspect_gives_the_recipe_back(
    recipe: Path, painter: Painter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("render", recipe, "-o", tmp_path / "job", "-q")
    for file in ("frames/000003.png", "film.mp4"):
        capsys.readouterr()
        assert run("inspect", tmp_path / "job" / file, "--recipe") == 0
        assert Recipe.from_toml(capsys.readouterr().out) == Recipe.load(recipe).replace(model=Model("paint"))
        assert run("inspect", tmp_path / "job" / file, "--recipe", "--json") == 0
        assert Recipe.from_json(capsys.readouterr().out) == Recipe.load(recipe).replace(model=Model("paint"))
        assert run("inspect", tmp_path / "job" / file) == 0
        assert "painter" in capsys.readouterr().out
        assert run("inspect", tmp_path / "job" / file, "--json") == 0
        assert json.loads(capsys.readouterr().out)["kind"] == "remix"


def test_what_a_recipe_holds_is_shown_and_not_obeyed(
    painter: Painter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompt = "a\x1b[2J\x9b2J \u202ec\u2066 日本\u3000é"
    Recipe(frames=1, keyframes=(Keyframe(prompt=prompt),)).save(tmp_path / "odd.toml")
    run("render", tmp_path / "odd.toml", "-o", tmp_path / "job", "--quiet")
    capsys.readouterr()
    picture = tmp_path / "job" / "frames" / "000000.png"
    for words in (
        ["plan", tmp_path / "odd.toml"],
        *(["inspect", picture, *more] for more in ([], ["--json"], ["--recipe"])),
    ):
        assert run(*words) == 0
        shown = capsys.readouterr().out
        assert not set(shown) & set("\x1b\x9b\u202e\u2066")
        assert "\\u001b[2J" in shown
        assert "\\u202ec" in shown
        assert "日本" in shown
    assert Recipe.from_toml(shown).keyframes[0].prompt == Mix.one(prompt)


def test_inspect_of_a_job_shows_its_recipe(
    recipe: Path, painter: Painter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("render", recipe, "-o", tmp_path / "job", "-q", "--no-film")
    capsys.readouterr()
    assert run("inspect", tmp_path / "job", "--recipe") == 0
    assert Recipe.from_toml(capsys.readouterr().out) == Recipe.load(recipe).replace(model=Model("paint"))
    assert run("inspect", tmp_path / "job") == 0
    assert "engine painter" in capsys.readouterr().out
    (tmp_path / "job" / "recipe.json").unlink()
    assert run("inspect", tmp_path / "job") == 2


@pytest.mark.parametrize(
    ("engine", "checkpoint", "notes"),
    [
        ({"engine": "local", "checkpoint": "playground"}, "playground", []),
        (
            {"engine": "a1111", "checkpoint": "both.safetensors"},
            "both.safetensors",
            ["# a1111 calls the checkpoint by this name; for the local engine, write the path of its file"],
        ),
        (
            {"engine": "comfyui", "model": "17", "file both.safetensors": "616f"},
            "playground",
            ["# comfyui rendered it with both.safetensors; write the checkpoint below [model]"],
        ),
        (
            {"engine": "a\nb = 9\x1b", "checkpoint": "b"},
            "b",
            ["# a b = 9\\u001b calls the checkpoint by this name; for the local engine, write the path of its file"],
        ),
        ("none", "playground", []),
    ],
)
def test_a_recipe_from_a_picture_names_the_checkpoint_that_made_it(
    engine: object, checkpoint: str, notes: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    about = {"recipe": Recipe.from_toml(RECIPE).to_dict(), "engine": engine}
    save_picture(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8), {"remix": json.dumps(about)})
    assert run("inspect", tmp_path / "a.png", "--recipe") == 0
    out = capsys.readouterr().out
    assert Recipe.from_toml(out) == Recipe.from_toml(RECIPE).replace(model=Model(checkpoint))
    assert [line for line in out.splitlines() if line.startswith("#")] == notes


def test_a_recipe_from_a_job_says_which_pictures_it_needs_and_where_they_are(
    recipe: Path, painter: Painter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.png", "m.png"):
        save_picture(tmp_path / name, np.zeros((16, 32, 3), np.uint8))
    recipe.write_text(RECIPE.replace('"a"', '"a"\nimage = "a.png"\nmask = "m.png"'), encoding="utf-8")
    run("render", recipe, "-o", tmp_path / "job", "-q", "--no-film")
    for file, place in (("", tmp_path / "job" / "inputs"), ("frames/000001.png", "the folder inputs of its job")):
        capsys.readouterr()
        assert run("inspect", tmp_path / "job" / file, "--recipe") == 0
        output = f"# copy its files next to this recipe, from {place}: a.png, m.png\n"
        assert output in capsys.readouterr().out


def test_labels_and_lines_of_what_made_a_picture_stay_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "a cat,\na dog\nSteps: 4, Sampler: Euler, Schedule type: Karras, Seed: 1, Size factor 1: Large"
    save_picture(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8), {"parameters": text})
    assert run("inspect", tmp_path / "a.png") == 0
    out = capsys.readouterr().out
    assert "Size factor 1 Large" in out
    assert "scheduler     Karras" in out
    assert "prompt        a cat,\n              a dog\n" in out


def test_inspect_of_a_plain_picture_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_picture(tmp_path / "plain.png", np.zeros((8, 8, 3), np.uint8))
    assert run("inspect", tmp_path / "plain.png") == 0
    assert run("inspect", tmp_path / "plain.png", "--recipe") == 2
    assert "contains no recipe" in capsys.readouterr().err


def test_a_picture_is_no_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "draw1.png"
    save_picture(picture, np.zeros((8, 8, 3), np.uint8))
    assert run("render", picture, "-o", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert error == f"remix: {picture}: is a picture, not a recipe. To see what made it: remix inspect {picture}\n"


@pytest.mark.parametrize(("prompt", "frames", "checkpoint"), [("a cat", 1, "wan"), ("a cat | a dog", 81, None)])
def test_a_wan_prompt_is_a_schedule_only_if_it_changes(
    prompt: str, frames: int, checkpoint: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kinds = {
        "1": ("WanVideoModelLoader", {"model": "wan"}),
        "2": ("WanVideoTextEncode", {"positive_prompt": prompt, "negative_prompt": "bad"}),
        "3": ("WanVideoSampler", {"model": ["1", 0], "text_embeds": ["2", 0], "seed": 5, "steps": 20, "cfg": 6.0}),
    }
    graph = {number: {"class_type": kind, "inputs": inputs} for number, (kind, inputs) in kinds.items()}
    save_picture(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8), {"prompt": json.dumps(graph)})
    length = [] if checkpoint else ["--frames", "81"]
    assert run("import", tmp_path / "a.png", *length) == 0
    recipe = Recipe.from_toml(capsys.readouterr().out)
    assert (recipe.frames, recipe.steps, recipe.keyframes[0].seed) == (frames, 20, Mix.one(5))
    assert recipe.model == (Model(checkpoint) if checkpoint else Model())
