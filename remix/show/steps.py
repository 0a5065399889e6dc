"""The steps of sampling one picture, as the frames of a film, as one sheet, and as an offline page with a slider."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from remix.motion.pictures import Picture
from remix.show.contact_sheet import BACKGROUND, GAP, INK, evenly
from remix.show.lettering import LINE, shortened, write
from remix.show.page import picture_uri, template

Rows = tuple[tuple[str, str], ...]

LEAST = 192
"""The minimum width of a panel in pixels, so that the text below it is readable. Smaller pictures are enlarged."""

COLUMNS = 12
"""The maximum number of steps on a sheet."""

NOISY, ESTIMATE, GUIDANCE = "what the model sees", "its estimate of the clean picture", "what guidance adds"
"""The captions of the panels."""


@dataclass(frozen=True)
class Step:
    """One call of the model: the noise level, and what the model sees, expects, and gets from guidance as pictures.

    `done` counts the steps that were complete before the call. `guidance` is gray where guidance changes nothing, and
    None without guidance. `strength` is the size of that change, the root of its mean square in the latent, and
    `change` how far the estimate moved since the call before.
    """

    done: int
    level: float
    noisy: Picture
    estimate: Picture
    guidance: Picture | None
    strength: float
    change: float

    def panels(self) -> list[tuple[str, Picture]]:
        """Returns the pictures of the step with their captions."""
        guided = [] if self.guidance is None else [(GUIDANCE, self.guidance)]
        return [(NOISY, self.noisy), (ESTIMATE, self.estimate), *guided]


@dataclass(frozen=True)
class StepsView:
    """The steps of one picture, in order, with the number of steps, the picture, its prompt and its settings."""

    title: str
    steps: Sequence[Step]
    total: int
    picture: Picture
    prompt: str
    settings: Mapping[str, str] = field(default_factory=dict)

    def label(self, step: Step) -> str:
        """Returns the number and the noise level of a step."""
        return f"step {min(step.done + 1, self.total)} of {self.total}, noise level {step.level:.3g}"


def step_frames(view: StepsView) -> Iterator[Picture]:
    """Yields a frame for each step, and at the end one with the finished picture. All have one size."""
    columns = len(view.steps[0].panels())
    for step in view.steps:
        yield _frame(view, step.panels(), view.label(step), columns)
    yield _frame(view, [("the picture", view.picture)], f"after {view.total} steps", columns)


def _frame(view: StepsView, panels: Sequence[tuple[str, Picture]], label: str, columns: int) -> Picture:
    shown = [_enlarged(picture) for _, picture in panels]
    width, height = shown[0].size
    size = (GAP + columns * (width + GAP), 3 * LINE + GAP + height + GAP)
    frame = Image.new("RGB", (size[0] + size[0] % 2, size[1] + size[1] % 2), BACKGROUND)
    write(frame, (GAP, 0), shortened(label, size[0] - 2 * GAP), INK)
    write(frame, (GAP, LINE), shortened(view.prompt or "(no prompt)", size[0] - 2 * GAP), INK)
    for column, (image, (caption, _)) in enumerate(zip(shown, panels, strict=True)):
        left = GAP + column * (width + GAP)
        write(frame, (left, 2 * LINE), shortened(caption, width), INK)
        frame.paste(image, (left, 3 * LINE + GAP))
    return np.array(frame, dtype=np.uint8)


def _enlarged(picture: Picture) -> Image.Image:
    image = Image.fromarray(picture)
    times = -(-LEAST // image.width)
    return image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)


def steps_sheet(view: StepsView) -> Picture:
    """Returns one picture: a column for each of up to `COLUMNS` steps, a row for each panel, and the picture."""
    chosen = [view.steps[index] for index in evenly(len(view.steps), COLUMNS)]
    captions = [caption for caption, _ in chosen[0].panels()]
    height, width = view.picture.shape[:2]
    cell = max(width, LEAST // 2)
    pitch = LINE + height + GAP
    size = (GAP + (len(chosen) + 1) * (cell + GAP), 2 * LINE + LINE + len(captions) * pitch + GAP)
    sheet = Image.new("RGB", size, BACKGROUND)
    write(sheet, (GAP, 0), shortened(view.prompt or "(no prompt)", size[0] - 2 * GAP), INK)
    for column, step in enumerate(chosen):
        left = GAP + column * (cell + GAP)
        write(sheet, (left, LINE), shortened(f"step {min(step.done + 1, view.total)}", cell), INK)
        write(sheet, (left, 2 * LINE), shortened(f"level {step.level:.3g}", cell), INK)
        for row, (_, picture) in enumerate(step.panels()):
            sheet.paste(Image.fromarray(picture), (left, 3 * LINE + row * pitch + LINE))
    for row, caption in enumerate(captions):
        write(sheet, (GAP, 3 * LINE + row * pitch), shortened(caption, size[0] - 2 * GAP), INK)
    left = GAP + len(chosen) * (cell + GAP)
    write(sheet, (left, LINE), "the picture", INK)
    sheet.paste(Image.fromarray(view.picture), (left, 4 * LINE))
    return np.array(sheet, dtype=np.uint8)


def steps_page(view: StepsView) -> str:
    """Returns the steps as one HTML page without scripts. Raises MissingPackage if Jinja2 or pygal is missing.

    Its slider is a row of radio buttons, which the arrow keys move and screen readers read.
    """
    found = template("steps.html")
    from remix.show.page.charts import line_chart

    charts = [("Noise level", "The noise level falls from step to step.", [step.level for step in view.steps])]
    changes = [step.change for step in view.steps[1:]]
    charts += [("How far the estimate moves", "It settles as the noise falls.", changes)] if changes else []
    if view.steps[0].guidance is not None:
        about = "How much the prompt pulls at each step."
        charts.append(("What guidance adds", about, [step.strength for step in view.steps]))
    drawn = []
    for title, about, values in charts:
        begin = len(view.steps) - len(values) + 1
        points = [(float(begin + index), value) for index, value in enumerate(values)]
        labels = [round(points[index][0]) for index in evenly(len(points), 6)]
        if len(points) > 1:
            drawn.append((title, about, line_chart(points, alt=f"{title} by step", labels=labels, from_zero=True)))
    return found.render(
        view=view,
        steps=[
            {
                "label": view.label(step),
                "panels": [(caption, picture_uri(Image.fromarray(picture))) for caption, picture in step.panels()],
            }
            for step in view.steps
        ],
        picture=picture_uri(Image.fromarray(view.picture)),
        charts=drawn,
        settings=[*view.settings.items()],
    )
