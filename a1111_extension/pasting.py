"""The panel in an infotext: the entries that pictures store, and the fields that are filled when one is pasted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from remix.hosts.a1111.infotext import parse_infotext

from .settings import Settings

SCRIPT, TITLE = "Script", "Remix"
"""The entry by which the host selects the script again."""

LONGEST_TEXT = 16_384
"""Characters of the longest text that is stored in every picture; the job folder always has the recipe."""

WORDS: Mapping[str, Mapping[Any, str]] = {
    "ease": {"": "as written"},
    "mix": {"": "as written"},
    "film": {"": "frames alone"},
    "new": {False: "resume", True: "new"},
}
"""The component's label for a value of Settings."""

_DEFAULTS = {field.name: field.default for field in fields(Settings)}


class Label(str):
    """The name of a field in an infotext; `field` is its name in Settings.

    The host compares these names when a button sends fields to another tab, and calls callables when an infotext is
    pasted. This class supports both.
    """

    field: str

    def __new__(cls, field: str, text: str) -> Label:
        """Returns the label of a field."""
        made = super().__new__(cls, text)
        made.field = field
        return made

    def __call__(self, parameters: Mapping[str, Any]) -> Any:
        """Returns the value of the field's component; None, which leaves it unchanged, for a picture of another script.

        A field that is missing in a picture of this script gets its default.
        """
        if parameters.get(SCRIPT) != TITLE:
            return None
        default = _DEFAULTS[self.field]
        found = parameters.get(str(self), default)
        if isinstance(default, bool):
            return str(found) == "True"
        if isinstance(default, int | float):
            return type(default)(float(found))
        return WORDS.get(self.field, {}).get(found, found)


LABELS = tuple(
    Label(field, f"Remix {text}")
    for field, text in {
        **{"text": "keyframes", "syntax": "syntax", "frames": "frames", "fps": "fps", "loop": "loop", "ease": "easing"},
        **{"mix": "mix", "seeds": "seeds", "cfg": "cfg", "denoise": "denoise", "batch": "frames at once"},
        **{"film": "film format", "name": "job name", "portable": "portable noise"},
        "between": "in-betweens",
    }.items()
)
"""The pasted fields: all of the panel except those of a single run, which are for resuming a job and for drafts."""


def infotext(settings: Settings) -> dict[str, str]:
    """Returns the entries in every picture: the script, and each field that is not at its default."""
    values = {label: getattr(settings, label.field) for label in LABELS}
    kept = {
        str(label): str(value) or '""'  # the host ignores entries without a value
        for label, value in values.items()
        if value != _DEFAULTS[label.field] and len(str(value)) <= LONGEST_TEXT
    }
    return {SCRIPT: TITLE, **kept}


def is_upscaling(p: Any) -> bool:
    """Returns whether a request comes from the gallery's button that upscales one picture with hires fix."""
    return bool(getattr(p, "txt2img_upscale", False))


def fill_for_upscaling(p: Any) -> None:
    """Fills a request to upscale one picture with the prompts and size of that picture, if it is a frame of a film.

    These come from keyframes and the recipe, and are not in the fields of the page.
    """
    picture = p.firstpass_image
    made = parse_infotext(picture.info.get("parameters") or "")
    if made.settings.get(SCRIPT) != TITLE:
        return
    p.width, p.height = picture.size
    p.prompt, p.negative_prompt, p.styles = made.prompt, made.negative, []  # styles are in the prompts already
