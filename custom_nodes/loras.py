"""The LoRAs of a recipe, which the host's own loader applies with the strengths of each frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import folder_paths
import nodes

from remix.errors import Unsupported
from remix.hosts.model_names import match_name, suggestion
from remix.plan import Frame, Schedule
from remix.plan.wording import listed

from .pictures import file_hash

FOLDER = "loras"
"""The host's name of the folder that contains LoRAs."""

Pair = tuple[float, float]
"""The strengths of a LoRA in the model and in the CLIP."""


class FrameLoras:
    """A model and a CLIP with the LoRAs of a schedule, at the strengths of one frame at a time.

    `loaders` keeps the host's loaders, by file, so that several schedules read a file once. Raises Unsupported for a
    name that the host does not have.
    """

    def __init__(self, model: Any, clip: Any, schedule: Schedule, loaders: dict[str, Any]) -> None:
        self._plain = self._current = (model, clip)
        self._always = schedule.recipe.model.loras
        self._files = lora_files(schedule)
        self._loaders = loaders
        self._strengths: dict[str, Pair] = {}

    def at(self, frame: Frame) -> tuple[Any, Any]:
        """Returns the model and the CLIP of a frame. Both are the original ones if no LoRA has a strength."""
        loras = (*self._always, *frame.loras)
        strengths: dict[str, Pair] = {self._files[lora.name]: (lora.strength, lora.in_text) for lora in loras}
        strengths = {name: pair for name, pair in strengths.items() if any(pair)}
        if strengths != self._strengths:
            self._current, self._strengths = self._patched(strengths), strengths
        return self._current

    def refuse_misfits(self) -> None:
        """Raises Unsupported for a LoRA that changes neither the model nor the text encoder."""
        for name, file in self._files.items():
            if self._patched({file: (1.0, 1.0)}) == self._plain:
                raise Unsupported(
                    f"loras: {name!r} has no layer of this model; use a LoRA that was trained on a model of its family"
                )

    def _patched(self, strengths: dict[str, Pair]) -> tuple[Any, Any]:
        model, clip = plain = self._plain
        for name, pair in strengths.items():
            loader = self._loaders.setdefault(name, nodes.LoraLoader())
            model, clip = loader.load_lora(model, clip, name, *pair)
        # The loader copies both, even if the LoRA changes one of them. With the original CLIP, prompts that are encoded
        # already come from the cache.
        same_model, same_clip = _patches(model) == _patches(plain[0]), _patches(clip) == _patches(plain[1])
        return plain[0] if same_model else model, plain[1] if same_clip else clip


def lora_files(schedule: Schedule) -> dict[str, str]:
    """Returns the host's names of a schedule's LoRAs, by the recipe's names.

    Raises Unsupported for a name that the host does not have, that may be several files, or that is another name of the
    same file in the same keyframes.
    """
    groups = schedule.recipe.model.loras, schedule[0].loras
    if not any(groups):
        return {}
    known = folder_paths.get_filename_list(FOLDER)
    found = {lora.name: _file(lora.name, known) for group in groups for lora in group}
    for group in groups:
        spelled: dict[str, str] = {}
        for lora in group:
            other = spelled.setdefault(found[lora.name], lora.name)
            if other != lora.name:
                raise Unsupported(f"loras: {other!r} and {lora.name!r} are one file; use one of the names everywhere")
    return found


def lora_paths(schedule: Schedule) -> dict[str, Path]:
    """Returns the paths of a schedule's LoRAs, by the recipe's names. Raises the errors of `lora_files`."""
    files = lora_files(schedule)
    return {name: Path(folder_paths.get_full_path_or_raise(FOLDER, file)) for name, file in files.items()}


def lora_hashes(schedule: Schedule) -> dict[str, str]:
    """Returns a hash of each LoRA file, as "lora NAME". Raises the errors of `lora_files`."""
    return {f"lora {name}": file_hash(path) for name, path in lora_paths(schedule).items()}


def _file(name: str, known: list[str]) -> str:
    found = match_name(name, known)
    if not found:
        raise Unsupported(f"loras: this ComfyUI has no LoRA {name!r}; {suggestion(name, known)}")
    if len(found) > 1:
        raise Unsupported(f"loras: {name!r} may be any of {listed(found)}; write one of them in full")
    return found[0]


def _patches(patched: Any) -> int:
    """Returns the number of changes to the weights of a MODEL or CLIP."""
    patches = getattr(patched, "patcher", patched).patches
    return sum(map(len, patches.values()))
