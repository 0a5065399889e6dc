"""Pictures that enter and leave an engine: verified before they are accepted, and masks in the form of latents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from remix.errors import BlankFrame, WrongSize
from remix.motion.pictures import Picture, only_colour
from remix.plan import Frame, Schedule

if TYPE_CHECKING:
    from torch import Tensor


def verified(picture: Picture, schedule: Schedule, index: int, advice: str = "") -> Picture:
    """Returns the picture of frame `index`.

    Raises `WrongSize` if its size is not that of the recipe. Raises `BlankFrame`, with `advice` on how to avoid that,
    if all of its pixels are equal. A frame that is only decoded (denoise 0) may show a given picture of one color.
    """
    recipe = schedule.recipe
    if picture.shape != (recipe.height, recipe.width, 3):
        raise WrongSize(
            f"frame {index}: the picture is {picture.shape[1]}x{picture.shape[0]}, and {recipe.width}x{recipe.height} "
            "was asked for; use sides that fit the model"
        )
    if schedule[index].denoise > 0 and (color := only_colour(picture)):
        raise BlankFrame(f"frame {index}: every pixel of the picture is {color}" + (f"; {advice}" if advice else ""))
    return picture


def cropped(picture: Picture, size: tuple[int, int], index: int, maker: str) -> Picture:
    """Returns a picture without what its sides exceed multiples of 8 by, as the sides of a recipe are.

    Raises `WrongSize`, naming its `maker`, if its size is not `size` then.
    """
    height, width = picture.shape[:2]
    wide, high = width - width % 8, height - height % 8
    if (wide, high) != size:
        raise WrongSize(
            f"frame {index}: the {maker} gives {width}x{height}, and the recipe has {size[0]}x{size[1]}; write "
            f"size = [{wide}, {high}], or leave it out"
        )
    top, left = height % 8 // 2, width % 8 // 2
    return picture[top : top + high, left : left + wide]


def refuse_not_finite(latents: Iterable[Any], frames: Iterable[int]) -> None:
    """Raises `BlankFrame`, naming the frame, for a latent (a torch tensor) that holds infinity or NaN."""
    for index, latent in zip(frames, latents, strict=True):
        if not bool(latent.isfinite().all()):
            raise BlankFrame(f"frame {index}: the model gave numbers that are not finite")


def masks_of(frames: Sequence[Frame], inputs: Mapping[str, Picture], latents: Any) -> Tensor | None:
    """Returns how much of each position of `latents` (a shape [B, c, h, w]) is redrawn: [B, 1, h, w], 0 to 1.

    None if no frame has a mask. A keyframe that sets one sets it for the whole film, so all frames or none have one.
    """
    import torch

    from remix.mix import masks_of_mixes

    masks = [frame.mask for frame in frames if frame.mask is not None]
    if not masks:
        return None
    pictures = {name: torch.from_numpy(inputs[name].copy()) for mask in masks for name in mask.values}
    return masks_of_mixes(masks, pictures, latents)
