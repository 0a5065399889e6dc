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

from remix.digest import sha256
from remix.engine import Event, render
from remix.errors import BadInput, Interrupted, MissingPackage, OutOfMemory
from remix.job import FRAMES, siblings
from remix.job.files import inside
from remix.plan import Recipe, Schedule, plan

from . import host, panel, pasting
from . import playground as playground  # A1111 imports it by name from the yaml of the bundled model
from .engine import HostEngine
from .job import PartRequest, job_folder, unfinished
from .live_preview import in_words_of_page, settings_of
from .settings import Fields, Settings


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
    random = host.is_random(p.seed)
    fields = _fields(p, scratch)
    schedule = plan(settings.recipe(fields))
    about = pasting.infotext(settings)
    engine = HostEngine(p, schedule.recipe, batch=settings.batch, portable=settings.portable, about=about)
    engine.check(schedule)  # first, since it may refuse; `render` passes on its remarks
    identity = engine.identity(schedule)
    _save_pictures(p, schedule.recipe, scratch)
    root = host.output_folder(p)
    if random and not settings.new:

        def drawn(seed: int) -> Recipe:
            return settings.recipe(replace(fields, seed=seed))

        schedule = unfinished(root, settings.name, schedule, drawn, fields.seed, identity)
    folder = job_folder(root, settings.name, schedule, identity, new=settings.new)
    wanted = settings.wanted(len(schedule))
    donors = [] if settings.new else siblings(root, settings.name)
    return _rendered(p, engine, schedule, folder, wanted, settings.film_name, donors)


def _render_part(p: Any, data: Mapping[str, Any], scratch: Path) -> Any:
    """Renders the frames of a film that a client requests. They are already planned, and use no fields of the host.

    The folder of a film has a job for each part, so that the cost of a request does not depend on the film's length.
    """
    request = PartRequest.read(data, str(scratch))
    schedule = request.part
    about = pasting.infotext(Settings())
    engine = HostEngine(p, schedule.recipe, batch=request.batch, portable=True, about=about)
    engine.check(schedule)
    _save_pictures(p, schedule.recipe, scratch)
    root = inside(host.output_folder(p), f"client_{request.film}")
    folder = job_folder(root, f"{request.start:06d}", schedule, engine.identity(schedule))
    return _rendered(p, engine, schedule, folder, request.wanted, None, [])


def _rendered(
    p: Any,
    engine: HostEngine,
    schedule: Schedule,
    folder: Path,
    wanted: range,
    film_name: str | None,
    donors: Sequence[Path],
) -> Any:
    """Returns the host's result, once the `wanted` frames, or as many as could be rendered, are in the job folder."""
    film = None
    try:
        film = render(
            schedule,
            engine,
            folder,
            film=film_name,
            frames=wanted,
            donors=donors,
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
    return _result(p, engine, schedule, folder, wanted, film)


def _tell(event: Event) -> None:
    """Shows the film's progress in the host."""
    host.state.textinfo = f"Remix: {event.stage}, {event.done} of {event.total}"


def _fields(p: Any, scratch: Path) -> Fields:
    """Returns the values of the host's own fields."""
    images = [image for image in getattr(p, "init_images", None) or [] if image is not None]
    width, height = host.finished_size(p)
    return Fields(
        prompt=p.prompt,
        negative=p.negative_prompt,
        seed=host.drawn_seed(p.seed),
        steps=p.steps,
        cfg=p.cfg_scale,
        width=width,
        height=height,
        sampler=p.sampler_name,
        scheduler=p.scheduler,
        denoise=p.denoising_strength if images else 1.0,
        images=(f"init-{sha256(images[0].tobytes())[:12]}.png",) if images else (),
        folder=str(scratch),
    )


def _save_pictures(p: Any, recipe: Recipe, scratch: Path) -> None:
    """Saves the init pictures under their names in the recipe.

    The recipe's names are assigned to the init pictures in order: first the names of pictures, then those of masks.
    """
    names = recipe.pictures()
    images = [image for image in getattr(p, "init_images", None) or [] if image is not None]
    if host.is_img2img(p) and not images:
        raise BadInput("image: img2img has no picture to begin with; give one, or run the script in txt2img")
    if names and len(names) > len(images) and host.is_img2img(p):
        raise BadInput(
            f"image: the recipe names {len(names)} pictures, and there are {len(images)}; give one for each, in the "
            "order in which the recipe names them"
        )
    for name, image in zip(names, images, strict=False):
        path = inside(scratch, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        host.fitted(image, p, recipe.width, recipe.height).save(path, "PNG")


def _result(
    p: Any, engine: HostEngine, schedule: Schedule, folder: Path, wanted: Sequence[int], film: Path | None
) -> Any:
    """Returns the host's result: the existing frames, each with its infotext, and the path of the job.

    The host has one prompt and one seed for a picture: those with the largest weight in the frame.
    """
    paths = {index: folder / FRAMES / f"{index:06d}.png" for index in wanted}
    there = {index: path for index, path in paths.items() if path.is_file()}
    pictures = [host.picture_at(path, p) for path in there.values()]
    about: dict[str, Any] = {"Remix job": folder.name, "Remix film": film.name if film else None}
    about |= {"Remix left": len(paths) - len(there), "Remix remarks": list(p.comments)}
    p.extra_generation_params.update({name: value for name, value in about.items() if value})
    shown = [schedule[index] for index in there or wanted[:1]]
    return host.processed(
        p,
        pictures,
        [picture.info.get("parameters", "") for picture in pictures],
        prompts=[frame.prompt.heaviest for frame in shown],
        negatives=[frame.negative.heaviest for frame in shown],
        seeds=[frame.seed.heaviest for frame in shown],
        model=engine.model_name,
    )
