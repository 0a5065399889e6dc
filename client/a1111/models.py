"""The models, samplers and settings of a server, matched with the names in a recipe."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from remix.catalog.schedulers import AUTOMATIC
from remix.client.masking import as_text
from remix.errors import BadReply, Unsupported
from remix.hosts.a1111.labels import a1111_labels
from remix.hosts.model_names import FULL_CHECKPOINTS, bare_name, match_name, slashed, suggestion
from remix.plan import Model, Schedule
from remix.plan.wording import listed

_TAG = re.compile(r"<(?:lora|lyco):([^:<>]+)")
_HASH = re.compile(r" \[[0-9a-fA-F]{6,64}\]$")


class NotListed(Unsupported):
    """Error for a model that the server does not list. The file may be newer than the server's list."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in the server's list. Requests use its `title`; replies use its `name`."""

    title: str
    name: str
    hash: str | None = None
    sha256: str | None = None
    file: str = ""

    @property
    def bare(self) -> str:
        """The title without the hash. The hash is missing until the server has computed it."""
        return _HASH.sub("", self.title)

    def names(self) -> set[str]:
        """Returns its names in recipes, with forward slashes: title, hash, file with or without folder and suffix."""
        file = PurePosixPath(slashed(self.bare))
        known = {slashed(self.title), str(file), self.name, file.name, file.stem, str(file.with_suffix(""))}
        return known | {text for text in (self.hash, self.sha256) if text}


@dataclass(frozen=True)
class ServerModels:
    """The models, samplers, scripts and settings of a server.

    address: for error messages; options: the settings, or None if the server fails to list them; scripts: name ->
    number of arguments; remarks: what the server failed to report.
    """

    address: str
    checkpoints: tuple[Checkpoint, ...]
    vaes: tuple[str, ...]
    loras: tuple[str, ...]
    samplers: Mapping[str, str]
    schedulers: Mapping[str, str]
    options: Mapping[str, Any] | None
    scripts: Mapping[str, int]
    remarks: tuple[str, ...] = ()

    @property
    def forge(self) -> bool:
        """Whether the server is Forge."""
        return any(name.startswith("forge_") for name in self.options or ())

    def option(self, name: str, default: Any = None) -> Any:
        """Returns a setting, or `default` if the server lacks it or does not list its settings."""
        return (self.options or {}).get(name, default)

    @classmethod
    def read(cls, address: str, replies: Mapping[str, Any], remarks: Sequence[str] = ()) -> ServerModels:
        """Returns the models in the server's `replies`, keyed by the last part of the path.

        Raises BadReply for malformed replies."""
        try:
            return cls(
                address=address,
                checkpoints=tuple(_checkpoint(each) for each in replies["sd-models"]),
                vaes=tuple(as_text(each["model_name"]) for each in replies["sd-vae"]),
                loras=tuple(as_text(each["name"]) for each in replies["loras"]),
                samplers=_labels(replies["samplers"], "name"),
                schedulers=_labels(replies["schedulers"], "label"),
                options=None if replies["options"] is None else dict(replies["options"]),
                scripts={str(each["name"]).lower(): len(each["args"]) for each in replies["script-info"]},
                remarks=tuple(remarks),
            )
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise BadReply(
                f"{address}: its lists of models and samplers are not those of A1111 or Forge ({error!r}); "
                "is --api on, and is this the right address?"
            ) from error


@dataclass(frozen=True)
class ResolvedModels:
    """A recipe's checkpoint, VAE, LoRAs and labels on a server. The LoRAs are keyed by the recipe's names."""

    checkpoint: Checkpoint
    vae: str | None
    loras: Mapping[str, str]
    sampler: str
    scheduler: str


def resolve(models: ServerModels, schedule: Schedule) -> ResolvedModels:
    """Returns a schedule's models on a server. Raises `Unsupported`, with advice, for names that the server lacks."""
    recipe = schedule.recipe
    sampler, scheduler = a1111_labels(recipe.sampler, recipe.scheduler)
    _check_label("sampler", sampler, models.samplers, models)
    if scheduler != AUTOMATIC:
        _check_label("scheduler", scheduler, models.schedulers, models)
    for name in _tagged_loras(schedule):
        _file("prompt", name, models.loras, models)
    return ResolvedModels(
        checkpoint=checkpoint_of(recipe.model.checkpoint, models),
        vae=None if recipe.model.vae is None else _file("model.vae", recipe.model.vae, models.vaes, models),
        loras={name: _file("model.loras", name, models.loras, models) for name in _lora_names(schedule)},
        sampler=models.samplers[sampler],
        scheduler=models.schedulers.get(scheduler, AUTOMATIC),
    )


def checkpoint_of(wanted: str, models: ServerModels) -> Checkpoint:
    """Returns the checkpoint with this name. Raises `Unsupported`, with advice, if there is none or several."""
    found = [each for each in models.checkpoints if wanted == each.title]
    found = found or [each for each in models.checkpoints if slashed(wanted) in each.names()]
    if len(found) > 1:
        titles = listed(each.title for each in found)
        raise Unsupported(f"model.checkpoint: {wanted!r} may be any of {titles}; write one of them in full")
    if found:
        return found[0]
    names = [each.bare for each in models.checkpoints]
    if wanted == Model().checkpoint:
        raise Unsupported(
            f"model.checkpoint: {models.address} does not have {wanted!r}, the bundled model; add it with `remix link "
            f"a1111 PATH --playground`, or choose one of the server's checkpoints with --checkpoint NAME"
            f"{_loaded(models)} (it has {listed(names) or 'none'})"
        )
    raise NotListed(
        f"model.checkpoint: {models.address} does not have {wanted!r}; {suggestion(wanted, names)} "
        f"({FULL_CHECKPOINTS}; --checkpoint NAME chooses another one{_loaded(models)})"
    )


def _loaded(models: ServerModels) -> str:
    """Returns the server's loaded checkpoint, as part of a sentence."""
    loaded = models.option("sd_model_checkpoint")
    return f", such as {_HASH.sub('', as_text(loaded))!r}, which is loaded" if loaded else ""


def _lora_names(schedule: Schedule) -> list[str]:
    """Returns the LoRAs of the model, followed by those that only keyframes name."""
    return list(dict.fromkeys(lora.name for lora in (*schedule.recipe.model.loras, *schedule[0].loras)))


def _tagged_loras(schedule: Schedule) -> list[str]:
    """Returns the LoRAs of tags in prompts. The server ignores unknown ones."""
    return [name for prompt in schedule.texts for name in _TAG.findall(prompt)]


def _file(field: str, wanted: str, known: Sequence[str], models: ServerModels) -> str:
    """Returns the server's name of the file `wanted`, which may omit folder and suffix."""
    found = match_name(wanted, known) or match_name(bare_name(wanted), known)
    if len(found) > 1:
        raise Unsupported(f"{field}: {wanted!r} may be any of {listed(found)}; write one of them in full")
    if not found:
        raise NotListed(f"{field}: {models.address} does not have {wanted!r}; {suggestion(wanted, known)}")
    return found[0]


def _check_label(field: str, label: str, known: Mapping[str, str], models: ServerModels) -> None:
    if label not in known:
        names = sorted(set(known.values()))
        raise Unsupported(f"{field}: {models.address} does not have {label!r}; {suggestion(label, names)}")


def _checkpoint(about: Mapping[str, Any]) -> Checkpoint:
    hashes = (about.get("hash"), about.get("sha256"))
    short, long = (as_text(text) if text else None for text in hashes)
    return Checkpoint(
        as_text(about["title"]), as_text(about["model_name"]), short, long, as_text(about.get("filename") or "")
    )


def _labels(entries: Iterable[Mapping[str, Any]], field: str) -> dict[str, str]:
    """Returns a mapping of every accepted name to its label."""
    found: dict[str, str] = {}
    for each in entries:
        for name in (each[field], each["name"], *(each.get("aliases") or ())):
            found.setdefault(as_text(name), as_text(each[field]))
    return found
