"""The settings of a server that decide pictures, set for each request alone so that a recipe means one thing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from remix.client.a1111.stock import Choice, Stock
from remix.errors import Unsupported
from remix.hosts.a1111.settings import portable

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


def doubts(stock: Stock, clip_skip: int) -> Iterator[str]:
    """Yields what the server does with a model of one family and not with one of another; it tells the family nowhere.

    A1111 stops earlier than trained in the text encoder of SD 1 alone, Forge in all. SD 2 and SDXL are trained with
    the last layer but one, which 1 and 2 both mean.
    """
    if clip_skip > 2 and not stock.forge:
        yield (
            f"model.clip_skip: {clip_skip} is for Stable Diffusion 1 alone on this server; an SDXL or a Stable "
            "Diffusion 2 renders there as with 2, and not as in other tools"
        )


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
