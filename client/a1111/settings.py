"""The settings of a server that decide pictures, set for each request alone so that a recipe means one thing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remix.client.a1111.stock import Choice, Stock
from remix.errors import Unsupported
from remix.plan.portable import portable

OWN_VAE = "None"
"""What A1111 calls the VAE in the checkpoint itself."""


def overrides(stock: Stock, choice: Choice, clip_skip: int) -> dict[str, Any]:
    """Returns the `override_settings` of a request: the model, and of the portable settings what the server has at all.

    Also what it has so already: it may be so only while a request of somebody else is at work.
    """
    wanted = {
        **portable(choice.scheduler),
        "CLIP_stop_at_last_layers": clip_skip,
        "sd_vae": choice.vae or OWN_VAE,
    }
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
