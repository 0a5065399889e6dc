"""What the documentation shows works: its recipes plan, its commands and links exist, its Python runs."""

from __future__ import annotations

import re
import textwrap
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

from docs import make_agreement, make_models
from remix import errors
from remix.catalog.families import FAMILIES
from remix.client import cli
from remix.client.local import Local
from remix.client.local.samplers import SAMPLERS
from remix.client.local.sampling import SCHEDULERS
from remix.client.playground import SIDE
from remix.motion import load_picture
from remix.motion.formats import FORMATS
from remix.plan import Keyframe, Recipe, plan
from remix.plan.curves import EASINGS
from remix.plan.documents import read_toml
from remix.syntax.inputs import recipe_of_data
from remix.syntax.table import SYNTAXES
from tests.fakes.renderer import Painter

ROOT = Path(__file__).parents[1]
CARD = ROOT / "client" / "playground" / "README.md"
PAGES = [
    *(ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "examples" / "README.md"),
    *sorted((ROOT / "docs").rglob("*.md")),
]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_no_page_has_the_marks_of_an_unfinished_merge() -> None:
    marked = re.compile(r"^(<{7}|={7}|>{7})( |$)", re.MULTILINE)
    assert [page for page in PAGES if marked.search(page.read_text(encoding="utf-8"))] == []


def run(code: str, names: dict[str, Any] | None = None) -> dict[str, Any]:
    """Runs an example, which may use the `names` of those before it, and returns the names that it leaves."""
    names = {} if names is None else names
    exec(compile(code, "example", "exec"), names)  # noqa: S102
    return names


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.toml")), ids=lambda path: path.stem)
def test_an_example_plans_within_a_few_seconds_of_film(path: Path) -> None:
    schedule = plan(Recipe.load(path))
    assert 24 <= len(schedule) <= 60
    assert schedule.recipe.model.checkpoint == "playground"
    assert path.read_text(encoding="utf-8").startswith("# ")


def test_there_are_six_examples_and_all_are_told() -> None:
    names = {path.stem for path in (ROOT / "examples").glob("*.toml")}
    assert len(names) == 6
    examples = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    assert all(f"({name}.toml)" in examples for name in names)


@pytest.mark.parametrize("name", ["demo.toml", "new.toml"])
def test_the_recipes_in_the_package_plan(name: str) -> None:
    schedule = plan(Recipe.load(ROOT / "client" / "cli" / name))
    assert len(schedule) >= 48
    prompts = {value for frame in schedule for value, _ in frame.prompt.items}
    assert len(prompts) >= 3
    assert any(len(frame.seed.items) > 1 for frame in schedule)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_toml_recipe_of_a_page_plans(page: Path) -> None:
    for text in blocks(page, "toml"):
        plan(recipe_of_data(read_toml(text), text, None, str(ROOT / "examples")))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_python_example_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a painting engine instead of the model, which takes no time."""
    monkeypatch.setattr("remix.client.local.Local", Painter)
    monkeypatch.setattr("remix.client.comfyui.ComfyUI", lambda *given, **options: Painter())
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for code in blocks(page, "python"):
        run(code, names)


def test_the_example_of_the_bundled_models_card_paints_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    [code] = blocks(CARD, "python")
    run(code)
    moon = load_picture(tmp_path / "moon.png")
    assert moon.shape == (SIDE, SIDE, 3)
    assert np.ptp(moon) > 100


def test_the_recipes_of_the_readme_are_those_of_the_pictures_below_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each picture there is named after the example that it is made from."""
    monkeypatch.setattr("remix.client.local.Local", Painter)
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    below = r"^```(toml|python)\n(.*?)^```\n\n!\[[^\]]*\]\(docs/pictures/([\w-]+)\.png\)"
    shown = re.findall(below, text, re.MULTILINE | re.DOTALL)
    assert [example for _, _, example in shown] == ["prompt-travel", "seed-walk"]
    for language, code, example in shown:
        recipe = Recipe.from_toml(code) if language == "toml" else run(code)["recipe"]
        assert recipe == Recipe.load(ROOT / "examples" / f"{example}.toml")


def test_what_is_shown_for_the_bundled_model_suits_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own engine has nothing to remark on the recipes that a reader tries first."""
    checked = Local(device="cpu")
    monkeypatch.setattr("remix.client.local.Local", Painter)
    monkeypatch.chdir(tmp_path)
    loaded = [*(ROOT / "examples").glob("*.toml"), *(ROOT / "client" / "cli").glob("*.toml")]
    written = [run(code)["recipe"] for code in blocks(ROOT / "docs" / "recipes.md", "python")]
    recipes = [*map(Recipe.load, loaded), *written]
    assert len(recipes) == 9
    assert [checked.check(plan(recipe)) for recipe in recipes] == [[]] * len(recipes)


@pytest.mark.parametrize("page", [*PAGES, CARD], ids=lambda page: str(page.name))
def test_every_link_and_picture_of_a_page_is_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


CONTRIBUTING = [ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs" / "contributing").glob("*.md"))]


@pytest.mark.parametrize("page", CONTRIBUTING, ids=lambda page: page.name)
def test_every_file_that_the_contributing_guide_names_exists(page: Path) -> None:
    named = re.findall(r"`((?!models/)[\w.-]+/[\w./-]*)`", page.read_text(encoding="utf-8"))
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


NAMES = {
    "recipes.md": [
        *(field.name for kind in (Recipe, Keyframe) for field in fields(kind) if field.name != "defaulted"),
        *(re.sub(r"-(in-)?(in|out)$", "", name) for name in EASINGS),
        *SAMPLERS,
        *SCHEDULERS,
    ],
    "syntaxes.md": [*SYNTAXES],
    "film.md": [*FORMATS],
    "mixing.md": [*FAMILIES],
}
"""Page -> the names that it explains."""


@pytest.mark.parametrize("page", NAMES)
def test_pages_name_everything_of_their_kind(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert [name for name in NAMES[page] if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text)] == []


def test_the_guide_describes_ten_changes() -> None:
    text = (ROOT / "docs" / "contributing" / "changes.md").read_text(encoding="utf-8")
    assert len(re.findall(r"^\| \[", text, re.MULTILINE)) == len(re.findall(r"^## ", text, re.MULTILINE)) == 10


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, CARD], ids=lambda page: str(page.name))
def test_every_link_to_a_heading_finds_it(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text(encoding="utf-8")):
        assert anchor in anchors(page.parent / target if target else page), (target, anchor)


def test_the_page_about_models_has_the_families_of_the_catalog() -> None:
    """Run `python -m docs.make_models` after a change of the catalog."""
    assert make_models.table() in (ROOT / "docs" / "models.md").read_text(encoding="utf-8")


def test_the_page_of_what_agrees_is_that_of_the_table() -> None:
    """Run `python -m docs.make_agreement` after a measurement."""
    assert make_agreement.PAGE.read_text(encoding="utf-8") == make_agreement.page()
    assert make_agreement.prompts_table() in make_agreement.PROMPTS.read_text(encoding="utf-8")


THREATS = (ROOT / "docs" / "contributing" / "reliability.md").read_text(encoding="utf-8")


def test_every_test_that_a_page_names_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(?:(\w+)::)?(\w+)`", THREATS)
    assert len(named) == THREATS.count(".py::") > 300
    for path, group, test in named:
        text = (ROOT / path).read_text(encoding="utf-8")
        assert f"def {test}(" in text, test
        assert not group or f"class {group}" in text, group


def test_every_threat_has_its_tests_and_they_run() -> None:
    """None of them is marked to be skipped or expected to fail for good."""
    rows = re.findall(r"^\| ([RS]\d+) \| .+ \| .+ \| (.+) \|$", THREATS, re.MULTILINE)
    assert [number for number, _ in rows] == [f"R{n}" for n in range(1, 26)] + [f"S{n}" for n in range(1, 15)]
    for number, tests in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(?:\w+::)?(\w+)`", tests)
        assert named, number
        for path, test in named:
            above = (ROOT / path).read_text(encoding="utf-8").split(f"def {test}(")[0].rpartition("\n\n")[2]
            assert not re.search(r"mark\.(skip|xfail)\b", above), test


def test_every_command_that_the_readme_names_exists_and_each_of_its_options_is_told() -> None:
    """In the command's row, or below the table, which lists the options of many commands."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for verb in re.findall(r"(?:^|[`&] ?)remix (\w+)", text, re.MULTILINE):
        assert verb in cli.VERBS
    context = click.Context(cli.remix)
    table, _, below = text.split("\n## Commands\n")[1].split("\n## ")[0].rpartition("|\n")
    shared = set(re.findall(r"--[\w-]+", below))
    for verb in cli.VERBS:
        assert f"`remix {verb}" in text
        command = cli.remix.get_command(context, verb)
        assert command is not None
        row = next(line for line in table.splitlines() if line.startswith(f"| `remix {verb}"))
        inner = command.commands.values() if isinstance(command, click.Group) else [command]
        parameters = [parameter for each in inner for parameter in each.params]
        options = {name for parameter in parameters for name in parameter.opts}
        named = set(re.findall(r"(?<!\w)--?[\w-]+", row))
        assert {name for name in named if name.startswith("--")} <= options
        for parameter in parameters:
            assert isinstance(parameter, click.Argument) or (named | shared) & {*parameter.opts}, (verb, parameter.opts)


def exceptions() -> list[type[Exception]]:
    return [each for each in vars(errors).values() if isinstance(each, type) and each.__module__ == errors.__name__]


def test_the_page_of_exceptions_has_the_tree_of_the_classes() -> None:
    [tree] = blocks(ROOT / "docs" / "errors.md", "text")
    assert textwrap.indent(tree, "    ") in str(errors.__doc__)
    above, found = list[str](), dict[str, str]()
    for line in tree.splitlines():
        start, name = re.match(r"([│├└─ ]*)(\w+)", line).groups()  # type: ignore[union-attr]
        above[len(start) // 4 :] = [name]
        found[name] = above[-2] if len(above) > 1 else "Exception"
    assert found == {each.__name__: each.__bases__[0].__name__ for each in exceptions()}


def test_the_page_of_exceptions_says_when_each_is_raised_and_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    rows = {name: (when, int(code)) for name, when, code in re.findall(r"^\| `(\w+)` \| (.*) \| (\d+) \|$", text, re.M)}
    assert list(rows) == [each.__name__ for each in exceptions()]
    for name, (when, code) in rows.items():
        kind = getattr(errors, name)
        assert f"{when}." == kind.__doc__.splitlines()[0]

        def fail(*given: object, kind: type[Exception] = kind, **named: object) -> None:
            raise kind("what happened")

        monkeypatch.setattr(cli.remix, "main", fail)
        assert cli.main(["doctor"]) == code
        assert "what happened" in capsys.readouterr().err
