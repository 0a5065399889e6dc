"""The bundled model as MODEL, CLIP and VAE, built from ComfyUI's own classes.

ComfyUI cannot load the weights as a checkpoint. Their group norms have 4 groups and 1 instead of 32, the width of the
third level is 8/3 of the first, the text encoder has 32 positions and 750 words, and the pooled text is added to the
time embedding. The classes below differ from ComfyUI's in these points only.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

import comfy.clip_model
import comfy.latent_formats
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.ops
import comfy.sd
import comfy.sd1_clip
import comfy.supported_models_base
import comfy.utils
import folder_paths
import torch
from comfy.ldm.models.autoencoder import AutoencoderKL
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel

from remix.playground import TOKENS, VAE_SCALE, WEIGHTS
from remix.playground.network import Autoencoder, TextPool

GRAY = 0.5675
"""Brightness of a latent in previews: its first three channels are nearly red, green and blue."""

CLIP_CONFIG = json.loads((WEIGHTS / "text_encoder" / "config.json").read_text(encoding="utf-8"))
WIDTH: int = CLIP_CONFIG["hidden_size"]


class EightThirds(int):
    """The factor 8/3 of a width, where ComfyUI multiplies by whole numbers."""

    def __mul__(self, width: int) -> int:
        return width * 8 // 3

    __rmul__ = __mul__


class Latents(comfy.latent_formats.LatentFormat):
    """The latents of the bundled VAE."""

    scale_factor = VAE_SCALE
    latent_rgb_factors: ClassVar[list[list[float]]] = [
        *([GRAY * (channel == color) for color in range(3)] for channel in range(3)),
        [0.0, 0.0, 0.0],
    ]


class Playground(comfy.supported_models_base.BASE):
    """The configuration of the bundled model. `remix.catalog.families` knows it by the name of this class."""

    unet_config: ClassVar[dict[str, Any]] = {
        **{"image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 48},
        **{"num_res_blocks": [1, 1, 1], "channel_mult": [1, 2, EightThirds(2)], "context_dim": WIDTH},
        **{"transformer_depth": [0, 1, 1], "transformer_depth_middle": 1},
        "transformer_depth_output": [0, 0, 1, 1, 1, 1],
        **{"use_spatial_transformer": True, "use_linear_in_transformer": True},
        **{"use_scale_shift_norm": True, "legacy": False, "dtype": torch.float32},
    }
    unet_extra_config: ClassVar[dict[str, Any]] = {"num_heads": 4, "num_head_channels": -1}
    # ComfyUI's "sqrt_linear" is what diffusers calls "linear".
    sampling_settings: ClassVar[dict[str, Any]] = {
        **{"beta_schedule": "sqrt_linear", "linear_start": 1e-4, "linear_end": 0.02},
    }
    supported_inference_dtypes: ClassVar[list[torch.dtype]] = [torch.float32]
    latent_format = Latents

    def __init__(self) -> None:
        super().__init__(self.unet_config)
        self.custom_operations = _operations()


def _operations() -> Any:
    """Returns ComfyUI's layers, with group norms of 4 groups."""
    layers: Any = comfy.ops.pick_operations(torch.float32, None)

    class Layers(layers):
        class GroupNorm(layers.GroupNorm):
            def __init__(self, num_groups: int, num_channels: int, **options: Any) -> None:
                super().__init__(4, num_channels, **options)

    return Layers


class UNet(UNetModel):
    """ComfyUI's U-Net, with the pooled text added to the time embedding."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.num_classes = "text"
        self.label_emb = TextPool(WIDTH, 4 * self.model_channels).to(options["device"])

    def forward(self, x: Any, timesteps: Any = None, context: Any = None, y: Any = None, **options: Any) -> Any:
        return super().forward(x, timesteps, context, y=context, **options)


class TextModel(comfy.clip_model.CLIPTextModel):
    """ComfyUI's text model, with the vocabulary of the configuration instead of 49408 words."""

    def __init__(self, config: dict[str, Any], dtype: Any, device: Any, operations: Any) -> None:
        super().__init__(config, dtype, device, operations)
        self.set_input_embeddings(operations.Embedding(config["vocab_size"], WIDTH, dtype=dtype, device=device))


class TextEncoder(comfy.sd1_clip.SDClipModel):
    """The text encoder."""

    def __init__(self, **options: Any) -> None:
        ends = {"start": CLIP_CONFIG["bos_token_id"], "end": CLIP_CONFIG["eos_token_id"]}
        super().__init__(
            **options,
            textmodel_json_config=dict(CLIP_CONFIG),
            model_class=TextModel,
            max_length=TOKENS,
            special_tokens={**ends, "pad": CLIP_CONFIG["pad_token_id"]},
            return_projected_pooled=False,
        )


class TextEncoders(comfy.sd1_clip.SD1ClipModel):
    """The only text encoder, by the name that LoRAs use."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, clip_name="l", clip_model=TextEncoder)


class Words(comfy.sd1_clip.SDTokenizer):
    """The tokenizer with the bundled vocabulary."""

    def __init__(self, embedding_directory: Any = None, tokenizer_data: Any = None) -> None:
        super().__init__(
            str(WEIGHTS / "tokenizer"),
            max_length=TOKENS,
            embedding_directory=embedding_directory,
            embedding_size=WIDTH,
            tokenizer_data=tokenizer_data or {},
        )


class Tokenizer(comfy.sd1_clip.SD1Tokenizer):
    """The only tokenizer, by the name of its text encoder."""

    def __init__(self, embedding_directory: Any = None, tokenizer_data: Any = None) -> None:
        super().__init__(embedding_directory, tokenizer_data or {}, clip_name="l", tokenizer=Words)


def weights_of(part: str) -> dict[str, Any]:
    """Returns the weights of "unet", "text_encoder" or "vae" by their names in diffusers, in float32."""
    (path,) = (WEIGHTS / part).glob("*.safetensors")
    return {name: weight.float() for name, weight in comfy.utils.load_torch_file(str(path)).items()}


def model() -> Any:
    """Returns the U-Net as a MODEL.

    Raises RuntimeError if the weights do not fit this ComfyUI.
    """
    config = Playground()
    device = comfy.model_management.unet_offload_device()
    loaded = comfy.model_base.BaseModel(config, comfy.model_base.ModelType.V_PREDICTION, device, unet_model=UNet)
    patcher = _patcher(loaded, comfy.model_management.get_torch_device(), device)
    names = comfy.utils.unet_to_diffusers(config.unet_config)
    weights = weights_of("unet")
    renamed = {names.get(name, name.replace("add_embedding.", "label_emb.")): weights[name] for name in weights}
    _load(loaded.diffusion_model, renamed, patcher)
    return patcher


def clip() -> Any:
    """Returns the text encoder as a CLIP."""
    target = comfy.supported_models_base.ClipTarget(Tokenizer, TextEncoders)
    weights = {**weights_of("text_encoder"), "text_projection.weight": torch.eye(WIDTH)}
    return comfy.sd.CLIP(
        target,
        embedding_directory=folder_paths.get_folder_paths("embeddings"),
        state_dict=[weights],
        model_options={"dtype": torch.float32},
    )


def vae() -> Any:
    """Returns the autoencoder as a VAE."""
    params = {
        **{"double_z": True, "z_channels": 4, "resolution": 32, "in_channels": 3, "out_ch": 3, "ch": 32},
        **{"ch_mult": [1], "num_res_blocks": 1, "attn_resolutions": [], "dropout": 0.0},
    }
    stand_in = {"ddconfig": params, "embed_dim": 4}
    found = comfy.sd.VAE(sd=AutoencoderKL(**stand_in).state_dict(), config={"params": stand_in}, dtype=torch.float32)
    device = comfy.model_management.vae_offload_device()
    found.first_stage_model = Autoencoder().eval().requires_grad_(False).to(device)
    found.patcher = _patcher(found.first_stage_model, found.device, device)
    found.size = None
    _load(found.first_stage_model, weights_of("vae"), found.patcher)
    found.model_size()
    return found


def _patcher(module: torch.nn.Module, device: torch.device, offload: torch.device) -> Any:
    kind = getattr(comfy.model_patcher, "CoreModelPatcher", comfy.model_patcher.ModelPatcher)
    return kind(module, load_device=device, offload_device=offload)


def _load(module: torch.nn.Module, weights: dict[str, Any], patcher: Any) -> None:
    dynamic = hasattr(patcher, "is_dynamic") and patcher.is_dynamic()
    module.load_state_dict(weights, assign=dynamic)
