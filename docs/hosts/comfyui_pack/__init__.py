"""A ComfyUI node that loads the bundled model, for the pictures in the README."""

from __future__ import annotations

from typing import Any, ClassVar

import bundled_model
import comfy.latent_formats
import comfy.model_base
import comfy.model_patcher
import comfy.supported_models_base
import torch

CPU = torch.device("cpu")


class Latents(comfy.latent_formats.LatentFormat):
    scale_factor = bundled_model.SCALE


class Config(comfy.supported_models_base.BASE):
    # ComfyUI's "sqrt_linear" is diffusers' "linear".
    sampling_settings: ClassVar[dict[str, Any]] = {
        "beta_schedule": "sqrt_linear",
        "linear_start": 1e-4,
        "linear_end": 0.02,
    }
    unet_extra_config: ClassVar[dict[str, Any]] = {}
    latent_format = Latents


class Clip:
    """Text encoder with the two methods of a CLIP that the Remix nodes call."""

    def __init__(self) -> None:
        self._tokenizer, self._encoder = (
            bundled_model.tokenizer(),
            bundled_model.loaded(bundled_model.text_encoder(), "text_encoder"),
        )

    def tokenize(self, text: str) -> Any:
        return self._tokenizer(
            text, padding="max_length", max_length=bundled_model.TOKENS, truncation=True, return_tensors="pt"
        ).input_ids

    def encode_from_tokens_scheduled(self, tokens: Any) -> Any:
        return [[self._encoder(tokens).last_hidden_state, {}]]


class Vae:
    """VAE with the two methods that nodes call; pictures are [batch, height, width, 3] of 0 to 1."""

    def __init__(self) -> None:
        self._model = bundled_model.loaded(bundled_model.Autoencoder(), "vae")

    def encode(self, pictures: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return self._model.encode(pictures.movedim(-1, 1) * 2 - 1)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return (self._model.decode(latents) / 2 + 0.5).clamp(0, 1).movedim(1, -1)


class PlaygroundLoader:
    CATEGORY = "loaders"
    RETURN_TYPES = ("MODEL", "CLIP", "VAE")
    FUNCTION = "load"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {}}

    def load(self) -> tuple[Any, Any, Any]:
        kind = comfy.model_base.ModelType.V_PREDICTION
        model = comfy.model_base.BaseModel(Config({}), kind, CPU, unet_model=bundled_model.UNet)
        bundled_model.loaded(model.diffusion_model, "unet")
        return comfy.model_patcher.ModelPatcher(model, CPU, CPU), Clip(), Vae()


NODE_CLASS_MAPPINGS = {"PlaygroundLoader": PlaygroundLoader}
NODE_DISPLAY_NAME_MAPPINGS = {"PlaygroundLoader": "Bundled model"}
