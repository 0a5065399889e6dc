"""Requests of the host and their results: the processing object, init pictures, folders, and refusals."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import modules.scripts as scripts  # the module: importing Script by name would register it again
from modules import images, paths, processing, shared, ui_tempdir
from PIL import Image

from remix.errors import BadInput, RemixError
from remix.job import is_job
from remix.job.files import safe_name

from .settings import option

log = logging.getLogger(__name__)

Script = scripts.Script

state = shared.state


LATENT_UPSCALE = 3
"""The resize mode "Just resize (latent upscale)"."""


def is_random(seed: Any) -> bool:
    """Returns whether the host's seed field asks for a random seed."""
    return seed in (None, "") or int(seed) < 0


def drawn_seed(seed: Any) -> int:
    """Returns the seed in the host's field, or a random one if the field asks for it."""
    return random.randrange(2**32) if is_random(seed) else int(seed)


def own_args(p: Any, script: Any) -> list[Any]:
    """Returns the arguments of a script that were given, and fills in the missing ones.

    The API puts `script_args` in place of the script's arguments, however many there are. With too few, the arguments
    of all later scripts would be misread, so they are moved to their own positions.
    """
    given = list(p.script_args)
    lacking = max((other.args_to or 0 for other in p.scripts.scripts), default=len(given)) - len(given)
    own = given[script.args_from : script.args_to - max(lacking, 0)]
    if lacking < 0:
        most = script.args_to - script.args_from
        raise BadInput(f"script_args: {most - lacking} values are too many; give 1 to {most}")
    if lacking:
        place = script.args_from + len(own)
        p.script_args = [*given[:place], *[None] * lacking, *given[place:]]
    return own


def finished_size(p: Any) -> tuple[int, int]:
    """Returns width and height of the finished pictures, after hires fix."""
    if not getattr(p, "enable_hr", False):
        return p.width, p.height
    if p.hr_resize_x and p.hr_resize_y:
        return p.hr_resize_x, p.hr_resize_y
    scale = p.hr_resize_x / p.width if p.hr_resize_x else p.hr_resize_y / p.height if p.hr_resize_y else p.hr_scale
    return int(p.width * scale), int(p.height * scale)


def is_img2img(p: Any) -> bool:
    """Returns whether a processing object has init pictures."""
    return hasattr(p, "init_images")


def is_api(p: Any) -> bool:
    """Returns whether a request came over the API, and not from the page."""
    return bool(getattr(p, "is_api", False))


def picture_at(path: Path, p: Any) -> Image.Image:
    """Returns a frame for the host's result: its pixels over the API, only its file in the gallery."""
    with Image.open(path) as picture:
        if is_api(p):
            picture.load()
        else:
            picture.already_saved_as = str(path)  # type: ignore[attr-defined]
    return picture


def fitted(picture: Any, p: Any, width: int, height: int) -> Any:
    """Returns an init picture at the size of the frames, fitted by the host's resize mode.

    Raises BadInput for the mode that scales the latent instead, if the picture has another size.
    """
    flat = images.flatten(picture, option("img2img_background_color", "#ffffff"))
    if flat.size == (width, height):
        return flat
    if p.resize_mode == LATENT_UPSCALE:
        raise BadInput(
            "resize mode: Just resize (latent upscale) scales the latent and not the picture, which films cannot do; "
            "choose another mode, or give a picture of the frames' size"
        )
    return images.resize_image(p.resize_mode, flat, width, height)


def fitted_mask(mask: Any, p: Any, width: int, height: int) -> Any:
    """Returns the host's mask at the size of the frames, fitted like the init picture."""
    if mask.size == (width, height):
        return mask
    fitted = images.resize_image(min(p.resize_mode, 2), mask.convert("RGB"), width, height)
    return fitted.convert(mask.mode)


def output_folder(p: Any) -> Path:
    """Returns the folder of jobs: `remix` in the host's output folder for txt2img or img2img."""
    return Path(p.outpath_samples).resolve() / "remix"


def presets_folder() -> Path:
    """Returns the folder of the user's presets, in the host's folder of data, where it keeps styles too."""
    return Path(paths.data_path).resolve() / "remix-presets"


def job_of(tab: str, name: str) -> Path | None:
    """Returns the folder of a job of "txt2img" or "img2img", None if there is none."""
    root = option("outdir_samples") or option(f"outdir_{tab}_samples")
    folder = Path(root).resolve() / "remix" / name
    return folder if safe_name(name) == name and is_job(folder) else None


def address(path: Path) -> str:
    """Returns the address of a file for the host's page, and allows the host to serve it."""
    ui_tempdir.register_tmp_file(shared.demo, str(path))
    return f"file={quote(path.as_posix())}"


class Unchanged(dict[str, Any]):
    """An output that gradio leaves unchanged, even if the host adds pictures to it."""

    def __init__(self) -> None:
        super().__init__(__type__="update")

    def __add__(self, other: object) -> Unchanged:
        return self


def refusal(p: Any, sentence: str) -> Any:
    """Returns a result for the page that shows a sentence below the gallery and leaves the gallery unchanged."""
    log.info("%s", sentence)
    p.comment(sentence)
    result = processing.Processed(p, [], 0, "")
    result.images = Unchanged()
    result.js = Unchanged
    return result


def unprocessable(error: RemixError) -> Exception:
    """Returns the error that makes the API respond with status 422 and the sentence of `error`."""
    from fastapi.exceptions import HTTPException

    return HTTPException(status_code=422, detail=str(error))


def processed(
    p: Any,
    pictures: Sequence[Image.Image],
    infotexts: Sequence[str],
    *,
    prompts: Sequence[str],
    negatives: Sequence[str],
    seeds: Sequence[int],
    model: str,
) -> Any:
    """Returns the host's result of a run: pictures with a prompt, a negative prompt and a seed each."""
    lists: dict[str, list[Any]] = {"all_prompts": list(prompts), "all_negative_prompts": list(negatives)}
    lists |= {"all_seeds": list(seeds), "all_subseeds": list(seeds)}
    first = infotexts[0] if infotexts else ""
    result = processing.Processed(p, list(pictures), seeds[0], first, infotexts=list(infotexts), **lists)
    result.sd_model_name = model
    return result
