"""The page of an experiment: pictures, curves, a slider, and questions with hidden answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from remix.motion.pictures import Picture
from remix.show.page import picture_uri, template

Captioned = tuple[str, Picture]

TALL = 320
"""The height of a square chart in pixels."""


@dataclass(frozen=True)
class Strip:
    """Pictures in a row, each with its caption."""

    heading: str
    about: str
    pictures: Sequence[Captioned]
    kind: str = "strip"


@dataclass(frozen=True)
class Slider:
    """Pictures behind a slider: the label of each stop, and its pictures with their captions."""

    heading: str
    about: str
    stops: Sequence[tuple[str, Sequence[Captioned]]]
    kind: str = "slider"


@dataclass(frozen=True)
class Curves:
    """Lines in one chart, by name. `square` makes it as tall as wide, as for a plane, and marks the points."""

    heading: str
    about: str
    lines: Mapping[str, Sequence[tuple[float, float]]]
    square: bool = False
    kind: str = "curves"


@dataclass(frozen=True)
class Numbers:
    """A table of numbers."""

    heading: str
    about: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    kind: str = "numbers"


Part = Strip | Slider | Curves | Numbers


@dataclass(frozen=True)
class ExperimentView:
    """What an experiment found: its title, introduction, parts, questions with answers, and the command to repeat it.

    `words` are the texts of the page itself in its language, `lang`.
    """

    title: str
    introduction: str
    parts: Sequence[Part]
    questions: Sequence[tuple[str, str]]
    command: str
    lang: str
    words: Mapping[str, str]


def experiment_page(view: ExperimentView) -> str:
    """Returns an experiment as one HTML page without scripts. Raises MissingPackage without Jinja2 or pygal."""
    return template("experiment.html").render(
        view=view, lang=view.lang, parts=[_shown(part, number) for number, part in enumerate(view.parts)]
    )


def _shown(part: Part, number: int) -> dict[str, Any]:
    shown: dict[str, Any] = {"kind": part.kind, "heading": part.heading, "about": part.about, "id": f"part-{number}"}
    if isinstance(part, Strip):
        return {**shown, "pictures": _embedded(part.pictures)}
    if isinstance(part, Slider):
        return {**shown, "stops": [{"label": label, "panels": _embedded(panels)} for label, panels in part.stops]}
    if isinstance(part, Numbers):
        return {**shown, "columns": part.columns, "rows": part.rows}
    from remix.show.page.charts import HEIGHT, lines_chart

    height = TALL if part.square else HEIGHT
    chart = lines_chart([*part.lines.values()], alt=part.heading, height=height, dots=True)
    return {**shown, "chart": chart, "legend": [*enumerate(part.lines)] if len(part.lines) > 1 else []}


def _embedded(pictures: Sequence[Captioned]) -> list[tuple[str, str]]:
    return [(caption, picture_uri(Image.fromarray(picture))) for caption, picture in pictures]
