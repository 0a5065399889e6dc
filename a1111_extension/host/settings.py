"""Settings of the host, and their values during a run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from modules import processing, sd_models, shared

from remix.hosts.a1111.settings import unset_differences
from remix.plan import Model

from ..pinned import pinned_settings

FORGE = hasattr(processing, "main_entry")
"""Whether this is Forge or a descendant: it loads a checkpoint with the first picture, and a VAE is a module there."""

NAME = "forge" if FORGE else "a1111"


def option(name: str, otherwise: Any = None) -> Any:
    """Returns a setting of the host, `otherwise` if the host does not have it."""
    return getattr(shared.opts, name, otherwise)


def has_option(name: str) -> bool:
    """Returns whether the host has a setting with this name."""
    return name in shared.opts.data_labels


def is_filled_in(p: Any, name: str) -> bool:
    """Returns whether a field of a request has the value of the setting with the same name."""
    return has_option(name) and hasattr(p, name) and getattr(p, name) == option(name)


def default_option(name: str) -> Any:
    """Returns the default of a setting, None if the host does not have it."""
    label = shared.opts.data_labels.get(name)
    return getattr(label, "default", None)


def section_of(name: str) -> str | None:
    """Returns the section in which the host's page shows a setting."""
    section = getattr(shared.opts.data_labels.get(name), "section", None)
    return section[0] if section else None


def differing(model: Model) -> str:
    """Returns a sentence about settings that make frames differ from those of other tools; "" if there are none.

    `model` is the recipe's model, which may set some of them itself.
    """
    set_by_recipe = {"sd_vae": model.vae is not None, "CLIP_stop_at_last_layers": model.clip_skip > 1}
    found = [
        f"{name} is {has!r} ({mend})" for name, has, mend in unset_differences(option) if not set_by_recipe.get(name)
    ]
    return f"These frames differ from those of other tools, because here {', '.join(found)}." if found else ""


@contextmanager
def pinned(p: Any) -> Iterator[None]:
    """Isolates the user's settings from those of a run: neither changes the other.

    Afterwards the host has the settings that the user chose meanwhile, and those that the request of `p` asks to keep.
    """
    asked = {} if getattr(p, "override_settings_restore_afterwards", True) else dict(p.override_settings)
    before = {name: option(name) for name in _FORGE_MODEL}
    held = _held.set(_forge_choice())
    try:
        with pinned_settings(shared.opts), _pinned_model():
            yield
    finally:
        _held.reset(held)
        for name, value in asked.items():
            shared.opts.set(name, value, is_api=True, run_callbacks=False)
        if FORGE and before != {name: option(name) for name in _FORGE_MODEL}:
            processing.main_entry.refresh_model_loading_parameters()


_FORGE_MODEL = ("sd_model_checkpoint", "forge_additional_modules", "forge_unet_storage_dtype")
"""The settings by which Forge loads a model. Its page applies them at once, bypassing the settings."""

_held: ContextVar[Any] = ContextVar("held", default=None)
"""The model that Forge was set to load when the run began."""


def _forge_choice() -> Any:
    """Returns the model that Forge loads for the next picture; None in A1111, which uses its settings."""
    if not FORGE:
        return None
    return sd_models.model_data.forge_loading_parameters, processing.main_entry.dynamic_args.get("online_lora")


@contextmanager
def _pinned_model() -> Iterator[None]:
    """Gives this thread its own choice of Forge's model, as `pinned_settings` does with the settings.

    A click or a request may change the choice at any moment, even just before Forge reads it.
    """
    if not FORGE:
        yield
        return
    data, thread = sd_models.model_data, threading.get_ident()
    kind: Any = type(data)
    own = {"choice": data.forge_loading_parameters}

    class Pinned(kind):
        """Forge's model data, with a choice for one thread."""

        @property
        def forge_loading_parameters(self) -> Any:
            """Returns the choice of the calling thread."""
            return own["choice"] if threading.get_ident() == thread else vars(self)["forge_loading_parameters"]

        @forge_loading_parameters.setter
        def forge_loading_parameters(self, choice: Any) -> None:
            if threading.get_ident() == thread:
                own["choice"] = choice
            else:
                self.__dict__["forge_loading_parameters"] = choice

    data.__class__ = Pinned
    try:
        yield
    finally:
        data.__class__ = kind


def process(p: Any) -> Any:
    """Returns the host's result for a processing object, with the model that was selected when the run began."""
    if (held := _held.get()) is not None:
        sd_models.model_data.forge_loading_parameters = held[0]
        processing.main_entry.dynamic_args["online_lora"] = held[1]
    return processing.process_images(p)
