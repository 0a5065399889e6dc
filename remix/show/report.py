"""The report of a film: one offline page that shows how it moves and how it was made, and the same as JSON."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from remix.plan import Frame, Mix, Schedule
from remix.plan.inputs import inputs_text
from remix.show.motion import JUMP, REST, Measured, Motion
from remix.show.page import FilmMedia, film_media, picture_uri, template
from remix.show.report_charts import curves_of, shortened, steps_charts
from remix.show.table import columns_of, row_of

VERSION = 1
"""The version of the JSON schema, see docs/report.md. It grows when a field changes its meaning or disappears."""

MOST_KEYFRAMES = 60
"""The maximum number of keyframes and of sections in a table."""

EVEN, FAIRLY_EVEN = 0.2, 0.5
"""The coefficients of variation up to which a film is called even and fairly even."""

TERMS = (
    (
        "Step",
        "The distance of two neighboring frames: the mean of 1 - SSIM (Wang et al. 2004) over three scales and the "
        "color channels, plus the mean absolute difference; 0 for equal frames, about 1 for unrelated ones.",
    ),
    ("Typical step", "The median of all steps."),
    (
        "Path length",
        "The sum of all steps, as DiffMorpher (Zhang et al. 2024) sums the distances of neighboring frames (PPL): of "
        "two films with the same ends, the one with the shorter path takes fewer detours.",
    ),
    ("Variance", "The variance of the steps, DiffMorpher's perceptual distance variance (PDV): 0 if all are equal."),
    (
        "CV",
        "The coefficient of variation, the standard deviation of the steps divided by their mean: how uneven the steps "
        "are, however much happens in the film.",
    ),
    (
        "Section",
        "The frames from one keyframe to the next. An even pace spaces the change within each section, since keyframes "
        "keep their frames; a section with large steps needs more frames.",
    ),
    ("Largest step", "The largest step divided by the typical one."),
    ("Jump", f"A visible step of more than {JUMP:g} typical steps."),
    ("Rest", f"A step of less than {REST:.0%} of the typical one: the film seems to stand still."),
    (
        "Flicker",
        "The share of each pixel's change that the next frame takes back: 0% if every pixel keeps changing in one "
        "direction, 100% if frames alternate.",
    ),
    (
        "Loop error",
        "How far the step from the last frame to the first is larger than both steps next to it, or smaller, in "
        "typical steps: 0 for a seam that nobody sees, about 1 if a frame is shown twice.",
    ),
    (
        "Error of in-betweens",
        "The expected distance of an in-between to the frame that rendering would give. It is half of the distance of "
        "the rendered frames around it to the in-betweens that would be in their places.",
    ),
)
"""The figures of a report, each explained in a sentence."""

Rows = tuple[tuple[str, str], ...]
"""Names and values of a table."""


@dataclass(frozen=True)
class Cost:
    """The rendering time of a film: `seconds` for `pictures`, which include those that only measured the pace.

    `unknown` frames have no recorded time, because they were copied from another job or rendered by an older version.
    `between` frames are in-betweens.
    """

    seconds: float
    pictures: int
    frames: int
    unknown: int = 0
    between: int = 0


@dataclass(frozen=True)
class InBetweens:
    """The in-betweens of a film with a budget.

    `gaps` are neighboring rendered frames and the expected error of the in-betweens from one to the other: the distance
    to the frames that rendering would give. It is meant to be at most `near`.
    """

    frames: int
    near: float
    gaps: tuple[tuple[int, int, float], ...]

    @property
    def errors(self) -> list[float]:
        """Returns the expected error of each in-between, ascending."""
        return sorted(error for begin, end, error in self.gaps for _ in range(begin + 1, end))

    @property
    def indices(self) -> frozenset[int]:
        """Returns the frames that are in-betweens."""
        return frozenset(index for begin, end, _ in self.gaps for index in range(begin + 1, end))

    @property
    def median(self) -> float:
        """Returns the median of the expected errors."""
        return statistics.median(self.errors)

    @property
    def largest(self) -> float:
        """Returns the largest expected error."""
        return self.errors[-1]

    @property
    def far(self) -> list[tuple[int, int, float]]:
        """Returns the gaps whose in-betweens may be farther from the rendered frames than they are meant to be."""
        return [gap for gap in self.gaps if gap[2] > self.near]


@dataclass(frozen=True)
class Report:
    """A film and everything known about it.

    `film` is its file. `fps` is None if unknown. `schedule` is None for a film without a recipe. `settings` and `model`
    are rows of tables. `remarks` are sentences for the user. `inbetweens` is None if all frames are rendered or it is
    unknown.
    """

    title: str
    measured: Measured
    fps: float | None = None
    film: Path | None = None
    schedule: Schedule | None = None
    settings: Rows = ()
    model: Rows = ()
    cost: Cost | None = None
    remarks: tuple[str, ...] = ()
    inbetweens: InBetweens | None = None

    @property
    def motion(self) -> Motion:
        """Returns how the film moves."""
        return self.measured.motion


@dataclass(frozen=True)
class Jump:
    """A jump from `frame` to the next frame of the film: its size, in typical steps too, and what both frames show."""

    frame: int
    after: int
    size: float
    steps: float
    prompts: tuple[str, str] | None
    """With a workflow or payload, its inputs."""
    seeds: tuple[str, str] | None


def jumps_of(report: Report) -> list[Jump]:
    """Returns the jumps of a film in order."""
    motion, schedule, found = report.motion, report.schedule, []
    for frame in motion.jumps():
        after = (frame + 1) % report.measured.frames
        ends = None if schedule is None else (schedule[frame], schedule[after])
        found.append(
            Jump(
                frame,
                after,
                motion.steps[frame],
                motion.steps[frame] / motion.typical,
                None if ends is None else (_shown(ends[0]), _shown(ends[1])),
                None if ends is None or ends[0].inputs else (_mixed(ends[0].seed), _mixed(ends[1].seed)),
            )
        )
    return found


@dataclass(frozen=True)
class Section:
    """The frames `begin` to `end` between two keyframes, with their motion. In a loop the last one ends at frame 0."""

    begin: int
    end: int
    motion: Motion


def sections_of(report: Report) -> list[Section]:
    """Returns the sections of a film in order; the film alone if it has no recipe."""
    last = report.measured.frames if report.motion.loop else report.measured.frames - 1
    places = [] if report.schedule is None else report.schedule.recipe.positions()
    stops = sorted({0, last, *places})
    return [
        Section(begin, end % report.measured.frames, report.motion.part(begin, end)) for begin, end in pairwise(stops)
    ]


def variation_within(sections: Sequence[Section]) -> float:
    """Returns the coefficient of variation of steps that are divided by the mean step of their section."""
    scaled = [step / part.motion.mean - 1 for part in sections for step in part.motion.steps if part.motion.mean]
    return math.sqrt(math.fsum(each * each for each in scaled) / len(scaled)) if scaled else 0.0


def advice(report: Report) -> str:
    """Returns a sentence on what helps against the jumps of a film."""
    if report.schedule is not None and report.schedule.recipe.pace == "linear":
        return 'Render with pace = "even" to space the change evenly. If a jump stays, try another seed.'
    return "No pace can even out a jump. Try another seed, or add a keyframe between the two frames."


def _shown(frame: Frame) -> str:
    """Returns the prompt of a frame, or its inputs of a workflow or payload."""
    return inputs_text(frame.inputs) if frame.inputs else _mixed(frame.prompt)


def _mixed(mix: Mix[Any]) -> str:
    parts = [f"{weight:.0%} {value}" for value, weight in mix.items] if len(mix.items) > 1 else [str(mix.values[0])]
    return " + ".join(parts)


def to_dict(report: Report) -> dict[str, Any]:
    """Returns a report as plain JSON values; docs/report.md describes each. Numbers have six decimals."""
    motion, measured, sections = report.motion, report.measured, sections_of(report)
    error = motion.loop_error
    return {
        "report": VERSION,
        "title": report.title,
        "film": None if report.film is None else str(report.film),
        "frames": measured.frames,
        "fps": report.fps,
        "size": list(measured.size),
        "motion": {
            "steps": [round(step, 6) for step in motion.steps],
            "path_length": round(motion.path_length, 6),
            "mean": round(motion.mean, 6),
            "median": round(motion.typical, 6),
            "variance": round(motion.variance, 8),
            "cv": round(motion.variation, 6),
            "cv_within_sections": round(variation_within(sections), 6),
            "max_over_median": round(motion.largest, 6),
            "rests": motion.rests,
            "flicker": round(motion.flicker, 6),
            "loop_error": None if error is None else round(error, 6),
        },
        "sections": [
            {
                "from": each.begin,
                "to": each.end,
                "path_length": round(each.motion.path_length, 6),
                "mean": round(each.motion.mean, 6),
                "cv": round(each.motion.variation, 6),
            }
            for each in sections
        ],
        "jumps": [
            {
                "frame": jump.frame,
                "to": jump.after,
                "size": round(jump.size, 6),
                "steps": round(jump.steps, 3),
                "prompts": None if jump.prompts is None else list(jump.prompts),
                "seeds": None if jump.seeds is None else list(jump.seeds),
            }
            for jump in jumps_of(report)
        ],
        "inbetweens": None if report.inbetweens is None else _inbetweens(report.inbetweens),
        "settings": [list(row) for row in report.settings],
        "model": [list(row) for row in report.model],
        "cost": None
        if report.cost is None
        else {
            "seconds": round(report.cost.seconds, 3),
            "pictures": report.cost.pictures,
            "seconds_per_frame": round(report.cost.seconds / report.cost.frames, 3),
            "unknown_frames": report.cost.unknown,
        },
        "remarks": list(report.remarks),
    }


def _inbetweens(between: InBetweens) -> dict[str, Any]:
    return {
        "frames": between.frames,
        "near": between.near,
        "median": round(between.median, 6),
        "largest": round(between.largest, 6),
        "far": [{"from": begin, "to": end, "error": round(error, 6)} for begin, end, error in between.far],
    }


def to_html(report: Report, page: Path) -> str:
    """Returns a report as one HTML page, to be written to the path `page`. The film may be linked relative to it.

    Raises MissingPackage if Jinja2 or pygal is missing.
    """
    template_ = template("report.html")
    motion, measured, sections = report.motion, report.measured, sections_of(report)
    media = FilmMedia("", "") if report.film is None else film_media(report.film, page)
    return template_.render(
        report=report,
        motion=motion,
        media=media,
        verdict=verdict(motion),
        steps=steps_charts(motion, report.fps),
        jumps=[(jump, [picture_uri(each) for each in measured.jumps.get(jump.frame, ())]) for jump in jumps_of(report)],
        advice=advice(report),
        pictures=[(index, picture_uri(image), _caption(report, index)) for index, image in measured.pictures],
        made=frozenset() if report.inbetweens is None else report.inbetweens.indices,
        curves=[] if report.schedule is None else curves_of(report.schedule),
        keyframes=None if report.schedule is None else _keyframes(report.schedule),
        sections=sections[:MOST_KEYFRAMES],
        within=variation_within(sections),
        cost=_cost_rows(report.cost),
        terms=TERMS,
        version=VERSION,
    )


def _cost_rows(cost: Cost | None) -> Rows:
    if cost is None:
        return ()
    extra = cost.pictures - (cost.frames - cost.between - cost.unknown)
    pictures = f"{cost.pictures}" + (f", {extra} of them only to measure the pace" if extra > 0 else "")
    rows = [
        ("Time", _duration(cost.seconds)),
        ("Time per frame", f"{cost.seconds / cost.frames:.3g} s"),
        ("Rendered pictures", pictures),
    ]
    if cost.between:
        rows.append(("In-betweens", f"{cost.between} of {cost.frames} frames"))
    if cost.unknown:
        rows.append(("Without a time", f"{cost.unknown} frames, copied or rendered by an older version"))
    return tuple(rows)


def _duration(seconds: float) -> str:
    """Returns a duration in words.

    >>> _duration(4.25), _duration(75), _duration(7384)
    ('4.2 s', '1 min 15 s', '2 h 3 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def verdict(motion: Motion) -> str:
    """Returns how evenly a film moves, in a word or two."""
    if not motion.typical:
        return "still"
    names = {"even": EVEN, "fairly even": FAIRLY_EVEN}
    return next((name for name, most in names.items() if motion.variation <= most), "uneven")


def _caption(report: Report, index: int) -> str:
    """Returns the description of a frame."""
    return "" if report.schedule is None else shortened(_shown(report.schedule[index]))


def _keyframes(schedule: Schedule) -> tuple[list[str], list[list[str]], int]:
    """Returns the columns and the rows of the table of keyframes, and the number of rows left out."""
    columns, places = columns_of(schedule), sorted(set(schedule.recipe.positions()))
    rows = [[shortened(cell) for cell in row_of(schedule, index, columns)] for index in places[:MOST_KEYFRAMES]]
    return columns, rows, max(0, len(places) - MOST_KEYFRAMES)
