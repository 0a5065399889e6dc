"""Pictures, masks and conditionings that are connected to Remix Render, for all frames or for each."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from remix.digest import sha256
from remix.errors import BadInput
from remix.job.files import inside
from remix.job.inputs import input_hashes
from remix.motion import save_picture
from remix.motion.pictures import to_bytes
from remix.plan import Keyframe, Mix, Recipe, Schedule, plan

from .encoding import Entries
from .inputs import temporary_folder


@contextmanager
def with_pictures(
    schedule: Schedule, images: torch.Tensor | None, masks: torch.Tensor | None, denoise: float
) -> Iterator[Schedule]:
    """Yields the schedule with an IMAGE as init pictures and a MASK as masks.

    A batch has one for all frames, one for each keyframe, or one for each frame. `denoise` is that of all frames,
    unless the recipe sets its own. Names of pictures are hashes of their content. They are in a temporary folder, from
    which the job copies them.
    """
    if images is None and masks is None:
        yield schedule
        return
    recipe = schedule.recipe
    _refuse_both(recipe, images, masks)
    with tempfile.TemporaryDirectory(dir=temporary_folder()) as folder:
        for name in input_hashes(recipe):  # raises for a missing one
            path = inside(Path(folder), name)
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(inside(Path(recipe.folder or "."), name), path)
        keyframes = recipe.keyframes
        if images is not None:
            keyframes = _assigned(recipe, keyframes, "image", _saved(images[..., :3], folder))
            if all(keyframe.denoise is None for keyframe in keyframes):
                keyframes = (replace(keyframes[0], denoise=denoise), *keyframes[1:])
        if masks is not None:
            planes = masks.reshape(-1, *masks.shape[-2:], 1).expand(-1, -1, -1, 3)
            keyframes = _assigned(recipe, keyframes, "mask", _saved(planes, folder))
        yield plan(recipe.replace(keyframes=keyframes, folder=folder))


def _refuse_both(recipe: Recipe, images: Any, masks: Any) -> None:
    """Raises BadInput if the recipe sets what is connected too, or a mask has no picture."""
    for name, given in (("image", images), ("mask", masks)):
        if given is not None and any(getattr(keyframe, name) for keyframe in recipe.keyframes):
            raise BadInput(f"{name}s: the recipe sets {name!r} too; disconnect them, or leave it out of the recipe")
    if images is None and not any(keyframe.image for keyframe in recipe.keyframes):
        raise BadInput("masks: there is no picture to redraw; connect images too")


def _saved(pictures: torch.Tensor, folder: str) -> list[str]:
    """Writes pictures [n, height, width, 3] into a folder, and returns their names."""
    names = []
    for picture in pictures:
        data = to_bytes(picture.cpu().numpy())
        names.append(f"{sha256(str(data.shape).encode() + data.tobytes())[:24]}.png")
        path = Path(folder, names[-1])
        if not path.exists():
            save_picture(path, data)
    return names


def _assigned(recipe: Recipe, keyframes: Sequence[Keyframe], field: str, names: Sequence[str]) -> tuple[Keyframe, ...]:
    """Returns the keyframes with a picture for all frames, for each keyframe, or for each frame."""
    if len(names) == 1:
        return _setting(keyframes[0], field, names[0]), *keyframes[1:]
    if len(names) == len(keyframes):
        return tuple(_setting(keyframe, field, name) for keyframe, name in zip(keyframes, names, strict=True))
    if len(names) != recipe.frames:
        raise BadInput(
            f"{field}s: {len(names)} for {recipe.frames} frames and {len(recipe.keyframes)} keyframes; give one, one "
            "for each keyframe, or one for each frame"
        )
    # The fields of a keyframe travel independently, so keyframes that set only a picture change nothing else.
    positions = recipe.replace(keyframes=keyframes).positions()
    placed = {at: replace(keyframe, at=at) for at, keyframe in zip(positions, keyframes, strict=True)}
    return tuple(_setting(placed.get(at, Keyframe(at=at)), field, name) for at, name in enumerate(names))


def _setting(keyframe: Keyframe, field: str, name: str) -> Keyframe:
    mix = Mix.one(name)
    return replace(keyframe, image=mix) if field == "image" else replace(keyframe, mask=mix)


def of_frames(name: str, entries: Entries, frames: Sequence[int], count: int, controls: dict[int, Any]) -> Entries:
    """Returns the part of a connected CONDITIONING for these frames of a film of `count` frames.

    It has one row for all frames, or one for each; so have its other tensors and the pictures of its ControlNets.
    `controls` collects copies of ControlNets, since prompt and negative prompt are sampled together if they share one.
    Raises BadInput for other numbers.
    """
    found = []
    for tokens, options in entries:
        if len(tokens) not in (1, count):
            raise BadInput(
                f"{name}: {len(tokens)} conditionings for {count} frames; give one, or one for each frame in one "
                "batch (batch_size 0 in Remix Prompt Travel)"
            )
        part = {key: _rows(value, frames, count) for key, value in options.items()}
        if options.get("control") is not None:
            part["control"] = _control_of(name, options["control"], frames, count, controls)
        found.append([_rows(tokens, frames, count), part])
    return found


def _rows(value: Any, frames: Sequence[int], count: int) -> Any:
    by_frame = isinstance(value, torch.Tensor) and value.ndim > 1 and len(value) == count
    return value[list(frames)] if by_frame else value


def _control_of(name: str, control: Any, frames: Sequence[int], count: int, controls: dict[int, Any]) -> Any:
    """Returns a copy of a chain of ControlNets with their pictures for these frames."""
    if id(control) in controls:
        return controls[id(control)]
    copied, hint = control.copy(), control.cond_hint_original
    if isinstance(hint, torch.Tensor) and len(hint) not in (1, count):
        raise BadInput(
            f"{name}: its ControlNet has {len(hint)} pictures for {count} frames; give one, or one for each frame"
        )
    copied.cond_hint_original = _rows(hint, frames, count)
    extra = getattr(control, "extra_concat_orig", None)
    if extra:
        copied.extra_concat_orig = [_rows(value, frames, count) for value in extra]
    previous = control.previous_controlnet
    copied.previous_controlnet = None if previous is None else _control_of(name, previous, frames, count, controls)
    controls[id(control)] = copied
    return copied
