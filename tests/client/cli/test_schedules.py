"""Schedules of other tools on the command line: `import`, `export`, and where a recipe is asked for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from remix.client import cli
from remix.engine import Engine
from remix.motion import save_picture
from remix.plan import Mix, Recipe, plan
from tests.fakes.renderer import Painter

FIZZ = '"0": "a --neg x",\n"max_f-1": "b"\n'


@pytest.fixture
def schedule(tmp_path: Path) -> Path:
    path = tmp_path / "travel.txt"
    path.write_text(FIZZ, encoding="utf-8")
    return path


def run(*words: object) -> int:
    return cli.main([str(word) for word in words])


def test_import_writes_a_recipe(schedule: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "recipe.toml"
    assert run("import", schedule, "-o", out, "--frames", "2s", "--fps", 4, "--size", "64x32") == 0
    recipe = Recipe.load(out)
    assert (recipe.frames, recipe.fps, recipe.width, recipe.height) == (8, 4, 64, 32)
    assert recipe.positions() == (0, 7)
    assert "8 frames, 2 keyframes" in capsys.readouterr().out
    assert run("import", schedule, "-o", out, "--frames", 8) == 2
    assert "already exists; give another name" in capsys.readouterr().err


def test_import_prints_a_recipe_and_says_what_it_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "settings.txt"
    path.write_text('{"prompts": {"0": "a"}, "max_frames": 9, "zoom": "0:(1)"}', encoding="utf-8")
    assert run("import", path) == 0
    shown = capsys.readouterr()
    assert Recipe.from_toml(shown.out).frames == 9
    assert "note    every frame is rendered on its own here, so these are left out: zoom" in shown.err


def test_import_takes_what_a_text_leaves_open(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "stages.txt"
    path.write_text("a `pw_a`\nb\n", encoding="utf-8")
    options = ("--spacing", "2,3", "--loop", "--before", "big", "--from", "prompt-travel")
    assert run("import", path, *options[:3], *options[3:]) == 2
    assert "2 numbers for 1 gaps between stages" in capsys.readouterr().err
    assert run("import", path, "--spacing", "4", "--loop", "--before", "big") == 0
    recipe = Recipe.from_toml(capsys.readouterr().out)
    assert (recipe.loop, recipe.frames, recipe.keyframes[1].prompt) == (True, 8, plan(recipe)[4].prompt)
    path.write_text('{"0": "a `pw_a`"}', encoding="utf-8")
    assert run("import", path, "--frames", 3, "--number", "pw_a=0:(0), 2:(1)") == 0
    assert [frame.prompt.values for frame in plan(Recipe.from_toml(capsys.readouterr().out))] == [
        ("a 0",),
        ("a 0.5",),
        ("a 1",),
    ]
    path.write_text("0:(s)", encoding="utf-8")
    assert run("import", path, "--frames", 3, "--field", "seed", "--seed", 7) == 0
    assert plan(Recipe.from_toml(capsys.readouterr().out))[2].seed.values == (7,)


@pytest.mark.parametrize("field", ["denoise", "strength"])
def test_import_takes_the_picture_that_denoise_needs(
    field: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("values.txt").write_text("0:(0.65), 8:(0.25)", encoding="utf-8")
    Path("pictures").mkdir()
    Image.new("RGB", (8, 8)).save("pictures/init.png")
    words = ("import", "values.txt", "--frames", 9, "--field", field)
    assert run(*words) == 2
    assert "keeps part of a picture, but no keyframe sets one" in capsys.readouterr().err
    assert run(*words, "--image", "pictures/no.png") == 2
    assert "--image: there is no picture" in capsys.readouterr().err
    assert run(*words, "--image", "pictures/init.png", "-o", "r.toml") == 0
    recipe = Recipe.load(Path("r.toml"))
    assert plan(recipe)[8].denoise == (0.25 if field == "denoise" else 0.75)
    assert plan(recipe)[8].image == Mix.one("pictures/init.png")
    assert run("plan", "r.toml") == 0
    assert "is missing" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["import", "travel.txt"], "travel.txt:2:2: max_f is known only when the number of frames is; give frames"),
        (["import", "open.txt"], "open.txt: frames: the schedule does not say how many frames there are; give frames"),
        (["import", "no.txt"], "no.txt: cannot be read"),
        (["import", "travel.txt", "--frames", "many"], "'many' is not a length"),
        (["import", "travel.txt", "--frames", "8", "--from", "fizz"], "there is no syntax 'fizz'"),
        (["import", "travel.txt", "--frames", "8", "--spacing", "x"], "--spacing: 'x' is not a number of frames"),
        (["import", "travel.txt", "--frames", "8", "--number", "x"], "--number: 'x' has no name and value"),
        (["import", "travel.txt", "--frames", "8", "--number", "x=("], "--number x:1:"),
        (["import", "travel.txt", "--frames", "8", "-o", "out.yaml"], "'.yaml' is not a suffix of recipes"),
        (["export", "own.toml", "--to", "fizz"], "there is no syntax 'fizz' to write; did you mean \"fizznodes\"?"),
        (["export", "own.toml", "--to", "parseq"], "parseq can be read but not written"),
        (["export", "own.toml", "--to", "fizznodes", "-o", "open.txt"], "open.txt: already exists"),
        (["plan", "own.toml", "--size", "7x7"], "7 is outside 8 to 8192"),
        (["plan", "r.yaml"], "r.yaml: recipes are not written in YAML; write it as TOML or JSON"),
        (["plan", "r.yml", "--frames", "12"], "r.yml: recipes are not written in YAML"),
        (["plan", "r.txt", "--frames", "12"], "r.txt:1:1: recipes are not written in YAML"),
        (["plan", "own.toml", "--from", "fizz"], "remix: there is no syntax 'fizz'; did you mean \"fizznodes\"?"),
        (["plan", "zoom.txt", "--frames", "9"], "zoom.txt:1:1: these numbers may set any field"),
        (["import", "zoom.txt", "--frames", "9"], "zoom.txt:1:1: these numbers may set any field"),
        (
            ["plan", "keys.txt", "--frames", "9"],
            "keys.txt:2:1: '[0-5] a' looks like a key in a form that is not supported",
        ),
        (["plan", "plain.txt"], "plain.txt:1:1: this is one line of plain text"),
        (["import", "open.txt", "--frames", "9", "--field", "cfg"], "this text was read as fizznodes"),
    ],
)
def test_bad_input_is_told_and_is_exit_code_2(
    words: list[str], sentence: str, schedule: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(schedule.parent)
    Path("open.txt").write_text('"0": "a", "9": "b"', encoding="utf-8")
    Path("zoom.txt").write_text("0:(1.02), 30:(1.00+0.02*sin(t/10))", encoding="utf-8")
    Path("keys.txt").write_text("head\n[0-5] a", encoding="utf-8")
    Path("plain.txt").write_text("a cat", encoding="utf-8")
    for name in ("r.yaml", "r.yml", "r.txt"):
        Path(name).write_text("frames: 12\nkeyframes:\n- at: 0\n  prompt: a\n", encoding="utf-8")
    Path("own.toml").write_text('frames = 4\n[[keyframes]]\nprompt = "a"', encoding="utf-8")
    assert run(*words) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert "Traceback" not in error


def test_an_error_shows_its_line_with_a_caret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.txt"
    path.write_text('"0": "a",\n"2": "b `sqrt(q)`"\n', encoding="utf-8")
    assert run("plan", path, "--frames", 4) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith("bad.txt:2:15: there is no number named 'q'; known: t, max_f, s, pi, tau, e")
    assert lines[1:] == ['"2": "b `sqrt(q)`"', "              ^"]


def test_export_writes_the_text_and_says_what_is_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "own.toml"
    own.write_text('frames = 4\nsteps = 9\n[[keyframes]]\nprompt = "a"\n[[keyframes]]\nprompt = "b"', encoding="utf-8")
    assert run("export", own, "--to", "fizznodes") == 0
    shown = capsys.readouterr()
    assert shown.out == '"0": "a",\n"3": "b"\n'
    assert shown.err == "lost    the text has no place for: steps\n"
    assert run("export", own, "--to", "deforum-values", "--field", "cfg", "-o", tmp_path / "cfg.txt") == 0
    assert (tmp_path / "cfg.txt").read_text("utf-8") == "0:(7)\n"


def test_plan_and_render_take_a_schedule(
    schedule: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = Painter()

    def opened(name: str, **options: object) -> Engine:
        return engine

    monkeypatch.setattr("remix.client.cli.render.open_engine", opened)
    assert run("plan", schedule, "--frames", 5, "--json") == 0
    planned = json.loads(capsys.readouterr().out)
    assert [len(frame["prompt"]) for frame in planned["frames"]] == [1, 2, 2, 2, 1]
    assert run("render", schedule, "--frames", 5, "--size", "32x16", "-o", tmp_path / "job", "-q", "--no-film") == 0
    assert engine.rendered == list(range(5))
    assert run("render", tmp_path / "job", "-q", "--no-film") == 0


def test_every_verb_says_which_syntax_it_took(
    schedule: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("remix.client.cli.render.open_engine", lambda name, **options: Painter())
    output = "syntax  fizznodes: FizzNodes' prompt schedule\n"
    job, both = tmp_path / "job", tmp_path / "both"
    for words in (
        ("plan", schedule),
        ("plan", schedule, "--json"),
        ("plan", schedule, "--plot", tmp_path / "curves.png"),
        ("import", schedule),
        ("export", schedule, "--to", "sd-webui-animatediff"),
        ("render", schedule, "-o", job, "-q", "--no-film"),
        ("render", schedule, "-o", job, "-q", "--no-film", "--json"),
        ("compare", schedule, "-o", both, "-q", "--engines", "local,comfyui"),
    ):
        assert run(*words, "--frames", 5, "--size", "32x16") == 0, words
        shown = capsys.readouterr()
        assert output in shown.err, words
        assert "syntax  " not in shown.out
        if "--json" in words:
            assert json.loads(shown.out)["syntax"] == "fizznodes"


def test_a_recipe_of_ours_is_no_other_syntax(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "own.toml"
    own.write_text('frames = 4\n[[keyframes]]\nprompt = "a"', encoding="utf-8")
    assert run("plan", own, "--json") == 0
    shown = capsys.readouterr()
    assert "syntax" not in shown.err
    assert "syntax" not in json.loads(shown.out)


@pytest.mark.parametrize("name", ["manifest.json", "manifest.txt"])
def test_a_json_file_is_a_recipe_or_what_it_looks_like(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    path.write_text('{"rendered_frames": [{"seed": 1}, {"seed": 2}], "options": {"output_fps": 24}}', encoding="utf-8")
    assert run("plan", path, "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["frames"]) == 2
    path.write_text('{"frames": 3}', encoding="utf-8")
    assert run("plan", path) == 2
    assert "keyframes: is missing" in capsys.readouterr().err
    path.write_text('{"frames": 3, "keyframes": [{"prompt": "a"}]}', encoding="utf-8")
    assert run("plan", path, "--json", "--frames", 7, "--size", "16x8") == 0
    assert len(json.loads(capsys.readouterr().out)["frames"]) == 7


WORKFLOW = json.dumps(
    {"6": {"class_type": "BatchPromptSchedule", "inputs": {"text": '"0": "a", "8": "b"', "max_frames": 16}}}
)


FRONT_END = json.dumps({"nodes": [{"id": 1, "type": "RemixRecipe", "widgets_values": ["a\nb", 9]}], "links": []})


@pytest.mark.parametrize(
    ("texts", "syntax", "frames"),
    [
        ({"prompt": WORKFLOW}, "comfyui", 16),
        ({"workflow": FRONT_END}, "comfyui", 9),
        ({"parameters": "a [cat:dog:0.5]\nSteps: 4, Sampler: Euler, CFG scale: 7, Seed: 1"}, "a1111", 1),
        ({"parameters": "a", "prompt": WORKFLOW}, "comfyui", 16),
    ],
)
def test_a_picture_is_read_as_the_schedule_that_it_carries(
    texts: dict[str, str], syntax: str, frames: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "made.png"
    save_picture(picture, np.zeros((8, 8, 3), np.uint8), texts)
    assert run("import", picture) == 0
    shown = capsys.readouterr()
    assert Recipe.from_toml(shown.out).frames == frames
    assert f"syntax  {syntax}: " in shown.err
    assert run("plan", picture) == 0


def test_a_picture_without_a_schedule_says_how_to_look_into_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_picture(tmp_path / "made.png", np.zeros((8, 8, 3), np.uint8))
    assert run("plan", tmp_path / "made.png") == 2
    assert f"remix inspect {tmp_path / 'made.png'}" in capsys.readouterr().err


@pytest.mark.parametrize("field", ["denoise", "strength"])
def test_values_of_denoise_ask_for_a_picture_and_take_one(
    field: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("values.txt").write_text("0:(0.65)", encoding="utf-8")
    save_picture(Path("init.png"), np.zeros((8, 8, 3), np.uint8))
    words = ("import", "values.txt", "--frames", "8", "--field", field)
    assert run(*words) == 2
    assert "remix import values.txt --image init.png" in capsys.readouterr().err
    assert run(*words, "--image", "init.png") == 0
    assert 'image = "init.png"' in capsys.readouterr().out
