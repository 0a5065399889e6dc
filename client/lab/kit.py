"""The kit of a course: worksheets, notebooks and workflows in a folder, and the page that a student hands in."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from remix.client.lab.texts import LANGUAGES, texts_of
from remix.errors import BadInput, RecipeError
from remix.motion.atomic import atomic_write
from remix.plan.documents import read_file, read_toml, write_toml

COURSE = next(
    folder
    for folder in (Path(__file__).with_name("course"), Path(__file__).parents[2] / "docs" / "course")
    if folder.is_dir()
)
"""The files of the course: in the package, or in the documentation of a checkout."""

ANSWERS, RESULTS, PAGE = "answers.toml", "results", "hand-in.html"

QUESTION = re.compile(r"^\*\*(\d+\.\d+)\*\* (.+)$", re.MULTILINE)
"""A question in a worksheet, with its number."""

LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)[^)]*\)")
"""A link to another page, which a kit does not have. Its first group is the text."""

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif")
FILMS = (".mp4", ".webm", ".mov", ".mkv")

CELLS = "-cells"
"""The end of the names of folders with the cells of a grid, which are in its picture."""

MOST_RESULTS = 60
"""The maximum number of pictures and films on a page. A job folder counts once."""


def new_kit(folder: Path, language: str = "en", *, teacher: bool = False) -> list[Path]:
    """Writes the kit of a course into a folder that is new or empty, and returns what it has.

    `teacher` adds the plan of the day and the teacher's page. Raises BadInput for a folder with files in it.
    """
    words = texts_of("kit", language)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder}: already holds something; give the name of a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    _copy(COURSE / "worksheets" / language, folder / "worksheets")
    _copy(COURSE / "notebooks" / language, folder / "notebooks")
    _copy(COURSE / "workflows", folder / "workflows")
    shutil.copyfile(COURSE / "glossary" / f"{language}.md", folder / "glossary.md")
    (folder / RESULTS).mkdir()
    answers = [{"number": number, "question": text, "answer": ""} for number, text in questions(language)]
    table = {"name": "", "language": language, "answers": answers}
    (folder / ANSWERS).write_text(f"# {words['answers']}\n\n{write_toml(table)}", encoding="utf-8")
    if teacher:
        (folder / "teacher").mkdir()
        plan = COURSE / "README.md" if language == "en" else COURSE / "plan" / f"{language}.md"
        for name, page in (("plan.md", plan), ("teacher.md", COURSE / "teacher" / f"{language}.md")):
            text = LINK.sub(r"\1", page.read_text(encoding="utf-8"))
            (folder / "teacher" / name).write_text(text, encoding="utf-8")
    return sorted(folder.iterdir())


def _copy(source: Path, target: Path) -> None:
    """Copies the files of a folder, without permissions and times, which not every file system can set."""
    for path in sorted(source.rglob("*")):
        if path.is_file():
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)


def questions(language: str) -> list[tuple[str, str]]:
    """Returns the number and the text of each question of the worksheets."""
    sheets = sorted((COURSE / "worksheets" / language).glob("*.md"))
    return [found for sheet in sheets for found in QUESTION.findall(sheet.read_text(encoding="utf-8"))]


def hand_in(folder: Path) -> Path:
    """Gathers a student's answers and results on one page, `hand-in.html` in the folder, and returns it.

    Raises BadInput for a folder without answers or with too many results, and RecipeError for answers that are no TOML.
    """
    path = folder / ANSWERS
    if not path.is_file():
        raise BadInput(f"{folder}: has no {ANSWERS}; give a folder that `remix lab new` wrote")
    given = read_toml(read_file(path), source=str(path))
    language = given.get("language", "en")
    words = texts_of("kit", language if language in LANGUAGES else "en")
    from remix.show.hand_in import HandInView, hand_in_page

    answers = given.get("answers", [])
    if not isinstance(answers, list) or not all(isinstance(each, dict) for each in answers):
        raise BadInput(f"{path}: answers: is not a list of tables; write each answer below [[answers]]")
    page = folder / PAGE
    view = HandInView(
        name=str(given.get("name", "")).strip(),
        answers=[tuple(_text(each, name) for name in ("number", "question", "answer")) for each in answers],
        results=[(path.relative_to(folder).as_posix(), path, _settings(path)) for path in _results(folder / RESULTS)],
        lang=language if language in LANGUAGES else "en",
        words={**texts_of("page", language if language in LANGUAGES else "en"), **words},
    )
    html = hand_in_page(view, page)
    with atomic_write(page) as part:
        part.write_text(html, encoding="utf-8", errors="backslashreplace", newline="\n")
    return page


def _text(answer: Mapping[str, Any], name: str) -> str:
    return str(answer.get(name, "")).strip()


def _results(folder: Path) -> list[Path]:
    """Returns the pictures and films to show. Of a job folder, that is its film, or else its contact sheet."""
    from remix.job import is_job
    from remix.job.reading import SHEET

    found: list[Path] = []
    waiting = [folder] if folder.is_dir() else []
    while waiting:
        at = waiting.pop()
        if is_job(at):
            films = sorted(path for path in at.iterdir() if path.suffix.lower() in (*FILMS, ".gif", ".webp"))
            found += films[:1] or [path for path in (at / SHEET,) if path.is_file()]
            continue
        entries = sorted(at.iterdir())
        folders = [path for path in entries if path.is_dir() and not path.is_symlink()]
        waiting += [path for path in folders if not path.name.endswith(CELLS)]
        found += [path for path in entries if path.is_file() and path.suffix.lower() in (*PICTURES, *FILMS)]
    if len(found) > MOST_RESULTS:
        raise BadInput(f"{folder}: has {len(found)} pictures and films; keep the best {MOST_RESULTS}")
    return sorted(found)


def _settings(path: Path) -> str:
    """Returns in one line what made a picture or film, "" if its metadata does not say."""
    from remix.job import read_metadata
    from remix.plan import Recipe

    made = read_metadata(path)
    if made.remix is not None and isinstance(table := made.remix.get("recipe"), dict):
        try:
            recipe = Recipe.from_dict(table)
        except RecipeError:  # of a newer version, or forged
            return ""
        prompts = dict.fromkeys(text for key in recipe.keyframes if key.prompt for text in key.prompt.values)
        if isinstance(axes := made.remix.get("axes"), dict):  # a grid, whose cells differ in what its axes name
            return "; ".join([" → ".join(prompts), *_compared(axes.values())])
        seeds = dict.fromkeys(str(seed) for key in recipe.keyframes if key.seed for seed in key.seed.values)
        scales = dict.fromkeys(str(key.cfg) for key in recipe.keyframes if key.cfg is not None)
        cfg = " → ".join(scales) if scales else f"{recipe.cfg:g}"
        parts = [
            " → ".join(prompts),
            f"seed {', '.join(seeds)}" if seeds else "",
            f"{recipe.steps} steps",
            f"cfg {cfg}",
        ]
        return "; ".join(filter(None, [*parts, recipe.sampler, recipe.model.checkpoint]))
    if made.origin is not None and made.origin.passes:
        first = made.origin.passes[0]
        numbers = {"seed": first.seed, "steps": first.steps, "cfg": first.cfg, "": first.sampler}
        settings = [f"{name} {value}".strip() for name, value in numbers.items() if value is not None]
        return "; ".join([made.origin.tool, *first.prompts[:1], *settings])
    return ""


def _compared(axes: Iterable[Any]) -> Iterator[str]:
    """Yields the field and the values of each axis of a grid, as its metadata gives them."""
    for axis in axes:
        if isinstance(axis, dict) and isinstance(values := axis.get("values"), list):
            yield f"{axis.get('field')}: {', '.join(map(str, values))}"
