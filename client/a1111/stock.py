"""What a server has, and what of it a recipe names: models, VAEs, LoRAs, samplers, schedulers."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from remix.catalog.schedulers import AUTOMATIC
from remix.client.masking import as_text, listed
from remix.errors import BadReply, Unsupported
from remix.hosts.a1111.labels import a1111_labels
from remix.plan import Recipe, Schedule, prompts_of
from remix.plan.wording import nearest

_TAG = re.compile(r"<(?:lora|lyco):([^:<>]+)")
_HASH = re.compile(r" \[[0-9a-fA-F]{6,64}\]$")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as the server lists it; `title` is how it is asked for, `name` how a reply calls it."""

    title: str
    name: str
    hash: str | None = None
    sha256: str | None = None
    file: str = ""

    @property
    def bare(self) -> str:
        """The title without the hash, which is only there once the server has worked it out."""
        return _HASH.sub("", self.title)

    def names(self) -> set[str]:
        """Returns what a recipe may call it: title, file with or without folder and suffix, name, hashes."""
        file = PurePosixPath(self.bare.replace("\\", "/"))
        known = {self.title, self.bare, self.name, file.name, file.stem, str(file.with_suffix(""))}
        return known | {text for text in (self.hash, self.sha256) if text}


@dataclass(frozen=True)
class Stock:
    """Everything that a server has of what recipes name. `address` is for errors, `options` are its settings."""

    address: str
    checkpoints: tuple[Checkpoint, ...]
    vaes: tuple[str, ...]
    loras: tuple[str, ...]
    samplers: Mapping[str, str]
    schedulers: Mapping[str, str]
    options: Mapping[str, Any]
    scripts: Mapping[str, int]

    @property
    def forge(self) -> bool:
        """Whether it is a Forge."""
        return any(name.startswith("forge_") for name in self.options)

    @classmethod
    def read(cls, address: str, replies: Mapping[str, Any]) -> Stock:
        """Returns the stock in the server's `replies`, by the last part of their paths; BadReply for odd ones."""
        try:
            return cls(
                address=address,
                checkpoints=tuple(_checkpoint(each) for each in replies["sd-models"]),
                vaes=tuple(as_text(each["model_name"]) for each in replies["sd-vae"]),
                loras=tuple(as_text(each["name"]) for each in replies["loras"]),
                samplers=_labels(replies["samplers"], "name"),
                schedulers=_labels(replies["schedulers"], "label"),
                options=dict(replies["options"]),
                scripts={str(each["name"]).lower(): len(each["args"]) for each in replies["script-info"]},
            )
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise BadReply(
                f"{address}: its lists of models and samplers are not those of A1111 or Forge ({error!r}); "
                "is --api on, and is this the right address?"
            ) from error


@dataclass(frozen=True)
class Choice:
    """What of a server's stock a recipe means: its checkpoint, VAE, LoRAs by the recipe's names, and two labels."""

    checkpoint: Checkpoint
    vae: str | None
    loras: Mapping[str, str]
    sampler: str
    scheduler: str


def choose(stock: Stock, schedule: Schedule) -> Choice:
    """Returns what of `stock` a schedule asks for; `Unsupported`, with the nearest name, for what is not there."""
    recipe = schedule.recipe
    sampler, scheduler = a1111_labels(recipe.sampler, recipe.scheduler)
    _present("sampler", sampler, stock.samplers, stock)
    if scheduler != AUTOMATIC:
        _present("scheduler", scheduler, stock.schedulers, stock)
    for name in _tagged(schedule):
        _file_of("prompt", name, stock.loras, stock)
    return Choice(
        checkpoint=_checkpoint_of(recipe, stock),
        vae=None if recipe.model.vae is None else _file_of("model.vae", recipe.model.vae, stock.vaes, stock),
        loras={name: _file_of("model.loras", name, stock.loras, stock) for name in _lora_names(schedule)},
        sampler=stock.samplers[sampler],
        scheduler=stock.schedulers.get(scheduler, AUTOMATIC),
    )


def _checkpoint_of(recipe: Recipe, stock: Stock) -> Checkpoint:
    wanted = recipe.model.checkpoint
    found = [each for each in stock.checkpoints if wanted == each.title]
    found = found or [each for each in stock.checkpoints if wanted in each.names()]
    if len(found) > 1:
        titles = listed(each.title for each in found)
        raise Unsupported(f"model.checkpoint: {wanted!r} may be any of {titles}; write one of these whole")
    if not found:
        known = [each.bare for each in stock.checkpoints]
        raise Unsupported(f"model.checkpoint: {stock.address} does not have {wanted!r}; {_nearest(wanted, known)}")
    return found[0]


def _lora_names(schedule: Schedule) -> list[str]:
    """The LoRAs that the model lists, and then those that only keyframes name."""
    return list(dict.fromkeys(lora.name for lora in (*schedule.recipe.model.loras, *schedule[0].loras)))


def _tagged(schedule: Schedule) -> list[str]:
    """The LoRAs that tags in prompts name; the server passes over those that it does not have."""
    return [name for prompt in prompts_of(schedule.recipe) for name in _TAG.findall(prompt)]


def _file_of(field: str, wanted: str, known: Sequence[str], stock: Stock) -> str:
    """The server's name of a file that a recipe calls `wanted`, with or without folder and suffix."""
    for name in known:
        if wanted == name:
            return name
    found = [name for name in known if _stem(wanted) == _stem(name)]
    if len(found) > 1:
        raise Unsupported(f"{field}: {wanted!r} may be any of {listed(found)}; write one of these whole")
    if not found:
        raise Unsupported(f"{field}: {stock.address} does not have {wanted!r}; {_nearest(wanted, known)}")
    return found[0]


def _present(field: str, label: str, known: Mapping[str, str], stock: Stock) -> None:
    if label not in known:
        raise Unsupported(f"{field}: {stock.address} does not have {label!r}; {_nearest(label, set(known.values()))}")


def _nearest(name: str, known: Collection[str]) -> str:
    """What to write in place of `name`; without suffixes where it has none itself."""
    alike = known if _stem(name) != name else {_stem(each) for each in known}
    return nearest(name, sorted(alike)) if known else "it has none at all"


def _checkpoint(about: Mapping[str, Any]) -> Checkpoint:
    texts = (about.get("hash"), about.get("sha256"))
    short, long = (as_text(text) if text else None for text in texts)
    return Checkpoint(
        as_text(about["title"]), as_text(about["model_name"]), short, long, as_text(about.get("filename") or "")
    )


def _labels(listed: Iterable[Mapping[str, Any]], field: str) -> dict[str, str]:
    """Every name by which something may be asked for -> its label."""
    found: dict[str, str] = {}
    for each in listed:
        for name in (each[field], each["name"], *(each.get("aliases") or ())):
            found.setdefault(as_text(name), as_text(each[field]))
    return found


def _stem(name: str) -> str:
    path = PurePosixPath(name.replace("\\", "/"))
    return path.stem if path.suffix.lower() in (".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".gguf") else path.name
