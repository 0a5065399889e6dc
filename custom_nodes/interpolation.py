"""In-betweens by the host's frame interpolation models, RIFE and FILM, if it has their weights. It has no nodes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any

import comfy.model_management
import folder_paths
import nodes
import torch

from remix.motion import Picture
from remix.motion.inbetween import QUALITIES
from remix.motion.pictures import to_bytes, to_floats
from remix.motion.retiming import Method

FOLDER = "frame_interpolation"
"""The folder of these models. Older hosts have none."""

LOADER = "FrameInterpolationModelLoader"


def methods() -> list[str]:
    """Returns the ways to make in-betweens: those of the toolkit, then the files of the host's models."""
    known = FOLDER in folder_paths.folder_names_and_paths
    return [*QUALITIES, *(folder_paths.get_filename_list(FOLDER) if known else [])]


def method_of(name: str) -> Method | None:
    """Returns the method of a model by its file name, loaded by the host; None for the toolkit's own methods."""
    if name in QUALITIES:
        return None
    loaded = nodes.NODE_CLASS_MAPPINGS[LOADER].execute(name)
    return partial(ModelBetween, loaded.args[0])


class ModelBetween:
    """What a model of the host puts between two pictures. `patcher` is the output of the host's loader."""

    def __init__(self, patcher: Any, first: Picture, second: Picture) -> None:
        self._patcher, self._size, self._pictures = patcher, first.shape[:2], (first, second)

    @torch.inference_mode()
    def at(self, moments: Sequence[float]) -> list[Picture]:
        """Returns the pictures at `moments`, from 0 to 1."""
        (one, two), cache = self._prepared
        rows, columns = self._size
        made = []
        for moment in moments:
            image = self._patcher.model(one, two, timestep=torch.full_like(one[:, :1], moment), cache=cache)
            made.append(image[0, :, :rows, :columns].clamp(0, 1).movedim(0, -1).float().cpu().numpy())
        return [to_bytes(image) for image in made]

    @cached_property
    def _prepared(self) -> tuple[list[torch.Tensor], dict[str, Any]]:
        """Both pictures and their features on the model's device, which are the same for all moments."""
        model, dtype = self._patcher.model, self._patcher.model_dtype()
        needed = model.memory_used_forward((2, *self._size, 3), dtype)
        comfy.model_management.load_models_gpu([self._patcher], memory_required=needed)
        images = [self._padded(picture, dtype) for picture in self._pictures]
        return images, {f"img{index}": model.extract_features(image) for index, image in enumerate(images)}

    def _padded(self, picture: Picture, dtype: torch.dtype) -> torch.Tensor:
        """Returns a picture as [1, 3, height, width], padded to a size that the model takes, as the host pads it."""
        image = torch.from_numpy(to_floats(picture[..., :3])).movedim(-1, 0).unsqueeze(0)
        align = getattr(self._patcher.model, "pad_align", 1)
        below, right = (-side % align for side in self._size)
        if below or right:
            mode = "reflect" if below < self._size[0] and right < self._size[1] else "replicate"
            image = torch.nn.functional.pad(image, (0, right, 0, below), mode=mode)
        return image.to(device=self._patcher.load_device, dtype=dtype)
