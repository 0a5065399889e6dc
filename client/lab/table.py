"""The experiments: every file of the folder `topics` is one, and has the name of its file."""

from __future__ import annotations

import ast
import importlib
from functools import lru_cache
from pathlib import Path

from remix.client.lab.texts import Texts, texts_of
from remix.errors import BadInput
from remix.plan.wording import nearest
from remix.show.experiment import ExperimentView

FOLDER = Path(__file__).with_name("topics")

ORDER = ("noise", "seed", "guidance", "samplers", "slerp", "latents", "words", "models")
"""The order of a course. Experiments that it does not name come after these."""


@lru_cache(1)
def experiments() -> dict[str, str]:
    """Returns what each experiment shows, by its name. Imports none of them."""
    names = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")
    ordered = [*(name for name in ORDER if name in names), *(name for name in names if name not in ORDER)]
    return {name: _first_line(FOLDER / f"{name}.py") for name in ordered}


def _first_line(path: Path) -> str:
    described = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return described.partition("\n")[0]


def view_of(name: str, language: str = "en") -> ExperimentView:
    """Runs an experiment with the bundled model and returns its page. Equal calls give equal pages.

    Raises BadInput for a name or a language that does not exist.
    """
    if name not in experiments():
        raise BadInput(f"explain: there is no experiment {name!r}; {nearest(name, experiments())}")
    from remix.client.lab.studio import Studio

    module = importlib.import_module(f"remix.client.lab.topics.{name}")
    text: Texts = texts_of(name, language, module.TEXT)
    parts = module.run(Studio(), text)
    return ExperimentView(
        title=text["title"],
        introduction=text["introduction"],
        parts=parts,
        questions=[(text[f"q{number}"], text[f"a{number}"]) for number in (1, 2, 3)],
        command=f"remix explain {name}" + ("" if language == "en" else f" --language {language}"),
        lang=language,
        words=texts_of("page", language),
    )
