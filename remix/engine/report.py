"""Reports of job folders, films and pictures: gathers what `remix.show.report` shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from remix.engine.budget import measured_inbetweens
from remix.errors import JobError, RemixError
from remix.job import Made, frame_path, read_frames, read_metadata, spans
from remix.job.job import SETTINGS, earlier_engines, film_files, recipe_of
from remix.job.journal import Journal
from remix.job.reading import JOURNAL, REPORT, read_about
from remix.motion import Picture, load_picture, probe, read_video
from remix.motion.atomic import atomic_write
from remix.plan import Recipe, Schedule, plan
from remix.plan.schedule import remarks_on
from remix.show.motion import measure
from remix.show.report import Cost, Report, Rows, to_html

SEPARATE = ("keyframes", "model", "clock", "music")
"""Fields of a recipe that the table of settings leaves out, since other parts of the report show them."""

SEPARATORS = {"size": " x "}
"""Fields whose values a comma does not separate."""

OF_MODEL = ("model", "vae", "lora", "clip skip")
"""The rows of another tool's metadata that belong to the table of the model."""


def job_report(
    folder: Path, schedule: Schedule | None = None, *, film: Path | None = None, remarks: Iterable[str] | None = None
) -> Report:
    """Returns the report of a job whose frames are all finished.

    `schedule` and `film` are read from the folder if None. `remarks` are those of the run; None repeats those on the
    schedule. Raises JobError if frames are missing or the folder holds no job.
    """
    if schedule is None:
        paths, missing = read_frames(folder)
        if missing:
            raise JobError(
                f"{folder}: {len(missing)} of {len(paths)} frames are missing or damaged ({spans(missing)}); "
                "run the same remix render again to get them"
            )
        schedule = plan(recipe_of(folder))
    if film is None:
        film = next(iter(film_files(folder)), None)
    frames = (load_picture(frame_path(folder, index)) for index in range(len(schedule)))
    recipe = schedule.recipe
    return Report(
        folder.resolve().name,
        measure(frames, loop=recipe.loop),
        recipe.fps,
        film,
        schedule,
        _settings(recipe),
        _job_model(schedule, read_about(folder)),
        _cost(folder, schedule),
        tuple(remarks_on(schedule) if remarks is None else dict.fromkeys(remarks)),
        measured_inbetweens(folder, schedule),
    )


def film_report(film: Path, *, loop: bool | None = None) -> Report:
    """Returns the report of a film, or of a folder of numbered PNGs, with the settings in its metadata.

    `loop` also measures the step from the last frame to the first; None does so if the film's recipe loops.
    """
    info, made = probe(film), read_metadata(film)
    schedule = _schedule_of(made, info.frames)
    if loop is None:
        loop = schedule is not None and schedule.recipe.loop
    settings, model = _made_rows(made)
    return Report(
        film.resolve().name,
        measure(read_video(film), loop=loop),
        None if info.fps is None else float(info.fps),
        film if film.is_file() else None,
        schedule,
        (*settings, ("codec", f"{info.codec}, {info.pixel_format}")),
        model,
        remarks=_notes(made),
    )


def pictures_report(folder: Path, pictures: Sequence[Path], *, loop: bool = False) -> Report:
    """Returns the report of pictures in order, with the settings in the metadata of the first one."""
    made = read_metadata(pictures[0])
    settings, model = _made_rows(made)
    return Report(
        folder.resolve().name,
        measure(_loaded(pictures), loop=loop),
        settings=settings,
        model=model,
        remarks=_notes(made),
    )


def _notes(made: Made) -> tuple[str, ...]:
    """Returns what was skipped in a file's metadata, and what its reader could not tell, each once."""
    return tuple(dict.fromkeys((*made.notes, *(made.origin.notes if made.origin else ()))))


def write_report(report: Report, path: Path) -> Path:
    """Writes a report to `path` as one HTML page, atomically, and returns `path`."""
    text = to_html(report, path)
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
    return path


def report_path(folder: Path) -> Path:
    """Returns the path of the report of a job folder, whether or not it exists."""
    return folder / REPORT


def _loaded(paths: Iterable[Path]) -> Iterator[Picture]:
    for path in paths:
        yield load_picture(path)


def _settings(recipe: Recipe) -> Rows:
    """Returns the fields of a recipe as texts, including the defaults that apply to every film."""
    always = {"frames": recipe.frames, "fps": recipe.fps, "size": [recipe.width, recipe.height]}
    sampling = () if recipe.has_own_settings else ("sampler", "scheduler", "steps", "cfg")
    always |= {name: getattr(recipe, name) for name in (*sampling, "pace", "loop")}
    given = {name: value for name, value in recipe.to_dict().items() if name not in SEPARATE}
    if any(keyframe.cfg is not None for keyframe in recipe.keyframes):
        always.pop("cfg", None)  # the keyframes replace it
        given.pop("cfg", None)
    if recipe.music is not None:
        given["music"] = f"{recipe.music.file}, {recipe.music.tempo:g} beats per minute"
    return tuple(_plain_rows({**always, **given}))


def _job_model(schedule: Schedule, about: Mapping[str, Any]) -> Rows:
    """Returns the model of a recipe, and the engines in a job.json that rendered it, with device and batch size."""
    rows = list(_model(schedule.recipe))
    engine = about.get("engine")
    rows += _plain_rows(engine)
    for earlier in earlier_engines(about):
        if isinstance(earlier, Mapping):
            rows.append(("earlier engine", _text({**_mapping(earlier.get("engine")), "frames": earlier.get("frames")})))
    settings = about.get(SETTINGS)
    rows += [row for each in (settings if isinstance(settings, list) else []) for row in _plain_rows(each)]
    rows.append(("toolkit", _text(about.get("toolkit", ""))))
    return tuple(dict.fromkeys(rows))


def _model(recipe: Recipe) -> Rows:
    if recipe.has_own_settings:
        return ()
    model = recipe.model
    rows = [("checkpoint", model.checkpoint)]
    rows += [("vae", model.vae)] if model.vae is not None else []
    rows += [("LoRA", f"{lora.name}, strength {lora}") for lora in model.loras]
    rows += [("clip_skip", str(model.clip_skip))] if model.clip_skip != 1 else []
    return tuple(rows)


def _schedule_of(made: Made, frames: int) -> Schedule | None:
    """Returns the schedule of a film's recipe, None if it has none or the film has another number of frames."""
    recipe = _recipe_of(made)
    if recipe is None:
        return None
    try:
        return plan(recipe) if recipe.frames == frames else None
    except RemixError:
        return None


def _recipe_of(made: Made) -> Recipe | None:
    if made.remix is None or "recipe" not in made.remix:
        return None
    try:
        return Recipe.from_dict(made.remix["recipe"]).settled()
    except RemixError:
        return None


def _made_rows(made: Made) -> tuple[Rows, Rows]:
    """Returns the settings and the model in a file's metadata, which may be forged, as rows of tables."""
    if (recipe := _recipe_of(made)) is not None and made.remix is not None:
        engine = _plain_rows(made.remix.get("engine"))
        return _settings(recipe), tuple(dict.fromkeys([*_model(recipe), *engine]))
    if made.origin is None:
        return (), ()
    tool = f"{made.origin.tool} {made.origin.version}".strip()
    settings, model = list[tuple[str, str]](), [("made by", tool)]
    for number, one in enumerate(made.origin.passes, 1):
        label = f" (pass {number})" if len(made.origin.passes) > 1 else ""
        for name, text in one.rows():
            (model if name in OF_MODEL else settings).append((f"{name}{label}", text))
    return tuple(settings), tuple(model)


def _plain_rows(values: object) -> list[tuple[str, str]]:
    return [(str(name), _text(value, SEPARATORS.get(name, ", "))) for name, value in _mapping(values).items()]


def _mapping(value: object) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object, separator: str = ", ") -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return separator.join(map(_text, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(each)}" for name, each in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def _cost(folder: Path, schedule: Schedule) -> Cost | None:
    """Returns the rendering time in a job's journal, None if it has none."""
    journal = Journal(folder / JOURNAL)
    times = journal.seconds()
    rendered = schedule.recipe.rendered or range(len(schedule))
    timed = [times[name] for index in rendered if (name := frame_path(folder, index).name) in times]
    pictures, seconds = journal.measuring
    if not timed and not pictures:
        return None
    unknown = max(0, len(rendered) - len(timed) - pictures)
    return Cost(sum(timed) + seconds, len(timed) + pictures, len(schedule), unknown, len(schedule) - len(rendered))
