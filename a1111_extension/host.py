"""Everything that is the host's own; where A1111, Forge and reForge have other names for a thing is met here."""

from __future__ import annotations

import logging
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
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

from remix.errors import BadInput, EngineError, Unsupported
from remix.hosts.a1111.settings import unset_differences
from remix.job import is_job
from remix.job.files import safe_name
from remix.plan import Model

from .pinned import pinned_settings

log = logging.getLogger(__name__)

Script = scripts.Script
FORGE = hasattr(processing, "main_entry")
"""Forge and what descends from it: a checkpoint is loaded with the first picture, and a VAE is one of its modules."""

NAME = "forge" if FORGE else "a1111"

state = shared.state


def option(name: str, otherwise: Any = None) -> Any:
    """Returns a setting of the host."""
    return getattr(shared.opts, name, otherwise)


def has_option(name: str) -> bool:
    """Returns whether the host has a setting of this name."""
    return name in shared.opts.data_labels


def is_filled_in(p: Any, name: str) -> bool:
    """Returns whether a field of a request has its value from the setting of the same name."""
    return has_option(name) and hasattr(p, name) and getattr(p, name) == option(name)


def default_option(name: str) -> Any:
    """Returns what a setting is while nobody changes it; None for one that the host does not have."""
    label = shared.opts.data_labels.get(name)
    return getattr(label, "default", None)


def section_of(name: str) -> str | None:
    """Returns the section in which the host's page shows a setting."""
    section = getattr(shared.opts.data_labels.get(name), "section", None)
    return section[0] if section else None


def differing(model: Model) -> str:
    """Returns one sentence about the settings here that make frames other ones than in other tools; "" if none does.

    `model` is the recipe's, which may say for itself what such a setting says.
    """
    said = {"sd_vae": model.vae is not None, "CLIP_stop_at_last_layers": model.clip_skip > 1}
    found = [f"{name} is {has!r} ({mend})" for name, has, mend in unset_differences(option) if not said.get(name)]
    return f"In other tools these frames are other ones, because here {', '.join(found)}." if found else ""


@contextmanager
def pinned(p: Any) -> Iterator[None]:
    """Within it nothing that the user sets reaches this run, and nothing of this run reaches the user's settings.

    After it the host has what the user chose meanwhile, and what the request of `p` asks to be kept.
    """
    asked = {} if getattr(p, "override_settings_restore_afterwards", True) else dict(p.override_settings)
    before = {name: option(name) for name in _FORGE_MODEL}
    held = _held.set(_forge_choice())
    try:
        with pinned_settings(shared.opts):
            yield
    finally:
        _held.reset(held)
        for name, value in asked.items():
            shared.opts.set(name, value, is_api=True, run_callbacks=False)
        if FORGE and before != {name: option(name) for name in _FORGE_MODEL}:
            processing.main_entry.refresh_model_loading_parameters()


_FORGE_MODEL = ("sd_model_checkpoint", "forge_additional_modules", "forge_unet_storage_dtype")
"""The settings by which Forge loads a model. A click hands them over at once, and not through the settings."""

_held: ContextVar[Any] = ContextVar("held", default=None)
"""What Forge was to load when the run began."""


def _forge_choice() -> Any:
    """What Forge loads for the next picture; None in A1111, which goes by its settings."""
    if not FORGE:
        return None
    return sd_models.model_data.forge_loading_parameters, processing.main_entry.dynamic_args.get("online_lora")


def process(p: Any) -> Any:
    """Returns what the host makes of a processing object, with the model that was chosen when the run began."""
    if (held := _held.get()) is not None:
        sd_models.model_data.forge_loading_parameters = held[0]
        processing.main_entry.dynamic_args["online_lora"] = held[1]
    return processing.process_images(p)


def require_checkpoint(path: str) -> None:
    """Raises EngineError where the host has loaded another checkpoint than the one of this file."""
    loaded = shared.sd_model.sd_checkpoint_info.filename
    if loaded != path:
        raise EngineError(
            f"checkpoint: {Path(loaded).name} is loaded in the place of {Path(path).name}, which this film began with; "
            "an extension or a request has changed it. Run it again to go on with the frames that are missing"
        )


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
        if is_api(p):
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


def chosen_checkpoint(asked: str | None) -> Any:
    """Returns the host's entry of the checkpoint that a request names, or else of the one that the user chose."""
    return checkpoint_of(asked) if asked else sd_models.select_checkpoint()


def checkpoint_file(name: str) -> Path | None:
    """Returns the file of a checkpoint that a field names as freely as the host lets it; None where there is none."""
    found = sd_models.get_closet_checkpoint_match(name)
    return None if found is None else Path(found.filename)


def vae_of(name: str) -> Path:
    """Returns the file of a VAE, by the host's own name; Unsupported where it has none."""
    known = {} if FORGE else getattr(sd_vae, "vae_dict", {})
    if name not in known:
        there = f"use one of {', '.join(known)}" if known else "choose it in the host's settings"
        raise Unsupported(f"model.vae: there is no {name!r} here; {there}")
    return Path(known[name])


def resolved_vae(checkpoint: Any, name: str | None) -> Path | None:
    """Returns the file of the VAE that the host takes for a checkpoint; None for the checkpoint's own.

    `name` is the setting of the VAE where a run overrides it. A flag of the server, or what the user set for this
    checkpoint alone, may go before it. In Forge a VAE is one of its modules, which are settings.
    """
    if FORGE:
        return None
    with pinned_settings(shared.opts) as own:
        if name is not None:
            own["sd_vae"] = name
        found = sd_vae.resolve_vae(checkpoint.filename).vae
    return None if found is None else Path(found)


def network_file(kind: str, name: str) -> Path | None:
    """Returns the file of a LoRA or a hypernetwork, by the host's own name; None where it has none."""
    if kind == "hypernet":
        found = getattr(shared, "hypernetworks", {}).get(name)
        return None if found is None else Path(found)
    networks = sys.modules.get("networks")  # of the extension that reads such tags
    for look in (lambda: None, getattr(networks, "list_available_networks", lambda: None)):
        look()  # again for a file that was put there after the start, as the host does
        for table in ("available_network_aliases", "available_networks"):
            if (known := getattr(networks, table, {}).get(name)) is not None:
                return Path(known.filename)
    return None


def has_networks() -> bool:
    """Returns whether the host's extension that reads the tags of LoRAs is here, with its list of files."""
    return hasattr(sys.modules.get("networks"), "available_networks")


def style_texts(names: Sequence[str]) -> list[Any]:
    """Returns what styles add to prompts and negative prompts; a name where the host has no such style."""
    known = shared.prompt_styles.styles
    return [[known[name].prompt, known[name].negative_prompt] if name in known else name for name in names]


def has_plain_attention() -> bool:
    """Returns whether the model's attention to a prompt is plain, so that repeating the prompt changes nothing."""
    return any(getattr(shared.sd_model, f"is_{family}", False) for family in ("sd1", "sd2", "sdxl"))


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


def is_api(p: Any) -> bool:
    """Returns whether a request came over the API, and not from the page."""
    return bool(getattr(p, "is_api", False))


class Unchanged(dict[str, Any]):
    """What gradio takes as an output that stays as it is, also where the host adds further pictures to it."""

    def __init__(self) -> None:
        super().__init__(__type__="update")

    def __add__(self, other: object) -> Unchanged:
        return self


def refusal(p: Any, sentence: str) -> Any:
    """Returns a result for the page that shows a sentence below the gallery, and leaves the gallery as it was."""
    log.info("%s", sentence)
    p.comment(sentence)
    result = processing.Processed(p, [], 0, "")
    result.images = Unchanged()
    result.js = Unchanged
    return result


def unprocessable(error: BadInput) -> Exception:
    """Returns the error that answers a request over the API with 422 and the sentence of `error`."""
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
