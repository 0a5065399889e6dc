"""A tiny model of every image family: the host's own classes with one block or two, and random weights.

Text encoders have the width of the real ones, so that conditionings have their real layout, and next to no layers.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import comfy.model_patcher
import comfy.sd
import comfy.supported_models
import comfy.supported_models_base
import torch
from comfy import sd1_clip, sdxl_clip
from comfy.text_encoders import (
    anima,
    ernie,
    flux,
    hidream,
    hidream_o1,
    hunyuan_image,
    ideogram4,
    kandinsky5,
    krea2,
    longcat_image,
    lumina2,
    pixart_t5,
    qwen_image,
    sd2_clip,
    sd3_clip,
    wan,
    z_image,
)
from torch import Tensor, nn
from torch.nn import functional

from .weights import sentencepieces, weight

CPU = torch.device("cpu")
NARROW = {"intermediate_size": 16, "num_attention_heads": 1, "num_key_value_heads": 1}
SHALLOW_T5 = {"num_layers": 1, "num_heads": 1, "d_ff": 16}
"""Settings of text encoders that keep their output as wide as it is."""


@dataclass(frozen=True)
class Tiny:
    """A family of small size: the host's config class, the settings of its model, its tokenizer and text encoder."""

    config: str
    model: Mapping[str, Any]
    tokenizer: Any
    encoder: Any
    text: Mapping[str, Any] = field(default_factory=dict)
    """The settings of its text encoders, by their names in the host."""
    words: Callable[[], Mapping[str, Any]] = dict
    """Vocabularies that come with the weights of its text encoder."""


def layers(count: int, **more: Any) -> dict[str, Any]:
    return {"num_hidden_layers": count, **NARROW, **more}


CLIP = {name: {"num_hidden_layers": 3, "intermediate_size": 64} for name in ("clip_l", "clip_g", "clip_h")}
T5 = {"t5xxl": SHALLOW_T5}
UNET = {
    **{"image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 32, "num_res_blocks": [1]},
    **{
        "channel_mult": [1],
        "transformer_depth": [1],
        "transformer_depth_middle": 1,
        "transformer_depth_output": [1, 1],
    },
    **{"use_spatial_transformer": True, "num_heads": -1, "num_head_channels": 32, "adm_in_channels": None},
}
FLUX = {
    **{"in_channels": 16, "out_channels": 16, "vec_in_dim": 768, "context_in_dim": 4096, "hidden_size": 128},
    **{"mlp_ratio": 4.0, "num_heads": 1, "depth": 1, "depth_single_blocks": 1, "axes_dim": [16, 56, 56]},
    **{"theta": 10000, "patch_size": 2, "qkv_bias": True, "guidance_embed": True, "txt_ids_dims": []},
}
FLUX2 = {
    **FLUX,
    **{"in_channels": 128, "out_channels": 128, "vec_in_dim": None, "mlp_ratio": 3.0, "axes_dim": [32, 32, 32, 32]},
    **{"theta": 2000, "patch_size": 1, "qkv_bias": False, "txt_ids_dims": [3], "global_modulation": True},
    **{"mlp_silu_act": True, "ops_bias": False, "default_ref_method": "index", "ref_index_scale": 10.0},
}
CHROMA = {
    **{name: FLUX[name] for name in FLUX if name != "guidance_embed"},
    **{"in_channels": 64, "out_channels": 64, "vec_in_dim": None, "in_dim": 64, "out_dim": 128, "hidden_dim": 64},
    "n_layers": 1,
}
LUMINA = {
    **{"patch_size": 2, "in_channels": 16, "n_layers": 1, "n_refiner_layers": 1, "qk_norm": True, "multiple_of": 32},
    "axes_lens": [300, 512, 512],
}
PREDICT2 = {
    **{"max_img_h": 240, "max_img_w": 240, "max_frames": 128, "in_channels": 16, "out_channels": 16},
    **{"patch_spatial": 2, "patch_temporal": 1, "model_channels": 128, "num_heads": 1, "num_blocks": 1},
    **{"crossattn_emb_channels": 1024, "concat_padding_mask": True, "pos_emb_cls": "rope3d"},
    **{"pos_emb_learnable": True, "min_fps": 1, "max_fps": 30, "use_adaln_lora": True, "adaln_lora_dim": 64},
    **{"rope_h_extrapolation_ratio": 4.0, "rope_w_extrapolation_ratio": 4.0, "rope_enable_fps_modulation": False},
}
HUNYUAN = {
    **{"in_channels": 64, "out_channels": 64, "vec_in_dim": None, "context_in_dim": 3584, "hidden_size": 128},
    **{"mlp_ratio": 4.0, "num_heads": 1, "depth": 1, "depth_single_blocks": 1, "axes_dim": [64, 64], "theta": 256},
    **{"patch_size": [1, 1], "qkv_bias": True, "guidance_embed": False, "byt5": True, "meanflow": False},
    **{"use_cond_type_embedding": False, "vision_in_dim": None, "meanflow_sum": False},
}


class HiDreamTokenizer(hidream.HiDreamTokenizer):
    """HiDream's tokenizer with Qwen's vocabulary instead of Llama's, which some copies of the host lack."""

    def __init__(self, embedding_directory: Any = None, tokenizer_data: Any = None) -> None:
        self.clip_l = sd1_clip.SDTokenizer()
        self.clip_g = sdxl_clip.SDXLClipGTokenizer()
        self.t5xxl = sd3_clip.T5XXLTokenizer(min_length=128, max_length=128)
        self.llama = z_image.Qwen3Tokenizer()
        self.llama.min_length = 128


class Klein(flux.Qwen3_4BModel):
    """Klein's text encoder with its output taken from the first layers."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, layer=[1, 2, 3])


class KleinTextEncoder(flux.Flux2TEModel):
    """The only text encoder, by its name in the host."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, name="qwen3_4b", clip_model=Klein)


class Mistral(flux.Mistral3_24BModel):
    """Flux.2's text encoder with its output taken from the first layers."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, layer=[1, 2, 3])


class MistralTextEncoder(flux.Flux2TEModel):
    """The only text encoder, by its name in the host."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, clip_model=Mistral)


def tekken() -> dict[str, Any]:
    """Returns a vocabulary of Mistral's that knows every byte and no word."""
    vocabulary = [{"rank": at, "token_bytes": base64.b64encode(bytes([at])).decode()} for at in range(256)]
    special = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"]
    written = {
        "config": {"default_num_special_tokens": 1000, "default_vocab_size": 131072},
        "vocab": vocabulary,
        "special_tokens": [{"rank": at, "token_str": token} for at, token in enumerate(special)],
    }
    return {"tekken_model": torch.frombuffer(bytearray(json.dumps(written).encode()), dtype=torch.uint8)}


def gemma() -> dict[str, Any]:
    return {"spiece_model": sentencepieces()}


FAMILIES = {
    "sd1": Tiny("SD15", {**UNET, "context_dim": 768}, sd1_clip.SD1Tokenizer, sd1_clip.SD1ClipModel, CLIP),
    "sd2": Tiny(
        "SD20",
        {**UNET, "context_dim": 1024, "use_linear_in_transformer": True},
        *(sd2_clip.SD2Tokenizer, sd2_clip.SD2ClipModel, CLIP),
    ),
    "sdxl": Tiny(
        "SDXL",
        {**UNET, "context_dim": 2048, "num_classes": "sequential", "adm_in_channels": 2816},
        *(sdxl_clip.SDXLTokenizer, sdxl_clip.SDXLClipModel, CLIP),
    ),
    "sd3": Tiny(
        "SD3",
        {
            **{"in_channels": 16, "out_channels": 16, "patch_size": 2, "depth": 1, "input_size": None},
            **{"adm_in_channels": 2048, "num_patches": 256, "pos_embed_max_size": 16, "qk_norm": "rms"},
            **{"pos_embed_scaling_factor": None, "x_block_self_attn_layers": []},
            "context_embedder_config": {
                "target": "torch.nn.Linear",
                "params": {"in_features": 4096, "out_features": 64},
            },
        },
        *(sd3_clip.SD3Tokenizer, sd3_clip.sd3_clip(), {**CLIP, **T5}),
    ),
    "flux": Tiny("Flux", FLUX, flux.FluxTokenizer, flux.FluxClipModel, {**CLIP, **T5}),
    "flux2": Tiny(
        "Flux2",
        {**FLUX2, "context_in_dim": 15360},
        *(flux.Flux2Tokenizer, MistralTextEncoder, {"mistral3_24b": layers(4)}, tekken),
    ),
    "flux2_klein": Tiny(
        "Flux2",
        {**FLUX2, "context_in_dim": 7680, "guidance_embed": False},
        *(flux.KleinTokenizer, KleinTextEncoder, {"qwen3_4b": layers(4)}),
    ),
    "longcat": Tiny(
        "LongCatImage",
        {**FLUX, "vec_in_dim": None, "context_in_dim": 3584, "guidance_embed": False, "txt_ids_dims": [1, 2]},
        *(longcat_image.LongCatImageTokenizer, longcat_image.te(), {"qwen25_7b": layers(1)}),
    ),
    "kandinsky5": Tiny(
        "Kandinsky5Image",
        {
            **{"model_dim": 128, "ff_dim": 128, "time_dim": 64, "visual_embed_dim": 64, "axes_dims": (32, 48, 48)},
            **{"num_text_blocks": 1, "num_visual_blocks": 1, "rope_scale_factor": (1.0, 1.0, 1.0)},
        },
        *(kandinsky5.Kandinsky5TokenizerImage, kandinsky5.te(), {**CLIP, "qwen25_7b": layers(2)}),
    ),
    "chroma": Tiny("Chroma", CHROMA, pixart_t5.PixArtTokenizer, pixart_t5.pixart_te(), T5),
    "z_image": Tiny(
        "ZImage",
        {
            **{**LUMINA, "dim": 256, "cap_feat_dim": 2560, "n_heads": 2, "n_kv_heads": 2, "axes_dims": [32, 48, 48]},
            **{"rope_theta": 256.0, "ffn_dim_multiplier": 1.0, "z_image_modulation": True, "time_scale": 1000.0},
            "pad_tokens_multiple": 32,
        },
        *(z_image.ZImageTokenizer, z_image.te(), {"qwen3_4b": layers(3)}),
    ),
    "lumina2": Tiny(
        "Lumina2",
        {
            **{**LUMINA, "dim": 192, "cap_feat_dim": 2304, "n_heads": 2, "n_kv_heads": 1, "axes_dims": [32, 32, 32]},
            **{"rope_theta": 10000.0, "ffn_dim_multiplier": 1.0},
        },
        *(lumina2.LuminaTokenizer, lumina2.te(), {"gemma2_2b": layers(3)}, gemma),
    ),
    "qwen_image": Tiny(
        "QwenImage",
        {"num_layers": 1, "num_attention_heads": 1},
        *(qwen_image.QwenImageTokenizer, qwen_image.te(), {"qwen25_7b": layers(1)}),
    ),
    "krea2": Tiny(
        "Krea2",
        {
            **{"features": 128, "heads": 1, "kvheads": 1, "layers": 1, "multiplier": 1, "channels": 16},
            **{"txtdim": 384, "txtheads": 3, "txtkvheads": 3},
        },
        # The model has a transformer as wide as its text encoder, so that is narrow here.
        *(krea2.Krea2Tokenizer, krea2.te(), {"qwen3vl_4b": layers(36, hidden_size=384)}),
    ),
    # A family of films: only its text encoder is used here.
    "wan": Tiny("WAN21_T2V", {}, wan.WanT5Tokenizer, wan.te(), {"umt5xxl": SHALLOW_T5}, gemma),
    "anima": Tiny("Anima", PREDICT2, anima.AnimaTokenizer, anima.te(), {"qwen3_06b": layers(1)}),
    "hidream": Tiny(
        "HiDream",
        {
            **{"attention_head_dim": 128, "axes_dims_rope": [64, 32, 32], "caption_channels": [4096, 4096]},
            **{"max_resolution": [128, 128], "in_channels": 16, "out_channels": 16, "llama_layers": [0, 1]},
            **{"num_attention_heads": 1, "num_routed_experts": 2, "num_activated_experts": 1, "num_layers": 1},
            **{"num_single_layers": 1, "patch_size": 2, "text_emb_dim": 2048},
        },
        *(HiDreamTokenizer, hidream.hidream_clip()),
        text={**CLIP, **T5, "llama": layers(2, vocab_size=152064)},
    ),
    "hidream_o1": Tiny(
        "HiDreamO1",
        {
            "text_config_overrides": layers(1, hidden_size=128),
            "vision_config_overrides": {"depth": 1, "hidden_size": 64, "num_heads": 1, "intermediate_size": 64},
        },
        *(hidream_o1.HiDreamO1Tokenizer, hidream_o1.HiDreamO1TE),
    ),
    "hunyuan_image": Tiny(
        "HunyuanImage21",
        HUNYUAN,
        *(hunyuan_image.HunyuanImageTokenizer, hunyuan_image.te(), {"qwen25_7b": layers(4)}),
    ),
    "ernie": Tiny(
        "ErnieImage",
        {"hidden_size": 128, "num_attention_heads": 1, "num_layers": 1, "ffn_hidden_size": 64},
        *(ernie.ErnieTokenizer, ernie.te(), {"ministral3_3b": layers(3)}, tekken),
    ),
    "ideogram4": Tiny(
        "Ideogram4",
        {"num_layers": 1, "num_attention_heads": 1, "intermediate_size": 64, "adaln_dim": 64},
        *(ideogram4.Ideogram4Tokenizer, ideogram4.te(), {"qwen3vl_8b": layers(37)}),
    ),
}


def model_of(tiny: Tiny) -> Any:
    """Returns the model of a family as a MODEL."""
    kind = getattr(comfy.supported_models, tiny.config)
    config = kind({**kind.unet_config, **tiny.model, "dtype": torch.float32})
    config.unet_config |= tiny.model  # also what the host sets for every model of this kind
    model = config.get_model({}, "", device="cpu")
    _fill(model.diffusion_model)
    return comfy.model_patcher.ModelPatcher(model, CPU, CPU)


def clip_of(tiny: Tiny) -> Any:
    """Returns the text encoder of a family as a CLIP."""
    target = comfy.supported_models_base.ClipTarget(tiny.tokenizer, tiny.encoder)
    options = {f"{name}_model_config": dict(settings) for name, settings in tiny.text.items()}
    clip = comfy.sd.CLIP(target, tokenizer_data=dict(tiny.words()), model_options={**options, "dtype": torch.float32})
    _fill(clip.cond_stage_model)
    return clip


def vae_of(tiny: Tiny) -> Any:
    """Returns a VAE for the latents of a family: each value of a pixel is a sum of the channels."""
    form = getattr(comfy.supported_models, tiny.config).latent_format
    vae = comfy.sd.VAE(sd={"pixel_space_vae": torch.tensor(1.0)})
    vae.latent_channels, vae.latent_dim = form.latent_channels, form.latent_dimensions
    vae.upscale_ratio = vae.downscale_ratio = form.spacial_downscale_ratio
    vae.first_stage_model = Mosaic(form.latent_channels, form.spacial_downscale_ratio)
    vae.patcher = comfy.model_patcher.ModelPatcher(vae.first_stage_model, load_device=CPU, offload_device=CPU)
    return vae


class Mosaic(nn.Module):
    """A decoder that spreads each place of a latent over the pixels of its square."""

    def __init__(self, channels: int, ratio: int) -> None:
        super().__init__()
        self.ratio = ratio
        self.spread = nn.Parameter(weight("spread", torch.Size((3 * ratio * ratio, channels))), requires_grad=False)

    def decode(self, samples: Tensor) -> Tensor:
        plane = samples[:, :, 0] if samples.ndim == 5 else samples
        even = plane / plane.square().mean(dim=(1, 2, 3), keepdim=True).sqrt().clamp(min=1e-6)
        pixels = torch.einsum("bchw,oc->bohw", even, self.spread.to(plane))
        picture = functional.pixel_shuffle(pixels, self.ratio).tanh()
        return picture.unsqueeze(2) if samples.ndim == 5 else picture


def _fill(module: nn.Module) -> None:
    for name, parameter in [*module.named_parameters(), *module.named_buffers()]:
        is_seen = ".visual." not in name and name.split(".")[0] != "visual"  # as large as in the real one, and unused
        if is_seen and parameter.is_floating_point() and "inv_freq" not in name:
            parameter.data = weight(name, parameter.shape).reshape(parameter.shape)


class Family:
    """A tiny model of a family, with its text encoder and a VAE."""

    RETURN_TYPES = ("MODEL", "CLIP", "VAE")
    FUNCTION = "load"
    CATEGORY = "test"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"family": (list(FAMILIES),)}}

    def load(self, family: str) -> tuple[Any, Any, Any]:
        tiny = FAMILIES[family]
        return model_of(tiny), clip_of(tiny), vae_of(tiny)


class TextEncoder:
    """The text encoder of a family alone."""

    RETURN_TYPES = ("CLIP",)
    FUNCTION = "load"
    CATEGORY = "test"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"family": (list(FAMILIES),)}}

    def load(self, family: str) -> tuple[Any]:
        return (clip_of(FAMILIES[family]),)
