"""The `remix` command as a user types it: what it prints, what it leaves, and its exit codes."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix.client import cli
from remix.engine import Engine
from remix.job import read_metadata, recipe_of
from remix.motion import load_picture, probe, save_picture
from remix.plan import Keyframe, Mix, Model, Recipe, plan
from tests.fakes.renderer import Painter

RECIPE = """\
frames = 6
size = [32, 16]
[[keyframes]]
at = 0
prompt = "a"
[[keyframes]]
at = 5
prompt = "b"
"""

Run = Callable[..., int]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


@pytest.fixture
def painter(monkeypatch: pytest.MonkeyPatch) -> Painter:
    """The engine that `render` opens, whatever its name."""
    engine = Painter()

    def opened(name: str, **options: object) -> Engine:
        return engine

    monkeypatch.setattr("remix.client.cli.render.open_engine", opened)
    return engine


def run(*words: object) -> int:
    return cli.main([str(word) for word in words])


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


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["render", "no.toml", "-o", "x"], "no.toml"),
        (["render", "bad.toml", "-o", "x"], 'bad.toml:1:1: frame: there is no such field; did you mean "frames"?'),
        (["render", "recipe.toml"], "say where to: remix render recipe.toml -o FOLDER"),
        (["render", "recipe.toml", "-o", "x", "--engine", "locl"], "engine: there is no 'locl'; did you mean 'local'?"),
        (["render", "recipe.toml", "-o", "x", "--batch", "0"], "--batch"),
        (["render", "recipe.toml", "-o", "x", "--engine", "local", "--url", "http://x"], "url: the local engine does"),
        (["render", "recipe.toml", "-o", "x", "--engine", "comfyui", "--device", "cpu"], "device: the comfyui engine"),
        (["render", "."], "holds no job"),
        (["render", "recipe.toml", "-o", "x", "--frames", "²"], "frames: '²' is not a length; write frames (48) or a"),
        (["render", "recipe.toml", "-o", "x", "--frames", "9" * 5_000], "is not a length; write frames (48) or a time"),
        (["import", "bad.toml", "--number", "pw_a=1", "--frames", "²"], "frames: '²' is not a length; write frames"),
        (["plan", "bad.toml"], 'did you mean "frames"?'),
        (["video", "nowhere", "-o", "film.mp4"], "nowhere: is not a folder"),
        (["video", "pictures", "-o", "pictures", "--format", "png"], "pictures: the film is made of this, and"),
        (["video", "pictures", "-o", "pictures/a.png", "--overwrite"], "a.png: the film is made of this, and would"),
        (["video", "pictures", "-o", "bad.mp4", "--audio", "bad.mp4"], "bad.mp4: the film is made of this"),
        (["video", "pictures", "-o", "bad.toml", "--format", "mp4"], "bad.toml: already exists; give another name"),
        (["plan", "recipe.toml", "--plot", "pictures/a.png"], "a.png: already exists; give another name, or pass --ov"),
        (["plan", "recipe.toml", "--plot", "no/a.png"], "no"),
        (["import", "recipe.toml", "-o", "no/a.toml"], "no/a.toml: there is no folder no; make it"),
        (["export", "recipe.toml", "--to", "toml", "-o", "no/a.toml"], "no/a.toml: there is no folder no; make it"),
        (["export", "recipe.toml", "--to", "toml", "-o", "bad.toml"], "bad.toml: already exists; give another"),
        (["inspect", "recipe.toml"], "recipe.toml: is not a readable picture or film; give a PNG"),
        (["video", "empty", "-o", "film.mp4"], "empty: holds no pictures"),
        (["new", "recipe.toml"], "recipe.toml: already exists"),
        (["inspect", "nowhere.png"], "nowhere.png"),
        (["dance"], "there is no verb 'dance'; known: demo, new"),
        (["paln", "recipe.toml"], "there is no verb 'paln'; did you mean \"plan\"?"),
        (["new", "mine.json"], "mine.json: is not a TOML file, and only TOML has comments; call it mine.t"),
        (["new", "empty"], "call it empty/recipe.toml"),
        (["plan", "recipe.toml", "--plot", "curves.jpg"], "curves.jpg is not a PNG file; call it curves.png"),
        (["render", "recipe.toml", "-o", "bad.toml"], "bad.toml: is a file; give a new or empty folder"),
        (["render", "recipe.toml", "-o", "x", "--precision", "half"], "--precision"),
        (["render", "recipe.toml", "-o", "x", "--film", "../x.mp4"], "film: '../x.mp4'; give the name of a file in"),
        (["render", "recipe.toml", "-o", "x", "--film", "x.avi"], "x.avi: '.avi' is not a film's suffix"),
        (["render", "recipe.toml", "--ou"], "No such option"),
        (
            ["plan", "below.toml"],
            'below.toml:2:1: keyframes[0].frames: belongs to the whole recipe; write "frames"',
        ),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    words: list[str], sentence: str, recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(recipe.parent)
    Path("bad.toml").write_text(RECIPE.replace("frames", "frame"), encoding="utf-8")
    Path("below.toml").write_text("[[keyframes]]\nframes = 6\n", encoding="utf-8")
    Path("empty").mkdir()
    Path("pictures").mkdir()
    save_picture("pictures/a.png", np.zeros((16, 16, 3), np.uint8))
    assert run(*words) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert "Traceback" not in error


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


def test_plan_prints_a_table_of_the_frames(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("plan", recipe) == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[0].split() == ["frame", "time", "prompt", "seed", "cfg"]
    assert rows[1].split()[:3] == ["0", "0.00s", "a"]
    assert "0.600 a + 0.400 b" in rows[3]
    assert len(rows) == 7


def test_plan_shows_every_keyframe_of_a_long_film(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "long.toml"
    path.write_text(RECIPE.replace("frames = 6", "frames = 500"), encoding="utf-8")
    assert run("plan", path) == 0
    shown = capsys.readouterr()
    assert {"0", "5", "499"} <= {row.split()[0] for row in shown.out.splitlines()}
    assert "of 500 frames (--all shows every one)" in shown.err
    assert run("plan", path, "--all") == 0
    assert len(capsys.readouterr().out.splitlines()) == 501


def terminal_lines(text: str) -> list[str]:
    """What a terminal shows: the lines without the marks for bold letters."""
    return [line.rstrip() for line in re.sub(r"\x1b\[[\d;]*m", "", text).splitlines()]


def test_plan_gives_letters_to_prompts_that_do_not_fit_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And numbers stay whole, however narrow it is."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    largest = 2**64 - 1
    story = " ".join(f"word{k}" for k in range(40))
    path = tmp_path / "long.toml"
    first = f'prompt = "{story}"\nseed = {largest}\nnegative = "a blur"\n'
    mixed = f"seed = {{ {largest - 1} = 1, {largest - 2} = 3 }}"
    path.write_text(f'frames = 5\n[[keyframes]]\n{first}[[keyframes]]\nprompt = "b"\n{mixed}\n', encoding="utf-8")
    assert run("plan", path) == 0
    lines = terminal_lines(capsys.readouterr().out)
    assert all(len(line) <= 80 for line in lines)
    legend, table = lines[: lines.index("")], lines[lines.index("") + 1 :]
    assert " ".join(" ".join(legend).split()) == f"A {story} B b C a blur"
    assert table[0].split() == ["frame", "time", "prompt", "seed", "negative", "cfg"]
    assert table[1].split() == ["0", "0.00s", "A", str(largest), "C", "3"]
    assert sum("0.750 A + 0.250 B" in line for line in table) == 1
    words = " ".join(table).split()
    assert {str(largest), str(largest - 1), str(largest - 2)} <= set(words)
    assert not any("…" in word or "word1" in word for word in words)


def test_plan_writes_prompts_that_fit_as_they_are(
    recipe: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    assert run("plan", recipe) == 0
    assert terminal_lines(capsys.readouterr().out)[0].split() == ["frame", "time", "prompt", "seed", "cfg"]


def test_plan_tells_a_picture_that_meets_denoise_1(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_picture(recipe.with_name("a.png"), np.zeros((8, 8, 3), np.uint8))
    for denoise, remarked in ((None, False), (1, True)):
        Recipe(4, (Keyframe(image="a.png", denoise=denoise),)).save(recipe)
        assert run("plan", recipe) == 0
        out, err = capsys.readouterr()
        assert ("image: frames 0 to 3 have denoise 1" in err) == remarked
        assert ("denoise" in out) != remarked  # a column only where it says something


def test_plan_names_a_cfg_that_is_ignored(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Recipe.load(recipe).replace(cfg=3.5).save(recipe)
    assert run("plan", recipe) == 0
    assert "is ignored" not in capsys.readouterr().err
    Recipe(4, (Keyframe(prompt="a"), Keyframe(cfg=5)), cfg=3.5).save(recipe)
    assert run("plan", recipe) == 0
    assert "cfg: 3.5 above the keyframes is ignored" in capsys.readouterr().err


def test_plan_json_is_the_schedule(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("plan", recipe, "--json", "--engine", "comfyui") == 0
    assert capsys.readouterr().out == plan(Recipe.load(recipe)).to_json() + "\n"
    assert run("plan", recipe, "--json") == 0
    own = {"sampler": "dpmpp_2m", "scheduler": "sgm_uniform", "steps": 12, "cfg": 3}
    assert capsys.readouterr().out == plan(Recipe.load(recipe).replace(**own)).to_json() + "\n"


def test_plan_plot_draws_the_curves(recipe: Path, tmp_path: Path) -> None:
    assert run("plan", recipe, "--plot", tmp_path / "curves.png") == 0
    drawn = load_picture(tmp_path / "curves.png")
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 3


def test_what_is_there_is_written_over_when_asked(recipe: Path, tmp_path: Path) -> None:
    save_picture(tmp_path / "curves.png", np.zeros((8, 8, 3), np.uint8))
    assert run("plan", recipe, "--plot", tmp_path / "curves.png") == 2
    assert load_picture(tmp_path / "curves.png").shape == (8, 8, 3)
    assert run("plan", recipe, "--plot", tmp_path / "curves.png", "--overwrite") == 0
    assert load_picture(tmp_path / "curves.png").shape != (8, 8, 3)


@pytest.mark.parametrize(
    ("verb", "options", "name"),
    [("export", ("--to", "fizznodes"), "out.txt"), ("import", ("--frames", "6"), "out.toml")],
)
def test_what_was_there_stays_whole_when_the_disk_is_full(
    verb: str,
    options: tuple[str, ...],
    name: str,
    recipe: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    schedule, out = tmp_path / "schedule.txt", tmp_path / name
    schedule.write_text('"0": "a", "5": "b"', encoding="utf-8")
    out.write_text("mine", encoding="utf-8")

    def full(path: Path, *given: Any, **options: Any) -> None:
        with open(path, "wb") as file:
            file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_text", full)
    monkeypatch.setattr(Path, "write_bytes", full)
    source = recipe if verb == "export" else schedule
    assert run(verb, source, *options, "-o", out, "--overwrite") == 1
    assert "No space left on device" in capsys.readouterr().err
    assert out.read_bytes() == b"mine"


def test_plan_plot_of_a_thousand_prompts_is_still_a_picture(tmp_path: Path) -> None:
    keyframes = "".join(f'[[keyframes]]\nprompt = "prompt {k} \u65e5"\n' for k in range(1000))
    (tmp_path / "many.toml").write_text(f"frames = 1000\n{keyframes}", encoding="utf-8")
    assert run("plan", tmp_path / "many.toml", "--plot", tmp_path / "curves.png") == 0
    assert load_picture(tmp_path / "curves.png").shape[0] < 1000


def test_plan_shows_masks_and_loras_that_travel(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "all.toml"
    lines = ['prompt = "a"\nimage = "a.png"\nmask = "m.png"\nloras = {x = 0}', 'mask = "n.png"\nloras = {x = 1}']
    path.write_text("frames = 3\n" + "".join(f"[[keyframes]]\n{line}\n" for line in lines), encoding="utf-8")
    assert run("plan", path, "--plot", tmp_path / "curves.png", "--all") == 0
    rows = capsys.readouterr().out.splitlines()
    assert {"image", "mask", "loras"} <= set(rows[0].split())
    assert "0.500 m.png + 0.500 n.png" in rows[2]
    assert "0.5 x" in rows[2]
    assert load_picture(tmp_path / "curves.png").shape[0] > 250


def test_plan_notes_pictures_that_are_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "r.toml"
    path.write_text('frames = 2\n[[keyframes]]\nimage = "sum.png"\nmask = "x/m.png"\n', encoding="utf-8")
    save_picture(tmp_path / "sun.png", np.zeros((8, 8, 3), np.uint8))
    assert run("plan", path) == 0
    assert capsys.readouterr().err.splitlines() == [
        f"note    'sum.png' is not a file in {tmp_path}; did you mean 'sun.png'?",
        f"note    'x/m.png' is not a file in {tmp_path}; put the picture there, or correct its name",
    ]


def test_new_writes_a_recipe_that_plans(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("new", tmp_path / "mine.toml") == 0
    assert run("plan", tmp_path / "mine.toml") == 0
    assert len(plan(Recipe.load(tmp_path / "mine.toml"))) == 48


def test_video_makes_a_film_of_a_folder_in_natural_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in (10, 9, 1, 2):
        save_picture(tmp_path / f"{number}.png", np.full((16, 16, 3), number * 20, np.uint8))
    assert run("video", tmp_path, "-o", tmp_path / "film.gif", "--fps", 5, "-q") == 0
    assert "4 frames 16x16 5 fps" in capsys.readouterr().out
    assert run("video", tmp_path, "-o", tmp_path / "film.mp4", "--ping-pong", "--repeat", 2, "-q") == 0
    assert probe(tmp_path / "film.mp4").frames == 12


def test_video_takes_a_job(recipe: Path, painter: Painter, tmp_path: Path) -> None:
    run("render", recipe, "-o", tmp_path / "job", "-q")
    assert run("video", tmp_path / "job", "-o", tmp_path / "film.webm", "-q") == 0
    assert probe(tmp_path / "film.webm").frames == 6
    recipe.write_text(RECIPE.replace("frames = 6", "frames = 6\nfps = 7.5"), encoding="utf-8")
    run("render", recipe, "-o", tmp_path / "slow", "-q", "--no-film")
    assert run("video", tmp_path / "slow", "-o", tmp_path / "slow.mp4", "-q") == 0
    assert probe(tmp_path / "slow.mp4").fps == 7.5


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


def test_plan_and_export_take_a_job_and_import_says_how_to(
    recipe: Path, painter: Painter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_picture(tmp_path / "a.png", np.zeros((16, 32, 3), np.uint8))
    recipe.write_text(RECIPE.replace('"a"', '"a"\nimage = "a.png"'), encoding="utf-8")
    job = tmp_path / "job"
    run("render", recipe, "-o", job, "-q")
    (tmp_path / "a.png").unlink()
    capsys.readouterr()
    assert run("plan", job, "--json") == 0
    assert capsys.readouterr() == (plan(Recipe.load(recipe)).to_json() + "\n", "")
    assert run("export", job, "--to", "toml") == 0
    assert Recipe.from_toml(capsys.readouterr().out) == Recipe.load(recipe)
    assert run("import", job) == 2
    assert f"for a job's recipe: remix inspect {job} --recipe" in capsys.readouterr().err
    for made, kind in ((job / "film.mp4", "film"), (job / "frames" / "000001.png", "picture")):
        assert run("plan", made) == 2
        output = capsys.readouterr().err
        assert f"{made}: is a {kind}, not a recipe" in output
        assert f"remix inspect {made} --recipe > recipe.toml" in output


def test_a_film_of_a_job_still_says_what_made_it(
    recipe: Path, painter: Painter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("render", recipe, "-o", tmp_path / "job", "-q")
    assert run("video", tmp_path / "job", "-o", tmp_path / "film.webm", "-q", "--fps", "24000/1001") == 0
    assert "6 frames 32x16 24000/1001 fps" in capsys.readouterr().out
    assert read_metadata(tmp_path / "film.webm").remix == read_metadata(tmp_path / "job" / "film.mp4").remix


def test_a_film_of_another_tools_pictures_says_what_made_them(tmp_path: Path) -> None:
    texts = {"parameters": "a cat\nSteps: 4, Sampler: Euler, Seed: 1", "prompt": '{"1": {"class_type": "A"}}', "x": "y"}
    save_picture(tmp_path / "1.png", np.zeros((16, 16, 3), np.uint8), texts)
    assert run("video", tmp_path, "-o", tmp_path / "film.mp4", "-q") == 0
    found = dict(read_metadata(tmp_path / "film.mp4").texts)
    credits = json.loads(found.pop("credits"))
    assert found == {k: v for k, v in texts.items() if k != "x"}
    assert ["made with", "A1111"] in credits["credits"]
    assert [source["name"] for source in credits["sources"]] == ["1.png"]


def test_shown_weights_sum_to_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "thirds.toml"
    path.write_text("frames = 1\n[[keyframes]]\nprompt = {a = 1, b = 1, c = 1, d = 4}\n", encoding="utf-8")
    assert run("plan", path) == 0
    assert "0.143 a + 0.143 b + 0.143 c + 0.571 d" in capsys.readouterr().out


def test_an_error_before_the_first_frame_leaves_no_empty_bar(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("render", recipe, "-o", recipe, "--device", "cpu") == 2
    assert capsys.readouterr().err.splitlines() == [f"remix: {recipe}: is a file; give a new or empty folder"]


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


def test_doctor_names_versions_encoders_and_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("doctor") == 0
    out = capsys.readouterr().out
    for word in ("python", "torch", "diffusers", "ffmpeg", "playground", "threads"):
        assert word in out


def test_doctor_says_how_to_install_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from importlib.metadata import PackageNotFoundError, version

    def without(lacking: str) -> None:
        def found(name: str) -> str:
            if name == lacking:
                raise PackageNotFoundError(name)
            return version(name)

        monkeypatch.setattr("remix.client.cli.doctor.version", found)

    monkeypatch.setattr("remix.client.cli.doctor._encoders", list)
    without("diffusers")
    assert run("doctor") == 1
    assert 'to fix: pip install -c constraints.txt ".[local]"' in capsys.readouterr().out
    without("imageio-ffmpeg")
    assert run("doctor") == 1
    assert 'to fix: pip install -c constraints.txt "."' in capsys.readouterr().out
    without("imageio")  # which nothing here imports
    assert run("doctor") == 0


def test_a_missing_package_names_the_install_command(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in [name for name in sys.modules if name.startswith(("remix.client.local", "remix.mix"))]:
        monkeypatch.delitem(sys.modules, name)
    assert run("render", recipe, "-o", tmp_path / "job", "-q") == 1
    assert "the local engine needs torch, which is not installed; run: pip install" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("completion", shell) == 0
    assert "_REMIX_COMPLETE" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "found_there"),
    [
        ("remix re", "render"),
        ("remix render r.toml --engine com", "comfyui"),
        ("remix export r.toml --to deforum-v", "deforum-values"),
        ("remix plan r.txt --from fiz", "fizznodes"),
    ],
)
def test_completion_completes(words: str, found_there: str) -> None:
    number = str(len(words.split()) - 1)
    environment = {**os.environ, "_REMIX_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": number}
    code = "import sys; from remix.client.cli import main; sys.exit(main())"
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert found_there in found.stdout


def test_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    out = capsys.readouterr().out
    assert all(verb in out for verb in cli.VERBS)
    for verb in cli.VERBS:
        assert run(verb, "--help") == 0


def test_help_says_where_servers_are_looked_for(capsys: pytest.CaptureFixture[str]) -> None:
    from remix.client.a1111.engine import URL as A1111_URL
    from remix.client.comfyui.engine import URL as COMFYUI_URL

    assert run("render", "--help") == 0
    out = " ".join(capsys.readouterr().out.split())
    assert f"comfyui {COMFYUI_URL}, a1111 {A1111_URL}]" in out


@pytest.mark.parametrize("module", ["remix", "remix.client"])
def test_python_m_is_the_same_command(module: str) -> None:
    found = subprocess.run([sys.executable, "-m", module, "--version"], capture_output=True, text=True)
    assert found.returncode == 0
    assert found.stdout.startswith("remix, version")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("demo", "--seed", 3), "No such option '--seed'.\n"),
        (("compare", "x.toml", "--seed", 3), "No such option '--seed'.\n"),  # --insecure shares most of its letters
        (("render", "x.toml", "--sed", 3), "No such option '--sed'. Did you mean '--seed'?\n"),
    ],
)
def test_only_similar_options_are_suggested(
    words: tuple[object, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words) == 2
    assert capsys.readouterr().err.endswith(message)


def test_doctor_prints_its_findings_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    code = run("doctor", "--json")
    findings = json.loads(capsys.readouterr().out)
    assert {"remix-toolkit", "python", "numpy", "ffmpeg", "playground"} <= {each["what"] for each in findings}
    assert {each["state"] for each in findings} <= {"ok", "missing", "differs"}
    assert all(each["fix"] for each in findings if each["state"] != "ok")
    assert code == (1 if any(each["state"] == "missing" for each in findings) else 0)


def test_a_picture_is_no_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "draw1.png"
    save_picture(picture, np.zeros((8, 8, 3), np.uint8))
    assert run("render", picture, "-o", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert error == f"remix: {picture}: is a picture, not a recipe. To see what made it: remix inspect {picture}\n"


def test_plan_names_words_that_the_bundled_model_does_not_know(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "stars.toml"
    path.write_text('frames = 2\n[[keyframes]]\nprompt = "yellow stars"\n', encoding="utf-8")
    assert run("plan", path) == 0
    assert "note    prompt: the playground model does not know stars (nearest: star)" in capsys.readouterr().err
    assert run("plan", path, "--engine", "comfyui") == 0
    assert run("plan", path, "--checkpoint", "sd15.safetensors") == 0
    assert "does not know" not in capsys.readouterr().err
