"""The `remix` command as a user types it: errors, exit codes, help, and the verbs without a file of their own."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix.client import cli
from remix.job import read_metadata
from remix.motion import load_picture, probe, save_picture
from remix.plan import Recipe, plan
from tests.client.cli.running import RECIPE, run
from tests.fakes.renderer import Painter


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
