"""Pictures as hosts hold them, floats of 0 to 1, and as files hold them, bytes."""

from __future__ import annotations

from typing import Any

import numpy as np

from remix.errors import PictureError


def to_bytes(pictures: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Returns `pictures` [..., height, width, 3] of floats as uint8: 255 times each, cut off, as ComfyUI saves them.

    What lies beyond 0 to 1 is clipped. PictureError for NaN and for anything but floats.
    """
    if not np.issubdtype(pictures.dtype, np.floating) or pictures.ndim < 3 or pictures.shape[-1] != 3:
        raise PictureError(f"pictures: {pictures.dtype} {list(pictures.shape)}; give floats [..., height, width, 3]")
    if np.isnan(pictures).any():
        raise PictureError("pictures: they hold NaN; make them again, with a VAE in float32 if it overflowed")
    return np.clip(255.0 * pictures, 0, 255).astype(np.uint8)


def to_floats(pictures: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Returns uint8 `pictures` as float32 of 0 to 1, as ComfyUI loads them."""
    return pictures.astype(np.float32) / np.float32(255)
