"""The panel in an infotext: what a picture says of it, and what fills it again when that is pasted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from remix.hosts.a1111.infotext import parse_infotext

from .settings import Settings

SCRIPT, TITLE = "Script", "Remix"
"""By this entry the host chooses the script again."""

LONGEST_TEXT = 16_384
"""The longest text, in characters, that goes into every picture; the job's folder has the recipe in any case."""

WORDS: Mapping[str, Mapping[Any, str]] = {
    "ease": {"": "as written"},
    "mix": {"": "as written"},
    "film": {"": "frames alone"},
    "new": {False: "resume", True: "new"},
}
"""What a component says in the place of a value of Settings."""

_DEFAULTS = {field.name: field.default for field in fields(Settings)}


class Label(str):
    """The name of a field in an infotext; `field` is its name in Settings.

    The host compares such names where a button sends fields from tab to tab, and calls what can be called where an
    infotext is pasted: this is both.
    """

    field: str

    def __new__(cls, field: str, text: str) -> Label:
        """Returns the label of a field."""
        made = super().__new__(cls, text)
        made.field = field
        return made

    def __call__(self, parameters: Mapping[str, Any]) -> Any:
        """Returns what the field's component shows; None, which leaves it alone, for a picture of another script.

        What a picture of this script does not mention has its default.
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
    }.items()
)
"""All that is pasted: every field of the panel but whether a job begins anew."""


def infotext(settings: Settings) -> dict[str, str]:
    """Returns the entries that every picture gets: the script, and each field that is not left at its default."""
    said = {label: getattr(settings, label.field) for label in LABELS}
    kept = {
        str(label): str(value) or '""'  # an entry without a value is not one for the host's reader
        for label, value in said.items()
        if value != _DEFAULTS[label.field] and len(str(value)) <= LONGEST_TEXT
    }
    return {SCRIPT: TITLE, **kept}


def is_upscaling(p: Any) -> bool:
    """Returns whether a request comes from the gallery's button that upscales one picture by hires fix."""
    return bool(getattr(p, "txt2img_upscale", False))


def fill_for_upscaling(p: Any) -> None:
    """Gives a request to upscale one picture of the gallery what made that picture, where it is a frame of a film.

    Its prompts come from keyframes, and its size may come from the recipe; the fields of the page have neither.
    """
    picture = p.firstpass_image
    made = parse_infotext(picture.info.get("parameters") or "")
    if made.settings.get(SCRIPT) != TITLE:
        return
    p.width, p.height = picture.size
    p.prompt, p.negative_prompt, p.styles = made.prompt, made.negative, []  # styles are in the prompts already
