"""The settings of A1111 and Forge with which a recipe gives the same frames there as in other tools.

The client sends them with each request, the script sets them for a run, and `remix doctor --url` reports those that
a server has set differently. docs/agreement.md explains them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any

from remix.catalog.schedulers import SCHEDULERS
from remix.plan import Schedule
from remix.prompt import Reading
from remix.prompt.chunks import BACKTRACK

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
    # Prompts: cut after 75 tokens wherever that is. The rule of weights depends on the prompts, see `reading_settings`.
    "comma_padding_backtrack": 0,
    "emphasis": "No norm",
    "use_old_emphasis_implementation": False,
    "sdxl_clip_l_skip": False,
    "pad_cond_uncond": False,
    "pad_cond_uncond_v0": False,
    # Noise levels, and how many steps an init picture takes. The model gets the nearest of its trained levels, and
    # a walk begins with the noise that these have: both as in ComfyUI, without which the last bits of colors differ.
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
"""The values that agree with ComfyUI and the local engine. A host that lacks a setting does not need it."""

FRESH: Mapping[str, Any] = {
    "randn_source": "GPU",
    "comma_padding_backtrack": 20,
    "emphasis": "Original",
    "enable_quantization": False,
    "sgm_noise_multiplier": False,
    "img2img_fix_steps": False,
    "CLIP_stop_at_last_layers": 1,
    "sd_vae": "Automatic",
}
"""The values in a fresh A1111 or Forge where they differ from `PORTABLE` and the settings of a request."""

EMPTY = " "
"""The negative prompt that A1111 and Forge get in place of an empty one. A space has no tokens; for an empty text they
make zeros if the model is an SDXL, where every other tool encodes the empty prompt."""

OWN_VAE = "None"
"""A1111's name for the VAE in the checkpoint itself."""

NOT_PER_REQUEST: Mapping[str, tuple[Any, str]] = {
    "hypertile_enable_unet": (False, "turn it off in Settings, Hypertile"),
    "hypertile_enable_vae": (False, "turn it off in Settings, Hypertile"),
    "upcast_attn": (False, "turn it off in Settings, Stable Diffusion"),
    "fp8_storage": ("Disable", "disable it in Settings, Optimizations"),
    "forge_unet_storage_dtype": ("Automatic", "set Diffusion in Low Bits to Automatic, at the top of the page"),
    "sdxl_crop_left": (0, "set it to 0 in Settings, Stable Diffusion XL"),
    "sdxl_crop_top": (0, "set it to 0 in Settings, Stable Diffusion XL"),
    "sd_hypernetwork": ("None", "set it to None in Settings, Additional Networks"),
    "sd_lora": ("None", "set it to None in Settings, Extra Networks"),
}
"""Settings that change pictures and that no run sets -> the portable value, and what to do."""


PICTURE_SETTINGS = (
    *("CLIP_stop_at_last_layers", "emphasis", "comma_padding_backtrack", "use_old_emphasis_implementation"),
    *("use_old_scheduling", "pad_cond_uncond", "pad_cond_uncond_v0", "sd_lora", "sd_hypernetwork", "upcast_attn"),
    *("eta_noise_seed_delta", "eta_ancestral", "eta_ddim", "ddim_discretize", "s_min_uncond", "s_min_uncond_all"),
    *("s_churn", "s_tmin", "s_tmax", "s_noise", "sigma_min", "sigma_max", "rho", "enable_quantization"),
    *("use_old_karras_scheduler_sigmas", "always_discard_next_to_last_sigma", "sgm_noise_multiplier"),
    *("beta_dist_alpha", "beta_dist_beta", "skip_early_cond", "sd_noise_schedule", "use_downcasted_alpha_bar"),
    *("token_merging_ratio", "token_merging_ratio_img2img", "token_merging_ratio_hr", "tiling"),
    *("sdxl_crop_left", "sdxl_crop_top", "sdxl_clip_l_skip", "sd3_enable_t5"),
    *("sdxl_refiner_low_aesthetic_score", "sdxl_refiner_high_aesthetic_score"),
    *("sd_vae_encode_method", "sd_vae_decode_method", "fp8_storage", "cache_fp16_weight"),
    *("uni_pc_variant", "uni_pc_skip_type", "uni_pc_order", "uni_pc_lower_order_final"),
    *("randn_source", "enable_batch_seeds", "no_dpmpp_sde_batch_determinism", "refiner_switch_by_sample_steps"),
    *("hires_fix_refiner_pass", "hires_fix_use_firstpass_conds", "use_old_hires_fix_width_height"),
    *("img2img_fix_steps", "img2img_extra_noise", "img2img_background_color", "img2img_color_correction"),
    *("initial_noise_multiplier", "inpainting_mask_weight", "overlay_inpaint", "upscaler_for_img2img"),
    *("face_restoration", "face_restoration_model", "code_former_weight"),
    *("ESRGAN_tile", "ESRGAN_tile_overlap", "DAT_tile", "DAT_tile_overlap"),
    *("hypertile_enable_unet", "hypertile_enable_unet_secondpass", "hypertile_max_depth_unet"),
    *("hypertile_max_tile_unet", "hypertile_swap_size_unet", "hypertile_enable_vae", "hypertile_max_depth_vae"),
    *("hypertile_max_tile_vae", "hypertile_swap_size_vae"),
    *("forge_additional_modules", "forge_unet_storage_dtype", "forge_try_reproduce"),
)
"""Settings of the hosts that change pictures. The checkpoint and the VAE are identified by their files."""

OTHER_SECTIONS = (
    *("saving-images", "saving-paths", "saving-to-dirs", "system", "profiler", "API", "training", "interrogate"),
    *("ui", "ui_gallery", "ui_alternatives", "ui_prompt_editing", "settings_in_ui", "infotext"),
)
"""Sections of the settings page whose settings change no picture."""


FILLED_IN = re.compile(r"__|[{$]")
"""The beginnings of wildcards and similar syntax. Extensions fill them in with a seed, the film's first one."""


def wildcard_seed(schedule: Schedule) -> dict[str, str]:
    """Returns the film's first seed, as "first seed", if its prompts have wildcards, which depend on it; otherwise {}.

    This applies to the Remix script. Frame by frame, wildcards depend on the frame's own seed.
    """
    return {"first seed": str(schedule.first_seed)} if any(map(FILLED_IN.search, schedule.texts)) else {}


RULES: Mapping[str, str] = {
    "a1111-no-norm": "No norm",
    "a1111": "Original",
    "a1111-ignore": "Ignore",
    "none": "None",
}
"""Rule of emphasis -> A1111's name of it."""

READINGS = tuple(Reading(rule, "a1111") for rule in RULES)
"""The ways in which A1111 itself reads prompts: BREAK begins a new chunk, however long prompts are cut."""


def reading_settings(host_reading: Reading, chunks: str) -> dict[str, Any]:
    """Returns the settings for one of `READINGS`, and for a rule of chunks."""
    return {"emphasis": RULES[host_reading.emphasis], "comma_padding_backtrack": BACKTRACK if chunks == "a1111" else 0}


def a1111_settings(scheduler: str | None) -> dict[str, Any]:
    """Returns the values of `PORTABLE` for a run with a schedule, given by A1111's label."""
    if any(row.starts_below and row.label == scheduler for row in SCHEDULERS.values()):
        # There, ComfyUI adds no extra noise. A1111 adds it at every level at which sampling starts.
        return {**PORTABLE, "sgm_noise_multiplier": False}
    return dict(PORTABLE)


def request_settings(
    options: Collection[str],
    *,
    checkpoint: str,
    vae: str | None,
    clip_skip: int,
    scheduler: str,
    prompts: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """Returns the `override_settings` of a request: the model, and those portable settings that are in `options`.

    `prompts` are those of `reading_settings`, in place of the portable ones.

    Settings that already have their value are included: they may have it only because another user's request is
    running.
    """
    wanted = {**a1111_settings(scheduler), **prompts, "CLIP_stop_at_last_layers": clip_skip, "sd_vae": vae or OWN_VAE}
    return {"sd_model_checkpoint": checkpoint} | {name: value for name, value in wanted.items() if name in options}


def current_settings(options: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `settings` with the values that a host has now, except for the checkpoint.

    After a request A1111 and Forge restore only what is in their config file; a setting that was never saved would
    stay as the request set it. Set once to the value that it has, it is restored from then on.
    """
    return {name: options.get(name, value) for name, value in settings.items()} | {
        "sd_model_checkpoint": settings["sd_model_checkpoint"]
    }


def clip_skip_remarks(clip_skip: int, *, forge: bool) -> list[str]:
    """Returns a remark if a host may not apply a clip skip, which depends on the family of the model.

    A1111 skips layers for Stable Diffusion 1 only, Forge for all. SD 2 and SDXL are trained with the last layer but
    one, which both 1 and 2 mean.
    """
    if clip_skip <= 2 or forge:
        return []
    return [
        f"model.clip_skip: this server applies {clip_skip} to Stable Diffusion 1 only; it renders SDXL and Stable "
        "Diffusion 2 with 2, so these frames differ from those of other tools"
    ]


def unset_differences(option: Callable[[str, Any], Any]) -> list[tuple[str, Any, str]]:
    """Returns settings that change frames and that no run sets, as name, value, and what to do.

    `option(name, default)` gives a setting of the host.
    """
    found = [
        (name, value, advice)
        for name, (wanted, advice) in NOT_PER_REQUEST.items()
        if (value := option(name, wanted)) not in (wanted, None, "")
    ]
    if (skip := option("CLIP_stop_at_last_layers", 1)) != 1:
        found.append(("CLIP_stop_at_last_layers", skip, f"write clip_skip = {skip} below [model]"))
    if (vae := option("sd_vae", "Automatic")) not in ("Automatic", OWN_VAE):
        found.append(("sd_vae", vae, f'write vae = "{vae}" below [model]'))
    return found
