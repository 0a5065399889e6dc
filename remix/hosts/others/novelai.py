"""NovelAI: a JSON object in ``Comment``, next to ``Software``, ``Source`` and ``Description``.

The same texts are in the lowest bits of the alpha channel, which `remix.motion.stealth` reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remix.hosts.record import Origin, Texts, objects_of, read_fields, text_of

_NAMES = {
    "prompts": ("prompt",),
    "negatives": ("uc", "negative_prompt"),
    **{name: (name,) for name in ("seed", "steps", "sampler", "width", "height")},
    "cfg": ("scale",),
    "scheduler": ("noise_schedule",),
    "denoise": ("strength",),
}


def read(texts: Texts) -> Origin | None:
    """Returns what NovelAI wrote."""
    data = texts.object("comment")
    named = "novelai" in texts.get("software").lower()
    if not named and not ({"uc", "v4_prompt"} & data.keys() and {"prompt", "scale"} <= data.keys()):
        return None
    characters = {
        field: tuple(dict.fromkeys(_captions(data.get(key)))) or None
        for field, key in (("prompts", "v4_prompt"), ("negatives", "v4_negative_prompt"))
    }
    if not data and (prompt := texts.get("description").strip()):
        characters["prompts"] = (prompt,)
    model = texts.get("source").strip()
    passed = read_fields(data, "comment", _NAMES, **characters, model=model[:200])
    return Origin("novelai", "NovelAI", "", (passed,))


def _captions(value: Any) -> list[str]:
    """Returns the prompt of version 4, the scene first, then one for each character."""
    caption = value.get("caption") if isinstance(value, Mapping) else None
    if not isinstance(caption, Mapping):
        return []
    each = [
        caption.get("base_caption"),
        *(item.get("char_caption") for item in objects_of(caption.get("char_captions"))),
    ]
    return [text for text in map(text_of, each) if text.strip()]
