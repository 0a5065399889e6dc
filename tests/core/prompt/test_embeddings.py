"""Embeddings in prompts, as ComfyUI and A1111 write them."""

from __future__ import annotations

import pytest

from remix.prompt.embeddings import for_a1111, for_comfyui, split, unknown, without_prefixes

NAMES = ("Ink", "ink wash", "bad-hands.v2")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a cat", []),
        ("ink", ["Ink"]),
        ("drinking inkwell, pink", []),
        ("an INK wash, (ink:1.2)", ["ink wash", "Ink"]),
        ("embedding:ink, embedding:Ink.pt embedding:other", ["Ink", "Ink"]),
        ("bad-hands.v2.safetensors", ["bad-hands.v2"]),
    ],
)
def test_names_are_found_as_words(text: str, found: list[str]) -> None:
    parts = list(split(text, NAMES))
    assert "".join(part for part, _ in parts) == text
    assert [name for _, name in parts if name] == found


def test_each_host_gets_its_own_form() -> None:
    assert for_comfyui("(ink:1.2), fog", NAMES) == "( embedding:Ink :1.2), fog"
    assert for_a1111("embedding:ink, embedding:fog", NAMES) == "Ink, embedding:fog"
    assert without_prefixes("embedding:ink, (embedding:fog:1.2)") == "ink, (fog:1.2)"
    assert unknown("embedding:ink, embedding:fog", NAMES) == ["fog"]
    assert for_comfyui("ink", ()) == "ink"
