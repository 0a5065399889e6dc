"""The settings of a server that decide pictures, set for each request alone so that a recipe means one thing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remix.client.a1111.stock import Choice, Stock
from remix.errors import Unsupported
from remix.plan.labels import SCHEDULERS

PORTABLE: Mapping[str, Any] = {
    # Noise: the shared rule of a seed, and each later draw from the same generator.
    "randn_source": "CPU",
    "eta_noise_seed_delta": 0,
    "eta_ancestral": 1.0,
    "eta_ddim": 0.0,
    "s_churn": 0.0,
    "s_tmin": 0.0,
    "s_tmax": 0.0,
    "s_noise": 1.0,
    "initial_noise_multiplier": 1.0,
    "img2img_extra_noise": 0.0,
    # Prompts: cut after 75 tokens wherever that is, weights without restoring the mean, as ComfyUI does.
    "comma_padding_backtrack": 0,
    "emphasis": "No norm",
    "use_old_emphasis_implementation": False,
    "pad_cond_uncond": False,
    "pad_cond_uncond_v0": False,
    # Noise levels, and how many steps an init picture takes. The model is told the nearest of its trained levels, and
    # a walk begins with the noise that these have: both as in ComfyUI, without which the last bits of colours differ.
    "enable_quantization": True,
    "sigma_min": 0.0,
    "sigma_max": 0.0,
    "rho": 0.0,
    "use_old_karras_scheduler_sigmas": False,
    "always_discard_next_to_last_sigma": False,
    "sd_noise_schedule": "Default",
    "sgm_noise_multiplier": True,
    "uni_pc_variant": "bh1",
    "uni_pc_skip_type": "time_uniform",
    "uni_pc_order": 3,
    "uni_pc_lower_order_final": True,
    "img2img_fix_steps": True,
    # Guidance at every step, and nothing done to the picture afterwards.
    "s_min_uncond": 0.0,
    "skip_early_cond": 0.0,
    "token_merging_ratio": 0.0,
    "token_merging_ratio_img2img": 0.0,
    "tiling": False,
    "face_restoration": False,
    "img2img_color_correction": False,
    "sd_vae_encode_method": "Full",
    "sd_vae_decode_method": "Full",
}
"""What agrees with ComfyUI and the local engine; a server that does not have a setting does not need it."""

OWN_VAE = "None"
"""What A1111 calls the VAE in the checkpoint itself."""


def overrides(stock: Stock, choice: Choice, clip_skip: int) -> dict[str, Any]:
    """Returns the `override_settings` of a request: the model, and of `PORTABLE` what the server has at all.

    Also what it has so already: it may be so only while a request of somebody else is at work.
    """
    wanted = {
        **PORTABLE,
        "CLIP_stop_at_last_layers": clip_skip,
        "sd_vae": choice.vae or OWN_VAE,
    }
    if choice.scheduler == SCHEDULERS["ddim_uniform"]:
        # It begins below the greatest noise level, where ComfyUI does without; A1111 would not tell.
        wanted["sgm_noise_multiplier"] = False
    known = {name: value for name, value in wanted.items() if name in stock.options}
    return {"sd_model_checkpoint": choice.checkpoint.bare, **known}


def as_they_are(stock: Stock, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the same settings with the values that the server has, the model aside.

    A1111 and Forge put back after a request what their config file knows; a setting that nobody ever saved would
    stay as a request set it. Set once to what it is, it is known from then on, and put back.
    """
    return {name: stock.options.get(name, value) for name, value in settings.items()} | {
        "sd_model_checkpoint": settings["sd_model_checkpoint"]
    }


def check_lossless(stock: Stock) -> None:
    """Raises `Unsupported` for a server that answers with pictures that have lost something."""
    kind = stock.options.get("samples_format", "png")
    if str(kind).lower() != "png":
        raise Unsupported(
            f"{stock.address}: it sends pictures as {kind!r}, which lose detail; set its option samples_format "
            "(Settings, Saving images/grids, File format for images) to png"
        )
