"""The labels of a sampler and a schedule in A1111 and Forge, converted from a recipe's names and back.

docs/agreement.md lists how well the pairs agree.
"""

from __future__ import annotations

from remix.catalog.rows import plain, require
from remix.catalog.samplers import SAMPLER_LABELS, SAMPLERS
from remix.catalog.schedulers import AUTOMATIC, SCHEDULER_LABELS, SCHEDULERS
from remix.errors import Unsupported

_SAMPLERS = tuple(row.name for row in SAMPLERS.values() if row.label)
_SCHEDULERS = tuple(row.name for row in SCHEDULERS.values() if row.label)


def a1111_labels(sampler: str, scheduler: str) -> tuple[str, str]:
    """Returns the labels by which A1111 and Forge sample like a recipe's sampler and scheduler.

    Raises `Unsupported` for a name that neither host has, or a schedule that the sampler ignores there.

    >>> a1111_labels("dpmpp_2m", "karras"), a1111_labels("ddim", "normal"), a1111_labels("uni_pc", "normal")
    (('DPM++ 2M', 'Karras'), ('Euler', 'Uniform'), ('UniPC', 'Automatic'))
    """
    require("sampler", SAMPLERS, sampler, _SAMPLERS, "A1111")
    require("scheduler", SCHEDULERS, scheduler, _SCHEDULERS, "A1111")
    row = SAMPLERS[sampler]
    row = SAMPLERS.get(row.rendered_as, row)
    if not row.own_schedule:
        return row.label, SCHEDULERS[scheduler].label
    if row.automatic != scheduler:
        raise Unsupported(
            f"scheduler: A1111's {row.label} ignores {scheduler!r} and takes steps of its own; "
            f'write "{row.automatic}", or use another sampler'
        )
    return row.label, AUTOMATIC


def names_of_labels(sampler: str, scheduler: str | None = None) -> tuple[str, str]:
    """Returns the recipe's sampler and scheduler that two labels of A1111 or Forge mean, "Automatic" resolved.

    Raises `Unsupported` for a label that no recipe has a name for.

    >>> names_of_labels("DPM++ 2M", "Automatic"), names_of_labels("Euler", None)
    (('dpmpp_2m', 'karras'), ('euler', 'normal'))
    """
    name = SAMPLER_LABELS.get(plain(sampler), plain(sampler))
    if name not in SAMPLERS:
        labels = ", ".join(SAMPLERS[known].label for known in _SAMPLERS)
        raise Unsupported(f"sampler: {sampler!r} has no name in a recipe; use one of {labels}")
    label = plain(scheduler or AUTOMATIC)
    if SAMPLERS[name].own_schedule or label == plain(AUTOMATIC):
        return name, SAMPLERS[name].automatic
    found = SCHEDULER_LABELS.get(label, label)
    if found not in SCHEDULERS:
        labels = ", ".join(SCHEDULERS[known].label for known in _SCHEDULERS)
        raise Unsupported(f"scheduler: {scheduler!r} has no name in a recipe; use one of {labels}")
    return name, found
