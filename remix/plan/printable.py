"""Text that strangers wrote, as it is shown to a person: without what a terminal obeys, or what turns text round."""

from __future__ import annotations

import re

OBEYED = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"  # control characters, ends of lines, halves of pairs
    r"|[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"  # marks of direction
)
"""What is never shown as it is; tab and line feed are."""


def printable(text: str) -> str:
    r"""`text` with escapes in place of what is `OBEYED`, as JSON and TOML write them.

    >>> printable("a\x1b[2J")
    'a\\u001b[2J'
    """
    return OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
