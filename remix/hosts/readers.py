"""The readers of metadata, in the order in which they are asked: the most distinctive signs first."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from remix.hosts.a1111 import origin as a1111
from remix.hosts.comfyui import origin as comfyui
from remix.hosts.others import desktop, fooocus, invokeai, novelai, swarmui
from remix.hosts.record import Origin, Texts

Reader = Callable[[Texts], "Origin | None"]

READERS: tuple[Reader, ...] = (
    invokeai.read,
    swarmui.read,
    fooocus.read,
    desktop.draw_things,
    novelai.read,
    desktop.stability_matrix,
    desktop.easy_diffusion,
    comfyui.read,
    a1111.read,
)
"""Every reader. A graph comes before an infotext that a node wrote as well."""


def read_origin(texts: Mapping[str, str] | Texts) -> Origin | None:
    """Returns what made the file with these texts, by lower-case name; None if no tool's signs are in them.

    >>> read_origin({"parameters": "a cat\\nSteps: 20, Sampler: Euler, Seed: 7"}).passes[0].seed
    7
    """
    held = texts if isinstance(texts, Texts) else Texts(texts)
    for read in READERS:
        found = read(held)
        if found is not None:
            return found
    return None
