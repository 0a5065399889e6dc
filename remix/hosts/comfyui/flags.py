"""Command-line flags of ComfyUI that matter for pictures, and a server's addresses."""

from __future__ import annotations

from collections.abc import Sequence

HALF = ("fp16", "bf16", "fp8", "fast")
"""Parts of the flags that compute something in less than float32."""

OTHER_MATHS = ("--use-", "--force-upcast-attention", "--dont-upcast-attention", "--deterministic")
"""Beginnings of the flags that change the last bits of pictures."""

LOCAL, EVERYWHERE = "127.0.0.1", "0.0.0.0"
"""The address of a server by default, and if --listen has no address."""


def listening_addresses(argv: Sequence[str]) -> list[str]:
    """Returns the addresses at which a server listens; the last --listen applies.

    >>> listening_addresses(["main.py", "--listen", "--port", "1"]), listening_addresses(["main.py"])
    (['0.0.0.0'], ['127.0.0.1'])
    """
    address = LOCAL
    for word, after in zip(argv, [*argv[1:], "--"], strict=True):
        name, sign, value = word.partition("=")
        if name == "--listen":
            address = value if sign else EVERYWHERE if after.startswith("-") else after
    return [each.strip() for each in address.split(",")]


def is_half(word: str) -> bool:
    """Returns whether a flag computes something in less than float32."""
    return word.startswith("--") and any(part in word for part in HALF)
