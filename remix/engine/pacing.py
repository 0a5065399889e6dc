"""Measures the clock of a recipe with `pace = "even"`: renders pictures to find the moments of even change.

Each section between two keyframes is paced separately (`remix.motion.pacing`), so keyframes keep their frames. Each
round over all sections is a job below the film's folder: the pictures of that round as a separate part of the film, so
that engines render no others with them. An interrupted run repeats the same rounds and finds their pictures finished,
and the film reuses those pictures by their keys.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from remix.engine.budget import is_spared
from remix.engine.parts import part_of
from remix.errors import RemixError
from remix.job import PACING, is_job, recipe_of
from remix.motion import load_picture
from remix.motion.pacing import Jump, Pacer
from remix.motion.perceptual import Look, distance, look
from remix.plan import Frame, Keyframe, Mix, Recipe, Schedule, plan
from remix.plan.expression import Expression, fill_prompt, verbatim
from remix.plan.inputs import inputs_text
from remix.plan.moments import CLOCK_DECIMALS
from remix.plan.schedule import Whole
from remix.plan.travel import changes

PICTURES = 1.5
"""The maximum number of rendered pictures for each frame of a section, if the recipe has no budget."""

FEWEST = 3
"""The number of pictures that a section has at any budget: both ends, and one between them."""

RenderRound = Callable[[Schedule, Path], Sequence[Path]]
"""Renders all frames of a schedule into a job folder, and returns their files."""


@dataclass
class _Way:
    """The frames between two keyframes, with the pictures rendered there and the weights of its film."""

    begin: int
    end: int
    pacer: Pacer
    looks: dict[float, Look]

    @classmethod
    def between(cls, begin: int, end: int, pictures: float) -> _Way:
        looks: dict[float, Look] = {}
        count = end - begin + 1
        most = max(FEWEST, (math.ceil if pictures >= 1 else math.floor)(pictures * (count - 1)) + 1)
        return cls(begin, end, Pacer(count, most, lambda a, b: distance(looks[a], looks[b])), looks)

    def moment(self, weight: float) -> float:
        """Returns the moment of a weight. In a loop, that of the last section may be past the end of the film."""
        return round(self.begin + weight * (self.end - self.begin), CLOCK_DECIMALS)

    def add(self, weight: float, picture: Look) -> None:
        self.looks[weight] = picture
        self.pacer.add(weight)


def is_unmeasured(recipe: Recipe) -> bool:
    """Returns whether a recipe's pace or budget still has to be measured."""
    return (recipe.pace == "even" and recipe.clock is None) or is_spared(recipe)


def known_recipe(folder: Path, schedule: Schedule) -> Recipe | None:
    """Returns the recipe of an unmeasured `schedule` with the clock and the rendered frames of the job in a folder.

    Returns None if the job is that of another film, or was measured for another pace or budget.
    """
    if not is_job(folder):
        return None
    recipe = schedule.recipe
    try:
        held = recipe_of(folder)
        if is_unmeasured(held) or (held.pace, held.budget) != (recipe.pace, recipe.budget):
            return None
        unmeasured = plan(held.replace(clock=None, rendered=None))
    except RemixError:
        return None
    if not unmeasured.has_frames_of(schedule):
        return None
    return recipe.replace(clock=held.clock, rendered=held.rendered)


def most_pictures(schedule: Schedule) -> int:
    """Returns the maximum number of pictures that `measured_pace` renders."""
    return sum(way.pacer.budget for way in _ways(schedule))


def measured_pace(schedule: Schedule, folder: Path, render_round: RenderRound, tell: Callable[[str], None]) -> Recipe:
    """Returns the recipe of an unpaced schedule with its clock, after rendering pictures into folders below `folder`.

    With a budget below 1, it also has the frames to render. Calls `tell` with jumps that no pace can make even.
    """
    recipe = schedule.recipe
    ways = list(_ways(schedule))
    still = plan(_still(schedule))
    for number in itertools.count(1):
        wanted = [(way, weight) for way in ways for weight in way.pacer.wanted()]
        if not wanted:
            break
        moments = sorted({way.moment(weight) % recipe.frames for way, weight in wanted})
        paths = render_round(_round(still, moments), folder / f"round-{number:03d}")
        looks = dict(zip(moments, (look(load_picture(path)) for path in paths), strict=True))
        for way, weight in wanted:
            way.add(weight, looks[way.moment(weight) % recipe.frames])
    clock, between = [float(frame) for frame in range(recipe.frames)], set[int]()
    for way in ways:
        weights, jumps = way.pacer.film()
        for place, weight in enumerate(weights[1:-1], way.begin + 1):
            turns = place // recipe.frames  # 1 past the seam of a loop
            clock[place % recipe.frames] = way.moment(weight) - turns * recipe.frames
            if weight not in way.looks:
                between.add(place % recipe.frames)
        for jump in jumps:
            tell(_about_jump(schedule, way, weights, jump))
    if not is_spared(recipe):
        return recipe.replace(clock=clock)
    between |= _resting(schedule)
    return recipe.replace(clock=clock, rendered=[frame for frame in range(recipe.frames) if frame not in between])


def _round(still: Schedule, moments: Sequence[float]) -> Schedule:
    """Returns the pictures at some moments of a film, as a part of it."""
    planned = plan(still.recipe, moments)
    part = part_of(replace(planned, whole=Whole(still.prompts, still.negatives, still.first_seed)), range(len(planned)))
    recipe = part.recipe.replace(restore=still.recipe.restore)
    if recipe.workflow is not None or recipe.payload is not None:  # these refuse keyframes that set anything else
        keyframes = [Keyframe(at=keyframe.at, inputs=keyframe.inputs) for keyframe in recipe.keyframes]
        recipe = recipe.replace(keyframes=keyframes)
    return replace(part, recipe=recipe)


def _sections(schedule: Schedule) -> Iterator[tuple[int, int]]:
    """Yields the first and the last frame of each section. In a loop, the last one may end past the end of the film."""
    stops = sorted(set(schedule.recipe.positions()))
    if schedule.recipe.loop:
        stops.append(stops[0] + schedule.recipe.frames)
    yield from itertools.pairwise(stops)


def _ways(schedule: Schedule) -> Iterator[_Way]:
    """Yields the sections in which something travels, with at least one frame between their ends.

    Expressions do not count: they keep their frames at any pace.
    """
    recipe, still = schedule.recipe, plan(_still(schedule))
    pictures = PICTURES if recipe.budget is None else recipe.budget
    for begin, end in _sections(schedule):
        if end - begin > 1 and not _rests(still, begin, end):
            yield _Way.between(begin, end, pictures)


def _rests(schedule: Schedule, begin: int, end: int) -> bool:
    """Returns whether all frames of a section are the same picture."""
    frames = (schedule[index % len(schedule)] for index in range(begin, end + 1))
    return len({replace(frame, index=0) for frame in frames}) == 1


def _resting(schedule: Schedule) -> set[int]:
    """Returns the frames that lie between two equal ends of a section in which nothing changes."""
    frames = set[int]()
    for begin, end in _sections(schedule):
        if _rests(schedule, begin, end):
            frames |= {index % len(schedule) for index in range(begin + 1, end)}
    return frames - {0, len(schedule) - 1}


def _still(schedule: Schedule) -> Recipe:
    """Returns the recipe with each expression fixed at its keyframe's value, independent of the pace and the music."""
    recipe = schedule.recipe
    about = {"max_f": recipe.frames - 1, "fps": recipe.fps}

    def fixed(keyframe: Keyframe, frame: int) -> Keyframe:
        names = {**about, "s": schedule[frame].seed.heaviest}
        if recipe.music is not None:
            names |= {name: column[0] for name, column in recipe.music.columns([frame], recipe.fps).items()}

        def number(value: float | Expression | None) -> float | None:
            return value.evaluate(t=frame, **names) if isinstance(value, Expression) else value

        def texts(mix: Mix[str] | None) -> Mix[str] | None:
            if mix is None or not changes(mix):
                return mix
            return Mix(tuple((verbatim(fill_prompt(text, frame, **names)), weight) for text, weight in mix.items))

        def value(one: Any) -> Any:
            return texts(one) if isinstance(one, Mix) else number(one)

        return replace(
            keyframe,
            at=frame,
            inputs=keyframe.inputs and tuple((name, value(one)) for name, one in keyframe.inputs),
            cfg=number(keyframe.cfg),
            denoise=number(keyframe.denoise),
            prompt=texts(keyframe.prompt),
            negative=texts(keyframe.negative),
        )

    keyframes = tuple(map(fixed, recipe.keyframes, recipe.positions()))
    return recipe.replace(pace="linear", music=None, keyframes=keyframes)


def _about_jump(schedule: Schedule, way: _Way, weights: Sequence[float], jump: Jump) -> str:
    after = next(place for place, weight in enumerate(weights) if weight >= jump.after) + way.begin
    frames = len(schedule)
    ends = " to ".join(_shown(schedule[index % frames]) for index in (way.begin, way.end))
    return (
        f"pace: the picture jumps at frame {after % frames}, from {ends}: it changes by {jump.steps:.1f} steps "
        "at once, which no pace can even out; try another seed, or a keyframe between the two"
    )


def _shown(frame: Frame) -> str:
    if frame.inputs:
        return inputs_text(frame.inputs)
    return f"{frame.prompt.heaviest!r} (seed {frame.seed.heaviest})"


def rounds(folder: Path) -> Iterable[Path]:
    """Returns the job folders of a film's rounds, in order."""
    place = folder.resolve() / PACING
    return sorted(place.glob("round-*")) if place.is_dir() and not place.is_symlink() else []
