"""The panel's live preview: the film that its fields describe, or the reason why Generate would refuse it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

from remix.errors import RemixError, Unsupported
from remix.hosts.a1111.labels import a1111_labels, names_of_labels
from remix.motion.inbetween import opencv
from remix.plan import Recipe, Schedule, plan
from remix.plan.schedule import is_quick, remarks_on

from . import host, preview
from .engine import HostEngine
from .pasting import WORDS
from .settings import Fields, Reading, Settings

NAMES = (
    *("text", "syntax", "frames", "fps", "ease", "loop", "mix", "seeds", "cfg", "denoise"),
    *("batch", "film", "new", "portable", "name", "between", "every"),
)
"""The fields of Settings in the order of the components, which is also their order over the API."""

WRITTEN = ("text", "seeds", "cfg", "denoise")
"""Fields of which at least one is needed for a preview."""

INVITATION = "Write keyframes, or choose an example. The film that they describe is shown here."

LONG = "This film is too long, or has too many expressions or LoRAs, to be shown while you type. It can be generated."

OF_REQUEST = ("subseed_show", "subseed_strength", "resize_width", "resize_height", "batch_count", "batch_size")
"""Fields of the host that recipes do not have, and that Generate may refuse."""

UNDRAWN = (2**32 - 1, 2**31 - 1)
"""Two stand-ins for the seed that the host draws for each film. Values that differ between them are random."""

LABELS = {
    **{"recipe": "Keyframes", "keyframes": "Keyframes", "frames": "Frames", "fps": "FPS", "syntax": "Syntax"},
    **{"seed": "Seeds", "cfg": "CFG scale", "denoise": "Denoising strength", "mix": "Mix", "ease": "Easing"},
    **{"batch": "Frames at once", "name": "Job name", "film": "Film", "sampler": "Sampling method"},
    **{"scheduler": "Schedule type", "steps": "Sampling steps", "width": "Width", "height": "Height"},
    **{"between": "In-betweens", "every": "Draft", "preset": "Example or preset"},
    **{"model.vae": "VAE", "lora": "LoRA", "mask": "Mask", "image": "Init picture"},
}
"""Fields of a recipe, and their labels on the page."""

OPTIONS = {"--from": "Syntax, below More", "--frames": "Frames", "--fps": "FPS", "--seed": "Seed"}
"""Options of the command line, and the fields of the page that do the same."""


def settings_of(args: Sequence[Any]) -> Settings:
    """Returns the settings in the values of the components. Missing values at the end get their default.

    Raises BadInput for a number that is out of range.
    """
    values = {name: value for name, value in zip(NAMES, args, strict=False) if value is not None}
    for name, words in WORDS.items():
        meanings = {word: value for value, word in words.items()}
        if name in values:
            values[name] = meanings.get(values[name], values[name])
    return Settings.of_request({"recipe": values.pop("text", ""), **values})


def live_preview(args: Sequence[Any], fields: Mapping[str, Any], tab: str) -> str:
    """Returns HTML for the values of the panel (`args`) and of the host's own fields: the film, or the error."""
    if not any(str(value or "").strip() for name, value in zip(NAMES, args, strict=False) if name in WRITTEN):
        return preview.hint(INVITATION)
    try:
        return _film(settings_of(args), fields, tab)
    except RemixError as error:
        return preview.refused(error, str(args[0] or ""), in_words_of_page)


def _film(settings: Settings, fields: Mapping[str, Any], tab: str) -> str:
    known, drawn = fields_of(fields, tab)
    reading = settings.read(known)
    if not is_quick(reading.recipe):
        return preview.hint(LONG)
    if (reading.recipe.between or settings.every > 1) and settings.film:
        opencv()  # as Generate needs it
    schedule = plan(reading.recipe)
    request = _request(fields, known, tab)
    engine = HostEngine(request, reading.recipe, batch=settings.batch, portable=settings.portable, about={})
    below = host.differing(reading.recipe.model) if settings.portable else ""
    remarks = [remark for remark in engine.check(schedule) if remark != below]
    other = plan(settings.read(fields_of(fields, tab, UNDRAWN[1])[0]).recipe) if drawn else None
    random = _random_seeds(schedule, other) if other else frozenset()
    notes = [
        *map(in_words_of_page, reading.notes),
        *_unused(reading, known),
        *_replaced(reading.recipe, known),
        *remarks_on(schedule),
    ]
    notes += map(in_words_of_page, remarks)
    if settings.every > 1:
        count = len(settings.wanted(len(schedule)))
        notes.append(f"Draft: {count} of {len(schedule)} frames are rendered. Set Draft to 1 for the others.")
    if random:
        notes.append("The host's seed is -1, so a seed is drawn when the film is made.")
    return preview.shown(schedule, reading.syntax, notes, random=random, below=below)


def _random_seeds(schedule: Schedule, other: Schedule) -> frozenset[int]:
    """Returns the frames whose seed depends on the random seed."""
    return frozenset(one.index for one, two in zip(schedule, other, strict=False) if one.seed != two.seed)


def fields_of(fields: Mapping[str, Any], tab: str, undrawn: int = UNDRAWN[0]) -> tuple[Fields, bool]:
    """Returns the host's own fields as `Fields`, and whether its seed will be random; `undrawn` then replaces it."""
    given = {name: value for name, value in fields.items() if value is not None and name not in OF_REQUEST}
    try:
        seed = int(given.pop("seed", -1))
    except ValueError:
        seed = -1
    for name in ("steps", "width", "height"):
        given.update({name: int(given[name])} if name in given else {})
    images = ("init.png",) if tab == "img2img" else ()
    return Fields(**given, seed=undrawn if seed < 0 else seed, images=images), seed < 0


def _request(fields: Mapping[str, Any], known: Fields, tab: str) -> Any:
    """Returns a stand-in for the request that Generate will make, with everything that `HostEngine.check` reads."""
    extra = bool(fields.get("subseed_show"))

    def number(name: str, shown: bool = True) -> float:
        return float(fields.get(name) or 0) if shown else 0.0

    request = SimpleNamespace(
        sampler_name=known.sampler,
        scheduler=known.scheduler,
        subseed_strength=number("subseed_strength", extra),
        seed_resize_from_w=number("resize_width", extra),
        seed_resize_from_h=number("resize_height", extra),
        n_iter=int(number("batch_count")),
        batch_size=int(number("batch_size")),
        override_settings={},
        scripts=None,
    )
    if tab == "img2img":
        request.init_images = []
    return request


def _unused(reading: Reading, fields: Fields) -> list[str]:
    """Returns texts in the host's prompts that the film does not use."""
    boxes = (("prompt", "prompt", fields.prompt), ("negative", "negative prompt", fields.negative))
    return [
        f"The host's {title} is not used: keyframes have their own."
        for name, title, text in boxes
        if text.strip() and name not in reading.of_host
    ]


def _replaced(recipe: Recipe, fields: Fields) -> list[str]:
    """Returns a sentence with the values of the text that replace the host's own fields; none if they agree."""
    sampler, scheduler = a1111_labels(recipe.sampler, recipe.scheduler)
    own = ("", "")
    with suppress(Unsupported):  # a sampler that recipes cannot name
        own = names_of_labels(fields.sampler, fields.scheduler)
    values = [
        (f"size {recipe.width}x{recipe.height}", (recipe.width, recipe.height) != (fields.width, fields.height)),
        (f"{recipe.steps} steps", recipe.steps != fields.steps),
        (f"sampling method {sampler}", recipe.sampler != own[0]),
        (f"schedule type {scheduler}", recipe.scheduler != own[1]),
    ]
    different = [text for text, differs in values if differs]
    return [f"The text sets {', '.join(different)}, in place of the fields above."] if different else []


def in_words_of_page(sentence: str) -> str:
    """Returns a sentence with the labels of the page in place of recipe fields and command line options.

    >>> in_words_of_page("cfg: travels in the recipe too; leave out --fps")
    'CFG scale: travels in the recipe too; leave out FPS'
    """
    field, colon, rest = sentence.partition(": ")
    label = LABELS.get(field) or LABELS.get(field.partition(".")[0])
    text = f"{label}: {rest}" if colon and label else sentence
    return re.sub(r"--[a-z]+", lambda option: OPTIONS.get(option[0], option[0]), text)
