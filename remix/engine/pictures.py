"""Pictures on their way into and out of an engine: verified before they count, and masks as latents need them."""

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

    Raises `WrongSize` if it has another size than the recipe asks for, `BlankFrame` if all of its pixels are equal,
    with `advice` on how to avoid that. A frame that is only decoded (denoise 0) may show a given picture of one color.
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


def refuse_not_finite(latents: Iterable[Any], frames: Iterable[int]) -> None:
    """Raises `BlankFrame`, naming the frame, for a latent (a torch tensor) that holds infinity or NaN."""
    for index, latent in zip(frames, latents, strict=True):
        if not bool(latent.isfinite().all()):
            raise BlankFrame(f"frame {index}: the model gave numbers that are not finite")


def masks_of(frames: Sequence[Frame], inputs: Mapping[str, Picture], latents: Any) -> Tensor | None:
    """Returns how much of each place of `latents` (a shape [B, c, h, w]) is drawn anew: [B, 1, h, w] of 0 to 1.

    None if no frame has a mask. A keyframe that sets one sets it for the whole film, so it is all frames or none.
    """
    import torch

    from remix.mix import masks_of_mixes

    masks = [frame.mask for frame in frames if frame.mask is not None]
    if not masks:
        return None
    pictures = {name: torch.from_numpy(inputs[name].copy()) for mask in masks for name in mask.values}
    return masks_of_mixes(masks, pictures, latents)
