"""Everything that is the host's own; where A1111, Forge and reForge have other names for a thing is met here."""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import modules.scripts as scripts  # the module: a Script that is imported by name would be registered again
from modules import (
    devices,
    extra_networks,
    images,
    processing,
    rng,
    sd_models,
    sd_samplers,
    sd_samplers_timesteps,
    sd_vae,
    shared,
    ui_tempdir,
)
from PIL import Image

from remix.errors import BadInput, Unsupported
from remix.job import is_job
from remix.job.ends import ends
from remix.job.files import safe_name
from remix.job.journal import sha256
from remix.job.portable import left_over
from remix.plan import Model

Script = scripts.Script
FORGE = hasattr(processing, "main_entry")
"""Forge and what descends from it: a checkpoint is loaded with the first picture, and a VAE is one of its modules."""

NAME = "forge" if FORGE else "a1111"

OPTIONS = (
    *("CLIP_stop_at_last_layers", "emphasis", "comma_padding_backtrack", "use_old_emphasis_implementation"),
    *("use_old_scheduling", "pad_cond_uncond", "pad_cond_uncond_v0", "sd_lora", "sd_vae", "upcast_attn"),
    *("eta_noise_seed_delta", "eta_ancestral", "eta_ddim", "s_min_uncond", "s_churn", "s_tmin", "s_tmax", "s_noise"),
    *("sigma_min", "sigma_max", "rho", "use_old_karras_scheduler_sigmas", "always_discard_next_to_last_sigma"),
    *("sgm_noise_multiplier", "beta_dist_alpha", "beta_dist_beta", "skip_early_cond", "token_merging_ratio"),
    *("sdxl_crop_left", "sdxl_crop_top", "sd_vae_encode_method", "sd_vae_decode_method", "img2img_extra_noise"),
    "sdxl_clip_l_skip",
    *("uni_pc_variant", "uni_pc_skip_type", "uni_pc_order", "uni_pc_lower_order_final", "fp8_storage"),
    *("img2img_fix_steps", "randn_source", "refiner_switch_by_sample_steps", "no_dpmpp_sde_batch_determinism"),
    *("img2img_background_color", "img2img_color_correction", "initial_noise_multiplier", "face_restoration"),
    *("forge_additional_modules", "forge_unet_storage_dtype", "forge_try_reproduce", "sd_noise_schedule"),
)
"""Settings of the host that change pictures; those that a host does not have do not count."""

NOT_OF_PICTURES = (
    *(
        "sd_model",
        "outpath_samples",
        "outpath_grids",
        "prompt",
        "negative_prompt",
        "seed",
        "n_iter",
        "batch_size",
        "sampler_name",
    ),
    *("scheduler", "steps", "cfg_scale", "width", "height", "do_not_save_samples", "do_not_save_grid", "comments"),
    *("extra_generation_params", "scripts_value", "script_args_value", "scripts_setup_complete", "user", "is_api"),
    *("prompt_for_display", "force_task_id", "do_not_reload_embeddings", "sampler_index", "init_images", "paste_to"),
    *("denoising_strength", "override_settings_restore_afterwards", "subseed", "cached_c", "cached_uc"),
    "override_settings",  # among the settings, where one that is set to what a run sets anyway changes nothing
)
"""Fields of a processing object that the recipe decides, or that no picture depends on."""

state = shared.state


def option(name: str, otherwise: Any = None) -> Any:
    """Returns a setting of the host."""
    return getattr(shared.opts, name, otherwise)


def has_option(name: str) -> bool:
    """Returns whether the host has a setting of this name."""
    return name in shared.opts.data_labels


def differing(model: Model) -> str:
    """Returns one sentence about the settings here that make frames other ones than in other tools; "" if none does.

    `model` is the recipe's, which may say for itself what such a setting says.
    """
    said = {"sd_vae": model.vae is not None, "CLIP_stop_at_last_layers": model.clip_skip > 1}
    found = [f"{name} is {has!r} ({mend})" for name, has, mend in left_over(option) if not said.get(name)]
    return f"In other tools these frames are other ones, because here {', '.join(found)}." if found else ""


def process(p: Any) -> Any:
    """Returns what the host makes of a processing object.

    The host takes back the settings that a request overrides only where they were ever saved; the others here, and
    with them the VAE, which is loaded by its setting.
    """
    held = shared.opts.data
    unsaved = [name for name in p.override_settings if name not in held]
    try:
        return processing.process_images(p)
    finally:
        for name in unsaved:
            held.pop(name, None)
        if "sd_vae" in unsaved and not FORGE:
            sd_vae.reload_vae_weights()


def is_random(seed: Any) -> bool:
    """Returns whether the host's field of seeds asks for one that is drawn."""
    return seed in (None, "") or int(seed) < 0


def drawn_seed(seed: Any) -> int:
    """Returns the seed of the host's field, one that is drawn now where it asks for that."""
    return random.randrange(2**32) if is_random(seed) else int(seed)


def own_args(p: Any, script: Any) -> list[Any]:
    """Returns the arguments of a script that were given, and makes up for those that were not.

    The API puts `script_args` where the script's arguments are, however many they are; too few, and those of all
    scripts that come after are taken for others. They are moved to where they belong.
    """
    given = list(p.script_args)
    lacking = max((other.args_to or 0 for other in p.scripts.scripts), default=len(given)) - len(given)
    own = given[script.args_from : script.args_to - max(lacking, 0)]
    if lacking < 0:
        most = script.args_to - script.args_from
        raise BadInput(f"script_args: {most - lacking} values are too many; give 1 to {most}")
    if lacking:
        place = script.args_from + len(own)
        p.script_args = [*given[:place], *[None] * lacking, *given[place:]]
    return own


def finished_size(p: Any) -> tuple[int, int]:
    """Returns width and height of the finished pictures, those after hires fix."""
    if not getattr(p, "enable_hr", False):
        return p.width, p.height
    if p.hr_resize_x and p.hr_resize_y:
        return p.hr_resize_x, p.hr_resize_y
    scale = p.hr_resize_x / p.width if p.hr_resize_x else p.hr_resize_y / p.height if p.hr_resize_y else p.hr_scale
    return int(p.width * scale), int(p.height * scale)


def picture_at(path: Path, p: Any) -> Image.Image:
    """Returns a frame for the host's result: with its pixels over the API, by its file alone in the gallery."""
    with Image.open(path) as picture:
        if getattr(p, "is_api", False):
            picture.load()
        else:
            picture.already_saved_as = str(path)  # type: ignore[attr-defined]
    return picture


def noise_source(shape: Sequence[int], seeds: Sequence[int]) -> Any:
    """Returns the host's own noise of these seeds, whatever its source is."""
    return rng.ImageRNG(tuple(shape), list(seeds), subseeds=None, subseed_strength=0.0)


def device() -> Any:
    """Returns where the host has its latents."""
    return shared.device


def has_sampler(label: str) -> bool:
    """Returns whether the host has a sampler of this label."""
    return sd_samplers.find_sampler_config(label) is not None


def has_scheduler(label: str) -> bool:
    """Returns whether the host has a schedule of this label."""
    try:
        from modules import sd_schedulers
    except ImportError:  # older hosts say the schedule with the sampler
        return label == "Automatic"
    return label in sd_schedulers.schedulers_map


def parsed(tags: str) -> Any:
    """Returns tags of extra networks as the host has them."""
    return extra_networks.parse_prompt(tags)[1]


def checkpoint_of(name: str) -> Any:
    """Returns the host's entry of a checkpoint, by one of its exact names; Unsupported where it has none."""
    found = sd_models.checkpoint_aliases.get(name) or sd_models.checkpoint_aliases.get(f"{name}.safetensors")
    if found is None:
        known = ", ".join(sorted(info.name for info in sd_models.checkpoints_list.values())[:20])
        raise Unsupported(f"model.checkpoint: there is no {name!r} here; use one of {known}")
    return found


def chosen_checkpoint(p: Any) -> Any:
    """Returns the host's entry of the checkpoint that it will render a request with."""
    asked = p.override_settings.get("sd_model_checkpoint")
    if asked:
        return checkpoint_of(asked)
    # Forge loads it when the first picture is made.
    return sd_models.select_checkpoint() if FORGE else shared.sd_model.sd_checkpoint_info


def vae_of(name: str) -> Path:
    """Returns the file of a VAE, by the host's own name; Unsupported where it has none."""
    known = {} if FORGE else getattr(sd_vae, "vae_dict", {})
    if name not in known:
        there = f"use one of {', '.join(known)}" if known else "choose it in the host's settings"
        raise Unsupported(f"model.vae: there is no {name!r} here; {there}")
    return Path(known[name])


def has_plain_attention() -> bool:
    """Returns whether the model's attention to a prompt is plain, so that repeating the prompt changes nothing."""
    return any(getattr(shared.sd_model, f"is_{family}", False) for family in ("sd1", "sd2", "sdxl"))


def made_by(p: Any, checkpoint: Any, vae: Path | None, settings: Mapping[str, Any]) -> dict[str, str]:
    """Returns what the pictures of a processing object depend on beside the recipe, each as a short text.

    `settings` are those that a run sets.
    """
    vae = vae or getattr(sd_vae, "loaded_vae_file", None)
    asked = {field.name for field in fields(p) if field.init} - {*NOT_OF_PICTURES} | {"image_mask"}
    if not getattr(p, "enable_hr", False):
        asked = {name for name in asked if not name.startswith("hr_")}
    own = {name: getattr(p, name, None) for name in sorted(asked)}
    options = {name: option(name) for name in OPTIONS if has_option(name)}
    return {
        "engine": NAME,
        "checkpoint": checkpoint.name,
        "checkpoint_file": _ends(Path(checkpoint.filename)),
        "vae": "" if vae is None else _ends(Path(vae)),
        "settings": _short({**options, **settings, **p.override_settings}),
        "fields": _short({name: value for name, value in own.items() if value is not None}),
        "scripts": _short(_always_on(p)),
    }


def _ends(path: Path) -> str:
    about = path.stat()
    return _ends_at(path, about.st_size, about.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _ends_at(path: Path, size: int, changed: int) -> str:
    """The hash of a file: megabytes are read once, and not for every request of a film."""
    return ends(path)


def _always_on(p: Any) -> dict[str, Any]:
    """The arguments of the scripts that are always on, by their titles, but for those that fill in fields of `p`."""
    if p.scripts is None:
        return {}
    return {
        script.title(): list(p.script_args[script.args_from : script.args_to])
        for script in p.scripts.alwayson_scripts
        if not getattr(script, "setup_for_ui_only", False)
    }


def _short(value: Any) -> str:
    return sha256(json.dumps(_told(value), sort_keys=True).encode())[:16]


def _told(value: Any, depth: int = 8) -> Any:
    """A value as JSON, the same in every run: pictures and arrays by their content, objects by what they hold."""
    if depth == 0:
        return type(value).__name__
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int | float):
        return float(value)  # a setting that was read from a file is 0 where its default is 0.0
    if isinstance(value, Mapping):
        return {str(key): _told(part, depth - 1) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_told(part, depth - 1) for part in value]
    if hasattr(value, "tobytes"):
        return sha256(value.tobytes())
    if is_dataclass(value) or hasattr(value, "__dict__"):
        return [
            type(value).__name__,
            {name: _told(part, depth - 1) for name, part in vars(value).items() if name[0] != "_"},
        ]
    return type(value).__name__


def output_folder(p: Any) -> Path:
    """Returns the host's folder of pictures of this kind, in which jobs lie in `remix`."""
    return Path(p.outpath_samples).resolve() / "remix"


def job_of(tab: str, name: str) -> Path | None:
    """Returns the folder of a job that a request from "txt2img" or "img2img" made; None where there is none."""
    root = option("outdir_samples") or option(f"outdir_{tab}_samples")
    folder = Path(root).resolve() / "remix" / name
    return folder if safe_name(name) == name and is_job(folder) else None


def address(path: Path) -> str:
    """Returns the address at which the host's page finds a file, which it is told to serve."""
    ui_tempdir.register_tmp_file(shared.demo, str(path))
    return f"file={quote(path.as_posix())}"


def is_of_times(sampler: Any) -> bool:
    """Returns whether a sampler tells its model times, and is given noise, where others go by the noise's level."""
    return isinstance(sampler, sd_samplers_timesteps.CompVisSampler)


def alphas() -> Any:
    """Returns the share of the signal's variance at each of the model's times."""
    return shared.sd_model.alphas_cumprod


def unipc(model: Any, x: Any, times: Any, extra_args: Any, callback: Any) -> Any:
    """Returns what the host's UniPC makes of latents with noise on its way down these times, which fall from 1 to 0."""
    from modules.sd_samplers_timesteps_impl import UniPCCFG, uni_pc

    schedule, steps = uni_pc.NoiseScheduleVP("discrete", alphas_cumprod=alphas()), len(times) - 1
    way = {"predict_x0": True, "thresholding": False, "variant": option("uni_pc_variant", "bh1")}
    walk = UniPCCFG(model, extra_args, callback, schedule, **way)
    walk.get_time_steps = lambda **_: times.to(x.device)
    order = min(option("uni_pc_order", 3), steps)
    return walk.sample(x, steps=steps, method="multistep", order=order, lower_order_final=True)


def noised(sampler: Any) -> Callable[[Any, Any, Any], Any]:
    """Returns how the model's latents have noise in them: of clean ones, noise, and its level."""
    if FORGE:
        return lambda clean, noise, sigma: sampler.model_wrap.predictor.noise_scaling(sigma, noise, clean)
    flowing = getattr(shared.sd_model, "add_noise_to_latent", None)
    return flowing or (lambda clean, noise, sigma: clean + noise * sigma)


def unmasked(denoiser: Any) -> Callable[..., Any]:
    """Returns what a denoiser makes of latents without the host's own mask."""
    own = denoiser.forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        denoiser.mask = None
        return own(*args, **kwargs)

    return forward


def blend_of_mask(p: Any) -> Callable[[Any, Any, Any], Any] | None:
    """Returns how the host lays what the model made over clean latents by its own mask, told of the noise's level.

    None where there is no such mask, and in A1111, which does so by itself and draws nothing for it.
    """
    if not FORGE or getattr(p, "mask", None) is None:
        return None

    def blended(clean: Any, found: Any, sigma: Any) -> Any:
        plain = found * p.nmask + clean * p.mask
        given = scripts.MaskBlendArgs(found, p.nmask, clean, p.mask, plain, p.sampler.model_wrap_cfg, sigma)
        if p.scripts is not None:
            p.scripts.on_mask_blend(p, given)
        return given.blended_latent

    return blended


def is_img2img(p: Any) -> bool:
    """Returns whether a processing object begins with pictures."""
    return hasattr(p, "init_images")


def fitted(picture: Any, p: Any, width: int, height: int) -> Any:
    """Returns an init picture at the size of the frames, fitted as the host's resize mode says."""
    flat = images.flatten(picture, option("img2img_background_color", "#ffffff"))
    return flat if flat.size == (width, height) else images.resize_image(min(p.resize_mode, 2), flat, width, height)


def fitted_mask(mask: Any, p: Any, width: int, height: int) -> Any:
    """Returns the host's mask at the size of the frames, fitted as their pictures are."""
    if mask.size == (width, height):
        return mask
    fitted = images.resize_image(min(p.resize_mode, 2), mask.convert("RGB"), width, height)
    return fitted.convert(mask.mode)


def refused(error: BadInput, p: Any) -> Exception:
    """Returns the error that tells bad input: over the API as 422 with the sentence."""
    if not getattr(p, "is_api", False):
        return error
    from fastapi.exceptions import HTTPException

    return HTTPException(status_code=422, detail=str(error))


def processed(p: Any, pictures: Sequence[Image.Image], seed: int, infotexts: Sequence[str]) -> Any:
    """Returns the host's result of a run."""
    return processing.Processed(p, list(pictures), seed, infotexts[0] if infotexts else "", infotexts=list(infotexts))


@contextmanager
def repeatable() -> Iterator[None]:
    """Within it random numbers that the host draws without a seed, as in a VAE's encoder, are the same each time."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def free() -> None:
    """Gives back memory that the host holds and does not need."""
    devices.torch_gc()
