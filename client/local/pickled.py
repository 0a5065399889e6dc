"""Reads tensors from PyTorch's pickled files (`.pt`, `.bin`) without running what they may contain.

PyTorch's own reader for this, `torch.load(weights_only=True)`, builds tensors and containers alone and refuses all
else. It is used from PyTorch 2.6 on, since a file could get past that of earlier versions (CVE-2025-32434).
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor
from torch.nn import ParameterDict

LARGEST = 64 * 1024**2
"""The largest size in bytes of what a file may contain. Embeddings have less than a thousandth of it."""

SAFE = (2, 6)
"""The first version of PyTorch whose reader is used."""

_DAMAGED = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, ImportError, LookupError, MemoryError, OSError),
    *(RuntimeError, TypeError, UnpicklingError, ValueError, struct.error, zipfile.BadZipFile),
)


def read_pickled(path: Path) -> list[Tensor]:
    """Returns the tensors of an embedding as float32, in the layouts of A1111, diffusers and ComfyUI.

    Raises ValueError, with the reason, for a file that contains anything but tensors and containers of them.
    """
    if tuple(map(int, torch.__version__.split(".")[:2])) < SAFE:
        raise ValueError(f"PyTorch {torch.__version__} cannot read it safely; update it to 2.6, or use safetensors")
    try:
        with zipfile.ZipFile(path) as parts:
            if sum(part.file_size for part in parts.infolist()) > LARGEST:
                raise ValueError(f"it contains more than {LARGEST // 1024**2} MiB")
        # The files of the first textual inversions have a ParameterDict, which is a container of tensors.
        with torch.serialization.safe_globals([ParameterDict]):
            found = list(_tensors(torch.load(path, map_location="cpu", weights_only=True)))
    except _DAMAGED as error:
        raise ValueError(str(error).splitlines()[0] if str(error) else type(error).__name__) from error
    if sum(tensor.numel() for tensor in found) * 4 > LARGEST:
        raise ValueError(f"it contains more than {LARGEST // 1024**2} MiB")
    return [tensor.detach().float() for tensor in found]


def _tensors(found: Any) -> Iterator[Tensor]:
    """Yields the vectors: those of A1111's ``string_to_param``, else every tensor of a table, or of several."""
    if isinstance(found, Mapping) and "string_to_param" in found:
        found = found["string_to_param"]
    if isinstance(found, ParameterDict):
        found = vars(found).get("_parameters", {})
    if isinstance(found, Tensor):
        if found.layout is torch.strided and not found.is_quantized and found.device.type == "cpu":
            yield found
    elif isinstance(found, Mapping):
        yield from (tensor for value in found.values() if isinstance(value, Tensor) for tensor in _tensors(value))
    elif isinstance(found, list):
        for part in found:
            if isinstance(part, Mapping):
                yield from _tensors(part)
