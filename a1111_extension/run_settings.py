"""The checkpoint, sampler and settings of a run: those of the recipe, or else the host's own."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from remix.catalog.samplers import SAMPLERS, require_sampler
from remix.catalog.schedulers import AUTOMATIC, SCHEDULERS, require_scheduler
from remix.engine.passes import texts_of
from remix.engine.prompts import reading_for
from remix.errors import Unsupported
from remix.hosts.a1111.labels import a1111_labels, names_of_labels
from remix.hosts.a1111.settings import READINGS, RULES, a1111_settings, reading_settings
from remix.plan import Model, Recipe, Schedule
from remix.prompt import Reading, may_be_cut
from remix.prompt.encoders import have_own_texts

from . import host
from .identity import shown_settings

CHECKPOINT, VAE = "sd_model_checkpoint", "sd_vae"
"""The host's settings that select the model."""

INITIAL_NOISE = "initial_noise_multiplier"
"""A setting that the host reads once for each request, not for each call."""


class RunSettings:
    """What a run sets in the host.

    `p` holds the host's own fields. `checkpoint` is the recipe's, unless it is the default one: then the host's own is
    used. A portable run sets everything that makes frames the same in every tool.
    """

    def __init__(self, p: Any, checkpoint: str, *, portable: bool) -> None:
        self._p, self._portable = p, portable
        self._named = checkpoint != Model().checkpoint
        requested = {**shown_settings(p), **p.override_settings}.get(CHECKPOINT)
        self.checkpoint = host.chosen_checkpoint(checkpoint if self._named else requested)

    def labels(self, recipe: Recipe) -> tuple[str, str]:
        """Returns the host's labels of sampler and schedule, unchanged if the recipe asks for the same."""
        own = self._p.sampler_name, self._p.scheduler or AUTOMATIC
        if not self._portable and self.is_hosts_own(recipe):
            return own
        return a1111_labels(recipe.sampler, recipe.scheduler)

    def is_hosts_own(self, recipe: Recipe) -> bool:
        """Returns whether the recipe asks for the sampler and schedule that are selected in the host."""
        with contextlib.suppress(Unsupported):  # a choice that recipes have no name for
            own = names_of_labels(self._p.sampler_name, self._p.scheduler or AUTOMATIC)
            return own == (recipe.sampler, recipe.scheduler)
        return False

    def require_labels(self, recipe: Recipe) -> None:
        """Raises Unsupported, with the names that the host has, if it lacks the recipe's sampler or scheduler."""
        sampler, scheduler = self.labels(recipe)
        if not host.has_sampler(sampler):
            here = [row.name for row in SAMPLERS.values() if row.label and host.has_sampler(row.label)]
            require_sampler(recipe.sampler, here, "this host")
        if not host.has_scheduler(scheduler):
            here = [row.name for row in SCHEDULERS.values() if row.label and host.has_scheduler(row.label)]
            require_scheduler(recipe.scheduler, here, "this host")

    def overrides(self, schedule: Schedule) -> dict[str, Any]:
        """Returns the settings that a run overrides."""
        return {**self._of_recipe(schedule.recipe), **self._of_prompts(schedule)}

    def _of_recipe(self, recipe: Recipe) -> dict[str, Any]:
        """Returns the recipe's settings, the request's, and then those of a portable run."""
        asked = dict(self._p.override_settings)
        if self._named or CHECKPOINT in asked:
            asked[CHECKPOINT] = self.checkpoint.title
        if recipe.model.vae is not None:
            asked[VAE] = recipe.model.vae
        if recipe.model.clip_skip > 1:
            asked["CLIP_stop_at_last_layers"] = recipe.model.clip_skip
        wanted = a1111_settings(self.labels(recipe)[1]) if self._portable else {}
        return {**{name: value for name, value in wanted.items() if host.has_option(name)}, **asked}

    def _is_left_to_host(self, recipe: Recipe) -> bool:
        """Returns whether prompts are read by the user's settings: without Portable noise, unless by another rule."""
        return not self._portable and recipe.emphasis in (None, "a1111") and recipe.chunks in (None, "a1111")

    def has_literal_ends(self, recipe: Recipe) -> bool:
        """Returns whether a number at the end of a prompt is text, and not the prompt's weight."""
        return not self._is_left_to_host(recipe) and not recipe.reading.emphasis.startswith("a1111")

    def reading(self, schedule: Schedule) -> Reading | None:
        """Returns how the run reads prompts if the host's own settings do not read them so, None if they do."""
        recipe = schedule.recipe
        own = have_own_texts(schedule.texts)
        if self._is_left_to_host(recipe):
            return self._host_reading() if own else None
        cut = host.FORGE and recipe.reading.chunks != "a1111" and any(map(may_be_cut, texts_of(schedule)))
        return recipe.reading if own or cut or reading_for(schedule, READINGS[:1]) is None else None

    def _host_reading(self) -> Reading:
        """Returns how prompts are read by the rule of emphasis that is set in the host."""
        shown = {**shown_settings(self._p), **self._p.override_settings}
        label = shown.get("emphasis", host.option("emphasis", RULES["a1111"]))
        return Reading(next((rule for rule, name in RULES.items() if name == label), "a1111"), "a1111")

    def _of_prompts(self, schedule: Schedule) -> dict[str, Any]:
        """Returns the settings of the host for how a run reads prompts, {} if those of the user apply."""
        recipe = schedule.recipe
        if self._is_left_to_host(recipe):
            return {}
        reading = self.reading(schedule)
        wanted = reading_settings(READINGS[0], recipe.reading.chunks)
        if reading is not None:
            wanted["emphasis"] = RULES.get(reading.emphasis, "ComfyUI")
        return {name: value for name, value in wanted.items() if host.has_option(name)}

    def vae(self, recipe: Recipe) -> Path | None:
        """Returns the file of the VAE that the run loads, None for the one in the checkpoint."""
        return host.resolved_vae(self.checkpoint, {**shown_settings(self._p), **self._of_recipe(recipe)}.get(VAE))

    def apply(self, call: Any, schedule: Schedule) -> None:
        """Sets the recipe's values for all frames in the processing object of a call."""
        recipe = schedule.recipe
        call.steps = recipe.steps
        call.sampler_name, call.scheduler = self.labels(recipe)
        _size(call, recipe.width, recipe.height)
        call.override_settings = self.overrides(schedule)
        if host.is_filled_in(call, INITIAL_NOISE) and INITIAL_NOISE in call.override_settings:
            setattr(call, INITIAL_NOISE, call.override_settings[INITIAL_NOISE])
        own = self._p.sampler_name, self._p.scheduler or AUTOMATIC
        if self.is_hosts_own(recipe) and own[0] != call.sampler_name:
            # A pasted infotext finds the job again by the values of the page's fields.
            call.extra_generation_params |= {"Sampler": own[0], "Schedule type": own[1]}
        if getattr(call, "image_mask", None) is not None:
            call.image_mask = host.fitted_mask(call.image_mask, call, recipe.width, recipe.height)
            call.override_settings |= {"return_mask": False, "return_mask_composite": False}


def _size(call: Any, width: int, height: int) -> None:
    """Sets the size of the frames of a call. Hires fix starts smaller, and ends with this size."""
    if getattr(call, "enable_hr", False) and (width, height) == host.finished_size(call):
        return
    if not getattr(call, "enable_hr", False):
        call.width, call.height = width, height
        return
    smaller = (
        min(call.width / width, call.height / height, 1.0)
        if call.hr_resize_x or call.hr_resize_y
        else 1 / call.hr_scale
    )
    call.width, call.height = (max(int(side * smaller) // 8 * 8, 8) for side in (width, height))
    call.hr_resize_x, call.hr_resize_y = width, height
