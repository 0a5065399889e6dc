"""What a run takes from the host's request, and what the host gets back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from remix.digest import sha256
from remix.errors import BadInput
from remix.job import FRAMES
from remix.job.files import inside
from remix.plan import Recipe, Schedule

from . import host
from .engine import HostEngine
from .settings import Fields


def fields_of(p: Any, scratch: Path) -> Fields:
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


def save_pictures(p: Any, recipe: Recipe, scratch: Path) -> None:
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


def result(
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
