"""Single files of flow models (SD3, Flux and later families), as safetensors or GGUF, in a diffusers folder.

Such a file contains the transformer, and sometimes the VAE and text encoders, but neither settings nor tokenizers.
These and the parts that the file lacks are read from the diffusers folder in which it lies, as in repositories on the
Hub. Diffusers renames the weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from remix.client.local.damage import raising_damage
from remix.client.local.devices import Place
from remix.client.local.folder import Folder, loaded
from remix.client.local.parts import INDEX, WHOLE, lacking, parts_of
from remix.client.local.quantized import gguf_names, gguf_settings
from remix.client.local.single_file import DAMAGED, filled, names_in, read_weights
from remix.errors import Unsupported

GGUF = ".gguf"

TRANSFORMER = "model.diffusion_model."
"""The prefix of the transformer's weights in files that contain other parts too."""

VAE_PREFIXES = ("first_stage_model.", "vae.")

BLOCKS = ("double_blocks.", "joint_blocks.", "transformer_blocks.", "single_blocks.", "layers.", "blocks.")
"""Prefixes of a transformer's weights, without `TRANSFORMER`."""

SCALED = (".scale_weight", ".weight_scale", "scaled_fp8", ".comfy_quant")
"""Ends of the names of weights that other weights have to be multiplied by, which only ComfyUI reads."""

GUIDANCE = ("guidance_in.", "time_text_embed.guidance_embedder.")
"""Prefixes of the weights that only models have that take guidance as an input."""


def is_flow_file(path: Path) -> bool:
    """Returns whether a file contains the transformer of a flow model. Raises the errors of `names_in`."""
    if path.suffix == GGUF:
        return True
    names = (name.removeprefix(TRANSFORMER) for name in names_in(path))
    return any(name.startswith(BLOCKS) for name in names)


def home_of(file: Path) -> Path:
    """Returns the diffusers folder of a file: its own, or the one above. Raises `Unsupported` if there is none."""
    for folder in file.absolute().parents[:2]:
        if (folder / INDEX).is_file():
            return folder
    raise Unsupported(
        f"model.checkpoint: {str(file)!r} has a transformer, but no settings and no tokenizers, which its model's "
        f"diffusers folder has; put the file into that folder, next to its {INDEX} (to fetch the folder without its "
        'transformer: hf download OWNER/NAME --exclude "transformer/*.safetensors" --local-dir FOLDER)'
    )


class FlowFile(Folder):
    """A checkpoint whose transformer, and perhaps other parts, are in a single file in a diffusers folder."""

    def __init__(self, file: Path) -> None:
        super().__init__(home_of(file))
        self.file = file
        self._names = gguf_names(file) if file.suffix == GGUF else names_in(file)
        if scaled := [name for name in self._names if name.endswith(SCALED)]:
            raise Unsupported(
                f"model.checkpoint: {str(file)!r} has weights with scales of their own ({scaled[0]}), which only "
                "ComfyUI reads; give one in float16, bfloat16, plain float8 or as .gguf"
            )
        if missing := lacking(self.path, self.parts()):
            raise Unsupported(f"model.checkpoint: the folder of {str(file)!r} has {missing}; {WHOLE}")
        takes = any(name.removeprefix(TRANSFORMER).startswith(GUIDANCE) for name in self._names)
        if takes != self.is_distilled():
            raise Unsupported(
                f"model.checkpoint: {str(file)!r} {'takes' if takes else 'does not take'} guidance as an input, unlike "
                f"the model in its folder {str(self.path)!r}; put it into the folder of its own model"
            )

    def can_be_quantized(self) -> bool:
        """Returns whether the file itself is quantized, so that only the parts in the folder are left."""
        return self.file.suffix == GGUF

    def parts(self) -> set[str]:
        """Returns the parts whose weights are in the file."""
        prefixes = {part: self._prefix(part, str(kind[-1])) for part, kind in self._index.items()}
        found = {part for part, prefix in prefixes.items() if prefix and self._has(prefix)}
        return {"transformer", *found, *(["vae"] if any(map(self._has, VAE_PREFIXES)) else [])}

    def _component(self, name: str, kind: Any, place: Place) -> Any:
        if name not in self.parts():
            return super()._component(name, kind, place)
        with raising_damage(f"{self.file}: its {name} could not be read", DAMAGED):
            if name == "transformer":
                return self._transformer_of_file(kind, place)
            if name == "vae":
                prefix = next(prefix for prefix in VAE_PREFIXES if self._has(prefix))
                given = {name: value for name, value in self._weights.items() if name.startswith(prefix)}
                return filled(kind.from_single_file(given, config=str(self.path / name), local_files_only=True))
            return self._text_encoder(name, kind, place)

    def _transformer_of_file(self, kind: Any, place: Place) -> Any:
        given: Any = str(self.file)
        if self.file.suffix == GGUF:
            options = gguf_settings(place.dtype)
        else:
            given, options = _stripped(self._weights, TRANSFORMER), {"torch_dtype": place.dtype}
        config = str(self.path / "transformer")
        return filled(kind.from_single_file(given, config=config, local_files_only=True, **options))

    def _text_encoder(self, name: str, kind: Any, place: Place) -> Any:
        prefix = self._prefix(name, kind.__name__)
        weights = _stripped(self._weights, prefix)
        config = kind.config_class.from_pretrained(self.path / name, local_files_only=True)
        if kind.__name__ == "CLIPTextModelWithProjection":
            # Some files leave out a projection that changes nothing.
            weights.setdefault("text_projection.weight", torch.eye(config.hidden_size))
        return loaded(kind, None, self.file, place, config=config, state_dict=weights)

    def _prefix(self, part: str, kind: str) -> str:
        """Returns the prefix of a text encoder's weights in ComfyUI's and Stability's files, "" for other parts."""
        if not part.startswith("text_encoder"):
            return ""
        clip = "clip_g" if part.endswith("_2") else "clip_l"
        return f"text_encoders.{'t5xxl' if kind.startswith('T5') else clip}.transformer."

    def _has(self, prefix: str) -> bool:
        return any(name.startswith(prefix) for name in self._names)

    @cached_property
    def _index(self) -> dict[str, Any]:
        return {part: self.settings()[part] for part in parts_of(self.settings())}

    @cached_property
    def _weights(self) -> Mapping[str, Tensor]:
        return read_weights(self.file)


def _stripped(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Returns the weights with a prefix, without it, or all if none has it."""
    found = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    return found or dict(weights)
