"""`remix render` and `remix morph`: what they print and write, and how they resume."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from remix.job import recipe_of
from remix.motion import load_picture, probe, save_picture
from remix.plan import Mix, Recipe, plan
from tests.client.cli.running import RECIPE, run
from tests.fakes.renderer import Painter


def test_render_makes_a_job_and_says_where(
    recipe: Path, painter: Painter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("render", recipe, "-o", tmp_path / "job", "--quiet") == 0
    out = capsys.readouterr().out
    assert str(tmp_path / "job" / "film.mp4") in out
    assert probe(tmp_path / "job" / "film.mp4").frames == 6
    assert run("render", recipe, "-o", tmp_path / "job", "--quiet") == 0
    assert "6 (6 were there already)" in capsys.readouterr().out
    assert painter.rendered == list(range(6))


def test_render_counts_inbetweens_apart_from_frames_that_were_there(
    recipe: Path, painter: Painter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("render", recipe, "-o", tmp_path / "job", "--budget", "0.5", "--quiet") == 0
    inbetweens = 6 - len(painter.rendered)
    assert inbetweens > 0
    assert f"6 ({inbetweens} in-betweens)" in capsys.readouterr().out
    assert run("render", recipe, "-o", tmp_path / "job", "--budget", "0.5", "--quiet") == 0
    assert f"6 ({inbetweens} in-betweens, {len(painter.rendered)} were there already)" in capsys.readouterr().out


def test_render_tells_what_there_is_as_json(
    recipe: Path, painter: Painter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = tmp_path / "job"
    assert run("render", recipe, "-o", job, "--json") == 0
    made = {"folder": str(job), "film": str(job / "film.mp4"), "sheet": str(job / "sheet.png"), "frames": 6}
    made["report"] = str(job / "report.html")
    assert json.loads(capsys.readouterr().out) == {**made, "rendered": 6, "remarks": []}
    assert run("render", job, "--json", "--no-film") == 0
    assert json.loads(capsys.readouterr().out) == {**made, "rendered": 0, "film": None, "remarks": []}


def test_several_recipes_share_an_engine_and_one_that_fails_stops_no_other(
    recipe: Path, painter: Painter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.toml").write_text(RECIPE.replace('"b"', '"c"'), encoding="utf-8")
    (tmp_path / "films" / "other").mkdir(parents=True)
    (tmp_path / "films" / "other" / "mine.txt").write_text("mine", encoding="utf-8")
    recipes, events = (tmp_path / "other.toml", recipe), tmp_path / "events.jsonl"
    assert run("render", *recipes, "-o", tmp_path / "films", "--json", "--events", events, "-q") == 2
    failed, done = map(json.loads, capsys.readouterr().out.splitlines())
    assert (done["folder"], done["frames"]) == (str(tmp_path / "films" / "recipe"), 6)
    assert failed["error"].endswith("is not empty and holds no job; give a new or empty folder")
    lines = [json.loads(line) for line in events.read_text(encoding="utf-8").splitlines()]
    assert [line["film"] for line in lines if line["event"] == "start"] == [0, 1]
    assert [line["event"] for line in lines if line["film"] == 0] == ["start", "error"]
    assert {"film": 1, "folder": done["folder"], "event": "frames", "done": 6, "total": 6} in lines
    assert run("render", tmp_path / "films" / "recipe", recipe, "-o", tmp_path / "films", "-q") == 2
    assert "its job folder is" in capsys.readouterr().err
    assert run("render", *recipes) == 2
    assert "say where to: remix render" in capsys.readouterr().err


def test_variants_are_rendered_into_folders_of_their_own_and_plan_shows_them(
    painter: Painter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wildcards").mkdir()
    (tmp_path / "wildcards" / "animals.txt").write_text("cat\ndog\nfrog\n", encoding="utf-8")
    recipe = tmp_path / "cats.toml"
    recipe.write_text(
        'frames = 2\nsize = [64, 64]\nvariants = "film"\nvariant = 3\n'
        '[[keyframes]]\nprompt = "a {red|green} __animals__"\n'
    )
    assert run("render", recipe, "--count", 4, "-o", tmp_path / "films", "--no-film", "-q") == 0
    folders = sorted((tmp_path / "films").iterdir())
    assert [folder.name for folder in folders] == ["0003", "0004", "0005", "0006"]
    prompts = [Recipe.load(folder / "recipe.json").keyframes[0].prompt.values[0] for folder in folders]
    assert len(set(prompts)) > 1
    assert all("{" not in prompt and "__" not in prompt for prompt in prompts)
    capsys.readouterr()
    assert run("plan", recipe) == 0
    assert prompts[0] in capsys.readouterr().out
    assert run("plan", recipe, "--variant", 6) == 0
    assert prompts[3] in capsys.readouterr().out
    recipe.write_text('frames = 2\n[[keyframes]]\nprompt = "a cat"\n')
    assert run("render", recipe, "--count", 4, "-o", tmp_path / "films", "-q") == 2
    assert "--count: 4 films would be alike" in capsys.readouterr().err


def test_several_films_say_which_one_is_rendered(
    recipe: Path, painter: Painter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.toml").write_text(RECIPE.replace('"b"', '"c"'), encoding="utf-8")
    assert run("render", recipe, tmp_path / "other.toml", "-o", tmp_path) == 0
    shown = capsys.readouterr()
    assert [line for line in shown.err.splitlines() if " of 2 " in line] == [
        f"1 of 2  {tmp_path / 'recipe'}",
        f"2 of 2  {tmp_path / 'other'}",
    ]
    assert f"film    {tmp_path / 'other' / 'film.mp4'}" in shown.out
    assert run("render", tmp_path / "recipe", tmp_path / "other", "-q") == 0  # job folders are resumed in place
    assert painter.rendered == [*range(6), *range(6)]


def test_options_stand_in_place_of_what_the_recipe_says(
    recipe: Path, painter: Painter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--seed", 7, "--steps", 5, "--cfg", 2.5, "--sampler", "heun", "--scheduler", "karras", "--size", "64x32")
    more = ("--prompt", "a cat", "--negative", "blur", "--checkpoint", "m.safetensors")
    assert run("render", recipe, "-o", tmp_path / "job", "-q", "--no-film", *words, *more) == 0
    made = recipe_of(tmp_path / "job")
    assert (made.steps, made.cfg, made.sampler, made.scheduler) == (5, 2.5, "heun", "karras")
    assert (made.width, made.height, made.model.checkpoint) == (64, 32, "m.safetensors")
    schedule = plan(made)
    assert {frame.prompt for frame in schedule} == {Mix.one("a cat")}
    assert {frame.negative for frame in schedule} == {Mix.one("blur")}
    assert {frame.seed for frame in schedule} == {Mix.one(7)}
    assert {frame.cfg for frame in schedule} == {2.5}
    assert run("plan", recipe, "--json", *words, *more) == 0
    assert capsys.readouterr().out.splitlines()[-1] == schedule.to_json()
    assert run("render", tmp_path / "job", "--seed", 8) == 2
    assert "--seed: " in capsys.readouterr().err


def test_a_job_folder_is_a_recipe_that_goes_on(recipe: Path, painter: Painter, tmp_path: Path) -> None:
    run("render", recipe, "-o", tmp_path / "job", "--quiet")
    (tmp_path / "job" / "frames" / "000001.png").unlink()
    assert run("render", tmp_path / "job", "--quiet") == 0
    assert painter.rendered == [0, 1, 2, 3, 4, 5, 1]


@pytest.mark.parametrize(
    "options",
    [("--frames", "9"), ("--fps", "3"), ("--size", "64x64"), ("--from", "toml"), ("--frames", "9", "--fps", "3")],
)
def test_what_a_job_folder_says_itself_cannot_be_asked_for_beside_it(
    options: tuple[str, ...], recipe: Path, painter: Painter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("render", recipe, "-o", tmp_path / "job", "--quiet")
    assert run("render", tmp_path / "job", "--quiet", *options) == 2
    sentence = (
        f"{', '.join(options[::2])}: {tmp_path / 'job'} is a job folder, whose recipe stays as it is; leave this out"
    )
    assert sentence in capsys.readouterr().err
    assert len(painter.rendered) == 6


def test_a_recipe_of_another_kind_is_2_and_new_takes_over(
    recipe: Path, painter: Painter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("render", recipe, "-o", tmp_path / "job", "--quiet")
    recipe.write_text(RECIPE.replace('"b"', '"c"'), encoding="utf-8")
    assert run("render", recipe, "-o", tmp_path / "job", "--quiet") == 2
    assert "1 of its 6 finished frames stay, 5 would be replaced; give another folder, or pass --new to replace" in (
        capsys.readouterr().err
    )
    assert run("render", recipe, "-o", tmp_path / "job", "--quiet", "--new") == 0
    assert painter.rendered == [*range(6), 1, 2, 3, 4, 5]


def test_another_rate_renders_nothing_and_needs_no_new(
    recipe: Path, painter: Painter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("render", recipe, "-o", tmp_path / "job", "--quiet")
    assert run("render", recipe, "-o", tmp_path / "job", "--quiet", "--fps", "30") == 0
    assert "6 (6 were there already)" in capsys.readouterr().out
    assert painter.rendered == list(range(6))
    assert probe(tmp_path / "job" / "film.mp4").fps == 30


@pytest.mark.parametrize(("loop", "shown"), [((), [0, 3, 6]), (("--loop",), [0, 2, 4])])
def test_pictures_morph_without_a_recipe(
    loop: tuple[str, ...], shown: list[int], painter: Painter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["a.png", "more/b.png", "c.png"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        save_picture(tmp_path / name, np.zeros((16, 32, 3), np.uint8))
    words = ("morph", *(tmp_path / name for name in names), "-o", tmp_path / "job", "--frames", 7 - len(loop), *loop)
    assert run(*words, "--size", "32x16", "--prompts", "a cat|b|c", "-q") == 0
    made = recipe_of(tmp_path / "job")
    frames = plan(made.replace(clock=None, pace="linear"))
    assert [frames[index].image for index in shown] == [Mix.one(name) for name in names]
    assert [frames[index].denoise for index in shown] == [0] * 3
    assert [load_picture(tmp_path / "job" / "frames" / f"{index:06d}.png").max() for index in shown] == [0] * 3
    assert capsys.readouterr().out.count("exactly") == 3
    assert max(frame.denoise for frame in frames) == 0.75
    assert [frames[index].prompt for index in shown] == [Mix.one(prompt) for prompt in ("a cat", "b", "c")]
    assert (made.loop, made.pace, made.width, made.height) == (bool(loop), "even", 32, 16)
    assert probe(tmp_path / "job" / "film.mp4").frames == len(frames)
    assert run("morph", tmp_path / "a.png", "-o", tmp_path / "job") == 2
    assert "is one picture; give two or more" in capsys.readouterr().err
    assert run(*words, "--prompts", "a|b") == 2
    assert "--prompts: 2 for 3 pictures" in capsys.readouterr().err


def test_film_formats_go_by_suffix(recipe: Path, painter: Painter, tmp_path: Path) -> None:
    assert run("render", recipe, "-o", tmp_path / "job", "-q", "--film", "loop.gif") == 0
    assert probe(tmp_path / "job" / "loop.gif").frames == 6
    assert run("render", recipe, "-o", tmp_path / "other", "-q", "--no-film") == 0
    assert not (tmp_path / "other" / "film.mp4").exists()


def test_interrupted_is_130_and_resumable(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engines = [Painter(stop_after=2), Painter()]
    monkeypatch.setattr("remix.client.cli.render.open_engine", lambda name, **options: engines[0])
    assert run("render", recipe, "-o", tmp_path / "job", "-q") == 130
    assert "4 of 6 frames left; run it again" in capsys.readouterr().err
    engines.pop(0)
    assert run("render", recipe, "-o", tmp_path / "job", "-q") == 0
    assert engines[0].rendered == [2, 3, 4, 5]


def test_stopped_without_a_word_it_says_how_to_go_on(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = Painter(fail_at=1, failure=KeyboardInterrupt())
    monkeypatch.setattr("remix.client.cli.render.open_engine", lambda name, **options: engine)
    assert run("render", recipe, "-o", tmp_path / "job", "-q") == 130
    assert capsys.readouterr().err.splitlines()[-1] == "remix: stopped; run the same command again to continue"


def test_an_error_before_the_first_frame_leaves_no_empty_bar(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("render", recipe, "-o", recipe, "--device", "cpu") == 2
    assert capsys.readouterr().err.splitlines() == [f"remix: {recipe}: is a file; give a new or empty folder"]
