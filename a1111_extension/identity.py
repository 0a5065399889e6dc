"""Everything that affects the pictures of a run in addition to its recipe. This table identifies a frame.

It contains values, and only those that change the host's default behavior:

- settings, if the run's value is not the host's default;
- fields of the processing object, if their value is not the default of their class;
- always-on scripts, if an argument is not the script's own default. So an extension that is added, removed, renamed or
  updated changes nothing unless it is used;
- models by the bytes of their files, pictures by their pixels, styles by their texts.

Fields and settings that a newer host adds are at their defaults, and therefore change nothing.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any

from remix.digest import sampled_hash, sha256
from remix.hosts.a1111.settings import OTHER_SECTIONS, PICTURE_SETTINGS
from remix.prompt.embeddings import split
from remix.prompt.tags import without_tags

from . import host

BY_FILE = ("sd_model_checkpoint", "sd_vae")
"""Settings that name a file, which has its own entry in the table."""

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
"""Fields that the recipe sets, that are refused if they have an effect, or that do not affect pictures."""

CHECKPOINT_FIELDS = ("refiner_checkpoint", "hr_checkpoint_name")
"""Fields that name another checkpoint."""

SHORT = 60
"""Characters of the longest value that is in the table itself; longer ones are replaced by their hash."""


def made_by(
    p: Any, checkpoint: Any, vae: Path | None, settings: Mapping[str, Any], networks: Iterable[tuple[str, str]] = ()
) -> dict[str, str]:
    """Returns everything that affects the pictures of a processing object in addition to the recipe, as short texts.

    `settings` are those that the run overrides. `networks` holds the kind and name of each LoRA or hypernetwork.
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


def embeddings_of(texts: Iterable[str]) -> dict[str, str]:
    """Returns the hash of each embedding's file that these prompts name."""
    files = host.embedding_files()
    used = {name for text in texts for _, name in split(without_tags(text), files) if name}
    return {f"embedding {name}": fingerprint(files[name]) for name in sorted(used)}


def fingerprint(path: Path) -> str:
    """Returns the hash of a model's file."""
    about = path.stat()
    return _fingerprint_at(path, about.st_size, about.st_mtime_ns)


@functools.lru_cache(maxsize=1024)
def _fingerprint_at(path: Path, size: int, changed: int) -> str:
    """Returns the hash of a file. It is cached, so that a file is read once and not for every request of a film."""
    return sampled_hash(path)


def _settings(p: Any, settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yields the settings of the run that are not at the host's defaults."""
    users = {name: host.option(name) for name in PICTURE_SETTINGS if host.has_option(name)}
    values = {**users, **shown_settings(p), **settings}
    for name in sorted(values.keys() - {*BY_FILE}):
        value = values[name]
        if host.section_of(name) not in OTHER_SECTIONS and not _same(value, host.default_option(name)):
            yield name, [_by_file(each) for each in value] if isinstance(value, list | tuple) else value


def _by_file(value: Any) -> Any:
    """Returns a model's path as the name and the hash of its file; other values unchanged."""
    path = Path(value) if isinstance(value, str) else None
    return value if path is None or not path.is_absolute() or not path.is_file() else [path.name, fingerprint(path)]


def shown_settings(p: Any) -> dict[str, Any]:
    """Returns the settings that the page shows among its fields. They apply unless a request overrides them."""
    found: dict[str, Any] = {}
    for script, args in _always_on(p):
        found |= zip(getattr(script, "setting_names", None) or (), args, strict=False)
    return found


def _fields(p: Any) -> Iterator[tuple[str, Any]]:
    """Yields the fields that have an effect and are not at the defaults of their class."""
    for field in fields(p):
        name: str = field.name
        value: Any = getattr(p, name, None)
        if not _acts(p, field) or _same(value, _default(field)):
            continue
        if host.is_filled_in(p, name):
            continue  # the setting is already in the table
        if name in CHECKPOINT_FIELDS:
            yield name, [value, *([fingerprint(path)] if (path := host.checkpoint_file(value)) else [])]
        elif name == "styles":
            yield name, host.style_texts(value)
        else:
            yield name, value


def _acts(p: Any, field: Field[Any]) -> bool:
    """Returns whether pictures may depend on a field."""
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
    """Yields the arguments of each always-on script that are not at their defaults, by their labels.

    A script is identified by its file, since titles often contain versions. Scripts that only fill in fields of `p`,
    and settings that the page shows, are left out.
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
    """Returns whether an argument has no effect: it is the default, or an object that is not enabled.

    The page sends some choices by their position in the list, the API by their names.
    """
    enabled = value.get("enabled") if isinstance(value, Mapping) else getattr(value, "enabled", None)
    if enabled is False or _same(value, default):
        return True
    if getattr(control, "type", None) != "index":
        return False
    choices = [each[1] if isinstance(each, tuple) else each for each in getattr(control, "choices", None) or ()]
    return default in choices and value == choices.index(default)


def _always_on(p: Any) -> Iterator[tuple[Any, Sequence[Any]]]:
    """Yields the always-on scripts with their arguments."""
    for script in p.scripts.alwayson_scripts if p.scripts is not None else ():
        yield script, list(p.script_args[script.args_from : script.args_to])


def _same(value: Any, default: Any) -> bool:
    """Returns whether two values are equal, or both empty."""
    empty: tuple[Any, ...] = (None, "", [], {})
    return plain_value(value) == plain_value(default) or (plain_value(value) in empty and plain_value(default) in empty)


def text_of(value: Any) -> str:
    """Returns a value as text that is the same in every run; a long one is replaced by its hash."""
    plain = plain_value(value)
    text = plain if isinstance(plain, str) else json.dumps(plain, sort_keys=True, ensure_ascii=False)
    return text if len(text) <= SHORT else sha256(text.encode("utf-8", "surrogatepass"))[:16]


def plain_value(value: Any, depth: int = 8) -> Any:
    """Returns a value as JSON types: pictures and arrays by their content, objects by their attributes."""
    if depth == 0:
        return type(value).__name__
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int | float):
        # A setting read from a file may be 0 while its default is 0.0.
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
