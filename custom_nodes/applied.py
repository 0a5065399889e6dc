"""Hashes the weights and patches of the connected MODEL, CLIP and VAE, and conditionings, by value.

The graph of a workflow does not identify them: a node whose input is a list of strengths outputs several models. The
hashes stay the same after a restart. Tensors are hashed by samples of their values, functions by code and closure,
objects by class and attributes. Memory addresses and random ids are ignored.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import types
import uuid
import weakref
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import torch

from remix.digest import sampled_hash, sha256

SAMPLES = 256
"""Number of evenly spaced values that are read from a tensor. Smaller tensors are read completely."""

LARGE = 4096
"""Mappings with more entries are described by their length only."""

DEPTH = 24
"""Largest nesting depth that is described."""

PATCHED = (
    *("object_patches", "weight_wrapper_patches", "model_options", "wrappers", "callbacks", "injections"),
    *("attachments", "additional_models", "hook_patches", "forced_hooks"),
)
"""Attributes of a patcher in addition to the patches of weights."""

OF_CLIP = ("layer_idx", "tokenizer_options", "use_clip_schedule", "apply_hooks_to_conds")
"""Attributes of a CLIP in addition to its patcher."""

Description = Any
"""The description of a value as JSON."""


def applied(model: Any, clip: Any, vae: Any) -> dict[str, str]:
    """Returns short hashes of the loaded weights and patches: "model applied", "clip applied" and "vae applied"."""
    clip_parts = {name: getattr(clip, name, None) for name in OF_CLIP}
    return {
        "model applied": _digest(_Describing().patcher(model)),
        "clip applied": _digest(
            [_Describing().patcher(getattr(clip, "patcher", None)), _Describing().value(clip_parts)]
        ),
        "vae applied": _digest(_Describing().patcher(getattr(vae, "patcher", None))),
    }


def conditioning_hash(entries: Any) -> str:
    """Returns a short hash of a CONDITIONING: all values of its tensors, and its ControlNets and hooks."""
    return _digest(_Describing(whole=True).value(entries))


def _digest(description: Description) -> str:
    return sha256(json.dumps(description, sort_keys=True).encode())[:16]


_known: dict[int, tuple[weakref.ref[Any], Description]] = {}
"""Descriptions of known objects.

Some objects change when they are used, such as caches of a step. The first
description is the one that the workflow gives again after a restart."""


class _Describing:
    """Description of a value and everything in it. With `whole`, tensors outside of models are hashed completely."""

    def __init__(self, *, whole: bool = False) -> None:
        self._whole = whole
        self._within: list[int] = []
        self._circle = DEPTH
        """Index of the outermost of these to which the current value refers back."""

    def patcher(self, patcher: Any) -> Description:
        """Returns a description of a model patcher's weights and patches."""
        if patcher is None:
            return None
        patches = {
            key: [[self.value(part) for part in patch] for patch in found]
            for key, found in getattr(patcher, "patches", {}).items()
        }
        others = {name: self.value(getattr(patcher, name, None) or None) for name in PATCHED}
        return [_loaded(patcher), patches, others]

    def value(self, value: Any) -> Description:
        """Returns the description of a value as JSON, the same in every process that creates the value."""
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float):
            return repr(value)
        if isinstance(value, uuid.UUID | torch.device):
            return type(value).__name__
        if isinstance(value, Enum):
            return [_name(type(value)), value.name]
        if isinstance(value, bytes | bytearray):
            return sha256(bytes(value))
        if isinstance(value, torch.Tensor):
            return _tensor(value, None if self._whole else SAMPLES)
        if hasattr(value, "__array_interface__"):
            return [str(value.dtype), list(value.shape), sha256(value.tobytes())]
        if isinstance(value, type | types.ModuleType | types.BuiltinFunctionType):
            return _name(value)
        if id(value) in self._within:
            self._circle = min(self._circle, self._within.index(id(value)))
            return _name(type(value))
        if len(self._within) >= DEPTH:
            self._circle = 0
            return _name(type(value))
        return self._known_or_inner(value)

    def _known_or_inner(self, value: Any) -> Description:
        known = _known.get(id(value))
        if known is not None and known[0]() is value:
            return known[1]
        before, self._circle, place = self._circle, DEPTH, len(self._within)
        self._within.append(id(value))
        description = self._inner(value)
        self._within.pop()
        # A value that refers back to its container has another description when the walk starts elsewhere.
        is_whole = self._circle >= place
        self._circle = before if is_whole else min(before, self._circle)
        if is_whole and not isinstance(value, dict | list | tuple | set | frozenset):
            _remember(value, description := _digest(description))
        return description

    def _inner(self, value: Any) -> Description:
        if isinstance(value, Mapping):
            if len(value) > LARGE:  # a vocabulary
                return [_name(type(value)), len(value)]
            pairs = [[self.value(key), self.value(held)] for key, held in value.items() if _counts(key, held)]
            return sorted(pairs, key=json.dumps)
        if isinstance(value, list | tuple):
            return [self.value(part) for part in value]
        if isinstance(value, set | frozenset):
            return sorted((self.value(part) for part in value), key=json.dumps)
        if isinstance(value, functools.partial):
            return ["partial", *(self.value(part) for part in (value.func, value.args, value.keywords))]
        if isinstance(value, types.MethodType):
            return ["method", self.value(value.__self__), self.value(value.__func__)]
        if isinstance(value, types.FunctionType):
            return [_name(value), self._code(value)]
        if hasattr(value, "model_loaded_weight_memory"):  # a whole model, which may have merged patches now
            return _name(type(value))
        if isinstance(value, torch.nn.Module):
            return [_name(type(value)), self._attributes(value), _weights(value.state_dict().items())]
        if hasattr(value, "patches") and hasattr(value, "model_options"):
            return self.patcher(value)
        return [_name(type(value)), self._attributes(value)]

    def _code(self, function: types.FunctionType) -> Description:
        cells = [self.value(_content(cell)) for cell in function.__closure__ or ()]
        defaults = [self.value(function.__defaults__), self.value(function.__kwdefaults__)]
        return [_written(function.__code__), cells, defaults]

    def _attributes(self, value: Any) -> Description:
        """Describes the attributes of an object. For a module, omits torch's own attributes, which count as weights."""
        names = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ()) or ()]
        held = {name: getattr(value, name) for name in names if isinstance(name, str) and hasattr(value, name)}
        held = {**held, **getattr(value, "__dict__", {})}
        private = "_" if isinstance(value, torch.nn.Module) else "__"
        held.pop("loaded_keys", None)  # each part of a LoRA lists the names of all parts
        return {name: self.value(part) for name, part in sorted(held.items()) if not name.startswith(private)}


def _counts(key: Any, held: Any) -> bool:
    """Returns whether an entry is significant: not a value cached for a device, and not empty."""
    return not isinstance(key, torch.device) and held is not None and not (isinstance(held, dict | list) and not held)


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # still empty
        return None


def _written(code: types.CodeType) -> Description:
    """Returns a description of a function's code, independent of its file."""
    constants = [_written(part) if isinstance(part, types.CodeType) else _constant(part) for part in code.co_consts]
    return [sha256(code.co_code), list(code.co_names), list(code.co_varnames), constants]


def _constant(value: Any) -> str:
    return repr(sorted(map(repr, value))) if isinstance(value, frozenset) else repr(value)


def _name(value: Any) -> str:
    """Returns a name without its module, which for a node pack is a local path."""
    return str(getattr(value, "__qualname__", None) or getattr(value, "__name__", ""))


def _remember(value: Any, description: Description) -> None:
    try:
        reference = weakref.ref(value, functools.partial(_forget, id(value)))
    except TypeError:  # does not support weak references
        return
    _known[id(value)] = (reference, description)


def _forget(number: int, reference: weakref.ref[Any]) -> None:
    known = _known.get(number)
    if known is not None and known[0] is reference:
        del _known[number]


def _loaded(patcher: Any) -> Description:
    """Returns the origin of a patcher's weights: their files if the host reports them, otherwise samples."""
    made: Any = getattr(patcher, "cached_patcher_init", None)
    files = list(_files(made[1])) if made else []
    if files:
        return [_name(made[0]), [_ends(path) for path in files], made[2] if len(made) > 2 else 0]
    model = getattr(patcher, "model", None)
    if not isinstance(model, torch.nn.Module):
        return _name(type(model))
    kept = getattr(patcher, "backup", {})  # the weights before patches were merged
    weights = ((name, getattr(kept.get(name), "weight", weight)) for name, weight in model.state_dict().items())
    return [_name(type(model)), _weights(weights)]


def _files(value: Any) -> Iterable[Path]:
    for part in value if isinstance(value, list | tuple) else [value]:
        if isinstance(part, list | tuple):
            yield from _files(part)
        elif isinstance(part, str) and os.path.isfile(part):
            yield Path(part)


def _ends(path: Path) -> str:
    about = path.stat()
    return _ends_at(path, about.st_size, about.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _ends_at(path: Path, size: int, changed: int) -> str:
    """Returns the hash of a file. Cached until the file changes."""
    return sampled_hash(path)


def _weights(weights: Iterable[tuple[str, Any]]) -> Description:
    return [
        [name, _tensor(weight) if isinstance(weight, torch.Tensor) else _name(type(weight))] for name, weight in weights
    ]


def _tensor(tensor: torch.Tensor, samples: int | None = SAMPLES) -> Description:
    about = [str(tensor.dtype), list(tensor.shape)]
    if tensor.layout != torch.strided or tensor.device.type == "meta" or not tensor.numel():
        return about
    with torch.no_grad():
        step = 1 if samples is None else (tensor.numel() // samples) | 1  # odd, to reach all columns
        if step == 1 or tensor.is_contiguous():
            sample = tensor.detach().reshape(-1)[::step].contiguous().cpu()
        else:  # without a copy of everything
            places = torch.arange(0, tensor.numel(), step, device=tensor.device)
            sample = tensor.detach()[torch.unravel_index(places, tensor.shape)].cpu()
        return [*about, hashlib.sha256(sample.view(torch.uint8).numpy().tobytes()).hexdigest()]
