"""Checkpoints in folders saved by diffusers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from remix.client.local.damage import raising_damage
from remix.client.local.devices import Place
from remix.client.local.parts import INDEX, WHOLE, parts_of, read_settings, variant_of
from remix.client.local.quantized import settings
from remix.errors import EngineError


class Folder:
    """A checkpoint in a folder saved by diffusers."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def pipeline(self) -> str:
        """Returns the name of the diffusers pipeline."""
        return str(self.settings().get("_class_name"))

    def settings(self) -> dict[str, Any]:
        """Returns the settings of the pipeline, with diffusers' names."""
        return read_settings(self.path / INDEX)

    def component(self, name: str, kind: Any, place: Place) -> Any:
        """Returns a network in evaluation mode on its device. Raises `EngineError` if it cannot be read."""
        return place.put(self._component(name, kind, place))

    def _component(self, name: str, kind: Any, place: Place) -> Any:
        return from_folder(self.path / name, kind, place)

    def tokenizer(self, name: str, kind: Any = None) -> Any:
        """Returns a tokenizer, by default CLIP's. Raises `EngineError` if it cannot be read."""
        from transformers import CLIPTokenizer

        with raising_damage(f"{self.path / name}: the tokenizer could not be loaded", WHOLE):
            return (kind or CLIPTokenizer).from_pretrained(self.path / name, local_files_only=True)

    def has(self, name: str) -> bool:
        """Returns whether the checkpoint has this part."""
        return parts_of(self.settings()).get(name, False)

    def is_distilled(self) -> bool:
        """Returns whether the network takes guidance as an input."""
        return bool(self._transformer().get("guidance_embeds", False))

    def longest_side(self) -> int | None:
        """Returns the largest side of a picture in pixels: SD3 has a limited number of positions."""
        settings = self._transformer()
        if settings.get("pos_embed_max_size") is None:
            return None
        with raising_damage(f"{self.path}: the settings of its transformer or VAE could not be read", WHOLE):
            blocks = read_settings(self.path / "vae" / "config.json")["block_out_channels"]
            return int(settings["pos_embed_max_size"] * settings["patch_size"] * 2 ** (len(blocks) - 1))

    def can_be_quantized(self) -> bool:
        """Returns True: `from_pretrained` quantizes weights."""
        return True

    def _transformer(self) -> dict[str, Any]:
        config = self.path / "transformer" / "config.json"
        return read_settings(config) if config.is_file() else {}

    def scheduler_config(self) -> dict[str, Any]:
        """Returns the settings of the training noise, with diffusers' names."""
        return read_settings(self.path / "scheduler" / "scheduler_config.json")

    def vae_scale(self) -> float:
        """Returns the scaling factor of the VAE's latents."""
        return float(read_settings(self.path / "vae" / "config.json").get("scaling_factor", 0.18215))


def from_folder(folder: Path, kind: Any, place: Place) -> Any:
    """Returns a part from safetensors only, without remote code, and quantized if `place` asks for it."""
    variant = (variant_of(folder) or "").removeprefix(".") or None
    options = {"use_safetensors": True, "variant": variant, "local_files_only": True}
    with raising_damage(f"{folder}: {kind.__name__} could not be loaded", WHOLE):
        return loaded(kind, folder, folder, place, **options)


def loaded(kind: Any, source: Path | None, folder: Path, place: Place, **options: Any) -> Any:
    """Returns the network that a class loads from `source`.

    Raises `EngineError`, naming `folder`, if it lacks weights.
    """
    if place.quantize:
        options |= settings(kind, place.quantize, place.device, place.dtype)
    network, report = kind.from_pretrained(source, output_loading_info=True, **options)
    # The libraries initialize missing weights with random numbers.
    if missing := sorted(report["missing_keys"]):
        raise EngineError(f"{folder}: lacks {len(missing)} of its weights, such as {missing[0]}; {WHOLE}")
    return network
