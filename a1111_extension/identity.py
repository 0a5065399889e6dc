"""What makes the pictures of a run besides its recipe: a frame is known by this table, and found again by it.

Everything counts by its value, and only where it changes what the host does by itself:

- a setting, where the run's value is not the host's default;
- a field of the processing object, where its value is not the default of its class;
- a script that is always on, where an argument is not the default that the script itself gives it. So an extension
  that is added, removed, renamed or updated changes nothing as long as nobody asks it for anything;
- models by the bytes of their files, pictures by their pixels, styles by their texts.

A field or a setting that a newer host adds is at its default, and changes nothing either.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any

from remix.digest import sampled_hash, sha256

from . import host

OPTIONS = (
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
"""Settings of the hosts that change pictures. The checkpoint and the VAE count by their files."""

BY_FILE = ("sd_model_checkpoint", "sd_vae")
"""Settings that name a file, which stands in the table by itself."""

NOT_OF_PICTURES = (
    *("saving-images", "saving-paths", "saving-to-dirs", "system", "profiler", "API", "training", "interrogate"),
    *("ui", "ui_gallery", "ui_alternatives", "ui_prompt_editing", "settings_in_ui", "infotext"),
)
"""The hosts' sections of settings that change no picture."""

DECIDED = frozenset(
    {
        *("sd_model", "outpath_samples", "outpath_grids", "do_not_save_samples", "do_not_save_grid", "user", "is_api"),
        *("prompt", "negative_prompt", "prompt_for_display", "seed", "subseed", "n_iter", "batch_size", "init_images"),
        *("subseed_strength", "seed_resize_from_h", "seed_resize_from_w", "seed_enable_extras"),
        *("sampler_name", "sampler_index", "scheduler", "steps", "cfg_scale", "width", "height", "denoising_strength"),
        *("override_settings", "override_settings_restore_afterwards", "extra_generation_params", "comments"),
        *("do_not_reload_embeddings", "force_task_id", "paste_to", "cached_c", "cached_uc"),
    }
)
"""Fields that the recipe decides, that are refused where they act, or that no picture depends on."""

CHECKPOINT_FIELDS = ("refiner_checkpoint", "hr_checkpoint_name")
"""Fields that name another checkpoint."""

SHORT = 60
"""The longest value, in characters, that stands in the table as it is; of a longer one the hash does."""


def made_by(
    p: Any, checkpoint: Any, vae: Path | None, settings: Mapping[str, Any], networks: Iterable[tuple[str, str]] = ()
) -> dict[str, str]:
    """Returns what the pictures of a processing object depend on besides the recipe, each as a short text.

    `settings` are those that the run sets in place of the user's, `networks` the LoRAs and the like of its frames, as
    pairs of a kind and a name.
    """
    files = {f"{kind} {name}": host.network_file(kind, name) for kind, name in networks}
    return {
        "engine": host.NAME,
        "checkpoint": Path(checkpoint.name).name,
        "checkpoint_file": fingerprint(Path(checkpoint.filename)),
        "vae": "" if vae is None else vae.name,
        "vae_file": "" if vae is None else fingerprint(vae),
        **{name: fingerprint(path) for name, path in sorted(files.items()) if path is not None},
        **{f"setting {name}": text_of(value) for name, value in _settings(p, settings)},
        **{f"field {name}": text_of(value) for name, value in _fields(p)},
        **{f"script {name}": text_of(value) for name, value in _scripts(p)},
    }


def fingerprint(path: Path) -> str:
    """Returns the hash of a model's file."""
    about = path.stat()
    return _fingerprint_at(path, about.st_size, about.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _fingerprint_at(path: Path, size: int, changed: int) -> str:
    """The hash of a file: megabytes are read once, and not for every request of a film."""
    return sampled_hash(path)


def has_unet(path: Path) -> bool:
    """Returns whether a checkpoint holds a U-Net, whose attention to a prompt is plain, and not a transformer.

    Only the names of the weights are read, since the model may not be loaded yet.
    """
    about = path.stat()
    return _has_unet_at(path, about.st_size, about.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _has_unet_at(path: Path, size: int, changed: int) -> bool:
    if path.suffix != ".safetensors":
        return path.suffix != ".gguf"
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = file.read(min(length, LONGEST_HEADER))
    return b"input_blocks." in header  # the way down of a U-Net; a VAE may have "down_blocks"


LONGEST_HEADER = 100 * 2**20
"""The longest table of weights that is read of a `.safetensors` file, in bytes: the format's own limit."""


def _settings(p: Any, settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The settings that are not at the host's defaults, as they are in the run."""
    users = {name: host.option(name) for name in OPTIONS if host.has_option(name)}
    values = {**users, **shown_settings(p), **settings}
    for name in sorted(values.keys() - {*BY_FILE}):
        value = values[name]
        if host.section_of(name) not in NOT_OF_PICTURES and not _same(value, host.default_option(name)):
            yield name, [_by_file(each) for each in value] if isinstance(value, list | tuple) else value


def _by_file(value: Any) -> Any:
    """A model's path as the name and the hash of its file; other values as they are."""
    path = Path(value) if isinstance(value, str) else None
    return value if path is None or not path.is_absolute() or not path.is_file() else [path.name, fingerprint(path)]


def shown_settings(p: Any) -> dict[str, Any]:
    """Returns the settings that the page shows among its fields, which hold where a request overrides no such."""
    found: dict[str, Any] = {}
    for script, args in _always_on(p):
        found |= zip(getattr(script, "setting_names", None) or (), args, strict=False)
    return found


def _fields(p: Any) -> Iterator[tuple[str, Any]]:
    """The fields that act and are not at the defaults of their class."""
    for field in fields(p):
        name: str = field.name
        value: Any = getattr(p, name, None)
        if not _acts(p, field) or _same(value, _default(field)):
            continue
        if host.is_filled_in(p, name):
            continue  # the setting is in the table already
        if name in CHECKPOINT_FIELDS:
            yield name, [value, *([fingerprint(path)] if (path := host.checkpoint_file(value)) else [])]
        elif name == "styles":
            yield name, host.style_texts(value)
        else:
            yield name, value


def _acts(p: Any, field: Field[Any]) -> bool:
    """Whether pictures may depend on a field here."""
    name, hires = field.name, getattr(p, "enable_hr", False)
    if hires and name == "denoising_strength":
        return True  # of the second pass; the recipe's is that of init pictures
    if hires and name in ("width", "height"):
        return bool(p.hr_resize_x or p.hr_resize_y)  # the first pass has their share of the finished size
    if name == "image_mask":
        return True
    if name in DECIDED or not field.init or isinstance(field.default, property):
        return False
    if name.startswith("hr_"):
        return bool(hires)
    if name.startswith(("mask", "inpaint")):
        return any(getattr(p, mask, None) is not None for mask in ("image_mask", "latent_mask"))
    return name != "refiner_switch_at" or bool(p.refiner_checkpoint)


def _default(field: Field[Any]) -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return None if field.default is MISSING else field.default


def _scripts(p: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """What each script that is always on is asked for, by the labels of its arguments.

    A script is known by its file, since titles tend to hold versions. What it would do by itself is left out, and so
    are scripts that only fill in fields of `p`, and settings that the page shows.
    """
    for script, args in _always_on(p):
        if getattr(script, "setup_for_ui_only", False) or getattr(script, "setting_names", None):
            continue
        controls = getattr(script, "controls", None) or ()
        about = getattr(getattr(script, "api_info", None), "args", None) or controls
        asked: dict[str, Any] = {}
        for at, value in enumerate(args):
            control, known = (controls[at] if at < len(controls) else None), (about[at] if at < len(about) else None)
            if known is not None and _is_off(value, known.value, control):
                continue
            label = getattr(control, "label", None) or f"argument {at}"
            asked[label if label not in asked else f"{label} ({at})"] = value
        if asked:
            yield f"{Path(getattr(script, 'filename', '')).stem}.{type(script).__name__}".lstrip("."), asked


def _is_off(value: Any, default: Any, control: Any) -> bool:
    """Whether an argument asks for nothing: it is the default, or an object that says of itself that it is not enabled.

    The page sends some choices by their place in the list, and the API by their names.
    """
    enabled = value.get("enabled") if isinstance(value, Mapping) else getattr(value, "enabled", None)
    if enabled is False or _same(value, default):
        return True
    if getattr(control, "type", None) != "index":
        return False
    choices = [each[1] if isinstance(each, tuple) else each for each in getattr(control, "choices", None) or ()]
    return default in choices and value == choices.index(default)


def _always_on(p: Any) -> Iterator[tuple[Any, Sequence[Any]]]:
    """The scripts that are always on, with their arguments."""
    for script in p.scripts.alwayson_scripts if p.scripts is not None else ():
        yield script, list(p.script_args[script.args_from : script.args_to])


def _same(value: Any, default: Any) -> bool:
    """Whether two values mean the same; empty ones of any kind do."""
    empty: tuple[Any, ...] = (None, "", [], {})
    return plain_value(value) == plain_value(default) or (plain_value(value) in empty and plain_value(default) in empty)


def text_of(value: Any) -> str:
    """Returns a value as one text, the same in every run: as it is where it is short, else its hash."""
    plain = plain_value(value)
    text = plain if isinstance(plain, str) else json.dumps(plain, sort_keys=True, ensure_ascii=False)
    return text if len(text) <= SHORT else sha256(text.encode("utf-8", "surrogatepass"))[:16]


def plain_value(value: Any, depth: int = 8) -> Any:
    """Returns a value as JSON has it: pictures and arrays by their content, objects by what they hold."""
    if depth == 0:
        return type(value).__name__
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int | float):
        # A setting that was read from a file is 0 where its default is 0.0.
        return int(value) if float(value).is_integer() else float(value)
    if isinstance(value, Mapping):
        return {str(key): plain_value(part, depth - 1) for key, part in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((plain_value(part, depth - 1) for part in value), key=str)
    if isinstance(value, list | tuple):
        return [plain_value(part, depth - 1) for part in value]
    if hasattr(value, "tobytes"):
        return sha256(value.tobytes())
    if is_dataclass(value) or hasattr(value, "__dict__"):
        held = {name: plain_value(part, depth - 1) for name, part in vars(value).items() if name[0] != "_"}
        return [type(value).__name__, held]
    return type(value).__name__
