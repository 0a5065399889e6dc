"""The settings of A1111 and Forge by which a recipe gives the same frames there as elsewhere: the one list.

The client sends them with each request, the script sets them for a run, and `remix doctor --url` tells of those that
a server has otherwise. docs/agreement.md says what they do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from remix.catalog.schedulers import SCHEDULERS

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
    "sdxl_clip_l_skip": False,
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
"""What agrees with ComfyUI and the local engine; a host that does not have a setting does not need it."""

EMPTY = " "
"""What A1111 and Forge are given in place of an empty negative prompt. A space is no token; of no letter at all they
make zeros where the model is an SDXL, and not the conditioning of an empty prompt, as every other tool does."""

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
"""Settings that change pictures and that no run of ours sets -> the portable value, and what to do."""


def portable(scheduler: str | None) -> dict[str, Any]:
    """Returns the values of `PORTABLE` for a run with a schedule, by A1111's label."""
    if any(row.starts_below and row.label == scheduler for row in SCHEDULERS.values()):
        # ComfyUI adds no extra noise there. A1111 adds it at every level that a walk starts at.
        return {**PORTABLE, "sgm_noise_multiplier": False}
    return dict(PORTABLE)


def left_over(option: Callable[[str, Any], Any]) -> list[tuple[str, Any, str]]:
    """Returns the settings that make frames other ones and that no run of ours sets: name, value, what to do.

    `option(name, otherwise)` gives a setting of the host.
    """
    found = [
        (name, has, mend)
        for name, (wanted, mend) in NOT_PER_REQUEST.items()
        if (has := option(name, wanted)) not in (wanted, None, "")
    ]
    if (skip := option("CLIP_stop_at_last_layers", 1)) != 1:
        found.append(("CLIP_stop_at_last_layers", skip, f"write clip_skip = {skip} below [model]"))
    if (vae := option("sd_vae", "Automatic")) not in ("Automatic", "None"):
        found.append(("sd_vae", vae, f'write vae = "{vae}" below [model]'))
    return found
