"""The script Remix: turns a request of the host into a job folder with its frames and its film.

`Panel.build(is_img2img, elem_id)` returns the components, the recipe's text first. `settings_of(args)` turns their
values, or as many as a request has, into `Settings`. Infotexts are handled in pasting.py.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from remix.engine import Event, render
from remix.errors import BadInput, Interrupted, MissingPackage, OutOfMemory
from remix.job import siblings
from remix.job.files import inside
from remix.plan import Recipe, Schedule, plan

from . import host, panel, pasting
from . import playground as playground  # A1111 imports it by name from the yaml of the bundled model
from .engine import HostEngine
from .job import PartRequest, job_folder, unfinished
from .live_preview import in_words_of_page, settings_of
from .processing import fields_of, result, save_pictures
from .settings import Settings


class RemixScript(host.Script):
    """The script that the host loads from `scripts/remix_toolkit.py`: one instance for txt2img, one for img2img."""

    def __init__(self) -> None:
        self.panel = panel.Panel()

    def title(self) -> str:
        """Returns the name in the list of scripts; in lower case it is the name over the API."""
        return "Remix"

    def show(self, is_img2img: bool) -> bool:
        """Returns True: the script is available in txt2img and in img2img."""
        return True

    def ui(self, is_img2img: bool) -> list[Any]:
        """Returns the panel's components."""
        controls = self.panel.build(is_img2img, self.elem_id)
        self.infotext_fields = self.panel.infotext_fields
        self.paste_field_names = [str(label) for _, label in self.infotext_fields]
        return controls

    def after_component(self, component: Any, **options: Any) -> None:
        """Passes each component that the host creates to the panel."""
        self.panel.seen(component, options.get("elem_id"))

    def run(self, p: Any, *args: Any) -> Any:
        """Returns the host's result: the requested frames, once they are in the job folder.

        Returns None for the button that upscales one picture of the gallery, so that the host handles it.
        """
        if pasting.is_upscaling(p):
            pasting.fill_for_upscaling(p)
            return None
        try:
            with host.pinned(p), tempfile.TemporaryDirectory() as scratch:
                given = host.own_args(p, self)
                if not given:
                    raise BadInput("script_args: is empty; give the recipe as its first value")
                if isinstance(given[0], Mapping) and "part" in given[0]:
                    return _render_part(p, given[0], Path(scratch))
                settings = settings_of(given) if isinstance(given[0], str) else Settings.of_request(given[0])
                return _render(p, settings, Path(scratch))
        except (BadInput, MissingPackage) as error:
            if host.is_api(p):
                raise host.unprocessable(error) from error
            # Without the line and the caret, which only align in the monospaced font of the preview.
            return host.refusal(p, in_words_of_page(str(error).partition("\n")[0]))


def _render(p: Any, settings: Settings, scratch: Path) -> Any:
    """Renders the film that the panel's fields, or a request with their names, describe."""
    fields = fields_of(p, scratch)
    planned = schedule = plan(settings.recipe(fields))
    about = pasting.infotext(settings)
    engine = HostEngine(p, schedule.recipe, batch=settings.batch, portable=settings.portable, about=about)
    remarks: Sequence[str] | None = engine.check(schedule)
    identity = engine.identity(schedule)
    save_pictures(p, schedule.recipe, scratch)
    root = host.output_folder(p)
    if host.is_random(p.seed) and not settings.new:

        def drawn(seed: int) -> Recipe:
            return settings.recipe(replace(fields, seed=seed))

        schedule = unfinished(root, settings.name, planned, drawn, fields.seed, identity)
    if schedule is not planned:
        remarks = None  # another seed may choose other prompts
    folder = job_folder(root, settings.name, schedule, identity, new=settings.new)
    wanted = settings.wanted(len(schedule))
    donors = [] if settings.new else siblings(root, settings.name)
    return _rendered(
        *(p, engine, schedule, folder, wanted, remarks),
        film_name=settings.film_name,
        donors=donors,
        every=settings.every,
    )


def _render_part(p: Any, data: Mapping[str, Any], scratch: Path) -> Any:
    """Renders the frames of a film that a client requests. They are already planned, and use no fields of the host.

    The folder of a film has a job for each part, so that the cost of a request does not depend on the film's length.
    """
    request = PartRequest.read(data, str(scratch))
    schedule = request.part
    about = pasting.infotext(Settings())
    engine = HostEngine(p, schedule.recipe, batch=request.batch, portable=True, about=about)
    remarks = engine.check(schedule)
    save_pictures(p, schedule.recipe, scratch)
    root = inside(host.output_folder(p), f"client_{request.film}")
    folder = job_folder(root, f"{request.start:06d}", schedule, engine.identity(schedule))
    return _rendered(p, engine, schedule, folder, request.wanted, remarks)


def _rendered(
    p: Any,
    engine: HostEngine,
    schedule: Schedule,
    folder: Path,
    wanted: Sequence[int],
    remarks: Sequence[str] | None,
    *,
    film_name: str | None = None,
    donors: Sequence[Path] = (),
    every: int = 1,
) -> Any:
    """Returns the host's result, once the `wanted` frames, or as many as could be rendered, are in the job folder.

    `remarks` are those of the engine's check, None if the schedule still has to be checked.
    """
    film = None
    try:
        film = render(
            schedule,
            engine,
            folder,
            film=film_name,
            frames=None if every > 1 else wanted,
            every=every,
            donors=donors,
            checked=remarks,
            listen=_tell,
            tell=p.comment,
            stop=lambda: host.state.stopping_generation or host.state.interrupted,
        ).film
    except Interrupted as stopped:
        p.comment(str(stopped))
    except OutOfMemory as error:
        if host.is_api(p):
            raise
        p.comment(str(error))  # finished frames are kept and shown
    return result(p, engine, schedule, folder, wanted, film)


def _tell(event: Event) -> None:
    """Shows the film's progress in the host."""
    host.state.textinfo = f"Remix: {event.stage}, {event.done} of {event.total}"
