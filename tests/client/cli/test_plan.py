"""`remix plan`: its table, its JSON and its plot."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from remix.motion import load_picture, save_picture
from remix.plan import Keyframe, Recipe, plan
from tests.client.cli.running import RECIPE, run
from tests.fakes.renderer import Painter


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
    for made in (job / "film.mp4", job / "frames" / "000001.png"):
        assert run("plan", made, "--json") == 0
        output = capsys.readouterr()
        assert json.loads(output.out)["frames"] == plan(Recipe.load(recipe)).to_dict()["frames"]
        assert "remix: the metadata of Remix Toolkit" in output.err


def test_shown_weights_sum_to_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "thirds.toml"
    path.write_text("frames = 1\n[[keyframes]]\nprompt = {a = 1, b = 1, c = 1, d = 4}\n", encoding="utf-8")
    assert run("plan", path) == 0
    assert "0.143 a + 0.143 b + 0.143 c + 0.571 d" in capsys.readouterr().out


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
