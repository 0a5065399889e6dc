"""The kit of a course: what it holds, its notebooks and workflows, and the page that a student hands in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix.client import render
from remix.client.cli import main
from remix.client.lab import LANGUAGES, kit
from remix.client.lab.kit import COURSE, questions
from remix.engine.grid import render_grid, write_grid
from remix.job.metadata import KEY
from remix.motion import save_picture
from remix.plan import Keyframe, Recipe
from remix.plan.axes import read_axis
from remix.plan.documents import read_toml, write_toml
from remix.plan.grid import Grid
from tests.fakes.renderer import Painter

ROOT = Path(__file__).parents[3]
NOTEBOOKS = sorted((COURSE / "notebooks" / "en").glob("*.ipynb"))
WORKFLOWS = sorted((COURSE / "workflows").glob("*.json"))
RECORDED = ROOT / "tests" / "fakes" / "recorded" / "comfyui" / "object_info.json"
HOSTILE = "<script>alert(1)</script>"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_kit_has_worksheets_with_the_questions_of_the_answers(
    language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "day"

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("some file systems have no permissions")

    monkeypatch.setattr("os.chmod", refuse)
    monkeypatch.setattr("os.utime", refuse)
    assert main(["lab", "new", str(folder), "--language", language]) == 0
    assert len([*(folder / "worksheets").glob("*.md")]) == 5
    assert {path.name for path in folder.iterdir()} == {
        *("worksheets", "notebooks", "workflows", "glossary.md", "results", "answers.toml")
    }
    words = (folder / "glossary.md").read_text(encoding="utf-8").splitlines()[4:]
    assert len(words) == len((COURSE / "glossary" / "en.md").read_text(encoding="utf-8").splitlines()[4:]) > 20
    for path in NOTEBOOKS:
        written = folder / "notebooks" / path.name
        assert code_of(written) == code_of(path)
        assert (written.read_bytes() == path.read_bytes()) == (language == "en")
    found = read_toml((folder / "answers.toml").read_bytes())
    numbers = [answer["number"] for answer in found["answers"]]
    assert numbers == [number for number, _ in questions("en")] == [number for number, _ in questions(language)]
    assert len(numbers) == len(set(numbers)) > 20
    assert found["language"] == language


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_teachers_kit_has_the_plan_and_the_answers_and_nothing_is_overwritten(
    language: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "day"
    assert main(["lab", "new", str(folder), "--language", language, "--teacher"]) == 0
    assert all("](" not in path.read_text(encoding="utf-8") for path in (folder / "teacher").iterdir())
    answers = (folder / "teacher" / "teacher.md").read_text(encoding="utf-8")
    assert all(f"| {number} |" in answers for number, _ in questions("en")[:-3])
    assert "9:00" in (folder / "teacher" / "plan.md").read_text(encoding="utf-8")
    assert main(["lab", "new", str(folder)]) == 2
    assert "already holds something" in capsys.readouterr().err


def test_what_a_student_hands_in_has_answers_pictures_films_and_their_settings(tmp_path: Path) -> None:
    folder = tmp_path / "day"
    kit.new_kit(folder)
    answers = read_toml((folder / "answers.toml").read_bytes())
    answers["name"] = f"Ada {HOSTILE}"
    answers["answers"][0]["answer"] = "The VAE, because " + HOSTILE
    (folder / "answers.toml").write_text(write_toml(answers), encoding="utf-8")
    recipe = Recipe(2, [Keyframe(prompt=f"a cat {HOSTILE}", seed=7), Keyframe(prompt="a dog")], width=32, height=32)
    outcome = render(recipe, folder / "results" / "cat", engine=Painter(), film="film.gif")
    (folder / "results" / "frame.png").write_bytes((outcome.folder / "frames" / "000001.png").read_bytes())
    grid = Grid(recipe, x=read_axis("seed=1,2"), y=read_axis("cfg=1,3"))
    view = render_grid(grid, Painter(), folder / "results" / "grid-cells").view
    write_grid(view, folder / "results" / "grid.png")
    assert main(["lab", "hand-in", str(folder)]) == 0
    page = (folder / "hand-in.html").read_text(encoding="utf-8")
    assert HOSTILE not in page
    assert page.count("The VAE, because &lt;script&gt;") == 1
    assert page.count("seed 7; 20 steps; cfg 7") == 2 + 1  # below the film and the picture, and for screen readers
    assert "results/cat/film.gif" in page
    assert page.count("seed: 1, 2; cfg: 1, 3") == 2
    assert "grid-cells" not in page
    assert page.count("(no answer)") == len(answers["answers"]) - 1
    assert main(["lab", "hand-in", str(folder)]) == 0


def test_a_folder_without_answers_or_with_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lab", "hand-in", str(tmp_path)]) == 2
    assert "answers.toml" in capsys.readouterr().err
    folder = tmp_path / "day"
    kit.new_kit(folder, "fr")
    monkeypatch.setattr(kit, "MOST_RESULTS", 1)
    for name in ("a.png", "b.mp4"):
        (folder / "results" / name).write_bytes(b"")
    assert main(["lab", "hand-in", str(folder)]) == 2
    assert "keep the best 1" in capsys.readouterr().err


def test_answers_of_another_kind_are_refused_and_forged_settings_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kit.new_kit(tmp_path / "day")
    recipe = Recipe(1, [Keyframe(prompt="a cat")]).to_dict()
    for number, made in enumerate(({"recipe": {"frames": "?"}}, {"recipe": recipe, "axes": {"x": 5, "y": {}}})):
        path = tmp_path / "day" / "results" / f"{number}.png"
        save_picture(path, np.zeros((8, 8, 3), np.uint8), {KEY: json.dumps(made)})
    assert main(["lab", "hand-in", str(tmp_path / "day")]) == 0
    (tmp_path / "day" / "answers.toml").write_text("answers = 5")
    assert main(["lab", "hand-in", str(tmp_path / "day")]) == 2
    assert "write each answer below [[answers]]" in capsys.readouterr().err


def code_of(path: Path) -> list[str]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_cells_of_a_notebook_run(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As Jupyter runs them. The film is painted, since other tests render it."""
    monkeypatch.setattr("remix.client.local.Local", Painter)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for code in code_of(path):
        exec(compile(code, path.name, "exec"), names)  # noqa: S102
    assert capsys.readouterr().out
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["nbformat"] == 4
    assert all(cell["outputs"] == [] for cell in document["cells"] if cell["cell_type"] == "code")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_gives_every_node_what_it_needs(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["workflow", "convert", str(path)]) == 0
    prompt = json.loads(capsys.readouterr().out)
    known = json.loads(RECORDED.read_text(encoding="utf-8"))
    kinds = {node["class_type"] for node in prompt.values()}
    assert {"RemixPlayground", "VAEDecode", "SaveImage", "CLIPTextEncode"} <= kinds
    for node in prompt.values():
        required = known[node["class_type"]]["input"].get("required", {}) if node["class_type"] in known else {}
        assert node["inputs"].keys() >= required.keys(), node["class_type"]
        for value in node["inputs"].values():
            assert not isinstance(value, list) or value[0] in prompt


def test_the_workflows_are_those_that_their_script_writes() -> None:
    from docs.make_course_workflows import WORKFLOWS as builders
    from docs.make_workflows import written

    assert {path.stem: path.read_text(encoding="utf-8") for path in WORKFLOWS} == {
        name: written(build().workflow()) for name, build in builders.items()
    }
